/* Notes about archives. The folder of snapshots is usually the validator's user's, and we are root:
 * nothing in it is followed, and a note is read only when somebody wrote it who may say so. Written
 * all or nothing, so that a reader finds the old note, the new one, or none. */
#include "fetch/provenance.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io/fsroot.h"
#include "solana/snapshot_name.h"

#define SCHEMA      1
#define NOTE_MAX_B  ((size_t)64 << 10)
#define SOURCES_MAX 64
#define TEXT_MAX    200 /* of a text of a note */

void provenance_clear(struct provenance *p)
{
    free(p->name);
    strlist_clear(&p->sources);
    free(p->verify);
    free(p->hash);
    free(p->trust);
    *p = (struct provenance){0};
}

/* ---- the folder -------------------------------------------------------------------------------
 */

static struct err *check_folder(int fd, const char *dir)
{
    struct stat st;

    if (fstat(fd, &st) < 0)
        return err_sys(errno, "cannot look at '%s/" STORE_DIR "'", dir);
    if (st.st_uid != geteuid() || (st.st_mode & (S_IWGRP | S_IWOTH)))
        return err_new(ERR_REFUSED,
                       "'%s/" STORE_DIR "' belongs to user %u, mode %04o: others could plant files "
                       "in it; move it away",
                       dir, st.st_uid, st.st_mode & 07777);
    return NULL;
}

struct err *store_place_open(struct fsroot *root, const char *dir, int *ret_fd)
{
    static const char own[] = "/" STORE_DIR;
    bool is_own = str_ends(dir, own);
    AUTO(freep) char *above = xstrndup(dir, strlen(dir) - (is_own ? strlen(own) : 0));
    AUTO(closep) int fd = -1;

    TRY(fsroot_openat(root, dir, O_RDONLY | O_DIRECTORY | (is_own ? O_NOFOLLOW : 0), 0, &fd));
    if (is_own)
        TRY(check_folder(fd, above));
    *ret_fd = TAKE_FD(fd);
    return NULL;
}

struct err *store_dir_open(struct ctx *ctx, const char *dir, bool make, int *ret_fd)
{
    AUTO(closep) int dir_fd = -1, fd = -1;

    TRY(fsroot_openat(ctx->root, dir, O_RDONLY | O_DIRECTORY, 0, &dir_fd));
    if (make && mkdirat(dir_fd, STORE_DIR, 0755) < 0 && errno != EEXIST)
        return err_sys(errno, "cannot make '%s/" STORE_DIR "'", dir);
    fd = openat(dir_fd, STORE_DIR, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    int sys = errno;
    if (fd < 0 && sys == ENOENT)
        return err_new(ERR_NOTFOUND, "there is no '%s/" STORE_DIR "'", dir);
    if (fd < 0 && (sys == ELOOP || sys == ENOTDIR))
        return err_new(ERR_REFUSED,
                       "'%s/" STORE_DIR "' is no folder, or a link, and not of this program's "
                       "making; look who made it and move it away",
                       dir);
    if (fd < 0)
        return err_sys(sys, "cannot open '%s/" STORE_DIR "'", dir);
    TRY(check_folder(fd, dir));
    *ret_fd = TAKE_FD(fd);
    return NULL;
}

/* ---- the text ---------------------------------------------------------------------------------
 */

struct json *provenance_json(const struct provenance *p)
{
    struct json *j = json_new_object(), *sources = json_new_array();

    for (size_t i = 0; i < p->sources.n; i++)
        json_push(sources, json_new_str(p->sources.items[i]));
    json_put(j, "schema_version", json_new_u64(SCHEMA));
    json_put(j, "name", json_new_str(p->name));
    json_put(j, "size_b", json_new_u64(p->size_b));
    json_put(j, "at_ms", json_new_u64(p->at_ms));
    json_put(j, "sources", sources);
    json_put(j, "verify", json_new_str(p->verify));
    json_put(j, "hash", json_new_str(p->hash));
    json_put(j, "trust", json_new_str(p->trust));
    return j;
}

/* A text of the note, fit to be shown; NULL when there is none. */
static struct err *take_text(const struct json *j, const char *key, char **ret)
{
    const struct json *v = json_get(j, key);
    const char *text = NULL;

    if (json_is_null(v))
        return NULL;
    TRY_CTX(json_as_str(v, &text), "'%s'", key);
    *ret = str_shown(text, TEXT_MAX);
    return NULL;
}

static struct err *take_sources(const struct json *j, struct strlist *ret)
{
    size_t n = json_len(j);

    for (size_t i = 0; i < n && i < SOURCES_MAX; i++) {
        const char *text = NULL;

        TRY_CTX(json_as_str(json_at(j, i), &text), "'sources'");
        AUTO(freep) char *shown = str_shown(text, TEXT_MAX);
        strlist_add(ret, shown);
    }
    return NULL;
}

static struct err *take(const struct json *j, struct provenance *p)
{
    uint64_t schema = 0;

    if (!json_is_object(j))
        return err_new(ERR_CORRUPT, "no object");
    TRY_CTX(json_as_u64(json_get(j, "schema_version"), &schema), "'schema_version'");
    if (schema != SCHEMA)
        return err_new(ERR_CORRUPT, "of another version of agavectl (schema %llu)",
                       (unsigned long long)schema);
    TRY(take_text(j, "name", &p->name));
    TRY_CTX(json_as_u64(json_get(j, "size_b"), &p->size_b), "'size_b'");
    TRY_CTX(json_as_u64(json_get(j, "at_ms"), &p->at_ms), "'at_ms'");
    TRY(take_sources(json_get(j, "sources"), &p->sources));
    TRY(take_text(j, "verify", &p->verify));
    TRY(take_text(j, "hash", &p->hash));
    return take_text(j, "trust", &p->trust);
}

struct err *provenance_parse(const char *text, size_t n, struct provenance *ret)
{
    AUTO(provenance_clear) struct provenance p = {0};
    AUTO(json_freep) struct json *j = NULL;
    struct err *e = json_parse(text, n, &j);

    if (!e)
        e = take(j, &p);
    if (e) {
        struct err *bad = err_new(ERR_CORRUPT, "%s", e->text);

        err_free(e);
        return bad;
    }
    *ret = p;
    p = (struct provenance){0};
    return NULL;
}

/* ---- the file ---------------------------------------------------------------------------------
 */

static struct err *note_name(const char *name, char **ret)
{
    struct snapshot_name n;

    TRY(snapshot_name_parse(name, &n));
    *ret = xasprintf("%s.json", name);
    return NULL;
}

static struct err *write_all(int fd, const char *text, size_t n, const char *what)
{
    while (n) {
        ssize_t done = write(fd, text, n);

        if (done < 0 && errno == EINTR)
            continue;
        if (done < 0)
            return err_sys(errno, "cannot write '%s'", what);
        text += done;
        n -= (size_t)done;
    }
    return NULL;
}

static struct err *write_note(int dir_fd, const char *file, const char *text)
{
    AUTO(freep) char *tmp = xasprintf("%s.new", file);
    struct err *e = NULL;
    int fd;

    if (unlinkat(dir_fd, tmp, 0) < 0 && errno != ENOENT) /* of a run that was killed */
        return err_sys(errno, "cannot remove '%s'", tmp);
    fd = openat(dir_fd, tmp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
    if (fd < 0)
        return err_sys(errno, "cannot create '%s'", tmp);
    e = write_all(fd, text, strlen(text), tmp);
    if (!e && fchmod(fd, 0644) < 0)
        e = err_sys(errno, "cannot set the mode of '%s'", tmp);
    if (!e && fsync(fd) < 0)
        e = err_sys(errno, "cannot write '%s'", tmp);
    if (close(fd) < 0 && !e)
        e = err_sys(errno, "cannot write '%s'", tmp);
    if (!e && renameat(dir_fd, tmp, dir_fd, file) < 0)
        e = err_sys(errno, "cannot rename '%s'", tmp);
    if (e)
        (void)unlinkat(dir_fd, tmp, 0); /* the first error is the one to report */
    else if (fsync(dir_fd) < 0)
        e = err_sys(errno, "cannot write the folder of '%s'", file);
    return e;
}

struct err *provenance_write(struct ctx *ctx, const char *dir, const struct provenance *p)
{
    AUTO(json_freep) struct json *j = NULL;
    AUTO(freep) char *file = NULL;
    AUTO(closep) int fd = -1;

    TRY(note_name(p->name, &file));
    TRY(store_dir_open(ctx, dir, true, &fd));
    j = provenance_json(p);
    AUTO(freep) char *text = json_text(j, true);
    AUTO(freep) char *line = xasprintf("%s\n", text);
    return err_wrap(write_note(fd, file, line), "'%s/" STORE_DIR "'", dir);
}

/* Whose word a note may be: ours, root's, or that of the owner of the snapshots, who can exchange
 * these as he likes. */
static struct err *check_writer(int fd, uid_t owner, const char *path, struct stat *ret)
{
    if (fstat(fd, ret) < 0)
        return err_sys(errno, "cannot look at '%s'", path);
    if ((ret->st_uid != 0 && ret->st_uid != geteuid() && ret->st_uid != owner) ||
        (ret->st_mode & (S_IWGRP | S_IWOTH)))
        return err_new(ERR_REFUSED,
                       "'%s' belongs to user %u, mode %04o: anybody could have written what it "
                       "says, so it says nothing",
                       path, ret->st_uid, ret->st_mode & 07777);
    return NULL;
}

/* Opens the note, and looks who wrote it. */
static struct err *open_note(struct ctx *ctx, const char *dir, const char *path, const char *file,
                             int *ret_fd, bool *ret_ours)
{
    AUTO(freep) char *store = xasprintf("%s/" STORE_DIR, dir);
    AUTO(closep) int dir_fd = -1, store_fd = -1, fd = -1;
    struct stat above, folder, note;

    TRY(fsroot_openat(ctx->root, dir, O_RDONLY | O_DIRECTORY, 0, &dir_fd));
    store_fd = openat(dir_fd, STORE_DIR, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    fd = store_fd < 0 ? -1 : openat(store_fd, file, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    int sys = errno;
    if (fd < 0 && sys == ENOENT)
        return err_new(ERR_NOTFOUND, "there is no '%s'", path);
    if (fd < 0 && (sys == ELOOP || sys == ENOTDIR))
        return err_new(ERR_REFUSED, "'%s' is reached by a link, so it says nothing", path);
    if (fd < 0)
        return err_sys(sys, "cannot open '%s'", path);
    if (fstat(dir_fd, &above) < 0 || fstat(fd, &note) < 0)
        return err_sys(errno, "cannot look at '%s'", path);
    if (!S_ISREG(note.st_mode))
        return err_new(ERR_CORRUPT, "'%s' is not a plain file", path);
    *ret_ours = false;
    if (!fsroot_captured(ctx->root)) { /* there, whoever owns the copy says nothing */
        TRY(check_writer(store_fd, above.st_uid, store, &folder));
        TRY(check_writer(fd, above.st_uid, path, &note));
        *ret_ours = folder.st_uid == geteuid() && note.st_uid == geteuid();
    }
    *ret_fd = TAKE_FD(fd);
    return NULL;
}

struct err *provenance_read(struct ctx *ctx, const char *dir, const char *name,
                            struct provenance *ret)
{
    AUTO(provenance_clear) struct provenance p = {0};
    AUTO(freep) char *file = NULL, *text = NULL;
    AUTO(closep) int fd = -1;
    bool ours = false;
    size_t n = 0;

    TRY(note_name(name, &file));
    AUTO(freep) char *path = xasprintf("%s/" STORE_DIR "/%s", dir, file);
    TRY(open_note(ctx, dir, path, file, &fd, &ours));
    TRY(fsroot_read_fd(fd, path, NOTE_MAX_B, &text, &n));
    TRY_CTX(provenance_parse(text, n, &p), "'%s'", path);
    if (!str_eq(p.name, name))
        return err_new(ERR_CORRUPT, "'%s' is about another archive, '%s'", path,
                       p.name ? p.name : "");
    p.ours = ours;
    *ret = p;
    p = (struct provenance){0};
    return NULL;
}

struct err *provenance_remove(struct ctx *ctx, const char *dir, const char *name)
{
    AUTO(freep) char *file = NULL;
    AUTO(closep) int fd = -1;

    TRY(note_name(name, &file));
    struct err *e = store_dir_open(ctx, dir, false, &fd);
    if (e && e->kind == ERR_NOTFOUND)
        return err_free(e);
    TRY(e);
    if (unlinkat(fd, file, 0) < 0 && errno != ENOENT)
        return err_sys(errno, "cannot remove '%s/" STORE_DIR "/%s'", dir, file);
    return NULL;
}
