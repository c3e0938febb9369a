/* `agavectl check -o junit`: XML as test reports have it. Text from outside is made fit for
 * XML 1.0: valid UTF-8 without control characters, markup escaped. */
#include "cmd/check_out.h"

#include <string.h>

#include "base/str.h"

/* The length of the well-formed UTF-8 character at s, 0: it is none (RFC 3629). */
static size_t utf8_n(const unsigned char *s)
{
    size_t n = s[0] < 0x80                   ? 1
               : s[0] >= 0xc2 && s[0] < 0xe0 ? 2
               : s[0] >= 0xe0 && s[0] < 0xf0 ? 3
               : s[0] >= 0xf0 && s[0] < 0xf5 ? 4
                                             : 0;

    for (size_t i = 1; i < n; i++)
        if ((s[i] & 0xc0) != 0x80)
            return 0;
    if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) ||
        (s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] > 0x8f))
        return 0;
    if (s[0] == 0xef && s[1] == 0xbf && s[2] >= 0xbe) /* U+FFFE, U+FFFF: not in XML */
        return 0;
    return n;
}

static const char *entity(char c)
{
    switch (c) {
    case '&':
        return "&amp;";
    case '<':
        return "&lt;";
    case '>':
        return "&gt;";
    case '"':
        return "&quot;";
    default:
        return NULL;
    }
}

static void put_xml(struct strbuf *b, const char *text)
{
    for (const char *p = text ? text : ""; *p;) {
        size_t n = utf8_n((const unsigned char *)p);
        bool control = (unsigned char)*p < 0x20 || *p == 0x7f;

        if (n == 0 || control)
            strbuf_puts(b, "?");
        else if (entity(*p))
            strbuf_puts(b, entity(*p));
        else
            strbuf_add(b, p, n);
        p += n ? n : 1;
    }
}

static void put_attr(struct strbuf *b, const char *name, const char *text)
{
    strbuf_printf(b, " %s=\"", name);
    put_xml(b, text);
    strbuf_puts(b, "\"");
}

static void put_line(struct strbuf *b, const char *label, const char *text)
{
    if (!text)
        return;
    strbuf_printf(b, "%s: ", label);
    put_xml(b, text);
    strbuf_puts(b, "\n");
}

static void put_body(struct strbuf *b, const struct finding *f, const char *tag)
{
    bool fault = !str_eq(tag, "system-out");

    strbuf_printf(b, "      <%s", tag);
    if (fault)
        put_attr(b, "message", f->what);
    if (fault)
        put_attr(b, "type", severity_name(f->sev));
    strbuf_puts(b, ">");
    put_line(b, severity_name(f->sev), f->what);
    put_line(b, "want", f->want);
    put_line(b, "got", f->got);
    put_line(b, "source", f->source);
    put_line(b, "fix", f->fix);
    strbuf_printf(b, "</%s>\n", tag);
}

static void put_case(struct strbuf *b, const char *stage, const char *name)
{
    strbuf_puts(b, "    <testcase");
    put_attr(b, "classname", stage);
    put_attr(b, "name", name);
    strbuf_puts(b, ">\n");
}

static void put_skipped(struct strbuf *b, const char *why)
{
    strbuf_puts(b, "      <skipped");
    put_attr(b, "message", why);
    strbuf_puts(b, "/>\n");
}

static void put_finding(struct strbuf *b, const struct finding *f)
{
    put_case(b, f->stage, f->id);
    if (f->ignored)
        put_skipped(b, f->reason ? f->reason : "ignored");
    else
        put_body(b, f,
                 f->sev == SEV_FAIL      ? "failure"
                 : f->sev == SEV_UNKNOWN ? "error"
                                         : "system-out");
    strbuf_puts(b, "    </testcase>\n");
}

static size_t cases_of(const struct check_stage_view *s)
{
    size_t n = s->counts.ignored;

    for (int sev = SEV_OK; sev <= SEV_UNKNOWN; sev++)
        n += s->counts.by[sev];
    return n;
}

static void put_suite(struct strbuf *b, const struct check_view *v,
                      const struct check_stage_view *s)
{
    const char *name = s->look->stage->name;
    size_t n = cases_of(s);

    strbuf_puts(b, "  <testsuite");
    put_attr(b, "name", name);
    strbuf_printf(b,
                  " tests=\"%zu\" failures=\"%zu\" errors=\"%zu\" skipped=\"%zu\" time=\"%.6f\">\n",
                  n ? n : 1, s->counts.by[SEV_FAIL], s->counts.by[SEV_UNKNOWN],
                  s->counts.ignored + s->absent, (double)s->look->took_us / 1e6);
    for (size_t i = 0; i < v->n; i++)
        if (str_eq(v->items[i]->stage, name))
            put_finding(b, v->items[i]);
    if (n == 0) {
        put_case(b, name, name);
        if (s->absent)
            put_skipped(b, "absent: the config does not ask for it");
        strbuf_puts(b, "    </testcase>\n");
    }
    strbuf_puts(b, "  </testsuite>\n");
}

void check_out_junit(const struct check_view *v, struct out *o)
{
    AUTO(strbuf_clear) struct strbuf b = {0};

    strbuf_puts(&b, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"agavectl\">\n");
    for (size_t i = 0; i < v->n_stages; i++)
        put_suite(&b, v, &v->stages[i]);
    strbuf_puts(&b, "</testsuites>\n");
    fputs(strbuf_text(&b), o->f);
}
