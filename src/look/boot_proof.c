/* The record of what was done and seen at this boot. It also lies where the validator's pod may
 * plant something in its place, so the reader believes nothing: every member there, of its type and
 * in its range, or the whole is no proof. */
#include "look/boot_proof.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "io/fsroot.h"

#define SCHEMA     1
#define BOOT_ID_B  36
#define TEXT_MAX_B 4096
#define TIME_MAX   253402300799u /* the year 9999 */

static const char *const left_names[] = {
    [BOOT_LEFT_UNKNOWN] = NULL, [BOOT_LEFT_CLEAN] = "clean", [BOOT_LEFT_UNCLEAN] = "unclean"};

void boot_proof_clear(struct boot_proof *p)
{
    free(p->volume.path);
    free(p->ramdisk.path);
    free(p->disabled);
    free(p->failed);
    free(p->unseen);
    *p = (struct boot_proof){0};
}

/* "8-4-4-4-12" in lower case (RFC 9562), as random(4) gives it. */
static bool is_boot_id(const char *s)
{
    if (strlen(s) != BOOT_ID_B)
        return false;
    for (size_t i = 0; i < BOOT_ID_B; i++) {
        bool dash = i == 8 || i == 13 || i == 18 || i == 23;

        if (dash ? s[i] != '-' : !strchr("0123456789abcdef", s[i]))
            return false;
    }
    return true;
}

struct err *boot_id_read(struct ctx *ctx, char ret[static 40])
{
    AUTO(freep) char *line = NULL;

    TRY(fsroot_read_line(ctx->root, "/proc/sys/kernel/random/boot_id", &line));
    if (!is_boot_id(line))
        return err_new(ERR_CORRUPT, "'/proc/sys/kernel/random/boot_id' holds no boot id");
    memcpy(ret, line, BOOT_ID_B + 1);
    return NULL;
}

struct err *boot_proof_new(struct ctx *ctx, struct boot_proof *ret)
{
    struct boot_proof p = {.schema_version = SCHEMA};

    TRY(boot_id_read(ctx, p.boot_id));
    *ret = p;
    return NULL;
}

/* One member that must be there. */
static struct err *member(const struct json *j, const char *key, const struct json **ret)
{
    if (!json_has(j, key))
        return err_new(ERR_CORRUPT, "no '%s'", key);
    *ret = json_get(j, key);
    return NULL;
}

/* null is 0. */
static struct err *number(const struct json *j, const char *key, uint64_t max, uint64_t *ret)
{
    const struct json *v = NULL;

    *ret = 0;
    TRY(member(j, key, &v));
    if (!v)
        return NULL;
    TRY_CTX(json_as_u64(v, ret), "'%s'", key);
    if (*ret > max)
        return err_new(ERR_CORRUPT, "'%s' is larger than %" PRIu64, key, max);
    return NULL;
}

static struct err *number32(const struct json *j, const char *key, uint32_t *ret)
{
    uint64_t v = 0;

    TRY(number(j, key, UINT32_MAX, &v));
    *ret = (uint32_t)v;
    return NULL;
}

/* null is NULL; ret is to be freed. */
static struct err *text_of(const struct json *j, const char *key, char **ret)
{
    const struct json *v = NULL;
    const char *s = NULL;

    TRY(member(j, key, &v));
    if (!v)
        return NULL;
    TRY_CTX(json_as_str(v, &s), "'%s'", key);
    if (!*s || strlen(s) > TEXT_MAX_B || str_has_control(s))
        return err_new(ERR_CORRUPT, "'%s' is no text for people", key);
    *ret = xstrdup(s);
    return NULL;
}

static struct err *device_of(const struct json *j, const char *key, struct boot_device *ret)
{
    const struct json *v = NULL;

    TRY(member(j, key, &v));
    if (!json_is_object(v))
        return err_new(ERR_CORRUPT, "'%s' is no object", key);
    TRY_CTX(text_of(v, "path", &ret->path), "'%s'", key);
    TRY_CTX(number32(v, "major", &ret->major), "'%s'", key);
    TRY_CTX(number32(v, "minor", &ret->minor), "'%s'", key);
    TRY_CTX(number(v, "size_b", UINT64_MAX, &ret->size_b), "'%s'", key);
    return NULL;
}

static struct err *left_of(const struct json *j, enum boot_left *ret)
{
    AUTO(freep) char *text = NULL;

    TRY(text_of(j, "left", &text));
    for (size_t i = 0; i < ARRAY_LEN(left_names); i++) {
        if (str_eq(text, left_names[i])) {
            *ret = (enum boot_left)i;
            return NULL;
        }
    }
    return err_new(ERR_CORRUPT, "'left' is no known word");
}

static struct err *head(const struct json *j, struct boot_proof *p)
{
    AUTO(freep) char *id = NULL;

    if (!json_is_object(j))
        return err_new(ERR_CORRUPT, "no object");
    TRY(number32(j, "schema_version", &p->schema_version));
    if (p->schema_version != SCHEMA)
        return err_new(ERR_CORRUPT, "schema version %u is not known", p->schema_version);
    TRY(text_of(j, "boot_id", &id));
    if (!id || !is_boot_id(id))
        return err_new(ERR_CORRUPT, "'boot_id' is no boot id");
    memcpy(p->boot_id, id, BOOT_ID_B + 1);
    return NULL;
}

static struct err *body(const struct json *j, struct boot_proof *p)
{
    const struct json *accounts = NULL;

    TRY(number(j, "formatted_at", TIME_MAX, &p->formatted_at));
    TRY(number(j, "mounted_at", TIME_MAX, &p->mounted_at));
    TRY(number(j, "owned_at", TIME_MAX, &p->owned_at));
    TRY(number(j, "node_seen_at", TIME_MAX, &p->node_seen_at));
    TRY(number(j, "pod_seen_at", TIME_MAX, &p->pod_seen_at));
    TRY(device_of(j, "volume", &p->volume));
    TRY(device_of(j, "ramdisk", &p->ramdisk));
    TRY(member(j, "accounts", &accounts));
    if (!json_is_object(accounts))
        return err_new(ERR_CORRUPT, "'accounts' is no object");
    TRY_CTX(number(accounts, "dev", UINT64_MAX, &p->accounts_dev), "'accounts'");
    TRY_CTX(number(accounts, "ino", UINT64_MAX, &p->accounts_ino), "'accounts'");
    TRY(left_of(j, &p->left));
    TRY(text_of(j, "disabled", &p->disabled));
    TRY(text_of(j, "failed", &p->failed));
    return text_of(j, "unseen", &p->unseen);
}

struct err *boot_proof_parse(const char *text, size_t n, const char *name, struct boot_proof *ret)
{
    AUTO(json_freep) struct json *j = NULL;
    AUTO(boot_proof_clear) struct boot_proof p = {0};

    struct err *e = json_parse(text, n, &j);
    e = e ? e : head(j, &p);
    e = e ? e : body(j, &p);
    if (e) {
        struct err *bad = err_new(ERR_CORRUPT, "'%s' is no proof of a boot: %s", name, e->text);

        err_free(e);
        return bad;
    }
    *ret = p;
    p = (struct boot_proof){0};
    return NULL;
}

struct err *boot_proof_read(struct ctx *ctx, const char *path, struct boot_proof *ret)
{
    AUTO(freep) char *text = NULL;
    size_t n = 0;

    struct err *e = fsroot_read(ctx->root, path, BOOT_PROOF_MAX_B, &text, &n);
    if (e && e->kind == ERR_BADINPUT) { /* too large: ours never is */
        err_free(e);
        return err_new(ERR_CORRUPT, "'%s' is no proof of a boot: it is too large", path);
    }
    TRY(e);
    return boot_proof_parse(text, n, path, ret);
}

static struct json *or_null(uint64_t v)
{
    return v ? json_new_u64(v) : NULL;
}

static struct json *device_json(const struct boot_device *d)
{
    struct json *j = json_new_object();
    bool seen = d->major || d->minor;

    json_put(j, "path", json_new_str(d->path));
    json_put(j, "major", seen ? json_new_u64(d->major) : NULL);
    json_put(j, "minor", seen ? json_new_u64(d->minor) : NULL);
    json_put(j, "size_b", or_null(d->size_b));
    return j;
}

struct json *boot_proof_json(const struct boot_proof *p)
{
    struct json *j = json_new_object(), *accounts = json_new_object();

    json_put(accounts, "dev", or_null(p->accounts_dev));
    json_put(accounts, "ino", or_null(p->accounts_ino));
    json_put(j, "schema_version", json_new_u64(p->schema_version));
    json_put(j, "boot_id", json_new_str(p->boot_id));
    json_put(j, "formatted_at", or_null(p->formatted_at));
    json_put(j, "mounted_at", or_null(p->mounted_at));
    json_put(j, "owned_at", or_null(p->owned_at));
    json_put(j, "node_seen_at", or_null(p->node_seen_at));
    json_put(j, "pod_seen_at", or_null(p->pod_seen_at));
    json_put(j, "volume", device_json(&p->volume));
    json_put(j, "ramdisk", device_json(&p->ramdisk));
    json_put(j, "accounts", accounts);
    json_put(j, "left", json_new_str(left_names[p->left]));
    json_put(j, "disabled", json_new_str(p->disabled));
    json_put(j, "failed", json_new_str(p->failed));
    json_put(j, "unseen", json_new_str(p->unseen));
    return j;
}

struct err *boot_proof_write(struct ctx *ctx, const char *path, const struct boot_proof *p)
{
    AUTO(json_freep) struct json *j = boot_proof_json(p);
    AUTO(freep) char *json = json_text(j, true);
    AUTO(freep) char *text = xasprintf("%s\n", json);
    const char *slash = strrchr(path, '/');
    AUTO(freep) char *folder = xstrndup(path, slash ? (size_t)(slash - path) : 0);

    if (*folder)
        TRY(fsroot_mkdirs(ctx->root, folder, 0755));
    return fsroot_write_atomic(ctx->root, path, text, strlen(text), 0644);
}

struct err *boot_proof_now(struct ctx *ctx, struct boot_proof *ret, char **ret_damaged)
{
    AUTO(boot_proof_clear) struct boot_proof old = {0};
    char id[40];

    *ret_damaged = NULL;
    TRY(boot_id_read(ctx, id));
    struct err *e = boot_proof_read(ctx, BOOT_PROOF_PATH, &old);
    if (e && e->kind != ERR_NOTFOUND && e->kind != ERR_CORRUPT)
        return e;
    if (e && e->kind == ERR_CORRUPT)
        *ret_damaged = xstrdup(e->text);
    bool fresh = e || !str_eq(old.boot_id, id);
    err_free(e);
    if (fresh)
        return boot_proof_new(ctx, ret);
    *ret = old;
    old = (struct boot_proof){0};
    return NULL;
}

/* "btime 1795420000" of /proc/stat (proc(5)). */
struct err *boot_time_read(struct ctx *ctx, uint64_t *ret)
{
    AUTO(freep) char *text = NULL;
    size_t n = 0;

    TRY(fsroot_read(ctx->root, "/proc/stat", 8u << 20, &text, &n));
    char *at = str_starts(text, "btime ") ? text : strstr(text, "\nbtime ");
    if (!at)
        return err_new(ERR_CORRUPT, "'/proc/stat' has no btime");
    at += *at == '\n' ? 7 : 6;
    at[strcspn(at, "\n")] = '\0';
    return parse_u64(at, 0, UINT64_MAX, ret);
}
