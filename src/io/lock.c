/* flock(2) locks: our own host lock, and looking at the lock of another program (Agave's
 * ledger.lock, taken with the fd-lock crate, is an flock). They end with the process, so there is
 * nothing to clean up after a crash. Our own file is removed by its holder: whoever gets the flock
 * then looks whether the name still leads to the file that it locked, and begins anew if not. */
#include "io/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/str.h"

#define HOLDER_MAX_B 200
#define TRIES        100 /* holders that remove the file under our hands */

struct hostlock {
    int fd;
    char *path;
};

/* True in *ret when somebody else has it. */
static struct err *try_flock(int fd, const char *path, bool *ret_busy)
{
    while (flock(fd, LOCK_EX | LOCK_NB) < 0) {
        if (errno == EWOULDBLOCK) {
            *ret_busy = true;
            return NULL;
        }
        if (errno != EINTR)
            return err_sys(errno, "cannot lock '%s'", path);
    }
    *ret_busy = false;
    return NULL;
}

static char *folder_of(const char *path)
{
    return xstrndup(path, (size_t)(strrchr(path, '/') - path));
}

/* The folder of the lock is on a tmpfs: the first command after a boot makes it. */
static void make_folder(const char *path)
{
    AUTO(freep) char *folder = folder_of(path);

    if (*folder)
        (void)mkdir(folder, 0755); /* the open that follows says what is wrong */
}

/* "pid N (what)" from the file of whoever holds it; "" while it is being written. */
static char *holder(int fd)
{
    char text[HOLDER_MAX_B + 1] = "";
    ssize_t n = pread(fd, text, HOLDER_MAX_B, 0);
    char *blank;

    text[n > 0 ? n : 0] = 0;
    text[strcspn(text, "\n")] = 0;
    for (char *p = text; *p; p++)
        if ((unsigned char)*p < 0x20 || (unsigned char)*p > 0x7e)
            *p = '?';
    blank = strchr(text, ' ');
    if (!blank || blank == text)
        return xstrdup("");
    *blank = 0;
    return xasprintf(": pid %s (%s)", text, blank + 1);
}

/* The flock alone counts: where there is no room for it (/run is full) the lock has no signature.
 */
static void sign(int fd, const char *what)
{
    AUTO(freep) char *text = xasprintf("%d %s\n", (int)getpid(), what);
    size_t n = strlen(text);

    if (ftruncate(fd, 0) == 0 && pwrite(fd, text, n, 0) != (ssize_t)n && ftruncate(fd, 0) < 0)
        return; /* half of one is none: it has no line end, or the number is not the holder's */
}

/* -1 with errno ENOENT: the folder went away since it was made. */
static int open_lock(const char *path)
{
    make_folder(path);
    return open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK, 0600);
}

static bool is_still_at(int fd, const char *path)
{
    struct stat mine, named;

    return fstat(fd, &mine) == 0 && lstat(path, &named) == 0 && mine.st_dev == named.st_dev &&
           mine.st_ino == named.st_ino;
}

struct err *hostlock_take(const char *path, const char *what, struct hostlock **ret)
{
    if (*path != '/')
        return err_new(ERR_BUG, "'%s' is not an absolute path", path);
    for (int i = 0; i < TRIES; i++) {
        AUTO(closep) int fd = open_lock(path);
        bool busy = false;

        if (fd < 0 && errno == ENOENT)
            continue;
        if (fd < 0 && errno == EACCES)
            return err_new(ERR_REFUSED, "cannot open the lock '%s'; run as root", path);
        if (fd < 0)
            return err_sys(errno, "cannot open the lock '%s'", path);
        TRY(try_flock(fd, path, &busy));
        if (busy) {
            AUTO(freep) char *who = holder(fd);

            return err_new(ERR_REFUSED, "another agavectl is at work%s; wait for it to end", who);
        }
        if (!is_still_at(fd, path))
            continue;
        sign(fd, what);
        *ret = xcalloc(1, sizeof(**ret));
        (*ret)->fd = TAKE_FD(fd);
        (*ret)->path = xstrdup(path);
        return NULL;
    }
    return err_new(ERR_REFUSED, "the lock '%s' changes hands all the time; try again", path);
}

struct hostlock *hostlock_release(struct hostlock *l)
{
    if (l) {
        AUTO(freep) char *folder = folder_of(l->path);

        /* A file or folder that stays is no harm: the flock alone counts. */
        (void)unlink(l->path);
        (void)rmdir(folder);
        close(l->fd);
        free(l->path);
        free(l);
    }
    return NULL;
}

void hostlock_releasep(struct hostlock **l)
{
    *l = hostlock_release(*l);
}

static struct err *open_existing(const char *path, int *ret_fd)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    int sys = errno;

    if (fd < 0 && (sys == ENOENT || sys == ENOTDIR))
        return err_new_(__FILE__, __LINE__, ERR_NOTFOUND, sys, 0, "cannot open '%s'", path);
    if (fd < 0)
        return err_sys(sys, "cannot open '%s'", path);
    *ret_fd = fd;
    return NULL;
}

struct err *flock_held(const char *path, bool *ret)
{
    AUTO(closep) int fd = -1; /* closing drops what the test took */

    TRY(open_existing(path, &fd));
    return try_flock(fd, path, ret);
}

struct err *flock_take(const char *path, int *ret_fd)
{
    AUTO(closep) int fd = -1;
    bool busy = false;

    TRY(open_existing(path, &fd));
    TRY(try_flock(fd, path, &busy));
    if (busy)
        return err_new(ERR_REFUSED, "'%s' is locked by another process; stop it first", path);
    *ret_fd = TAKE_FD(fd);
    return NULL;
}

struct err *hostlock_signature(const char *path, pid_t *ret_pid, char **ret_what)
{
    AUTO(closep) int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
    char text[HOLDER_MAX_B + 1] = "";
    uint64_t pid = 0;

    if (fd < 0 && errno != ENOENT)
        return err_sys(errno, "cannot open the lock '%s'", path);
    ssize_t n = fd < 0 ? 0 : pread(fd, text, HOLDER_MAX_B, 0);
    text[n > 0 ? n : 0] = 0;
    text[strcspn(text, "\n")] = 0;
    char *blank = strchr(text, ' ');
    if (!blank)
        return err_new(ERR_NOTFOUND, "the lock '%s' is not signed", path);
    *blank = 0;
    TRY_CTX(parse_u64(text, 1, INT32_MAX, &pid), "the lock '%s'", path);
    *ret_pid = (pid_t)pid;
    *ret_what = str_shown(blank + 1, HOLDER_MAX_B);
    return NULL;
}
