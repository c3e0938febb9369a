/* One archive's progress for people. */
#include "flow/snapshot_text.h"

#include <string.h>

#include "base/str.h"

#define SHARES_SHOWN 3

static double percent(uint64_t part, uint64_t all)
{
    return all && all != UINT64_MAX ? 100.0 * (double)part / (double)all : 0;
}

static const struct fetch_share *fastest_below(const struct fetch_progress *p, double rate,
                                               const struct fetch_share *before)
{
    const struct fetch_share *best = NULL;

    for (size_t i = 0; i < p->n_shares; i++) {
        const struct fetch_share *s = &p->shares[i];
        bool later = s->rate_b_s < rate || (s->rate_b_s == rate && s > before);

        if (s->rate_b_s > 0 && later && (!best || s->rate_b_s > best->rate_b_s))
            best = s;
    }
    return best;
}

/* Lines are narrow. */
static const char *bare(const char *label)
{
    return str_starts(label, "http://") ? label + strlen("http://") : label;
}

static void add_shares(const struct fetch_progress *p, struct strbuf *b)
{
    const struct fetch_share *s = NULL;
    double rate = 1e300;
    size_t n = 0, working = 0;

    for (size_t i = 0; i < p->n_shares; i++)
        working += p->shares[i].rate_b_s > 0;
    for (; n < SHARES_SHOWN && (s = fastest_below(p, rate, s)); n++) {
        char text[32];

        rate = s->rate_b_s;
        strbuf_printf(b, "%s%s %s/s", n ? ", " : "; ", bare(s->label),
                      fmt_size((uint64_t)rate, text, sizeof(text)));
    }
    if (working > n)
        strbuf_printf(b, ", %zu more", working - n);
}

char *snapshot_progress_text(const struct fetch_progress *p)
{
    struct strbuf b = {0};
    char done[32], total[32], rate[32], eta[32];

    if (p->total_b == UINT64_MAX && !p->done_b) {
        strbuf_puts(&b, "waiting for the first bytes");
        return strbuf_take(&b);
    }
    if (p->total_b == UINT64_MAX)
        strbuf_printf(&b, "%s", fmt_size(p->done_b, done, sizeof(done)));
    else
        strbuf_printf(&b, "%.0f %%, %s of %s", percent(p->done_b, p->total_b),
                      fmt_size(p->done_b, done, sizeof(done)),
                      fmt_size(p->total_b, total, sizeof(total)));
    strbuf_printf(&b, ", %s/s", fmt_size((uint64_t)p->rate_b_s, rate, sizeof(rate)));
    if (p->eta_s > 0)
        strbuf_printf(&b, ", %s left", fmt_duration(p->eta_s > 1 ? p->eta_s : 1, eta, sizeof(eta)));
    if (p->total_b != UINT64_MAX)
        strbuf_printf(&b, ", verified %.0f %%", percent(p->verified_b, p->total_b));
    add_shares(p, &b);
    if (p->again_b)
        strbuf_printf(&b, "; %s read again to compare", fmt_size(p->again_b, done, sizeof(done)));
    return strbuf_take(&b);
}
