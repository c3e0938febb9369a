/* Who is to be called by a unit or a script that we write. */
#include "stage/self.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/str.h"
#include "config/config.h"
#include "io/fsroot.h"
#include "io/proc.h"

struct err *self_paths(struct ctx *ctx, char **ret_program, char **ret_config)
{
    const char *file = ctx->cfg->file;
    AUTO(freep) char *program = NULL;
    char *config = NULL;

    if (fsroot_captured(ctx->root)) { /* where that host has it, nobody knows */
        *ret_program = xstrdup("/usr/bin/agavectl");
        *ret_config = file ? xstrdup(file) : NULL;
        return NULL;
    }
    TRY(proc_self(&program));
    if (file) {
        config = realpath(file, NULL);
        if (!config)
            return err_sys(errno, "cannot find the config '%s' from the root", file);
    }
    *ret_program = TAKE(program);
    *ret_config = config;
    return NULL;
}

/* The user of a test is not root. */
static bool is_roots(const struct stat *st)
{
    return st->st_uid == 0 || st->st_uid == geteuid();
}

/* Of a folder: can somebody else give another file the name of what is below it? That one is
 * root's, or was told of already. */
static bool others_write(const struct stat *st)
{
    bool sticky = S_ISDIR(st->st_mode) && (st->st_mode & S_ISVTX);
    bool write = (st->st_mode & S_IWOTH) || ((st->st_mode & S_IWGRP) && st->st_gid != 0);

    return !is_roots(st) || (write && !sticky);
}

/* The file, then each folder above it. */
static struct err *others_can_change(struct ctx *ctx, const char *program, char **ret_why)
{
    AUTO(freep) char *path = xstrdup(program);
    bool here = str_eq(fsroot_dir(ctx->root), "/");
    char *slash;

    for (bool file = true; !*ret_why; file = false) {
        struct stat st;
        struct err *e = fsroot_stat(ctx->root, *path ? path : "/", &st);

        if (e && e->kind == ERR_NOTFOUND && here)
            *ret_why = xasprintf("there is no '%s' any more", path);
        else if (e && e->kind != ERR_NOTFOUND)
            return e;
        else if (!e && others_write(&st))
            *ret_why = xasprintf("somebody else than root can write the %s '%s' (owner %u, mode "
                                 "%04o)",
                                 file ? "file" : "folder", *path ? path : "/", st.st_uid,
                                 st.st_mode & 07777);
        err_free(e);
        slash = strrchr(path, '/');
        if (!slash)
            break;
        *slash = '\0';
    }
    return NULL;
}

struct err *self_unsafe(struct ctx *ctx, const char *program, char **ret_why)
{
    static const char *const passing[] = {"/tmp/", "/var/tmp/"};

    *ret_why = NULL;
    if (fsroot_captured(ctx->root)) /* who owns the copy says nothing about that host */
        return NULL;
    if (str_ends(program, " (deleted)"))
        *ret_why = xstrdup("its file was removed, or another was put in its place");
    for (size_t i = 0; i < ARRAY_LEN(passing) && !*ret_why; i++)
        if (str_starts(program, passing[i]))
            *ret_why = xasprintf("what lies below '%.*s' is cleared away",
                                 (int)strlen(passing[i]) - 1, passing[i]);
    return *ret_why ? NULL : others_can_change(ctx, program, ret_why);
}
