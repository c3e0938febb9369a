/* Runs a fuzz target over the files of its corpus, as ordinary test cases (TAP). With libFuzzer
 * this file is left out. usage: target CORPUS_DIR */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static int run_file(const char *path)
{
    FILE *f = fopen(path, "rbe");
    uint8_t *data = malloc(1 << 20);
    size_t n;

    if (!f || !data) {
        free(data);
        return -1;
    }
    n = fread(data, 1, 1 << 20, f);
    fclose(f);
    /* An exact allocation, so that ASan sees a read past the end. */
    data = realloc(data, n ? n : 1);
    LLVMFuzzerTestOneInput(data, n);
    free(data);
    return 0;
}

int main(int argc, char **argv)
{
    struct dirent **names = NULL;
    int n = argc == 2 ? scandir(argv[1], &names, NULL, alphasort) : -1, done = 0, failed = 0;

    for (int i = 0; i < n; i++) {
        char path[4096];

        if (names[i]->d_name[0] != '.') {
            snprintf(path, sizeof(path), "%s/%s", argv[1], names[i]->d_name);
            if (run_file(path) == 0)
                printf("ok %d - %s\n", ++done, names[i]->d_name);
            else
                failed++, printf("not ok %d - %s\n", ++done, names[i]->d_name);
        }
        free(names[i]);
    }
    free(names);
    if (done == 0)
        printf("not ok 1 - the corpus is empty or cannot be read\n"), done = failed = 1;
    printf("1..%d\n", done);
    return failed ? 1 : 0;
}
