/* Answers of Docker's API: whatever the bytes are, an error or a whole value. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "runtime/docker.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void version(const char *text, size_t n)
{
    struct docker d = {0};
    struct err *e = docker_parse_version(text, n, &d);

    assert(e || (strncmp(d.api, "v1.", 3) == 0 && strlen(d.version) < sizeof(d.version)));
    err_free(e);
}

static void info(const char *text, size_t n)
{
    struct docker_info i = {0};
    struct err *e = docker_parse_info(text, n, &i);

    assert(e ? !i.root_dir : i.cgroup_version <= 2);
    err_free(e);
    docker_info_clear(&i);
}

static void list(const char *text, size_t n)
{
    struct docker_list l = {0};
    struct err *e = docker_parse_list(text, n, &l);

    for (size_t i = 0; !e && i < l.n; i++)
        assert(l.items[i].id && l.items[i].name && !strchr(l.items[i].name, '/'));
    assert(!e || l.n == 0);
    err_free(e);
    docker_list_clear(&l);
}

static void inspect(const char *text, size_t n)
{
    struct docker_inspect i = {0};
    struct err *e = docker_parse_inspect(text, n, &i);

    if (!e) {
        const struct docker_mount *m = docker_mount_over(&i, "/mnt/solana");

        assert(i.id && i.name && i.pid >= 0 && i.started_at >= 0 && i.finished_at >= 0);
        assert(!m || m->destination[0] == '/');
    }
    err_free(e);
    docker_inspect_clear(&i);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    const char *text = (const char *)data;

    version(text, n);
    info(text, n);
    list(text, n);
    inspect(text, n);
    return 0;
}
