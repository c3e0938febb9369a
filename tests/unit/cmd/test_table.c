/* The table of commands: every text there, nothing twice, nothing that hides something else. */
#include "cmd/commands.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

#include "cmd/opts.h"

static void check_text(const char *name, const char *text)
{
    size_t n;

    if (!text || !*text)
        fail_msg("%s: a text is missing", name);
    n = strlen(text);
    if (text[n - 1] == '.' || (*text >= 'A' && *text <= 'Z' && !(text[1] >= 'A' && text[1] <= 'Z')))
        fail_msg("%s: '%s' is no sentence: lower case, no full stop", name, text);
}

static void check_opt(const char *name, const struct opt *o, const struct opt *all, size_t size)
{
    check_text(o->lng, o->help);
    if ((o->type == OPT_FLAG) != !o->arg)
        fail_msg("%s --%s: an argument's name for all but flags", name, o->lng);
    /* What may stand bare may be left out as well, and 0 says so. */
    if (o->type == OPT_U64 && !(o->bare && o->def == 0) && (o->def < o->min || o->def > o->max))
        fail_msg("%s --%s: its default is out of its range", name, o->lng);
    assert_true(o->offset < size);
    for (const struct opt *p = all; p->lng; p++)
        if (p != o && (strcmp(p->lng, o->lng) == 0 || (o->shrt && p->shrt == o->shrt)))
            fail_msg("%s --%s: the same name twice", name, o->lng);
}

static void check_list(const struct cmd *const *list)
{
    for (const char *before = ""; *list; before = (*list)->name, list++) {
        const struct cmd *c = *list;

        check_text(c->name, c->summary);
        assert_true(strlen(c->summary) <= 60);
        assert_non_null(c->usage);
        if (strcmp(before, c->name) >= 0)
            fail_msg("'%s' stands behind '%s'", c->name, before);
        if (!c->run != !!c->subs)
            fail_msg("%s: either run or subs", c->name);
        if (c->subs && (c->opts || c->flags & ~(uint32_t)CMD_HIDDEN))
            fail_msg("%s: options and conditions belong to the parts", c->name);
        if (c->flags & CMD_CONFIG && c->flags & CMD_CONFIG_MAYBE)
            fail_msg("%s: a config is needed or it is not", c->name);
        if (c->flags & CMD_LOCK && !(c->flags & CMD_ROOT))
            fail_msg("%s: the host lock is root's", c->name);
        assert_true(c->min_args <= c->max_args);
        for (const struct opt *o = c->opts; o && o->lng; o++) {
            check_opt(c->name, o, c->opts, c->opts_size);
            check_opt(c->name, o, global_opts, c->opts_size);
        }
        if (c->subs)
            check_list(c->subs);
    }
}

static void every_command_is_whole(void **state)
{
    check_list(cmd_table);
}

static void every_global_option_is_whole(void **state)
{
    for (const struct opt *o = global_opts; o->lng; o++)
        check_opt("agavectl", o, global_opts, sizeof(struct globals));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_command_is_whole),
        cmocka_unit_test(every_global_option_is_whole),
    };

    return cmocka_run_group_tests_name("cmd_table", tests, NULL, NULL);
}
