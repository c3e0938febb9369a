/* What the tests of check-only stages share: a made-up host, its config, one stage's findings. */
#include "tree.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/str.h"
#include "io/captured.h"
#include "io/fsroot.h"

void tree_new(struct tree *t, const char *yaml)
{
    *t = (struct tree){0};
    fixture_new(&t->f);
    assert_ok(config_parse(yaml, strlen(yaml), "test", &t->cfg));
    t->f.ctx.cfg = t->cfg;
    fixture_put(&t->f, "/proc/self/stat", "1");
}

void tree_clear(struct tree *t)
{
    findings_clear(&t->found);
    t->cfg = config_free(t->cfg);
    fixture_clear(&t->f);
}

void tree_capture(struct tree *t, const char *host_json)
{
    fixture_put(&t->f, "/host.json", "%s", host_json);
    t->f.ctx.root = fsroot_close(t->f.ctx.root);
    assert_ok(fsroot_open_captured(t->f.dir, &t->f.ctx.root));
    t->f.ctx.proc = &proc_captured;
    t->f.ctx.http = &http_captured;
}

static bool only(const void *arg, const struct stage *s)
{
    return str_eq(s->name, arg);
}

void tree_check(struct tree *t, const char *stage)
{
    AUTO(check_report_clear) struct check_report r = {0};

    assert_non_null(stage_by_name(stage_table, stage));
    stages_check(&t->f.ctx, &(struct check_opts){.wanted = only, .arg = stage}, &r);
    findings_clear(&t->found);
    t->found = r.findings;
    r.findings = (struct findings){0};
}

static void tell_all(const struct tree *t)
{
    for (size_t i = 0; i < t->found.n; i++)
        print_error("  %s %s: %s\n", severity_name(t->found.items[i].sev), t->found.items[i].id,
                    t->found.items[i].what);
}

void tree_is_(struct tree *t, const char *id, enum severity sev, const char *part, const char *file,
              int line)
{
    const struct finding *f = findings_find(&t->found, id);
    size_t n = 0;

    for (size_t i = 0; i < t->found.n; i++)
        n += str_eq(t->found.items[i].id, id);
    if (n == 1 && f->sev == sev && (!part || strstr(f->what, part)))
        return;
    print_error("wanted one %s %s '%s', among:\n", severity_name(sev), id, part ? part : "");
    tell_all(t);
    _fail(file, line);
}

void tree_has_not_(struct tree *t, const char *id, const char *file, int line)
{
    if (!findings_find(&t->found, id))
        return;
    print_error("wanted no %s, among:\n", id);
    tell_all(t);
    _fail(file, line);
}
