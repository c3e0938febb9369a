/* solana/tar: what is accepted, what is refused and why, and the same answers as libarchive on real
 * archives. */
#include "solana/tar.h"

#include "base/str.h"
#include "solana/decompress.h"

#include <archive.h>
#include <archive_entry.h>
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>

/* What a reading gives, as text: "path type size sum;" for each entry. */
struct seen {
    struct strbuf text;
    uint64_t sum, size_b;
    bool open;
};

static uint64_t add_up(uint64_t sum, const uint8_t *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        sum = sum * 31 + p[i];
    return sum;
}

static struct err *seen_entry(void *arg, const struct tar_entry *e)
{
    struct seen *s = arg;
    size_t n = strlen(e->path);

    assert_false(s->open);
    s->open = true;
    s->sum = s->size_b = 0;
    strbuf_printf(&s->text, "%.*s %c %llu ", (int)(n && e->path[n - 1] == '/' ? n - 1 : n), e->path,
                  e->typeflag, (unsigned long long)e->size_b);
    return NULL;
}

static struct err *seen_data(void *arg, const void *data, size_t n)
{
    struct seen *s = arg;

    assert_true(s->open);
    assert_true(n > 0);
    s->sum = add_up(s->sum, data, n);
    s->size_b += n;
    return NULL;
}

static struct err *seen_end(void *arg)
{
    struct seen *s = arg;

    assert_true(s->open);
    s->open = false;
    strbuf_printf(&s->text, "%llx;", (unsigned long long)s->sum);
    return NULL;
}

static const struct tar_sink sink = {.entry = seen_entry, .data = seen_data, .end = seen_end};

/* One entry of a tar under construction; the checksum is made last. */
static char *put_header(struct strbuf *b, const char *name, char type, const char *size,
                        const char *magic)
{
    char h[512] = {0};

    memcpy(h, name, strlen(name) < 100 ? strlen(name) : 100);
    memcpy(h + 124, size, strlen(size));
    h[156] = type;
    memcpy(h + 257, magic, 8);
    strbuf_add(b, h, 512);
    return b->data + b->len - 512;
}

static void seal(char *h)
{
    unsigned sum = 0;
    char text[8];

    memset(h + 148, ' ', 8);
    for (int i = 0; i < 512; i++)
        sum += (uint8_t)h[i];
    snprintf(text, sizeof(text), "%06o", sum);
    memcpy(h + 148, text, 7);
}

static void put_entry(struct strbuf *b, const char *name, char type, const char *content)
{
    char size[12], zero[512] = {0};
    size_t n = strlen(content);

    snprintf(size, sizeof(size), "%011o", (unsigned)n);
    seal(put_header(b, name, type, size, "ustar  "));
    strbuf_add(b, content, n);
    if (n % 512)
        strbuf_add(b, zero, 512 - n % 512);
}

static void put_end(struct strbuf *b)
{
    char zero[1024] = {0};

    strbuf_add(b, zero, sizeof(zero));
}

/* Reads b in pieces of at most piece bytes. */
static struct err *read_all(const struct strbuf *b, size_t piece, struct seen *ret)
{
    AUTO(tar_freep) struct tar *t = tar_new(&sink, ret);

    for (size_t at = 0; at < b->len; at += piece)
        TRY(tar_feed(t, b->data + at, b->len - at < piece ? b->len - at : piece));
    return tar_finish(t);
}

static void expect_error(const struct strbuf *b, const char *text)
{
    static const size_t pieces[] = {1, 511, 512, 100000};

    for (size_t i = 0; i < ARRAY_LEN(pieces); i++) {
        struct seen s = {0};
        AUTO(err_freep) struct err *e = read_all(b, pieces[i], &s);

        strbuf_clear(&s.text);
        assert_non_null(e);
        assert_int_equal(e->kind, ERR_CORRUPT);
        assert_string_equal(e->text, text);
    }
}

static void expect(const struct strbuf *b, const char *text)
{
    for (size_t piece = 1; piece < 2000; piece += 97) {
        struct seen s = {0};

        assert_null(read_all(b, piece, &s));
        assert_string_equal(strbuf_text(&s.text), text);
        strbuf_clear(&s.text);
    }
}

static void entries_come_out_whatever_the_pieces(void **state)
{
    AUTO(strbuf_clear) struct strbuf b = {0};

    put_entry(&b, "dir/", '5', "");
    put_entry(&b, "a", '0', "A");
    put_entry(&b, "empty", 0, "");
    put_entry(&b, "link", '2', "");
    put_end(&b);
    expect(&b, "dir 5 0 0;a 0 1 41;empty 0 0 0;link 2 0 0;");
}

static void an_empty_tar_is_fine(void **state)
{
    AUTO(strbuf_clear) struct strbuf b = {0};

    put_end(&b);
    expect(&b, "");
}

static void names_long_and_split(void **state)
{
    AUTO(strbuf_clear) struct strbuf b = {0}, want = {0};
    char name[301], *h;

    memset(name, 'n', 300);
    name[300] = 0;
    h = put_header(&b, "././@LongLink", 'L', "00000000455", "ustar  ");
    seal(h);
    strbuf_add(&b, name, 301);
    strbuf_add(&b, (char[211]){0}, 211);
    put_entry(&b, "cut off", '0', "x");
    h = put_header(&b, "file", '0', "00000000000",
                   "ustar\0"
                   "00");
    memcpy(h + 345, "some/folder", 11);
    seal(h);
    memset(name, 'm', 100);
    name[100] = 0;
    put_entry(&b, name, '0', "");
    put_end(&b);
    memset(name, 'n', 300);
    strbuf_printf(&want, "%s 0 1 78;some/folder/file 0 0 0;", name);
    memset(name, 'm', 100);
    strbuf_printf(&want, "%.100s 0 0 0;", name);
    expect(&b, strbuf_text(&want));
}

static void sizes_in_base_256(void **state)
{
    AUTO(strbuf_clear) struct strbuf b = {0};
    char *h = put_header(&b, "f", '0', "", "ustar  ");

    memcpy(h + 124, "\x80\0\0\0\0\0\0\0\0\0\0\3", 12);
    seal(h);
    strbuf_add(&b, "abc", 3);
    strbuf_add(&b, (char[509]){0}, 509);
    put_end(&b);
    expect(&b, "f 0 3 17862;");
}

static void broken_headers(void **state)
{
    static const struct {
        const char *size, *magic;
        char type;
        const char *text;
    } bad[] = {
        {"00000000009", "ustar  ", '0', "a header with a size that is no number"},
        {"", "ustar  ", '0', "a header with a size that is no number"},
        {"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", "ustar  ", '0',
         "a header with a size that is no number"},
        {"\x80\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01\x01", "ustar  ", '0',
         "a header with a size that is no number"},
        {"00000000000", "USTAR  ", '0', "a header that is neither ustar nor GNU"},
        {"00000000000", "ustar  ", 'S', "a sparse file, which no snapshot of today holds,"},
        {"00000000000", "ustar  ", 'x', "a pax header, which no writer of snapshots makes,"},
        {"00000000000", "ustar  ", 'g', "a pax header, which no writer of snapshots makes,"},
        {"00000000000", "ustar  ", 'K', "a long link name, which no writer of snapshots makes,"},
        {"00000010002", "ustar  ", 'L', "a long name of a wrong length"},
        {"00000000001", "ustar  ", 'L', "a long name of a wrong length"},
        {"00000000001", "ustar  ", '5', "a folder, link or device that claims to have content"},
    };

    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        AUTO(strbuf_clear) struct strbuf b = {0};
        AUTO(freep) char *text = xasprintf("%s at byte 0 of the tar", bad[i].text);

        seal(put_header(&b, "f", bad[i].type, bad[i].size, bad[i].magic));
        put_end(&b);
        expect_error(&b, text);
    }
}

static void every_flipped_bit_of_a_header_is_found(void **state)
{
    AUTO(strbuf_clear) struct strbuf good = {0};

    put_entry(&good, "snapshots/status_cache", '0', "12345");
    put_end(&good);
    for (size_t i = 0; i < 512; i++) {
        struct seen s = {0};

        good.data[i] ^= 0x20;
        AUTO(err_freep) struct err *e = read_all(&good, 700, &s);
        good.data[i] ^= 0x20;
        strbuf_clear(&s.text);
        if (i == 154 || i == 155) /* what follows the checksum's NUL: blank or NUL */
            continue;
        assert_non_null(e);
    }
}

static void nameless_and_nul_names(void **state)
{
    AUTO(strbuf_clear) struct strbuf empty = {0}, nul = {0};

    put_entry(&empty, "", '0', "");
    put_end(&empty);
    expect_error(&empty, "a header without a path at byte 0 of the tar");
    seal(put_header(&nul, "././@LongLink", 'L', "00000000004", "ustar  "));
    strbuf_add(&nul, "a\0b", 4);
    strbuf_add(&nul, (char[508]){0}, 508);
    put_end(&nul);
    expect_error(&nul, "a long name that does not end with its NUL at byte 4 of the tar");
}

static void the_end(void **state)
{
    char zero[512] = {0};
    AUTO(strbuf_clear) struct strbuf padded = {0}, garbage = {0}, single = {0}, odd = {0};
    AUTO(strbuf_clear) struct strbuf endless = {0};

    put_entry(&padded, "a", '0', "A");
    put_end(&padded);
    for (int i = 0; i < 15; i++)
        strbuf_add(&padded, zero, 512);
    expect(&padded, "a 0 1 41;");
    strbuf_add(&garbage, padded.data, padded.len);
    garbage.data[garbage.len - 1] = 1;
    struct seen seen = {0};
    AUTO(err_freep) struct err *e = read_all(&garbage, 512, &seen);
    strbuf_clear(&seen.text);
    assert_non_null(e);
    assert_true(str_starts(e->text, "data after the end at byte"));
    strbuf_add(&single, zero, 512);
    put_entry(&single, "a", '0', "A");
    expect_error(&single, "data after a single zero block at byte 512 of the tar");
    put_end(&odd);
    strbuf_add(&odd, zero, 7);
    expect_error(&odd, "the tar has 1031 bytes, which are no whole blocks");
    put_end(&endless);
    for (int i = 0; i < 2049; i++)
        strbuf_add(&endless, zero, 512);
    err_free(e);
    e = read_all(&endless, 512, &seen);
    assert_non_null(e);
    assert_true(str_starts(e->text, "data after the end at byte"));
}

static void every_cut_is_found(void **state)
{
    AUTO(strbuf_clear) struct strbuf b = {0};

    put_entry(&b, "a", '0', "content");
    put_entry(&b, "b", '0', "more");
    put_end(&b);
    for (size_t n = b.len; n-- > 0;) {
        struct seen s = {0};

        b.len = n;
        AUTO(err_freep) struct err *e = read_all(&b, 600, &s);
        strbuf_clear(&s.text);
        assert_non_null(e);
        assert_int_equal(e->kind, ERR_CORRUPT);
        assert_true(str_starts(e->text, "the tar is cut off"));
    }
}

static struct err *refuse(void *arg, const struct tar_entry *e)
{
    return err_new(ERR_REFUSED, "no '%s'", e->path);
}

static void an_error_of_the_sink_comes_back(void **state)
{
    static const struct tar_sink no = {.entry = refuse, .data = seen_data, .end = seen_end};
    AUTO(strbuf_clear) struct strbuf b = {0};
    AUTO(tar_freep) struct tar *t = tar_new(&no, NULL);

    put_entry(&b, "a", '0', "A");
    AUTO(err_freep) struct err *e = tar_feed(t, b.data, b.len);
    assert_non_null(e);
    assert_int_equal(e->kind, ERR_REFUSED);
    assert_string_equal(e->text, "no 'a'");
}

/* The second opinion. */
static char *by_libarchive(const char *path)
{
    struct archive *a = archive_read_new();
    struct archive_entry *e;
    struct strbuf text = {0};
    static uint8_t piece[65536];

    assert_int_equal(archive_read_support_filter_zstd(a), ARCHIVE_OK);
    assert_int_equal(archive_read_support_format_tar(a), ARCHIVE_OK);
    assert_int_equal(archive_read_open_filename(a, path, 65536), ARCHIVE_OK);
    while (archive_read_next_header(a, &e) == ARCHIVE_OK) {
        const char *name = archive_entry_pathname(e);
        bool dir = archive_entry_filetype(e) == AE_IFDIR;
        size_t n = strlen(name);
        uint64_t sum = 0;
        la_ssize_t got;

        while ((got = archive_read_data(a, piece, sizeof(piece))) > 0)
            sum = add_up(sum, piece, (size_t)got);
        assert_int_equal(got, 0);
        strbuf_printf(&text, "%.*s %c %lld %llx;", (int)(name[n - 1] == '/' ? n - 1 : n), name,
                      dir ? '5' : '0', (long long)archive_entry_size(e), (unsigned long long)sum);
    }
    archive_read_free(a);
    return strbuf_take(&text);
}

static struct err *to_tar(void *arg, const void *data, size_t n)
{
    return tar_feed(arg, data, n);
}

static char *by_us(const char *path)
{
    struct seen s = {0};
    AUTO(tar_freep) struct tar *t = tar_new(&sink, &s);
    AUTO(decompress_freep) struct decompress *d = NULL;
    AUTO(fclosep) FILE *f = fopen(path, "rbe");
    char piece[1000];
    size_t n;

    assert_non_null(f);
    assert_null(decompress_new(COMPRESSION_ZSTD, to_tar, t, &d));
    while ((n = fread(piece, 1, sizeof(piece), f)) > 0)
        assert_null(decompress_feed(d, piece, n));
    assert_null(decompress_finish(d));
    assert_null(tar_finish(t));
    return strbuf_take(&s.text);
}

static void the_same_as_libarchive_on_real_archives(void **state)
{
    AUTO(freep) char *dir = xasprintf("%s/tests/data/snapshots", getenv("AGAVECTL_TEST_SOURCE"));
    DIR *d = opendir(dir);
    size_t done = 0;

    assert_non_null(d);
    for (struct dirent *e; (e = readdir(d));) {
        AUTO(freep) char *path = xasprintf("%s/%s", dir, e->d_name);

        if (!str_ends(e->d_name, ".tar.zst"))
            continue;
        AUTO(freep) char *ours = by_us(path);
        AUTO(freep) char *theirs = by_libarchive(path);
        assert_true(strlen(ours) > 100);
        assert_string_equal(ours, theirs);
        done++;
    }
    closedir(d);
    assert_int_equal(done, 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(entries_come_out_whatever_the_pieces),
        cmocka_unit_test(an_empty_tar_is_fine),
        cmocka_unit_test(names_long_and_split),
        cmocka_unit_test(sizes_in_base_256),
        cmocka_unit_test(broken_headers),
        cmocka_unit_test(every_flipped_bit_of_a_header_is_found),
        cmocka_unit_test(nameless_and_nul_names),
        cmocka_unit_test(the_end),
        cmocka_unit_test(every_cut_is_found),
        cmocka_unit_test(an_error_of_the_sink_comes_back),
        cmocka_unit_test(the_same_as_libarchive_on_real_archives),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
