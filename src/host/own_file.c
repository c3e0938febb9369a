/* Files of ours in folders of the system's, and our block in files of others. What has the name of
 * one of ours is never trusted for that alone: it must be a plain file with our mark, of root's (or
 * ours, in tests), below folders that nobody else can write; otherwise a planted file or link would
 * be written, or removed, as root. */
#include "host/own_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/str.h"
#include "host/own_block.h"
#include "io/fsroot.h"

#define FILE_MAX_B (1U << 20)
#define FILE_MODE  0644
#define DIR_MODE   0755
#define SALT_N     16 /* hexadecimal digits at the end of fsroot_write_atomic's temporary names */

/* What has the name. */
struct seen {
    bool there;
    char *data;
    size_t n;
    struct stat st;
    char *why; /* it is not to be touched; NULL: it may be */
};

static void seen_clear(struct seen *s)
{
    free(s->data);
    free(s->why);
}

static bool is_ours(const struct stat *st)
{
    return st->st_uid == 0 || st->st_uid == geteuid();
}

/* "/etc/a/b" → "/etc/a", "" above the first name; to be freed. */
static char *folder_of(const char *path)
{
    const char *slash = strrchr(path, '/');

    return xstrndup(path, slash ? (size_t)(slash - path) : 0);
}

/* Why others could put a file of theirs into the place of path, or NULL. */
static struct err *unsafe_folder(struct ctx *ctx, const char *path, char **ret_why)
{
    AUTO(freep) char *dir = xstrdup(path);
    char *slash;

    while (!*ret_why && (slash = strrchr(dir, '/')) != NULL) {
        struct stat st;

        *slash = '\0';
        struct err *e = fsroot_stat(ctx->root, *dir ? dir : "/", &st);
        if (e && e->kind != ERR_NOTFOUND)
            return e;
        if (!e && (!is_ours(&st) || st.st_mode & 0022))
            *ret_why = xasprintf("others can write the folder '%s' (owner %u, mode %04o)",
                                 *dir ? dir : "/", st.st_uid, st.st_mode & 07777);
        err_free(e);
    }
    return NULL;
}

static const char *type_name(mode_t mode)
{
    return S_ISLNK(mode) ? "a symbolic link" : S_ISDIR(mode) ? "a folder" : "no plain file";
}

/* Mark or not, what others can write decides nothing that root does. */
static void judge(struct ctx *ctx, const char *path, struct seen *s)
{
    if (!S_ISREG(s->st.st_mode))
        s->why = xasprintf("'%s' is %s", path, type_name(s->st.st_mode));
    else if (fsroot_captured(ctx->root))
        return; /* who owns the copy says nothing about that host */
    else if (!is_ours(&s->st))
        s->why = xasprintf("'%s' belongs to user %u", path, s->st.st_uid);
    else if (s->st.st_mode & S_IWOTH)
        s->why = xasprintf("everybody can write '%s'", path);
}

static struct err *look_fd(int fd, const char *path, struct stat *ret)
{
    return fstat(fd, ret) < 0 ? err_sys(errno, "cannot look at '%s'", path) : NULL;
}

/* path: without a link in its last component. */
static struct err *see(struct ctx *ctx, const char *path, struct seen *ret)
{
    AUTO(closep) int look = -1;
    AUTO(closep) int fd = -1;
    AUTO(freep) char *real = NULL;

    TRY(fsroot_real(ctx->root, path, &real));
    TRY(unsafe_folder(ctx, path, &ret->why));
    if (!ret->why) /* folders of the path may be links */
        TRY(unsafe_folder(ctx, real, &ret->why));
    if (ret->why)
        return NULL;
    struct err *e = fsroot_openat(ctx->root, path, O_PATH | O_NOFOLLOW, 0, &look);
    if (e && e->kind == ERR_NOTFOUND)
        return err_free(e);
    TRY(e);
    TRY(look_fd(look, path, &ret->st));
    ret->there = true;
    judge(ctx, path, ret);
    if (ret->why)
        return NULL;
    TRY(fsroot_openat(ctx->root, path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY, 0, &fd));
    TRY(look_fd(fd, path, &ret->st));
    judge(ctx, path, ret); /* of what was opened, which nobody swaps any more */
    if (ret->why)
        return NULL;
    return fsroot_read_fd(fd, path, FILE_MAX_B, &ret->data, &ret->n);
}

/* Is the first line the mark? *ret: where the text begins. */
static bool has_mark(const struct seen *s, size_t *ret)
{
    size_t n = strlen(OWN_FILE_MARK);

    if (s->n <= n || memcmp(s->data, OWN_FILE_MARK, n) != 0)
        return false;
    n += s->data[n] == '\r'; /* somebody's editor */
    *ret = n + 1;
    return n < s->n && s->data[n] == '\n';
}

static void hand_why(struct seen *s, char **ret_why)
{
    if (ret_why)
        *ret_why = TAKE(s->why);
}

static enum own_state state_of(struct ctx *ctx, const char *path, const char *text, struct seen *s)
{
    size_t at = 0;
    bool mode = fsroot_captured(ctx->root) || (s->st.st_mode & 07777) == FILE_MODE;

    if (!s->why && !s->there)
        return OWN_ABSENT;
    if (!s->why && !has_mark(s, &at))
        s->why = xasprintf("'%s' is there and is not agavectl's (its first line is another)", path);
    if (s->why)
        return OWN_FOREIGN;
    return text && mode && at == strlen(OWN_FILE_MARK) + 1 && s->n - at == strlen(text) &&
                   memcmp(s->data + at, text, s->n - at) == 0
               ? OWN_SAME
               : OWN_OTHER;
}

struct err *own_file_look(struct ctx *ctx, const char *path, const char *text, enum own_state *ret,
                          char **ret_why)
{
    AUTO(seen_clear) struct seen s = {0};

    TRY(see(ctx, path, &s));
    *ret = state_of(ctx, path, text, &s);
    hand_why(&s, ret_why);
    return NULL;
}

/* What an operator can do about a disk that takes nothing. */
static struct err *hint_write(struct err *e)
{
    if (e && e->sys == EROFS)
        return err_hint(e, "make it writable (mount -o remount,rw), then run the command again");
    if (e && (e->sys == ENOSPC || e->sys == EDQUOT))
        return err_hint(e, "free some space, then run the command again");
    if (e && e->sys == EPERM)
        return err_hint(e, "is it immutable? lsattr shows that, chattr -i takes it away");
    return e;
}

static struct err *foreign(const char *why)
{
    return err_new(ERR_REFUSED,
                   "%s: agavectl writes and removes nothing there; look at it, and "
                   "move it away if nobody needs it",
                   why);
}

/* ERR_SYS aside from EINVAL: a file system that has no fsync of folders. */
static struct err *sync_folder(struct ctx *ctx, const char *dir)
{
    AUTO(closep) int fd = -1;

    TRY(fsroot_openat(ctx->root, *dir ? dir : "/", O_RDONLY | O_DIRECTORY, 0, &fd));
    if (fsync(fd) < 0 && errno != EINVAL)
        return err_sys(errno, "cannot write the folder '%s' to the disk", dir);
    return NULL;
}

static bool is_left_over(const char *name, const char *of)
{
    AUTO(freep) char *start = xasprintf(".%s.tmp-", of);
    size_t n = strlen(start);

    return str_starts(name, start) && strlen(name) == n + SALT_N &&
           strspn(name + n, "0123456789abcdef") == SALT_N;
}

/* Half-written files beside path, of one who was killed there: some readers of such folders take
 * every name (logrotate). */
static struct err *sweep(struct ctx *ctx, const char *path)
{
    AUTO(freep) char *dir = folder_of(path);
    AUTO(strlist_clear) struct strlist names = {0};
    struct err *e = fsroot_list(ctx->root, *dir ? dir : "/", &names);

    if (e && e->kind == ERR_NOTFOUND)
        return err_free(e);
    TRY(e);
    for (size_t i = 0; i < names.n; i++) {
        AUTO(freep) char *full = xasprintf("%s/%s", dir, names.items[i]);

        if (is_left_over(names.items[i], path + strlen(dir) + 1))
            TRY(fsroot_unlink(ctx->root, full));
    }
    return NULL;
}

struct err *own_file_new_folders(struct ctx *ctx, const char *path, char **ret)
{
    AUTO(strbuf_clear) struct strbuf b = {0};
    AUTO(freep) char *dir = folder_of(path);

    while (*dir) {
        struct stat st;
        struct err *e = fsroot_stat(ctx->root, dir, &st);

        if (!e)
            break;
        if (e->kind != ERR_NOTFOUND)
            return e;
        err_free(e);
        strbuf_printf(&b, "%s\n", dir);
        char *above = folder_of(dir);
        free(dir);
        dir = above;
    }
    *ret = b.len ? strbuf_take(&b) : NULL;
    return NULL;
}

/* The folder that holds each of them knows of it after a crash, too. */
static struct err *make_folders(struct ctx *ctx, const char *path)
{
    AUTO(freep) char *dir = folder_of(path);
    AUTO(freep) char *made = NULL;
    char *save = NULL;

    TRY(own_file_new_folders(ctx, path, &made));
    TRY(fsroot_mkdirs(ctx->root, dir, DIR_MODE));
    for (char *d = made ? strtok_r(made, "\n", &save) : NULL; d; d = strtok_r(NULL, "\n", &save)) {
        AUTO(freep) char *above = folder_of(d);

        TRY(sync_folder(ctx, above));
    }
    return NULL;
}

char *own_file_bytes(const char *text)
{
    return xasprintf("%s\n%s", OWN_FILE_MARK, text);
}

struct err *own_file_write(struct ctx *ctx, const char *path, const char *text)
{
    AUTO(seen_clear) struct seen s = {0};
    AUTO(freep) char *full = own_file_bytes(text);
    struct stat like = {.st_mode = FILE_MODE, .st_uid = geteuid(), .st_gid = getegid()};
    enum own_state state;

    TRY(see(ctx, path, &s));
    state = state_of(ctx, path, text, &s);
    if (state == OWN_FOREIGN)
        return foreign(s.why);
    if (state == OWN_SAME)
        return NULL;
    TRY(hint_write(make_folders(ctx, path)));
    TRY(hint_write(sweep(ctx, path)));
    return hint_write(fsroot_replace(ctx->root, path, full, strlen(full), &like));
}

/* One that is not empty, or not a folder's plain one any more, stays. */
static struct err *remove_folders(struct ctx *ctx, const char *path, const char *folders)
{
    AUTO(freep) char *copy = xstrdup(folders ? folders : "");
    char *save = NULL;

    for (char *d = strtok_r(copy, "\n", &save); d; d = strtok_r(NULL, "\n", &save)) {
        AUTO(freep) char *above = folder_of(d);

        if (!str_starts(path, d) || path[strlen(d)] != '/')
            return err_new(ERR_BUG, "'%s' is no folder of '%s'", d, path);
        struct err *e = fsroot_rmdir(ctx->root, d);
        bool stays =
            e && (e->sys == ENOTEMPTY || e->sys == EEXIST || e->sys == EBUSY || e->sys == ENOTDIR);

        if (stays)
            return err_free(e);
        TRY(e);
        e = sync_folder(ctx, above);
        if (e && e->kind != ERR_NOTFOUND) /* gone as well, with its own folder */
            return e;
        err_free(e);
    }
    return NULL;
}

static struct err *delete_file(struct ctx *ctx, const char *path)
{
    AUTO(freep) char *dir = folder_of(path);

    TRY(sweep(ctx, path));
    TRY(fsroot_unlink(ctx->root, path));
    struct err *e = sync_folder(ctx, dir);
    if (e && e->kind == ERR_NOTFOUND)
        return err_free(e);
    return e;
}

struct err *own_file_remove(struct ctx *ctx, const char *path, const char *folders)
{
    AUTO(seen_clear) struct seen s = {0};

    TRY(see(ctx, path, &s));
    if (state_of(ctx, path, NULL, &s) == OWN_FOREIGN)
        return foreign(s.why);
    TRY(hint_write(delete_file(ctx, path)));
    return hint_write(remove_folders(ctx, path, folders));
}

/* Of a file that others own as well. *ret_path: where it really is; to be freed. */
static struct err *see_shared(struct ctx *ctx, const char *path, char **ret_path, struct seen *ret)
{
    TRY(fsroot_real(ctx->root, path, ret_path));
    TRY(unsafe_folder(ctx, path, &ret->why));
    return ret->why ? NULL : see(ctx, *ret_path, ret);
}

static const char *data_of(const struct seen *s)
{
    return s->data ? s->data : "";
}

/* Damaged marks are a reason as any other. */
static struct err *find_block(const char *path, struct seen *s, struct own_block *ret)
{
    struct err *e = s->why ? NULL : own_block_find(data_of(s), s->n, ret);

    if (!e || e->kind != ERR_CORRUPT)
        return e;
    s->why = xasprintf("'%s', %s", path, e->text);
    err_free(e);
    return NULL;
}

struct err *own_block_look(struct ctx *ctx, const char *path, const char *text, enum own_state *ret,
                           char **ret_why)
{
    AUTO(seen_clear) struct seen s = {0};
    AUTO(freep) char *real = NULL;
    struct own_block b = {0};

    TRY(see_shared(ctx, path, &real, &s));
    TRY(find_block(path, &s, &b));
    size_t n = b.text_end - b.text_begin;
    bool same = text && b.there && b.plain && n == strlen(text) &&
                memcmp(data_of(&s) + b.text_begin, text, n) == 0;
    *ret = s.why ? OWN_FOREIGN : !b.there ? OWN_ABSENT : same ? OWN_SAME : OWN_OTHER;
    hand_why(&s, ret_why);
    return NULL;
}

static struct err *replace_shared(struct ctx *ctx, const char *real, const struct seen *s,
                                  const struct strbuf *b)
{
    struct stat like = {.st_mode = FILE_MODE, .st_uid = geteuid(), .st_gid = getegid()};

    TRY(sweep(ctx, real));
    return fsroot_replace(ctx->root, real, strbuf_text(b), b->len, s->there ? &s->st : &like);
}

struct err *own_block_write(struct ctx *ctx, const char *path, const char *text)
{
    AUTO(seen_clear) struct seen s = {0};
    AUTO(strbuf_clear) struct strbuf b = {0};
    AUTO(freep) char *real = NULL;
    struct own_block at = {0};

    TRY(see_shared(ctx, path, &real, &s));
    TRY(find_block(path, &s, &at));
    if (s.why)
        return foreign(s.why);
    TRY(own_block_put(data_of(&s), s.n, !s.there, text, &b));
    if (s.there && b.len == s.n && memcmp(b.data, s.data, s.n) == 0)
        return NULL;
    return hint_write(replace_shared(ctx, real, &s, &b));
}

struct err *own_block_remove(struct ctx *ctx, const char *path)
{
    AUTO(seen_clear) struct seen s = {0};
    AUTO(strbuf_clear) struct strbuf b = {0};
    AUTO(freep) char *real = NULL;
    struct own_block at = {0};
    bool file = false;

    TRY(see_shared(ctx, path, &real, &s));
    TRY(find_block(path, &s, &at));
    if (s.why)
        return foreign(s.why);
    if (!at.there)
        return NULL;
    TRY(own_block_take(data_of(&s), s.n, &b, &file));
    return hint_write(file ? delete_file(ctx, real) : replace_shared(ctx, real, &s, &b));
}

struct err *own_shared_edit(struct ctx *ctx, const char *path,
                            struct err *(*edit)(void *arg, const char *data, size_t n,
                                                struct strbuf *ret),
                            void *arg)
{
    AUTO(seen_clear) struct seen s = {0};
    AUTO(strbuf_clear) struct strbuf b = {0};
    AUTO(freep) char *real = NULL;

    TRY(see_shared(ctx, path, &real, &s));
    if (s.why)
        return foreign(s.why);
    if (!s.there)
        return err_new(ERR_NOTFOUND, "there is no file '%s'", path);
    TRY_CTX(edit(arg, data_of(&s), s.n, &b), "'%s'", path);
    if (b.len == s.n && memcmp(strbuf_text(&b), data_of(&s), s.n) == 0)
        return NULL;
    return hint_write(replace_shared(ctx, real, &s, &b));
}
