/* Which kubeconfig, and may it be trusted. Root's agavectl is pointed at files of users: such a
 * file decides which server is believed, and must not be able to send a file of root's there as a
 * token.
 */
#include "runtime/kubeconfig_files.h"

#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/secret.h"
#include "base/str.h"
#include "io/fsroot.h"
#include "runtime/kubeconfig.h"

#define FILE_MAX_B   (1u << 20)
#define PASSWD_MAX_B (4u << 20)
#define FILES_MAX    32

void kube_file_clear(struct kube_file *f)
{
    if (f->text)
        secret_wipe(f->text, f->n);
    free(f->text);
    *f = (struct kube_file){0};
}

static struct err *read_all(int fd, const char *path, struct kube_file *f)
{
    f->text = xcalloc(1, FILE_MAX_B + 2);
    for (;;) {
        ssize_t got = read(fd, f->text + f->n, FILE_MAX_B + 1 - f->n);
        int e = errno;

        if (got < 0 && e == EINTR)
            continue;
        if (got < 0)
            return err_sys(e, "cannot read '%s'", path);
        if (got == 0)
            return NULL;
        f->n += (size_t)got;
        if (f->n > FILE_MAX_B)
            return err_new(ERR_BADINPUT, "'%s' is larger than %u bytes", path, FILE_MAX_B);
    }
}

/* Looks at the open file, so that it is the one that is read. No waiting for a writer of a pipe. */
static struct err *open_regular(struct ctx *ctx, const char *path, int *ret_fd, struct stat *ret)
{
    AUTO(closep) int fd = -1;

    TRY(fsroot_openat(ctx->root, path, O_RDONLY | O_NONBLOCK | O_NOCTTY, 0, &fd));
    if (fstat(fd, ret) < 0)
        return err_sys(errno, "cannot look at '%s'", path);
    if (fsroot_captured(ctx->root)) /* who owns the copy says nothing about that host */
        TRY(fsroot_stat(ctx->root, path, ret));
    if (!S_ISREG(ret->st_mode))
        return err_new(ERR_BADINPUT, "'%s' is not a regular file", path);
    *ret_fd = TAKE_FD(fd);
    return NULL;
}

static struct err *take(int fd, const char *path, const struct stat *st, struct kube_file *ret)
{
    AUTO(kube_file_clear) struct kube_file f = {.uid = st->st_uid, .loose = st->st_mode & S_IROTH};

    TRY(read_all(fd, path, &f));
    *ret = f;
    f = (struct kube_file){0};
    return NULL;
}

struct err *kube_file_read(struct ctx *ctx, const char *path, struct kube_file *ret)
{
    const char *slash = strrchr(path, '/');
    AUTO(freep) char *folder = xstrndup(path, slash && slash > path ? (size_t)(slash - path) : 1);
    AUTO(closep) int fd = -1;
    struct stat st, dir;

    TRY(open_regular(ctx, path, &fd, &st));
    TRY(fsroot_stat(ctx->root, folder, &dir));
    if (st.st_mode & S_IWOTH)
        return err_new(ERR_REFUSED,
                       "'%s' can be written by everyone, it is not trusted; chmod o-w it", path);
    if ((dir.st_mode & S_IWOTH) && !(dir.st_mode & S_ISVTX))
        return err_new(ERR_REFUSED,
                       "the folder of '%s' can be written by everyone, it is not trusted; "
                       "chmod o-w it",
                       path);
    if (st.st_uid != 0 && st.st_uid != geteuid() && st.st_uid != dir.st_uid)
        return err_new(ERR_REFUSED,
                       "'%s' belongs to user %u, who is neither root, nor you, nor the owner of "
                       "its folder; it is not trusted",
                       path, st.st_uid);
    return take(fd, path, &st, ret);
}

struct err *kube_file_read_named(struct ctx *ctx, const char *path, uid_t by, bool may_differ,
                                 struct kube_file *ret)
{
    AUTO(closep) int fd = -1;
    struct stat st;

    TRY(open_regular(ctx, path, &fd, &st));
    if (!may_differ && by != 0 && by != geteuid() && st.st_uid != by)
        return err_new(ERR_REFUSED,
                       "'%s' belongs to user %u, and a kubeconfig of user %u names it; it is not "
                       "read",
                       path, st.st_uid, by);
    return take(fd, path, &st, ret);
}

/* ---- where it is -------------------------------------------------------------------------------
 */

void kubeconfig_paths_clear(struct kubeconfig_paths *p)
{
    strlist_clear(&p->files);
    *p = (struct kubeconfig_paths){0};
}

/* Relative names are from where the operator stands. */
static struct err *add_path(struct strlist *files, const char *path, size_t n)
{
    AUTO(freep) char *cwd = NULL;

    if (files->n == FILES_MAX)
        return err_new(ERR_BADINPUT, "KUBECONFIG names more than %d files", FILES_MAX);
    if (*path != '/') {
        cwd = getcwd(NULL, 0);
        if (!cwd)
            return err_sys(errno, "cannot tell the current folder");
    }
    strlist_addf(files, "%s%s%.*s", cwd ? cwd : "", cwd ? "/" : "", (int)n, path);
    return NULL;
}

/* Member i of a line "name:x:uid:gid:comment:home:shell"; n 0: it has no such one. */
static const char *passwd_member(const char *line, unsigned i, size_t *ret_n)
{
    while (i-- && line[strcspn(line, ":\n")] == ':')
        line += strcspn(line, ":\n") + 1;
    *ret_n = i == UINT32_MAX ? strcspn(line, ":\n") : 0;
    return line;
}

void user_entry_clear(struct user_entry *u)
{
    free(u->name);
    free(u->home);
    *u = (struct user_entry){0};
}

static bool entry_in(const char *passwd, uid_t uid, struct user_entry *ret)
{
    char want[16];

    snprintf(want, sizeof(want), "%u", uid);
    for (const char *line = passwd; *line; line += strcspn(line, "\n"), line += *line == '\n') {
        size_t name_n, id_n, gid_n, home_n;
        const char *name = passwd_member(line, 0, &name_n), *id = passwd_member(line, 2, &id_n);
        const char *gid = passwd_member(line, 3, &gid_n), *home = passwd_member(line, 5, &home_n);
        AUTO(freep) char *gid_text = xstrndup(gid, gid_n);
        uint64_t number = 0;

        if (id_n != strlen(want) || memcmp(id, want, id_n) != 0 || !home_n || *home != '/')
            continue;
        struct err *e = parse_u64(gid_text, 0, UINT32_MAX - 1, &number);
        if (e) {
            err_free(e);
            continue;
        }
        *ret = (struct user_entry){
            .name = xstrndup(name, name_n), .home = xstrndup(home, home_n), .gid = (gid_t)number};
        return true;
    }
    return false;
}

/* Users of a directory service are in no file; it is asked about this machine only. */
static bool entry_of_service(uid_t uid, struct user_entry *ret)
{
    char buf[16384];
    struct passwd pw, *found = NULL;

    if (getpwuid_r(uid, &pw, buf, sizeof(buf), &found) != 0 || !found || pw.pw_dir[0] != '/')
        return false;
    *ret = (struct user_entry){
        .name = xstrdup(pw.pw_name), .home = xstrdup(pw.pw_dir), .gid = pw.pw_gid};
    return true;
}

struct err *user_look(struct ctx *ctx, uid_t uid, struct user_entry *ret)
{
    AUTO(freep) char *passwd = NULL;
    struct err *e = fsroot_read(ctx->root, "/etc/passwd", PASSWD_MAX_B, &passwd, NULL);

    if (e && e->kind == ERR_NOTFOUND)
        e = err_free(e);
    TRY(e);
    if (passwd && entry_in(passwd, uid, ret))
        return NULL;
    if (str_eq(fsroot_dir(ctx->root), "/") && entry_of_service(uid, ret))
        return NULL;
    return err_new(ERR_NOTFOUND, "user %u is not known here, or has no home", uid);
}

struct err *user_home(struct ctx *ctx, uid_t uid, char **ret)
{
    AUTO(user_entry_clear) struct user_entry u = {0};
    struct err *e = user_look(ctx, uid, &u);

    if (e && e->kind != ERR_NOTFOUND)
        return e;
    err_free(e);
    *ret = TAKE(u.home);
    return NULL;
}

/* The kubeconfig of a user when it is there; else where it would be is added to looked. */
static struct err *try_home(struct ctx *ctx, uid_t uid, const char *from,
                            struct kubeconfig_paths *ret, struct strbuf *looked)
{
    AUTO(freep) char *home = NULL;
    struct stat st;

    TRY(user_home(ctx, uid, &home));
    if (!home) {
        strbuf_printf(looked, "%suser %u has no home", looked->len ? ", " : "", uid);
        return NULL;
    }
    AUTO(freep) char *path = xasprintf("%s/.kube/config", home);
    struct err *e = fsroot_stat(ctx->root, path, &st);
    if (e && e->kind == ERR_NOTFOUND) {
        strbuf_printf(looked, "%s'%s'", looked->len ? ", " : "", path);
        return err_free(e);
    }
    TRY(e);
    strlist_add(&ret->files, path);
    ret->from = from;
    return NULL;
}

static struct err *caller(const char *sudo_uid, uid_t *ret)
{
    uint64_t uid;

    *ret = geteuid();
    if (!sudo_uid || !*sudo_uid)
        return NULL;
    TRY_CTX(parse_u64(sudo_uid, 0, UINT32_MAX - 1, &uid), "SUDO_UID");
    *ret = (uid_t)uid;
    return NULL;
}

static struct err *find_home(struct ctx *ctx, const struct kubeconfig_places *where,
                             struct kubeconfig_paths *ret)
{
    AUTO(strbuf_clear) struct strbuf looked = {0};
    struct stat st;
    uid_t uid;

    TRY(caller(where->sudo_uid, &uid));
    TRY(try_home(ctx, uid, "the caller's home", ret, &looked));
    if (!ret->files.n && where->deployment) {
        TRY_CTX(fsroot_stat(ctx->root, where->deployment, &st), "the deployment's folder");
        if (st.st_uid != uid)
            TRY(try_home(ctx, st.st_uid, "the home of the deployment's owner", ret, &looked));
    }
    if (ret->files.n)
        return NULL;
    return err_new(ERR_ABSENT, "no kubeconfig: looked at %s; name one with --kubeconfig",
                   strbuf_text(&looked));
}

static struct err *find(struct ctx *ctx, const struct kubeconfig_places *where,
                        struct kubeconfig_paths *ret)
{
    if (where->flag) {
        ret->from = "--kubeconfig";
        return add_path(&ret->files, where->flag, strlen(where->flag));
    }
    for (const char *p = where->env ? where->env : ""; *p;) {
        size_t n = strcspn(p, ":");

        if (n)
            TRY(add_path(&ret->files, p, n));
        p += n + (p[n] == ':');
    }
    if (ret->files.n) {
        ret->from = "KUBECONFIG";
        return NULL;
    }
    if (where->config) {
        ret->from = "the config";
        return add_path(&ret->files, where->config, strlen(where->config));
    }
    return find_home(ctx, where, ret);
}

struct err *kubeconfig_find(struct ctx *ctx, const struct kubeconfig_places *where,
                            struct kubeconfig_paths *ret)
{
    AUTO(kubeconfig_paths_clear) struct kubeconfig_paths found = {0};

    TRY(find(ctx, where, &found));
    *ret = found;
    found = (struct kubeconfig_paths){0};
    return NULL;
}
