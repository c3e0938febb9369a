/* Any bytes as a MANIFEST, and as the write-ahead log beside it: judged or left to RocksDB, never a
 * crash, and no other kind of error than damage. */
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "solana/blockstore_files.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void spill(int dir, const char *name, const void *data, size_t n)
{
    int fd = openat(dir, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

    if (fd < 0 || write(fd, data, n) != (ssize_t)n)
        abort();
    close(fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static const char *const names[] = {"CURRENT", "MANIFEST-000005", "000004.log", "000008.log"};
    AUTO(blockstore_files_clear) struct blockstore_files found = {0};
    char path[] = "/tmp/fuzz-blockstore-XXXXXX";
    struct err *e;
    int dir;

    if (!mkdtemp(path) || (dir = open(path, O_DIRECTORY | O_CLOEXEC)) < 0)
        abort();
    spill(dir, names[0], "MANIFEST-000005\n", 16);
    spill(dir, names[1], data, n);
    spill(dir, names[2], data, n / 2);
    spill(dir, names[3], data + n / 2, n - n / 2);
    e = blockstore_files_check(path, &found);
    if (e && e->kind != ERR_CORRUPT)
        abort();
    if (!e && found.known && found.logs_n == 0)
        abort();
    err_free(e);
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        unlinkat(dir, names[i], 0);
    close(dir);
    rmdir(path);
    return 0;
}
