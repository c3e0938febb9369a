/* Reads tests/data/shreds. A file that is missing or damaged ends the test program. */
#include "unit/shred_fixture.h"

#include <stdbool.h>

#include <zstd.h>

#include "base/bytes.h"
#include "base/cleanup.h"

#define UNPACKED_MAX (4 << 20)

static void need(bool ok, const char *what)
{
    if (!ok) {
        printf("Bail out! tests/data/shreds: %s\n", what);
        exit(1);
    }
}

static uint8_t *unpack(const char *name, size_t *ret_n)
{
    const char *source = getenv("AGAVECTL_TEST_SOURCE");
    AUTO(freep) char *path = xasprintf("%s/tests/data/shreds/%s", source ? source : ".", name);
    AUTO(fclosep) FILE *f = fopen(path, "rbe");
    AUTO(freep) uint8_t *packed = xmalloc(UNPACKED_MAX);
    uint8_t *all = xmalloc(UNPACKED_MAX);
    size_t n;

    need(f, "cannot open a file");
    n = ZSTD_decompress(all, UNPACKED_MAX, packed, fread(packed, 1, UNPACKED_MAX, f));
    need(!ZSTD_isError(n), "a file is no zstd frame");
    *ret_n = n;
    return all;
}

void turbine_load(struct turbine *ret)
{
    size_t n, cap = 0;
    struct turbine t = {.all = unpack("turbine.zst", &n)};

    need(n > 32, "no packets");
    t.leader = t.all;
    for (size_t at = 32; at < n; t.n++) {
        size_t len = n - at >= 2 ? get_le16(t.all + at) : 0;

        need(len && len <= n - at - 2, "a packet is cut short");
        t.packets = xgrow(t.packets, &cap, t.n + 1, sizeof(*t.packets));
        t.packets[t.n] = (struct packet){t.all + at + 2, len};
        at += 2 + len;
    }
    *ret = t;
}

void turbine_clear(struct turbine *t)
{
    free(t->all);
    free(t->packets);
}

void blockstore_load(struct blockstore *ret)
{
    size_t n, cap = 0;
    struct blockstore b = {.all = unpack("blockstore.zst", &n)};

    for (size_t at = 0; at < n; b.n++) {
        struct stored s = {.cf = (const char *)b.all + at + 1};
        size_t name_n = b.all[at];

        need(n - at > 1 + name_n + 2, "an entry is cut short");
        s.key = b.all + at + 1 + name_n + 2;
        s.key_n = get_le16(s.key - 2);
        /* The key's length has been read: its place may now end the name. */
        b.all[at + 1 + name_n] = 0;
        at += 1 + name_n + 2 + s.key_n;
        need(at + 4 <= n, "an entry is cut short");
        s.value = b.all + at + 4;
        s.value_n = get_le32(s.value - 4);
        need(s.value_n <= n - at - 4, "an entry is cut short");
        at += 4 + s.value_n;
        b.entries = xgrow(b.entries, &cap, b.n + 1, sizeof(*b.entries));
        b.entries[b.n] = s;
    }
    *ret = b;
}

void blockstore_clear(struct blockstore *b)
{
    free(b->all);
    free(b->entries);
}
