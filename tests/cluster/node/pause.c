/* The process that holds a pod's namespaces: takes over orphans, and ends when it is told to. */
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

static void leave(int sig)
{
    (void)sig;
    _exit(0);
}

static void reap(int sig)
{
    (void)sig;
    while (waitpid(-1, 0, WNOHANG) > 0)
        ;
}

int main(void)
{
    signal(SIGCHLD, reap);
    signal(SIGINT, leave);
    signal(SIGTERM, leave);
    for (;;)
        pause();
}
