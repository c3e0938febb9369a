/* Keypair files. The array is read by hand and not through base/json: a JSON library leaves copies
 * of the secret in freed memory and quotes what it does not like in its messages. */
#include "solana/keypair.h"

#include <errno.h>
#include <fcntl.h>

#define FILE_MAX_B 4096

static size_t skip_blank(const char *text, size_t n, size_t at)
{
    while (at < n && (text[at] == ' ' || text[at] == '\t' || text[at] == '\r' || text[at] == '\n'))
        at++;
    return at;
}

static struct err *bad_at(size_t at)
{
    return err_new(ERR_BADINPUT, "not a keypair: expected a list of 64 numbers up to 255, byte %zu",
                   at);
}

/* Reads c or fails; blanks around it are skipped. */
static struct err *expect(const char *text, size_t n, size_t *at, char c)
{
    *at = skip_blank(text, n, *at);
    if (*at == n || text[*at] != c)
        return bad_at(*at);
    *at = skip_blank(text, n, *at + 1);
    return NULL;
}

static struct err *parse_byte(const char *text, size_t n, size_t *at, uint8_t *ret)
{
    unsigned v = 0;
    size_t start = *at;

    while (*at < n && *at < start + 4 && text[*at] >= '0' && text[*at] <= '9')
        v = v * 10 + (unsigned)(text[(*at)++] - '0');
    if (*at == start || v > UINT8_MAX)
        return bad_at(start);
    *ret = (uint8_t)v;
    return NULL;
}

static struct err *parse_bytes(const char *text, size_t n, uint8_t *bytes)
{
    size_t at = 0;

    TRY(expect(text, n, &at, '['));
    for (size_t i = 0; i < sizeof(struct ed25519_key); i++) {
        if (i > 0)
            TRY(expect(text, n, &at, ','));
        TRY(parse_byte(text, n, &at, &bytes[i]));
    }
    TRY(expect(text, n, &at, ']'));
    return at == n ? NULL : bad_at(at);
}

struct err *keypair_parse(const char *text, size_t n, struct ed25519_key *ret)
{
    struct ed25519_key key;
    struct err *e = parse_bytes(text, n, (uint8_t *)&key);

    if (!e && !ed25519_key_matches(&key))
        e = err_new(ERR_BADINPUT,
                    "not a keypair: the public half does not belong to the secret half");
    if (!e)
        *ret = key;
    ed25519_wipe(&key, sizeof(key));
    return e;
}

const char *keypair_format(const struct ed25519_key *key, char buf[static KEYPAIR_TEXT_MAX])
{
    const uint8_t *bytes = (const uint8_t *)key;
    size_t n = 0;

    for (size_t i = 0; i < sizeof(*key); i++)
        n += (size_t)snprintf(buf + n, KEYPAIR_TEXT_MAX - n, "%c%u", i ? ',' : '[', bytes[i]);
    snprintf(buf + n, KEYPAIR_TEXT_MAX - n, "]");
    return buf;
}

/* Reads the text of an open key file and says who may read it. */
static struct err *read_text(int fd, char *buf, size_t *ret_n, struct keypair_info *ret)
{
    struct stat st;
    size_t n = 0;

    if (fstat(fd, &st) < 0)
        return err_sys(errno, "cannot look at it");
    if (!S_ISREG(st.st_mode))
        return err_new(ERR_BADINPUT, "not a regular file");
    while (n < FILE_MAX_B + 1) {
        ssize_t got = read(fd, buf + n, FILE_MAX_B + 1 - n);

        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return err_sys(errno, "cannot read it");
        if (got == 0)
            break;
        n += (size_t)got;
    }
    if (n > FILE_MAX_B)
        return err_new(ERR_BADINPUT, "not a keypair: larger than %d bytes", FILE_MAX_B);
    *ret = (struct keypair_info){
        .uid = st.st_uid,
        .gid = st.st_gid,
        .mode = st.st_mode & 07777,
        .loose = (st.st_mode & 077) != 0,
    };
    *ret_n = n;
    return NULL;
}

struct err *keypair_read(struct fsroot *r, const char *path, struct ed25519_key *ret,
                         struct keypair_info *ret_info)
{
    AUTO(closep) int fd = -1;
    char text[FILE_MAX_B + 1];
    struct keypair_info info;
    struct ed25519_key key;
    struct err *e;
    size_t n = 0;

    /* O_NONBLOCK: a FIFO planted here must not hold us. */
    e = fsroot_openat(r, path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0, &fd);
    if (e && e->kind == ERR_SYS && e->sys == ELOOP)
        e = err_hint(e, "it is a link: name the key file itself");
    if (e)
        return e;
    e = read_text(fd, text, &n, &info);
    if (!e)
        e = keypair_parse(text, n, &key);
    ed25519_wipe(text, sizeof(text));
    if (e)
        return err_wrap(e, "key file '%s'", path);
    memcpy(info.public, key.public, sizeof(info.public));
    base58_encode32(info.public, info.pubkey);
    *ret = key;
    if (ret_info)
        *ret_info = info;
    ed25519_wipe(&key, sizeof(key));
    return NULL;
}

struct err *keypair_read_public(struct fsroot *r, const char *path, struct keypair_info *ret)
{
    struct ed25519_key key;
    struct err *e = keypair_read(r, path, &key, ret);

    ed25519_wipe(&key, sizeof(key));
    return e;
}
