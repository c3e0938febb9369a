/* See blockstore_fixture.h. */
#include "unit/solana/blockstore_fixture.h"

#include <dirent.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/bytes.h"
#include "base/str.h"

static struct rocksdb_api *load(void)
{
    struct rocksdb_api *a = NULL;
    AUTO(err_freep) struct err *e = rocksdb_api_open(&a);

    if (e) {
        printf("# not real: rocksdb: %s\n", e->text);
        return NULL;
    }
    return a;
}

bool have_rocksdb(void)
{
    AUTO(rocksdb_api_closep) struct rocksdb_api *a = load();

    if (a)
        printf("# real: rocksdb: %s\n", a->version);
    return a != NULL;
}

int place_setup(void **state)
{
    struct place *p = xcalloc(1, sizeof(*p));

    snprintf(p->dir, sizeof(p->dir), "/tmp/test-blockstore-XXXXXX");
    assert_non_null(mkdtemp(p->dir));
    *state = p;
    return 0;
}

void clear_folder(const char *dir)
{
    DIR *d = opendir(dir);

    if (!d)
        return;
    for (struct dirent *e = readdir(d); e; e = readdir(d)) {
        AUTO(freep) char *path = xasprintf("%s/%s", dir, e->d_name);

        if (str_eq(e->d_name, ".") || str_eq(e->d_name, ".."))
            continue;
        if (unlink(path) < 0) {
            clear_folder(path);
            rmdir(path);
        }
    }
    closedir(d);
}

int place_teardown(void **state)
{
    struct place *p = *state;

    if (p->writer) {
        kill(p->writer, SIGKILL);
        waitpid(p->writer, NULL, 0);
    }
    clear_folder(p->dir);
    rmdir(p->dir);
    free(p);
    return 0;
}

char *slurp(const char *path, size_t *ret_n)
{
    FILE *f = fopen(path, "re");
    char *data;
    long n;

    assert_non_null(f);
    fseek(f, 0, SEEK_END);
    n = ftell(f);
    rewind(f);
    data = xmalloc((size_t)n + 1);
    assert_int_equal(fread(data, 1, (size_t)n, f), n);
    data[n] = 0;
    fclose(f);
    *ret_n = (size_t)n;
    return data;
}

void spill(const char *path, const void *data, size_t n)
{
    FILE *f = fopen(path, "we");

    assert_non_null(f);
    assert_int_equal(fwrite(data, 1, n, f), n);
    assert_int_equal(fclose(f), 0);
}
static const char *const families[DB_N] = {"default", "meta", "root", "dead_slots"};

void writer_check(struct writer *w, char *text)
{
    AUTO(err_freep) struct err *e = rocksdb_api_fail(w->api, ERR_BUG, text, "writer");

    if (e)
        fail_msg("%s", e->text);
}

void writer_open(struct writer *w, const char *dir, int n, size_t memtable_b)
{
    struct rdb_options *o;
    char *text = NULL;

    w->api = load();
    assert_non_null(w->api);
    o = w->api->options_create();
    const struct rdb_options *each[DB_N] = {o, o, o, o};
    w->api->options_set_create_if_missing(o, 1);
    w->api->options_set_create_missing_column_families(o, 1);
    w->api->options_set_compression(o, RDB_NO_COMPRESSION);
    if (memtable_b)
        w->api->options_set_write_buffer_size(o, memtable_b);
    w->db = w->api->open_column_families(o, dir, n, families, each, w->cfs, &text);
    writer_check(w, text);
    w->options = w->api->writeoptions_create();
    w->api->options_destroy(o);
}

void writer_close(struct writer *w)
{
    for (int f = 0; f < DB_N; f++)
        if (w->cfs[f])
            w->api->column_family_handle_destroy(w->cfs[f]);
    w->api->close(w->db);
    w->api->writeoptions_destroy(w->options);
    w->api = rocksdb_api_close(w->api);
}

void writer_put_meta(struct writer *w, uint64_t slot, bool full)
{
    char key[8], value[65] = {0}, *text = NULL;

    put_be64(key, slot);
    put_le64(value, slot);
    put_le64(value + 8, full ? 32 : 7);
    put_le64(value + 16, 32);
    put_le64(value + 32, 31);
    put_le64(value + 40, slot - 1);
    w->api->put_cf(w->db, w->options, w->cfs[DB_META], key, sizeof(key), value, sizeof(value),
                   &text);
    writer_check(w, text);
}

void writer_put_mark(struct writer *w, int family, uint64_t slot, const char *value)
{
    char key[8], *text = NULL;

    put_be64(key, slot);
    w->api->put_cf(w->db, w->options, w->cfs[family], key, sizeof(key), value, 1, &text);
    writer_check(w, text);
}

void writer_flush(struct writer *w, int family)
{
    struct rdb_flush *f = w->api->flushoptions_create();
    char *text = NULL;

    w->api->flush_cf(w->db, f, w->cfs[family], &text);
    writer_check(w, text);
    w->api->flushoptions_destroy(f);
}
