/* cmd/check_view and check_out_*: what is selected, in which order it stands, and that no text from
 * outside breaks a format. */
#include "cmd/check_out.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "io/clock.h"
#include "stage/stage.h"

static const char nasty[] = "a<b> & \"c\" | d \033[2J\n\xff ]]> \xef\xbf\xbf";

static bool on(const struct ctx *ctx)
{
    return true;
}

static bool off(const struct ctx *ctx)
{
    return false;
}

static struct err *base_check(struct ctx *ctx, struct scene *scene, struct findings *ret)
{
    findings_add(ret, "volume.hidden", 1, SEV_WARN, "a warning");
    return NULL;
}

/* Finds something of layer 2 as well, and one thing twice. */
static struct err *disk_check(struct ctx *ctx, struct scene *scene, struct findings *ret)
{
    findings_add(ret, "volume.mount", 4, SEV_OK, "it is mounted");
    finding_fix(finding_compare(findings_add(ret, "volume.fstype", 4, SEV_FAIL, "%s", nasty), "xfs",
                                nasty, "/dev/x"),
                "agavectl up");
    findings_add(ret, "volume.fstype", 4, SEV_FAIL, "another one");
    findings_add(ret, "kindroot.folder", 2, SEV_NOTE, "a note");
    struct finding *f = findings_add(ret, "volume.users", 4, SEV_FAIL, "somebody");
    f->ignored = true;
    f->reason = xstrdup("it's ours");
    return NULL;
}

/* Says why it saw no more, as a fault. */
static struct err *dim_check(struct ctx *ctx, struct scene *scene, struct findings *ret)
{
    findings_add(ret, "docker.reach", 1, SEV_FAIL, "nobody there")->blinds = true;
    findings_add(ret, "docker.liverestore", 1, SEV_FAIL, "it is off");
    return NULL;
}

static struct err *blind_check(struct ctx *ctx, struct scene *scene, struct findings *ret)
{
    return err_new(ERR_REFUSED, "not allowed");
}

#define STAGE(var, n, l, en, fn)                                                                   \
    static const struct stage var = {.name = n,                                                    \
                                     .summary = "what it is",                                      \
                                     .layer = l,                                                   \
                                     .order_reason = "none",                                       \
                                     .enabled = en,                                                \
                                     .check = fn}
STAGE(stage_disk, "volume", 4, on, disk_check);
STAGE(stage_base, "kind-root", 1, on, base_check);
STAGE(stage_blind, "relay", 5, on, blind_check);
STAGE(stage_off, "zfs", 3, off, blind_check);
static const struct stage *const table[] = {&stage_disk, &stage_base, &stage_blind, &stage_off,
                                            NULL};

/* A look with these words, as a view. */
struct look {
    struct check_selection sel;
    struct check_report report;
    struct check_view view;
    char *text;
    size_t n;
    struct out out;
};

static void look_at(struct look *l, const struct stage *const *stages, const char *a, const char *b)
{
    char *words[] = {xstrdup(a ? a : ""), xstrdup(b ? b : "")};
    struct ctx ctx = {.clock = &clock_system};

    *l = (struct look){0};
    struct err *e = check_select(stages, words, !!a + !!b, &l->sel);
    assert_null(e);
    free(words[0]);
    free(words[1]);
    stages_check(&ctx, &(struct check_opts){.table = stages, .wanted = check_wants, .arg = &l->sel},
                 &l->report);
    check_view_init(&l->view, &l->report, &l->sel);
    l->out.f = open_memstream(&l->text, &l->n);
    assert_non_null(l->out.f);
}

static void look_init(struct look *l, const char *a, const char *b)
{
    look_at(l, table, a, b);
}

static const char *look_text(struct look *l)
{
    fflush(l->out.f);
    return l->text;
}

static void look_clear(struct look *l)
{
    fclose(l->out.f);
    free(l->text);
    check_view_clear(&l->view);
    check_report_clear(&l->report);
    check_selection_clear(&l->sel);
}

static void ids_are(const struct look *l, const char *const *want)
{
    size_t n = 0;

    for (; want[n]; n++) {
        assert_true(n < l->view.n);
        assert_string_equal(l->view.items[n]->id, want[n]);
    }
    assert_int_equal(l->view.n, n);
}

static void layers_come_first(void **state)
{
    static const char *const want[] = {
        "volume.hidden", "kindroot.folder", "volume.mount", "volume.fstype",
        "volume.fstype", "volume.users",    "relay",        NULL};
    struct look l;

    look_init(&l, NULL, NULL);
    ids_are(&l, want);
    assert_int_equal(l.view.counts.by[SEV_FAIL], 2);
    assert_int_equal(l.view.counts.by[SEV_UNKNOWN], 1);
    assert_int_equal(l.view.counts.ignored, 1);
    assert_string_equal(check_stage_state(&l.view.stages[0]), "fail");
    assert_string_equal(check_stage_state(&l.view.stages[3]), "absent");
    assert_true(l.view.layers[3].absent);
    assert_false(l.view.layers[2].absent);
    look_clear(&l);
}

static void words_select(void **state)
{
    static const struct {
        const char *a, *b;
        size_t stages;
        const char *want[8];
    } cases[] = {
        {"1", NULL, 1, {"volume.hidden"}},
        {"relay", "1", 2, {"volume.hidden", "relay"}},
        {"volume.mount", NULL, 1, {"volume.mount"}},
        {"volume.mount", "5", 2, {"volume.mount", "relay"}},
        {"3", NULL, 1, {NULL}},
        /* begins with a stage's name but for the '-' */
        {"kindroot.folder", NULL, 1, {NULL}},
        /* of no stage here: all are asked, and who could not look says so */
        {"bind.mount", NULL, 4, {"relay"}},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct look l;

        look_init(&l, cases[i].a, cases[i].b);
        assert_int_equal(l.report.n_stages, cases[i].stages);
        ids_are(&l, cases[i].want);
        look_clear(&l);
    }
}

static void silence_is_not_ok(void **state)
{
    static const struct stage stage_dim = {.name = "docker",
                                           .summary = "what it is",
                                           .layer = 1,
                                           .order_reason = "none",
                                           .enabled = on,
                                           .check = dim_check};
    static const struct stage *const dim[] = {&stage_dim, NULL};
    static const char *const unseen[] = {"docker.reach", NULL};
    static const char *const seen[] = {"docker.liverestore", NULL};
    struct look l;

    look_at(&l, dim, "docker.root", NULL);
    ids_are(&l, unseen);
    assert_true(check_counts_bad(&l.view.counts));
    look_clear(&l);
    look_at(&l, dim, "docker.liverestore", NULL);
    ids_are(&l, seen);
    look_clear(&l);
}

static void an_unknown_word_is_refused(void **state)
{
    static const char *const cases[][2] = {
        {"volume.mont", "did you mean 'volume.mount'?"},
        {"relai", "did you mean 'relay'?"},
        {"6", "layer (1 to 5)"},
        {"0", "layer (1 to 5)"},
        {"44", "layer (1 to 5)"},
        {"", "layer (1 to 5)"},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        AUTO(check_selection_clear) struct check_selection sel = {0};
        AUTO(freep) char *word = xstrdup(cases[i][0]);
        AUTO(err_freep) struct err *e = check_select(table, &word, 1, &sel);

        assert_non_null(e);
        assert_int_equal(e->kind, ERR_BADINPUT);
        assert_non_null(strstr(e->text, cases[i][1]));
    }
}

static void text_is_for_people(void **state)
{
    struct look l;

    look_init(&l, NULL, NULL);
    check_out_text(&l.view, false, &l.out);
    const char *t = look_text(&l);
    assert_null(strchr(t, '\033'));
    assert_null(strstr(t, "it is mounted"));
    assert_non_null(strstr(t, "4 validator storage 2 fail, 1 ignored\n"));
    assert_non_null(strstr(t, "3 cluster           absent\n"));
    assert_non_null(strstr(t, "2 kind storage      ok (1 note)\n"));
    assert_non_null(strstr(t, "fix   agavectl up\n"));
    assert_non_null(strstr(t, "ignored  volume.users: somebody\n"));
    assert_non_null(strstr(t, "why   it's ours\n"));
    assert_non_null(strstr(t, "3 and 5 are started only when 4 holds"));
    assert_non_null(strstr(t, "\n2 fail, 1 unknown, 1 warn, 1 note, 1 ignored; 4 stages in "));
    look_clear(&l);
    look_init(&l, NULL, NULL);
    l.out.color = true;
    check_out_text(&l.view, true, &l.out);
    t = look_text(&l);
    assert_non_null(strstr(t, "volume.mount: it is mounted"));
    assert_non_null(strstr(t, "zfs: what it is"));
    assert_non_null(strstr(t, "\033[1;31mfail"));
    assert_null(strstr(t, "\033[2J"));
    look_clear(&l);
}

static void a_monitor_sees_the_worst(void **state)
{
    static const struct {
        const char *word, *first;
        int code;
    } cases[] = {
        {NULL, "AGAVECTL CRITICAL - 2 fail, 1 unknown, 1 warn: volume.fstype: a<b> & \"c\" ! d ?",
         2},
        {"5", "AGAVECTL UNKNOWN - 0 fail, 1 unknown, 0 warn: relay: could not look", 3},
        {"1", "AGAVECTL WARNING - 0 fail, 0 unknown, 1 warn: volume.hidden: a warning |", 1},
        {"3", "AGAVECTL OK - 0 fail, 0 unknown, 0 warn: everything holds |", 0},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct look l;

        look_init(&l, cases[i].word, NULL);
        assert_int_equal(check_out_nagios(&l.view, &l.out), cases[i].code);
        const char *t = look_text(&l), *bar = strchr(t, '|');
        assert_memory_equal(t, cases[i].first, strlen(cases[i].first));
        assert_non_null(bar);
        assert_null(strchr(bar + 1, '|'));
        assert_true(strchr(t, '\n') > bar);
        look_clear(&l);
    }
}

static size_t times(const char *text, const char *what)
{
    size_t n = 0;

    for (const char *p = text; (p = strstr(p, what)); p++)
        n++;
    return n;
}

static void xml_is_whole(void **state)
{
    struct look l;

    look_init(&l, NULL, NULL);
    check_out_junit(&l.view, &l.out);
    const char *t = look_text(&l);
    assert_int_equal(times(t, "<testcase "), 8);
    assert_int_equal(times(t, "</testcase>"), 8);
    assert_int_equal(times(t, "<failure "), 2);
    assert_int_equal(times(t, "<error "), 1);
    assert_int_equal(times(t, "<skipped "), 2);
    assert_non_null(strstr(t, "a&lt;b&gt; &amp; &quot;c&quot; | d ?[2J?? ]]&gt; ?"));
    assert_null(strchr(t, '\033'));
    assert_null(strchr(t, '\xff'));
    look_clear(&l);
}

static void a_series_is_there_once(void **state)
{
    struct look l;

    look_init(&l, NULL, NULL);
    check_out_prometheus(&l.view, 1700000000123, &l.out);
    const char *t = look_text(&l);
    assert_int_equal(times(t, "agavectl_check_finding{id=\"volume.fstype\",layer=\"4\","
                              "stage=\"volume\",severity=\"fail\"} 1\n"),
                     1);
    assert_int_equal(times(t, "severity=\"ignored\"} 1\n"), 1);
    assert_int_equal(times(t, "severity=\"ok\""), 0);
    assert_int_equal(times(t, "agavectl_check_ok{stage=\"volume\",layer=\"4\"} 0\n"), 1);
    assert_int_equal(times(t, "agavectl_check_ok{stage=\"kind-root\",layer=\"1\"} 1\n"), 1);
    assert_int_equal(times(t, "stage=\"zfs\""), 0);
    assert_non_null(strstr(t, "agavectl_check_timestamp_seconds 1700000000.123\n"));
    look_clear(&l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(layers_come_first),          cmocka_unit_test(words_select),
        cmocka_unit_test(an_unknown_word_is_refused), cmocka_unit_test(text_is_for_people),
        cmocka_unit_test(a_monitor_sees_the_worst),   cmocka_unit_test(xml_is_whole),
        cmocka_unit_test(a_series_is_there_once),     cmocka_unit_test(silence_is_not_ok),
    };

    return cmocka_run_group_tests_name("cmd_check", tests, NULL, NULL);
}
