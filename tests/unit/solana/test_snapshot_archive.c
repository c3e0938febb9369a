/* solana/snapshot_archive: real archives pass, and every kind of damage has its own message. */
#include "solana/snapshot_archive.h"

#include "base/base58.h"
#include "base/blake3.h"
#include "base/str.h"
#include "io/fsroot.h"

#include <lz4frame.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zstd.h>
#include <cmocka.h>

#define FULL_100  "snapshot-100-GupLekLKvChSdAVpYZvMdESWrG1UFBr7rgcGPq5exWnR.tar.zst"
#define FULL_802  "snapshot-802-5vz4jENNJdy3VU1fUMjz9qomfbEaExGFtyJtmcTtQDYq.tar.zst"
#define FULL_1202 "snapshot-1202-3kZy2zZ3QQDmdAadiZe4pCsP8ZS8MU4pRcRsVZUxVVfF.tar.zst"
#define INCR_1102                                                                                  \
    "incremental-snapshot-802-1102-AoNd8oJEBQNiREzWyRUXYkwgpteeWNRzDYEY4PYRQ9rM.tar.zst"

static char *data_path(const char *name)
{
    return xasprintf("%s/tests/data/snapshots/%s", getenv("AGAVECTL_TEST_SOURCE"), name);
}

static void load(const char *name, struct strbuf *ret)
{
    AUTO(freep) char *path = data_path(name);
    AUTO(fclosep) FILE *f = fopen(path, "rbe");
    char piece[65536];
    size_t n;

    assert_non_null(f);
    while ((n = fread(piece, 1, sizeof(piece), f)) > 0)
        strbuf_add(ret, piece, n);
}

/* Checks bytes under a name. */
static struct err *check_limited(const char *name, const struct snapcheck_limits *limits,
                                 const void *data, size_t n, size_t piece,
                                 struct snapcheck_report *ret)
{
    AUTO(snapcheck_freep) struct snapcheck *c = NULL;
    const char *p = data;

    TRY(snapcheck_new(name, limits, &c));
    for (size_t at = 0; at < n; at += piece)
        TRY(snapcheck_feed(c, p + at, n - at < piece ? n - at : piece));
    return snapcheck_finish(c, ret);
}

static struct err *check(const char *name, const struct strbuf *b)
{
    static const struct snapcheck_limits limits = {.hash_must = true};
    struct snapcheck_report report;

    return check_limited(name, &limits, b->data, b->len, 65536, &report);
}

/* The error must be damage and hold text. */
static void expect_corrupt(struct err *e, const char *name, const char *text)
{
    AUTO(err_freep) struct err *owned = e;

    assert_non_null(e);
    if (e->kind != ERR_CORRUPT || !strstr(e->text, text))
        fail_msg("%s: wanted '%s', got %s: %s", name, text, err_kind_name(e->kind), e->text);
}

/* An archive made entry by entry, so that each rule can be broken alone. */
struct made {
    struct strbuf tar;
    char hash[BASE58_32_MAX];
};

static void made_clear(struct made *m)
{
    strbuf_clear(&m->tar);
}

static void add(struct made *m, const char *path, char type, const void *content, size_t n)
{
    char h[512] = {0}, zero[512] = {0};
    unsigned sum = 0;

    memcpy(h, path, strlen(path));
    snprintf(h + 124, 12, "%011llo", (unsigned long long)n);
    h[156] = type;
    memcpy(h + 257, "ustar  ", 8);
    memset(h + 148, ' ', 8);
    for (int i = 0; i < 512; i++)
        sum += (uint8_t)h[i];
    snprintf(h + 148, 8, "%06o", sum & 0777777);
    strbuf_add(&m->tar, h, 512);
    if (type == '0')
        strbuf_add(&m->tar, content, n);
    if (type == '0' && n % 512)
        strbuf_add(&m->tar, zero, 512 - n % 512);
}

/* A bank file of 3,000 bytes and its tail; extra 0, 1 or 33 more bytes after the lattice hash. */
static void add_bank(struct made *m, const char *path, size_t extra)
{
    uint8_t bank[3000 + 33], hash[32];
    uint8_t *lattice = bank + 3000 - 2048;

    for (size_t i = 0; i < sizeof(bank); i++)
        bank[i] = (uint8_t)(7 + i * i % 241);
    lattice[-1] = 1;
    bank[3000] = extra == 33;
    blake3_256(lattice, 2048, hash);
    base58_encode32(hash, m->hash);
    add(m, path, '0', bank, 3000 + extra);
}

static char *made_name(const struct made *m, const char *prefix, const char *ext)
{
    return xasprintf("%s-%s.tar.%s", prefix, m->hash, ext);
}

static void pack_zstd(const struct strbuf *tar, struct strbuf *ret)
{
    size_t room = ZSTD_compressBound(tar->len), n;
    AUTO(freep) char *out = xmalloc(room);

    n = ZSTD_compress(out, room, tar->data, tar->len, 1);
    assert_false(ZSTD_isError(n));
    strbuf_add(ret, out, n);
}

static struct err *check_made(struct made *m, const char *prefix)
{
    AUTO(freep) char *name = made_name(m, prefix, "zst");
    AUTO(strbuf_clear) struct strbuf packed = {0};

    strbuf_add(&m->tar, (char[1024]){0}, 1024);
    pack_zstd(&m->tar, &packed);
    return check(name, &packed);
}

#define VERSION(m)      add(m, "version", '0', "1.2.0", 5)
#define STATUS_CACHE(m) add(m, "snapshots/status_cache", '0', "cache", 5)
#define ACCOUNTS(m, p)  add(m, "accounts/" p, '0', "a", 1)

static void real_archives_pass(void **state)
{
    static const struct {
        const char *name;
        struct snapcheck_report want;
    } real[] = {
        {FULL_100,
         {.full = true,
          .base = 100,
          .slot = 100,
          .archive_b = 327632,
          .accounts_files = 3,
          .accounts_b = 1796793,
          .bank_b = 21379,
          .status_cache_b = 11229}},
        {FULL_802,
         {.full = true,
          .base = 802,
          .slot = 802,
          .archive_b = 416112,
          .accounts_files = 3,
          .accounts_b = 1796793,
          .bank_b = 32579,
          .status_cache_b = 23732}},
        {FULL_1202,
         {.full = true,
          .base = 1202,
          .slot = 1202,
          .archive_b = 425074,
          .accounts_files = 3,
          .accounts_b = 1796793,
          .bank_b = 32579,
          .status_cache_b = 33908}},
        {INCR_1102,
         {.full = false,
          .base = 802,
          .slot = 1102,
          .archive_b = 52661,
          .accounts_files = 2,
          .accounts_b = 324448,
          .bank_b = 32579,
          .status_cache_b = 33908}},
    };
    static const size_t pieces[] = {1, 4099, 1 << 20};

    for (size_t i = 0; i < 4 * ARRAY_LEN(pieces); i++) {
        const struct snapcheck_report *want = &real[i % 4].want;
        AUTO(strbuf_clear) struct strbuf b = {0};
        struct snapcheck_report got;

        load(real[i % 4].name, &b);
        assert_null(check_limited(real[i % 4].name, NULL, b.data, b.len, pieces[i / 4], &got));
        assert_int_equal(got.full, want->full);
        assert_int_equal(got.base, want->base);
        assert_int_equal(got.slot, want->slot);
        assert_int_equal(got.archive_b, want->archive_b);
        assert_int_equal(got.accounts_files, want->accounts_files);
        assert_int_equal(got.accounts_b, want->accounts_b);
        assert_int_equal(got.bank_b, want->bank_b);
        assert_int_equal(got.status_cache_b, want->status_cache_b);
        assert_int_equal(got.unpacked_b,
                         want->accounts_b + want->bank_b + want->status_cache_b + 5);
        assert_non_null(strstr(real[i % 4].name, got.hash));
        assert_int_equal(got.hash_is, SNAPCHECK_HASH_PROVEN);
        assert_true(got.hash_at_b > 0 && got.hash_at_b <= got.archive_b);
    }
    print_message("# real: agave: 4 archives written by 3.0.14\n");
}

static void every_truncation_is_found(void **state)
{
    AUTO(strbuf_clear) struct strbuf b = {0};

    load(INCR_1102, &b);
    for (size_t cut = 0; cut < b.len; cut += cut < 64 || cut + 64 > b.len ? 1 : 997) {
        size_t whole = b.len;

        b.len = cut;
        expect_corrupt(check(INCR_1102, &b), INCR_1102,
                       cut ? "is cut off: the zstd data does not end" : "the file is empty");
        b.len = whole;
    }
}

/* The content of accounts and of the status cache is covered by nothing but the compression: a flip
 * there may pass, as it passes through Agave's unpacking. No flip may crash. */
static void flipped_bytes_of_the_stream(void **state)
{
    AUTO(strbuf_clear) struct strbuf b = {0};
    size_t tried = 0, found = 0;

    load(INCR_1102, &b);
    for (size_t at = 0; at < b.len; at += 211, tried++) {
        b.data[at] ^= 0x10;
        AUTO(err_freep) struct err *e = check(INCR_1102, &b);
        b.data[at] ^= 0x10;
        if (e) {
            assert_int_equal(e->kind, ERR_CORRUPT);
            found++;
        }
    }
    print_message("# %zu of %zu flipped bytes found\n", found, tried);
    assert_true(found > 0);
}

/* In the plain tar of a real archive: headers, version, lattice hash and the end. */
static void flipped_bytes_that_matter_are_found(void **state)
{
    static const size_t headers[] = {0, 1024, 1536, 36352, 36864, 70144, 232960};
    AUTO(strbuf_clear) struct strbuf b = {0}, tar = {0};
    AUTO(freep) char *plain = xmalloc(396800);
    size_t places[7 * 512 + 5 + 2049 + 1024], n = 0;

    load(INCR_1102, &b);
    assert_int_equal(ZSTD_decompress(plain, 396800, b.data, b.len), 396800);
    strbuf_add(&tar, plain, 396800);
    for (size_t i = 0; i < ARRAY_LEN(headers); i++)
        for (size_t at = 0; at < 512; at += 13)
            places[n++] = headers[i] + at;
    for (size_t at = 0; at < 5; at++)
        places[n++] = 512 + at;
    for (size_t at = 0; at < 2049; at += 64)
        places[n++] = 37376 + 32579 - 2049 + at;
    for (size_t at = 0; at < 1024; at += 93)
        places[n++] = 396800 - 1024 + at;
    for (size_t i = 0; i < n; i++) {
        AUTO(strbuf_clear) struct strbuf packed = {0};

        tar.data[places[i]] ^= 0x10;
        pack_zstd(&tar, &packed);
        tar.data[places[i]] ^= 0x10;
        AUTO(err_freep) struct err *e = check(INCR_1102, &packed);
        if (!e)
            fail_msg("byte %zu of the tar may be anything", places[i]);
        assert_int_equal(e->kind, ERR_CORRUPT);
    }
}

static void flipped_bytes_of_the_bank_are_found(void **state)
{
    for (size_t at = 0; at < 2049; at += 128) {
        AUTO(made_clear) struct made m = {0};
        size_t bank;

        VERSION(&m);
        bank = m.tar.len + 512;
        add_bank(&m, "snapshots/7/7", 0);
        m.tar.data[bank + 3000 - 2049 + at] ^= 1;
        STATUS_CACHE(&m);
        ACCOUNTS(&m, "7.1");
        AUTO(freep) char *name = made_name(&m, "snapshot-7", "zst");
        expect_corrupt(check_made(&m, "snapshot-7"), name,
                       at ? "its bank's hash is " : "does not end in a lattice hash");
    }
}

static void content_checksums_are_used(void **state)
{
    AUTO(made_clear) struct made m = {0};
    AUTO(strbuf_clear) struct strbuf packed = {0};
    AUTO(freep) char *out = NULL;
    ZSTD_CCtx *z = ZSTD_createCCtx();
    size_t room;

    VERSION(&m);
    add_bank(&m, "snapshots/7/7", 0);
    STATUS_CACHE(&m);
    add(&m, "accounts/7.1", '0', "0123456789abcdefghijklmnopqrstuvwxyz", 36);
    strbuf_add(&m.tar, (char[1024]){0}, 1024);
    room = ZSTD_compressBound(m.tar.len);
    out = xmalloc(room);
    ZSTD_CCtx_setParameter(z, ZSTD_c_checksumFlag, 1);
    strbuf_add(&packed, out, ZSTD_compress2(z, out, room, m.tar.data, m.tar.len));
    ZSTD_freeCCtx(z);
    memcpy(packed.data, out, packed.len);
    AUTO(freep) char *name = made_name(&m, "snapshot-7", "zst");
    assert_null(check(name, &packed));
    packed.data[packed.len - 1] ^= 1;
    expect_corrupt(check(name, &packed), name, "zstd data is damaged near byte");
}

static void renamed_archives(void **state)
{
    static const struct {
        const char *real, *name, *text;
    } cases[] = {
        {FULL_100, "snapshot-101-GupLekLKvChSdAVpYZvMdESWrG1UFBr7rgcGPq5exWnR.tar.zst",
         "its bank is at 'snapshots/100', but its name says slot 101"},
        {FULL_100, "snapshot-100-5vz4jENNJdy3VU1fUMjz9qomfbEaExGFtyJtmcTtQDYq.tar.zst",
         "its bank's hash is GupLekLKvChSdAVpYZvMdESWrG1UFBr7rgcGPq5exWnR, not the one in its "
         "name"},
        {INCR_1102,
         "incremental-snapshot-1002-1102-AoNd8oJEBQNiREzWyRUXYkwgpteeWNRzDYEY4PYRQ9rM.tar.zst",
         "it holds accounts of slot 1002, but its name says that it starts after 1002"},
        {INCR_1102,
         "incremental-snapshot-802-1103-AoNd8oJEBQNiREzWyRUXYkwgpteeWNRzDYEY4PYRQ9rM.tar.zst",
         "its bank is at 'snapshots/1102', but its name says slot 1103"},
        {FULL_100, "snapshot-100-GupLekLKvChSdAVpYZvMdESWrG1UFBr7rgcGPq5exWnR.tar.lz4",
         "lz4 data is damaged near byte 0"},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        AUTO(strbuf_clear) struct strbuf b = {0};

        load(cases[i].real, &b);
        expect_corrupt(check(cases[i].name, &b), cases[i].name, cases[i].text);
    }
}

/* Names of clusters before 3.0 hold a hash of another kind: not checkable, and never bad. */
static void another_hash_is_reported(void **state)
{
    static const char name[] = "snapshot-100-5vz4jENNJdy3VU1fUMjz9qomfbEaExGFtyJtmcTtQDYq.tar.zst";
    AUTO(made_clear) struct made old = {.hash = "GupLekLKvChSdAVpYZvMdESWrG1UFBr7rgcGPq5exWnR"};
    AUTO(strbuf_clear) struct strbuf b = {0}, packed = {0};
    struct snapcheck_report got = {0};

    load(FULL_100, &b);
    assert_null(check_limited(name, NULL, b.data, b.len, 65536, &got));
    assert_int_equal(got.hash_is, SNAPCHECK_HASH_OTHER);
    assert_string_equal(got.bank_hash, "GupLekLKvChSdAVpYZvMdESWrG1UFBr7rgcGPq5exWnR");
    assert_string_equal(got.hash, "5vz4jENNJdy3VU1fUMjz9qomfbEaExGFtyJtmcTtQDYq");

    VERSION(&old);
    add(&old, "snapshots/7/7", '0', "a bank of 2.0", 13);
    STATUS_CACHE(&old);
    ACCOUNTS(&old, "7.1");
    strbuf_add(&old.tar, (char[1024]){0}, 1024);
    pack_zstd(&old.tar, &packed);
    AUTO(freep) char *old_name = made_name(&old, "snapshot-7", "zst");
    assert_null(check_limited(old_name, NULL, packed.data, packed.len, 100, &got));
    assert_int_equal(got.hash_is, SNAPCHECK_HASH_NONE);
    assert_string_equal(got.bank_hash, "");
    expect_corrupt(check(old_name, &packed), old_name, "does not end in a lattice hash");
}

/* The bank file is at the front: who receives an archive knows early whether it is the right one.
 */
static void the_hash_is_known_early(void **state)
{
    AUTO(snapcheck_freep) struct snapcheck *c = NULL;
    AUTO(strbuf_clear) struct strbuf b = {0};
    size_t at = 0;

    load(FULL_1202, &b);
    assert_null(snapcheck_new(FULL_1202, NULL, &c));
    assert_int_equal(snapcheck_so_far(c)->hash_is, SNAPCHECK_HASH_UNREAD);
    assert_int_equal(snapcheck_so_far(c)->slot, 1202);
    for (; at < b.len && snapcheck_so_far(c)->hash_is == SNAPCHECK_HASH_UNREAD; at += 1024)
        assert_null(snapcheck_feed(c, b.data + at, b.len - at < 1024 ? b.len - at : 1024));
    assert_int_equal(snapcheck_so_far(c)->hash_is, SNAPCHECK_HASH_PROVEN);
    assert_int_equal(snapcheck_so_far(c)->hash_at_b, at);
    print_message("# the hash is known after %zu of %zu bytes\n", at, b.len);
    assert_true(at < b.len / 2);
}

static void legacy_formats_are_named(void **state)
{
    static const char *const ext[] = {"bz2", "gz"};

    for (size_t i = 0; i <= ARRAY_LEN(ext); i++) {
        AUTO(freep)
        char *name = xasprintf("snapshot-100-GupLekLKvChSdAVpYZvMdESWrG1UFBr7rgcGPq5exWnR.tar%s%s",
                               i < ARRAY_LEN(ext) ? "." : "", i < ARRAY_LEN(ext) ? ext[i] : "");
        AUTO(snapcheck_freep) struct snapcheck *c = NULL;
        AUTO(err_freep) struct err *e = snapcheck_new(name, NULL, &c);

        assert_non_null(e);
        assert_int_equal(e->kind, ERR_BADINPUT);
        assert_non_null(strstr(e->text, "in a format that Agave wrote up to 2.3"));
    }
}

static void names_that_are_none(void **state)
{
    static const char *const names[] = {
        ("tmp-" FULL_100),
        "snapshot-100-x.tar.zst",
        "snapshot-100-GupLekLKvChSdAVpYZvMdESWrG1UFBr7rgcGPq5exWnR.tar.bz2",
        "",
    };

    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        AUTO(snapcheck_freep) struct snapcheck *c = NULL;
        AUTO(err_freep) struct err *e = snapcheck_new(names[i], NULL, &c);

        assert_non_null(e);
        assert_int_equal(e->kind, ERR_BADINPUT);
    }
}

static void both_orders_and_all_tails(void **state)
{
    static const size_t extra[] = {0, 1, 33};

    for (size_t i = 0; i < 2 * ARRAY_LEN(extra); i++) {
        AUTO(made_clear) struct made m = {0};

        VERSION(&m);
        add(&m, "snapshots/", '5', "", 0);
        if (i % 2)
            STATUS_CACHE(&m);
        add(&m, "snapshots/7", '5', "", 0);
        add_bank(&m, "snapshots/7/7", extra[i / 2]);
        if (i % 2 == 0)
            STATUS_CACHE(&m);
        add(&m, "accounts", '5', "", 0);
        ACCOUNTS(&m, "7.1");
        ACCOUNTS(&m, "0.2");
        assert_null(check_made(&m, "snapshot-7"));
    }
}

static void lz4_archives(void **state)
{
    AUTO(made_clear) struct made m = {0};
    AUTO(strbuf_clear) struct strbuf b = {0};
    LZ4F_preferences_t prefs = {.frameInfo.contentChecksumFlag = LZ4F_contentChecksumEnabled};
    struct snapcheck_report report;

    VERSION(&m);
    add_bank(&m, "snapshots/7/7", 0);
    STATUS_CACHE(&m);
    ACCOUNTS(&m, "7.1");
    strbuf_add(&m.tar, (char[1024]){0}, 1024);
    size_t room = LZ4F_compressFrameBound(m.tar.len, &prefs);
    AUTO(freep) char *out = xmalloc(room);
    strbuf_add(&b, out, LZ4F_compressFrame(out, room, m.tar.data, m.tar.len, &prefs));
    memcpy(b.data, out, b.len);
    AUTO(freep) char *name = made_name(&m, "snapshot-7", "lz4");
    assert_null(check_limited(name, NULL, b.data, b.len, 7, &report));
    assert_int_equal(report.accounts_files, 1);
    b.data[b.len - 1] ^= 1;
    expect_corrupt(check(name, &b), name, "lz4 data is damaged near byte");
    b.len -= 4;
    expect_corrupt(check(name, &b), name, "is cut off: the lz4 data does not end");
}

/* Each row: what is added between version and the good rest, and what must be said. */
static void forbidden_entries(void **state)
{
    static const struct {
        const char *path;
        char type;
        const char *text;
    } bad[] = {
        {"../x", '0', "it holds '../x', which Agave does not unpack"},
        {"accounts/../../x", '0', "it holds 'accounts/../../x', which is no <slot>.<id>"},
        {"/etc/passwd", '0', "it holds '/etc/passwd', which Agave does not unpack"},
        {"./version", '0', "it holds './version', which Agave does not unpack"},
        {"version/", '5', "it holds 'version', which Agave does not unpack"},
        {"x\033[31m", '0', "it holds 'x?[31m', which Agave does not unpack"},
        {"accounts/7", '0', "it holds 'accounts/7', which is no <slot>.<id>"},
        {"accounts/7.1.2", '0', "it holds 'accounts/7.1.2', which is no <slot>.<id>"},
        {"accounts/-7.1", '0', "it holds 'accounts/-7.1', which is no <slot>.<id>"},
        {"accounts/7.", '0', "it holds 'accounts/7.', which is no <slot>.<id>"},
        {"accounts/8.1", '0', "it holds accounts of slot 8, but its name says slot 7"},
        {"snapshots/7/8", '0', "its bank is at 'snapshots/7/8', but its name says slot 7"},
        {"snapshots/8/8", '0', "its bank is at 'snapshots/8/8', but its name says slot 7"},
        {"snapshots/07/07", '0', "its bank is at 'snapshots/07/07', but its name says slot 7"},
        {"snapshots/7/7/7", '0', "its bank is at 'snapshots/7/7/7', but its name says slot 7"},
        {"snapshots/x", '5', "it holds 'snapshots/x', which Agave does not unpack"},
        {"accounts/7.3", '2', "it holds 'accounts/7.3', which is a link, device or pipe"},
        {"accounts/7.3", '1', "it holds 'accounts/7.3', which is a link, device or pipe"},
        {"snapshots/dev", '3', "it holds 'snapshots/dev', which is a link, device or pipe"},
        {"snapshots/dev", '4', "it holds 'snapshots/dev', which is a link, device or pipe"},
        {"snapshots/fifo", '6', "it holds 'snapshots/fifo', which is a link, device or pipe"},
        {"accounts/7.3", 'S', "a sparse file"},
    };

    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        AUTO(made_clear) struct made m = {0};

        VERSION(&m);
        add(&m, bad[i].path, bad[i].type, "", 0);
        add_bank(&m, "snapshots/7/7", 0);
        AUTO(freep) char *name = made_name(&m, "snapshot-7", "zst");
        expect_corrupt(check_made(&m, "snapshot-7"), name, bad[i].text);
    }
}

/* Which of the parts are there, in order: v(ersion) b(ank) s(tatus cache) a(ccounts). */
static void missing_and_doubled_parts(void **state)
{
    static const struct {
        const char *parts, *text;
    } bad[] = {
        {"bsa", "its first entry is 'snapshots/7/7', not 'version'"},
        {"bvsa", "its first entry is 'snapshots/7/7', not 'version'"},
        {"vsa", "it holds no bank file"},
        {"vba", "it holds no status cache"},
        {"vbs", "it holds no accounts"},
        {"vbbsa", "it holds a bank file twice"},
        {"vbssa", "it holds the status cache twice"},
        {"vbsav", "it holds the file 'version' twice"},
        {"", "it is empty"},
    };

    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        AUTO(made_clear) struct made m = {.hash = "GupLekLKvChSdAVpYZvMdESWrG1UFBr7rgcGPq5exWnR"};

        for (const char *p = bad[i].parts; *p; p++) {
            if (*p == 'v')
                VERSION(&m);
            else if (*p == 'b')
                add_bank(&m, "snapshots/7/7", 0);
            else if (*p == 's')
                STATUS_CACHE(&m);
            else
                ACCOUNTS(&m, "7.1");
        }
        expect_corrupt(check_made(&m, "snapshot-7"), "snapshot-7", bad[i].text);
    }
}

static void wrong_versions(void **state)
{
    static const char *const bad[] = {"1.2.1", "1.1.0", "1.2.00", "", "1.2.0\n"};

    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        AUTO(made_clear) struct made m = {0};

        add(&m, "version", '0', bad[i], strlen(bad[i]));
        add_bank(&m, "snapshots/7/7", 0);
        expect_corrupt(check_made(&m, "snapshot-7"), "snapshot-7", "its version is '");
    }
    AUTO(made_clear) struct made m = {0};
    add(&m, "version", '0', "123456789", 9);
    add_bank(&m, "snapshots/7/7", 0);
    expect_corrupt(check_made(&m, "snapshot-7"), "snapshot-7",
                   "the file 'version' claims 9 bytes, more than the limit of 8");
}

static void data_after_the_end(void **state)
{
    AUTO(made_clear) struct made m = {0};
    AUTO(strbuf_clear) struct strbuf b = {0};

    VERSION(&m);
    add_bank(&m, "snapshots/7/7", 0);
    STATUS_CACHE(&m);
    ACCOUNTS(&m, "7.1");
    strbuf_add(&m.tar, (char[1024]){0}, 1024);
    ACCOUNTS(&m, "7.2");
    AUTO(freep) char *name = made_name(&m, "snapshot-7", "zst");
    expect_corrupt(check_made(&m, "snapshot-7"), name, "data after the end");

    load(FULL_100, &b);
    strbuf_add(&b, "garbage", 7);
    expect_corrupt(check(FULL_100, &b), FULL_100, "zstd data is damaged near byte 327632");
}

static void the_tar_is_cut_off(void **state)
{
    AUTO(made_clear) struct made m = {0};
    AUTO(strbuf_clear) struct strbuf packed = {0};

    VERSION(&m);
    add_bank(&m, "snapshots/7/7", 0);
    STATUS_CACHE(&m);
    ACCOUNTS(&m, "7.1");
    strbuf_add(&m.tar, (char[512]){0}, 512);
    pack_zstd(&m.tar, &packed);
    AUTO(freep) char *name = made_name(&m, "snapshot-7", "zst");
    expect_corrupt(check(name, &packed), name, "the tar is cut off: it does not end at byte");
}

static void bombs_are_bounded(void **state)
{
    static const struct snapcheck_limits limits = {
        .unpacked_b = 1 << 20, .entries = 5, .bank_b = 4096};
    AUTO(made_clear) struct made big = {0}, many = {0}, bank = {0};
    AUTO(strbuf_clear) struct strbuf packed = {0};
    AUTO(freep) char *zeros = xcalloc(1, 2 << 20);
    struct snapcheck_report report;

    VERSION(&big);
    add_bank(&big, "snapshots/7/7", 0);
    add(&big, "accounts/7.1", '0', zeros, 2 << 20);
    pack_zstd(&big.tar, &packed);
    AUTO(freep) char *name = made_name(&big, "snapshot-7", "zst");
    expect_corrupt(check_limited(name, &limits, packed.data, packed.len, 100, &report), name,
                   "it unpacks to more than 1048576 bytes");

    VERSION(&many);
    for (int i = 0; i < 6; i++)
        ACCOUNTS(&many, "7.1");
    packed.len = 0;
    pack_zstd(&many.tar, &packed);
    expect_corrupt(check_limited(name, &limits, packed.data, packed.len, 100, &report), name,
                   "it holds more than 5 files");

    VERSION(&bank);
    add(&bank, "snapshots/7/7", '0', zeros, 5000);
    packed.len = 0;
    pack_zstd(&bank.tar, &packed);
    expect_corrupt(check_limited(name, &limits, packed.data, packed.len, 100, &report), name,
                   "the bank file claims 5000 bytes, more than the limit of 4096");
}

/* Frames that ask for a window of 256 MiB and 2 GiB: Agave refuses them, and so must we. */
static void a_window_too_large(void **state)
{
    static const uint8_t logs[] = {28, 31};

    for (size_t i = 0; i < ARRAY_LEN(logs); i++) {
        uint8_t frame[] = {0x28, 0xb5, 0x2f, 0xfd, 0, 0, 1, 0, 0};

        frame[5] = (uint8_t)((logs[i] - 10) << 3);
        expect_corrupt(
            check_limited(FULL_100, NULL, frame, sizeof(frame), 100, &(struct snapcheck_report){0}),
            FULL_100, "a window of more than 128 MiB");
    }
}

static struct err *count_calls(void *arg, uint64_t done_b, uint64_t total_b)
{
    assert_true(done_b <= total_b);
    ++*(size_t *)arg;
    return NULL;
}

static void files_on_disk(void **state)
{
    AUTO(fsroot_closep) struct fsroot *root = NULL;
    AUTO(freep) char *dir = xasprintf("/tmp/agavectl-test-XXXXXX");
    AUTO(freep) char *real = data_path(FULL_100);
    struct snapcheck_report report;
    volatile sig_atomic_t cancelled = 0;
    size_t calls = 0;

    assert_non_null(mkdtemp(dir));
    AUTO(freep) char *link = xasprintf("%s/" FULL_100, dir);
    AUTO(freep) char *folder = xasprintf("%s/" FULL_802, dir);
    assert_null(fsroot_open("/", &root));
    struct ctx ctx = {.root = root, .cancelled = &cancelled};
    assert_null(snapshot_archive_verify_file(&ctx, real, NULL, count_calls, &calls, &report));
    assert_int_equal(report.slot, 100);
    assert_int_equal(symlink(real, link), 0);
    AUTO(err_freep)
    struct err *e = snapshot_archive_verify_file(&ctx, link, NULL, NULL, NULL, &report);
    assert_non_null(e);
    assert_int_equal(mkdir(folder, 0700), 0);
    AUTO(err_freep)
    struct err *e2 = snapshot_archive_verify_file(&ctx, folder, NULL, NULL, NULL, &report);
    assert_non_null(e2);
    assert_int_equal(e2->kind, ERR_BADINPUT);
    unlink(link);
    AUTO(err_freep)
    struct err *e3 = snapshot_archive_verify_file(&ctx, link, NULL, NULL, NULL, &report);
    assert_non_null(e3);
    assert_int_equal(e3->kind, ERR_NOTFOUND);
    cancelled = 1;
    AUTO(err_freep)
    struct err *e4 = snapshot_archive_verify_file(&ctx, real, NULL, NULL, NULL, &report);
    assert_non_null(e4);
    assert_int_equal(e4->kind, ERR_CANCELLED);
    rmdir(folder);
    rmdir(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(real_archives_pass),
        cmocka_unit_test(every_truncation_is_found),
        cmocka_unit_test(flipped_bytes_of_the_stream),
        cmocka_unit_test(flipped_bytes_that_matter_are_found),
        cmocka_unit_test(flipped_bytes_of_the_bank_are_found),
        cmocka_unit_test(content_checksums_are_used),
        cmocka_unit_test(renamed_archives),
        cmocka_unit_test(another_hash_is_reported),
        cmocka_unit_test(the_hash_is_known_early),
        cmocka_unit_test(legacy_formats_are_named),
        cmocka_unit_test(names_that_are_none),
        cmocka_unit_test(both_orders_and_all_tails),
        cmocka_unit_test(lz4_archives),
        cmocka_unit_test(forbidden_entries),
        cmocka_unit_test(missing_and_doubled_parts),
        cmocka_unit_test(wrong_versions),
        cmocka_unit_test(data_after_the_end),
        cmocka_unit_test(the_tar_is_cut_off),
        cmocka_unit_test(bombs_are_bounded),
        cmocka_unit_test(a_window_too_large),
        cmocka_unit_test(files_on_disk),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
