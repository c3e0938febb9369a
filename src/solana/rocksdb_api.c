/* Finds RocksDB's shared library, judges whether it may be used, and fills the table of calls.
 *
 * Three places, in this order: what AGAVECTL_ROCKSDB names, the system's library, the copy that
 * tools/get-rocksdb put into the cache folder. A library is code that runs with our rights, often
 * root's: one outside the system's folders is opened first, judged by its descriptor (owner, mode)
 * and loaded through that same descriptor, so that it cannot be swapped in between.
 * The version is asked of the library, because a file name says what somebody typed. */
#include "solana/rocksdb_api.h"

#include <ctype.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/str.h"

/* tools/get-rocksdb writes this path below the cache folder. */
#define CACHED_LIBRARY "agavectl/rocksdb-10.4.2/librocksdb.so"

bool rocksdb_version_usable(const char *version)
{
    char *end = NULL;
    unsigned long major = isdigit((unsigned char)*version) ? strtoul(version, &end, 10) : 0;
    unsigned long minor = end && *end == '.' ? strtoul(end + 1, NULL, 10) : 0;

    if (major == 8)
        return minor >= 6;
    if (major == 11)
        return minor >= 8;
    return major > 8;
}

/* std::string as libstdc++ lays it out since GCC 5. A C function that returns 32 bytes receives the
 * address of the result in the same hidden place as a C++ one that returns this class. */
struct cxx_string {
    const char *data;
    size_t n;
    char local[16]; /* holds texts of up to 15 bytes; data then points into the callee's copy */
};

/* *ret is NULL when the library does not say. */
static char *ask_version(void *handle)
{
    int (*java)(void *env, void *class) = NULL;
    struct cxx_string (*cxx)(bool with_patch) = NULL;

    *(void **)&java = dlsym(handle, "Java_org_rocksdb_RocksDB_version");
    if (java) {
        int v = java(NULL, NULL); /* touches neither argument: three constants, a byte each */

        return xasprintf("%d.%d.%d", v >> 16 & 255, v >> 8 & 255, v & 255);
    }
    *(void **)&cxx = dlsym(handle, "_ZN7rocksdb23GetRocksVersionAsStringB5cxx11Eb");
    if (cxx) {
        struct cxx_string s = cxx(true);

        return s.n && s.n < sizeof(s.local) ? xstrndup(s.local, s.n) : NULL;
    }
    return NULL;
}

/* The last resort: "librocksdb.so.9.7.4" says 9.7.4. */
static char *version_of_name(const char *path)
{
    const char *p = strstr(path, ".so.");

    return p ? xstrdup(p + 4) : NULL;
}

static struct err *bind_all(struct rocksdb_api *a)
{
    const char *missing = NULL;
    void *p;

#define BIND(type, name, params)                                                                   \
    p = dlsym(a->handle, "rocksdb_" #name);                                                        \
    if (!p)                                                                                        \
        missing = "rocksdb_" #name;                                                                \
    memcpy(&a->name, &p, sizeof(p));
    ROCKSDB_DB_CALLS(BIND)
    ROCKSDB_OPTION_CALLS(BIND)
#undef BIND
    if (missing)
        return err_new(ERR_ABSENT, "'%s' has no '%s'; run tools/get-rocksdb", a->path, missing);
    return NULL;
}

/* load_as is what dlopen is given, shown what messages say. */
static struct err *load(const char *load_as, const char *shown, struct rocksdb_api **ret)
{
    AUTO(rocksdb_api_closep) struct rocksdb_api *a = xcalloc(1, sizeof(*a));

    a->path = xstrdup(shown);
    a->handle = dlopen(load_as, RTLD_NOW | RTLD_LOCAL);
    if (!a->handle)
        return err_new(ERR_ABSENT, "cannot load '%s': %s", shown, dlerror());
    a->version = ask_version(a->handle);
    if (!a->version)
        a->version = version_of_name(shown);
    if (!a->version || !rocksdb_version_usable(a->version)) {
        /* No thread of it runs yet, so this one may still be let go. */
        dlclose(a->handle);
        return err_new(ERR_ABSENT,
                       "'%s' is RocksDB %s, and 8.6 to 10.x or 11.8 and later is needed; run "
                       "tools/get-rocksdb",
                       shown, a->version ? a->version : "of an unknown version");
    }
    TRY(bind_all(a));
    log_debug("RocksDB %s from '%s'", a->version, a->path);
    *ret = TAKE(a);
    return NULL;
}

/* The user who called sudo; false when nobody did or we are not root. */
static bool sudo_user(uid_t *ret_uid, char **ret_home)
{
    const char *name = geteuid() == 0 ? getenv("SUDO_USER") : NULL;
    struct passwd pw, *found = NULL;
    char buf[4096];

    if (!name || getpwnam_r(name, &pw, buf, sizeof(buf), &found) != 0 || !found)
        return false;
    *ret_uid = found->pw_uid;
    *ret_home = xstrdup(found->pw_dir);
    return true;
}

static char *own_home(void)
{
    const char *home = getenv("HOME");
    struct passwd pw, *found = NULL;
    char buf[4096];

    if (home && *home == '/')
        return xstrdup(home);
    if (getpwuid_r(geteuid(), &pw, buf, sizeof(buf), &found) != 0 || !found)
        return NULL;
    return xstrdup(found->pw_dir);
}

/* ERR_NOTFOUND, ERR_REFUSED, or what loading says. */
static struct err *load_file(const char *path, struct rocksdb_api **ret)
{
    AUTO(freep) char *home = NULL;
    AUTO(closep) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    uid_t caller = geteuid();
    struct stat st;
    char load_as[32];

    if (fd < 0 && (errno == ENOENT || errno == ENOTDIR || errno == EACCES))
        return err_new(ERR_NOTFOUND, "cannot open '%s': %s", path, strerror(errno));
    if (fd < 0)
        return err_sys(errno, "cannot open '%s'", path);
    if (fstat(fd, &st) < 0)
        return err_sys(errno, "cannot look at '%s'", path);
    if (!S_ISREG(st.st_mode))
        return err_new(ERR_REFUSED, "'%s' is not a file; set AGAVECTL_ROCKSDB to librocksdb.so",
                       path);
    (void)sudo_user(&caller, &home);
    if (st.st_uid != 0 && st.st_uid != geteuid() && st.st_uid != caller)
        return err_new(ERR_REFUSED,
                       "not loading '%s': it belongs to uid %u; run tools/get-rocksdb yourself",
                       path, st.st_uid);
    if (st.st_mode & (S_IWGRP | S_IWOTH))
        return err_new(ERR_REFUSED, "not loading '%s': others may write it; chmod go-w '%s'", path,
                       path);
    snprintf(load_as, sizeof(load_as), "/proc/self/fd/%d", fd);
    return load(load_as, path, ret);
}

/* Upstream's makefile names the library X.Y, its CMake build X. Newest good versions first. */
static struct err *load_system(struct rocksdb_api **ret)
{
    static const unsigned majors[] = {10, 9, 8, 11};

    for (size_t i = 0; i < ARRAY_LEN(majors); i++) {
        for (unsigned minor = 16; minor-- > 0;) {
            char version[16], name[48];

            snprintf(version, sizeof(version), "%u.%u", majors[i], minor);
            snprintf(name, sizeof(name), "librocksdb.so.%s", version);
            if (rocksdb_version_usable(version) && !err_free(load(name, name, ret)) && *ret)
                return NULL;
        }
    }
    for (size_t i = 0; i < ARRAY_LEN(majors); i++) {
        char name[48];

        snprintf(name, sizeof(name), "librocksdb.so.%u", majors[i]);
        if (!err_free(load(name, name, ret)) && *ret)
            return NULL;
    }
    return err_new(ERR_NOTFOUND, "no system library");
}

static struct err *load_cached(struct rocksdb_api **ret)
{
    const char *xdg = getenv("XDG_CACHE_HOME");
    AUTO(freep) char *home = own_home(), *other = NULL, *path = NULL;
    struct err *e;
    uid_t uid;

    if (xdg && *xdg == '/')
        path = xasprintf("%s/%s", xdg, CACHED_LIBRARY);
    else if (home)
        path = xasprintf("%s/.cache/%s", home, CACHED_LIBRARY);
    e = path ? load_file(path, ret) : err_new(ERR_NOTFOUND, "no home folder");
    if (!e || e->kind != ERR_NOTFOUND || !sudo_user(&uid, &other))
        return e;
    err_free(e);
    freep(&path);
    path = xasprintf("%s/.cache/%s", other, CACHED_LIBRARY);
    return load_file(path, ret);
}

struct err *rocksdb_api_open(struct rocksdb_api **ret)
{
    const char *named = getenv("AGAVECTL_ROCKSDB");
    struct rocksdb_api *a = NULL;
    struct err *e;

    if (named && *named) {
        e = load_file(named, ret);
        if (e && e->kind == ERR_NOTFOUND)
            e->kind = ERR_ABSENT;
        return err_wrap(e, "AGAVECTL_ROCKSDB");
    }
    e = load_system(&a);
    if (e) {
        err_free(e);
        e = load_cached(&a);
    }
    if (e && e->kind == ERR_NOTFOUND) {
        err_free(e);
        return err_new(ERR_ABSENT, "RocksDB is not on this machine; run tools/get-rocksdb");
    }
    if (!e)
        *ret = a;
    return e;
}

struct rocksdb_api *rocksdb_api_close(struct rocksdb_api *a)
{
    if (a) {
        free(a->path);
        free(a->version);
        free(a);
    }
    return NULL;
}

void rocksdb_api_closep(struct rocksdb_api **a)
{
    *a = rocksdb_api_close(*a);
}

struct err *rocksdb_api_fail(const struct rocksdb_api *a, enum err_kind kind, char *text,
                             const char *fmt, ...)
{
    struct err *e;
    va_list ap;

    if (!text)
        return NULL;
    va_start(ap, fmt);
    AUTO(freep) char *what = xvasprintf(fmt, ap);
    va_end(ap);
    for (char *p = text; *p; p++) /* an error is one line */
        if (isspace((unsigned char)*p))
            *p = ' ';
    e = err_new(kind, "%s: %s", what, text);
    a->free(text);
    return e;
}
