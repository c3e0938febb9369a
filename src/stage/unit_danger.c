/* Words that end a validator. Deliberately simple: an action and an object on one line, or what
 * ends the machine. What hides behind variables is not found, and a false alarm can be ignored by
 * its id in the config. */
#include "stage/unit_danger.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>

#include "base/str.h"
#include "io/fsroot.h"

#define SCRIPT_MAX_B (256U << 10)

static const char *const machine[] = {"reboot", "shutdown", "poweroff", "halt", "kexec", NULL};
static const char *const actions[] = {
    "restart", "stop",   "kill", "pkill",       "killall",           "exit",
    "scale",   "delete", "down", "try-restart", "reload-or-restart", "force-reload",
    NULL,
};
static const char *const objects[] = {
    "kubectl",        "docker",     "docker.service",
    "docker-compose", "containerd", "kubelet",
    "kind",           "crictl",     "sol",
    "sol.service",    NULL,
};
static const char *const object_parts[] = {"agave", "solana", "laconic", "validator", NULL};

static bool is_one_of(const char *word, const char *const *list)
{
    for (; *list; list++)
        if (str_eq(word, *list))
            return true;
    return false;
}

static bool is_object(const char *word)
{
    for (const char *const *p = object_parts; *p; p++)
        if (strstr(word, *p))
            return true;
    return is_one_of(word, objects);
}

static bool of_word(char c)
{
    return isalnum((unsigned char)c) || c == '-' || c == '_' || c == '.';
}

/* One line without its newline. */
static char *danger_of_line(const char *line)
{
    AUTO(freep) char *action = NULL;
    AUTO(freep) char *object = NULL;
    const char *c = line + strspn(line, " \t");

    if (*c == '#')
        return NULL;
    while (*c) {
        size_t n = 0;

        while (of_word(c[n]))
            n++;
        AUTO(freep) char *word = xstrndup(c, n);
        if (is_one_of(word, machine))
            return TAKE(word);
        if (!action && is_one_of(word, actions))
            action = TAKE(word);
        else if (!object && is_object(word))
            object = TAKE(word);
        c += n ? n : 1;
    }
    return action && object ? xasprintf("%s … %s", action, object) : NULL;
}

char *danger_in(const char *text)
{
    char *found = NULL;

    for (const char *l = text; *l && !found; l += strcspn(l, "\n"), l += *l == '\n') {
        AUTO(freep) char *line = xstrndup(l, strcspn(l, "\n"));

        found = danger_of_line(line);
    }
    return found;
}

/* Of a program that is no script, and of what is not there: NULL. */
static char *danger_of_script(struct ctx *ctx, const char *path)
{
    AUTO(freep) char *text = NULL;
    size_t n = 0;
    struct err *e = fsroot_read(ctx->root, path, SCRIPT_MAX_B, &text, &n);

    if (e || strlen(text) != n || !str_starts(text, "#!")) {
        err_free(e);
        return NULL;
    }
    AUTO(freep) char *found = danger_in(text);
    return found ? xasprintf("%s in '%s'", found, path) : NULL;
}

char *danger_of(struct ctx *ctx, const char *command)
{
    char *found = danger_in(command);

    for (const char *c = command; *c && !found;) {
        size_t n = strcspn(c, " \t\n;&|<>()\"'`");

        if (*c == '/') {
            AUTO(freep) char *path = xstrndup(c, n);
            found = danger_of_script(ctx, path);
        }
        c += n ? n : 1;
    }
    return found;
}
