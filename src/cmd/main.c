/* The program's edge: descriptors, signals and the real world in a struct ctx. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "base/ctx.h"
#include "cmd/cmd.h"
#include "cmd/dispatch.h"
#include "io/clock.h"
#include "io/http.h"
#include "io/proc.h"

/* The one flag that a signal handler writes. */
static volatile sig_atomic_t cancelled;

static void on_signal(int sig)
{
    cancelled = 1;
}

/* A second signal only sets the flag again: a flow always leaves through its own door. SA_RESTART
 * is left out so that a blocking call returns and looks at the flag. */
static void catch_signals(void)
{
    const struct sigaction cancel = {.sa_handler = on_signal}, ignore = {.sa_handler = SIG_IGN},
                           plain = {.sa_handler = SIG_DFL};

    sigaction(SIGINT, &cancel, NULL);
    sigaction(SIGTERM, &cancel, NULL);
    /* A terminal that goes away is an interrupt as well, unless nohup asked for something else. */
    struct sigaction hup;
    if (sigaction(SIGHUP, NULL, &hup) == 0 && hup.sa_handler != SIG_IGN)
        sigaction(SIGHUP, &cancel, NULL);
    sigaction(SIGPIPE, &ignore, NULL); /* the write says EPIPE */
    sigaction(SIGCHLD, &plain, NULL);  /* inherited as ignored it loses how programs ended */
}

/* A caller may start us with 0, 1 or 2 closed; the next file opened would get that number and our
 * answer with it. /dev/null in the wrong direction takes the place: using it still fails. */
static int hold_standard_fds(void)
{
    for (int fd = 0; fd <= STDERR_FILENO; fd++)
        if (fcntl(fd, F_GETFD) < 0 && errno == EBADF &&
            open("/dev/null", fd == 0 ? O_WRONLY : O_RDONLY) != fd)
            return -1;
    return 0;
}

/* Most answers are written in one piece, at the end, where the reason of a failure can be told. */
static void hold_answer(void)
{
    static char buffer[64 << 10];

    setvbuf(stdout, buffer, isatty(STDOUT_FILENO) ? _IOLBF : _IOFBF, sizeof(buffer));
}

int main(int argc, char **argv)
{
    struct ctx ctx = {
        .proc = &proc_system, .http = &http_curl, .clock = &clock_system, .cancelled = &cancelled};

    if (hold_standard_fds() < 0)
        return 1;
    catch_signals();
    hold_answer();
    return dispatch(&ctx, cmd_table, argc, argv, stdout);
}
