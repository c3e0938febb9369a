/* Every `fix` of every golden answer is a command line that our own parser takes to its command,
 * with arguments that mean something to it. */
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/json.h"
#include "base/str.h"
#include "cmd/commands.h"
#include "cmd/opts.h"
#include "io/fsroot.h"
#include "stage/engine.h"

#define GOLDEN     ".golden.json"
#define GOLDEN_MAX (1U << 20)

/* What stands in place of a command's run. */
struct call {
    const struct cmd *cmd;
    int argc;
    char **argv;
};

static struct err *instead_of_run(struct call *call, const struct cmdline *line)
{
    *call = (struct call){.cmd = line->cmd, .argc = line->argc, .argv = line->argv};
    return NULL;
}

/* Blanks separate words; a fix that needs quotes is not one that can be pasted everywhere. */
static void words_of(const char *text, struct strlist *ret)
{
    AUTO(freep) char *copy = xstrdup(text);
    char *save = NULL;

    for (char *w = strtok_r(copy, " ", &save); w; w = strtok_r(NULL, " ", &save))
        strlist_add(ret, w);
}

static void arguments_mean_something(const struct call *call, const char *fix)
{
    if (!str_eq(call->cmd->name, "prepare") && !str_eq(call->cmd->name, "check"))
        return;
    for (int i = 0; i < call->argc; i++)
        if (!stage_by_name(stage_table, call->argv[i]))
            fail_msg("'%s': there is no stage '%s'", fix, call->argv[i]);
}

static void check_fix(const char *fix)
{
    AUTO(strlist_clear) struct strlist words = {0};
    AUTO(cmdline_clear) struct cmdline line = {0};
    struct call call = {0};

    words_of(fix, &words);
    assert_true(words.n > 1);
    assert_string_equal(words.items[0], "agavectl");
    struct err *e = cmdline_parse(cmd_table, (int)words.n, words.items, &line);
    if (!e)
        e = instead_of_run(&call, &line);
    if (e)
        fail_msg("'%s': %s", fix, e->text);
    assert_non_null(call.cmd->run);
    arguments_mean_something(&call, fix);
}

static size_t check_golden(struct fsroot *root, const char *name)
{
    AUTO(freep) char *path = xasprintf("/%s", name);
    AUTO(freep) char *text = NULL;
    AUTO(json_freep) struct json *doc = NULL;
    size_t n = 0, fixes = 0;

    assert_null(fsroot_read(root, path, GOLDEN_MAX, &text, &n));
    assert_null(json_parse(text, n, &doc));
    const struct json *findings = json_get(doc, "findings");
    for (size_t i = 0; i < json_len(findings); i++) {
        const struct json *fix = json_get(json_at(findings, i), "fix");
        const char *line = NULL;

        if (!fix)
            continue;
        assert_null(json_as_str(fix, &line));
        check_fix(line);
        fixes++;
    }
    return fixes;
}

static void every_fix_is_a_command(void **state)
{
    AUTO(freep) char *dir = xasprintf("%s/tests/hosts", getenv("AGAVECTL_TEST_SOURCE"));
    AUTO(fsroot_closep) struct fsroot *root = NULL;
    AUTO(strlist_clear) struct strlist names = {0};
    size_t fixes = 0;

    assert_null(fsroot_open(dir, &root));
    assert_null(fsroot_list(root, "/", &names));
    for (size_t i = 0; i < names.n; i++)
        if (str_ends(names.items[i], GOLDEN))
            fixes += check_golden(root, names.items[i]);
    assert_true(fixes > 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(every_fix_is_a_command)};

    return cmocka_run_group_tests_name("cmd_fixes", tests, NULL, NULL);
}
