/* Agave's choice at start, told with its reasons. Pure: everything was read before. */
#include "solana/snapshot_load.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* The highest fastboot_version: agave-snapshots 3.1.9 and 4.0 take 2, later ones 2 and 3. */
#define FASTBOOT_LINKS 2
#define FASTBOOT_LIST  3

const char *snapload_from_name(enum snapload_from f)
{
    static const char *const froms[] = {
        [SNAPLOAD_GENESIS] = "genesis",
        [SNAPLOAD_ARCHIVES] = "archives",
        [SNAPLOAD_BANK] = "bank",
        [SNAPLOAD_FAILS] = "fails",
    };

    return froms[f];
}

void snapload_clear(struct snapload *d)
{
    free(d->why);
    strlist_clear(&d->doubts);
    *d = (struct snapload){.full = SNAPLOAD_NONE, .incr = SNAPLOAD_NONE, .bank = SNAPLOAD_NONE};
}

/* ---- archives ---------------------------------------------------------------------------------
 */

static bool is_read(const struct snaplocal_file *f, bool incremental)
{
    return f->kind == SNAPLOCAL_ARCHIVE && f->place != SNAPLOCAL_STAGED && !f->name.legacy &&
           !f->apart && f->name.incremental == incremental;
}

/* The files are sorted, so the first is the highest. */
static size_t highest_full(const struct snaplocal *l)
{
    for (size_t i = 0; i < l->n; i++)
        if (is_read(&l->files[i], false))
            return i;
    return SNAPLOAD_NONE;
}

static size_t highest_incremental(const struct snaplocal *l, uint64_t base)
{
    for (size_t i = 0; i < l->n; i++)
        if (is_read(&l->files[i], true) && l->files[i].name.base == base)
            return i;
    return SNAPLOAD_NONE;
}

/* Two of the same slot: which of them Agave takes depends on the order of its list. */
static void doubt_twins(const struct snaplocal *l, size_t at, struct snapload *d)
{
    const struct snaplocal_file *one = &l->files[at];

    for (size_t i = 0; i < l->n; i++) {
        const struct snaplocal_file *f = &l->files[i];

        if (i != at && is_read(f, one->name.incremental) && f->name.slot == one->name.slot &&
            f->name.base == one->name.base)
            strlist_addf(&d->doubts,
                         "'%s' and '%s' are of one slot: which of them is read is not determined",
                         one->path, f->path);
    }
}

static void doubt_size(const struct snaplocal *l, size_t at, struct snapload *d)
{
    const struct snaplocal_file *f = &l->files[at];

    if (f->no_file)
        strlist_addf(&d->doubts, "'%s' is %s: the start ends there, and takes no other one",
                     f->path, f->link ? "a link to nothing that could be read" : "no file");
    else if (f->unfinished)
        strlist_addf(
            &d->doubts,
            "'%s' is half downloaded (its .aria2 is there): the start ends there, and takes "
            "no other one",
            f->path);
    else if (f->size_b == 0)
        strlist_addf(&d->doubts, "'%s' is empty: the start ends there, and takes no other one",
                     f->path);
}

static void choose_archives(const struct snaplocal *l, struct snapload *d)
{
    d->full = highest_full(l);
    if (d->full == SNAPLOAD_NONE)
        return;
    d->slot = l->files[d->full].name.slot;
    doubt_twins(l, d->full, d);
    d->incr = highest_incremental(l, d->slot);
    if (d->incr == SNAPLOAD_NONE)
        return;
    d->slot = l->files[d->incr].name.slot;
    doubt_twins(l, d->incr, d);
}

/* ---- bank snapshots ---------------------------------------------------------------------------
 */

static bool rules_30(const struct snapload_rules *r)
{
    return agave_version_before(&r->version, 3, 1);
}

/* Does Agave count the folder as a bank snapshot at all? ret_why: why not. */
static bool is_complete(const struct snaplocal_bank *b, const struct snapload_rules *r,
                        const char **ret_why)
{
    *ret_why = NULL;
    if (!b->version_ok)
        *ret_why = "its file 'version' is missing or not 1.2.0";
    else if (!b->status_cache)
        *ret_why = "it has no status cache";
    else if (!b->bank)
        *ret_why = "it has no bank file";
    else if (rules_30(r) && !b->state_complete)
        *ret_why = "it has no 'state_complete': it was not finished";
    else if (rules_30(r) && b->pre)
        *ret_why = "its bank file is not finished ('.pre')";
    else if (!rules_30(r) && b->fastboot_bad)
        *ret_why = "its 'fastboot_version' cannot be read";
    return !*ret_why;
}

static char *why_not_30(const struct snaplocal_bank *b, const struct snapload_rules *r,
                        const struct snaplocal *l, size_t full)
{
    if (r->no_snapshots)
        return NULL;
    if (!b->flushed)
        return xstrdup("it has no 'storages_flushed'");
    if (!b->full_slot.known)
        return xstrdup("its 'full_snapshot_slot' is missing");
    if (b->full_slot.v != l->files[full].name.slot)
        return xasprintf("it builds on the full snapshot of slot %" PRIu64
                         ", and the highest full archive is of slot %" PRIu64,
                         b->full_slot.v, l->files[full].name.slot);
    return NULL;
}

static char *why_not_later(const struct snaplocal_bank *b, const struct snapload_rules *r)
{
    bool is_31 = agave_version_before(&r->version, 4, 0);
    bool is_40 = !is_31 && agave_version_before(&r->version, 4, 1);
    uint64_t max = is_31 || is_40 ? FASTBOOT_LINKS : FASTBOOT_LIST;

    if (is_31 && b->flushed)
        return NULL;
    if (!b->fastboot.known)
        return xstrdup("it has no 'fastboot_version'");
    if (b->fastboot.v > max || (max == FASTBOOT_LIST && b->fastboot.v < FASTBOOT_LINKS))
        return xasprintf("its 'fastboot_version' is %" PRIu64 ", which this version does not take",
                         b->fastboot.v);
    return NULL;
}

/* The highest that counts; it alone is asked whether it is loadable. full: of the archives. */
static size_t loadable_bank(struct snaplocal *l, const struct snapload_rules *r, size_t full)
{
    for (size_t i = 0; i < l->n_banks; i++) {
        struct snaplocal_bank *b = &l->banks[i];
        const char *why = NULL;

        if (!is_complete(b, r, &why)) {
            b->why = xstrdup(why);
            continue;
        }
        b->why = rules_30(r) ? why_not_30(b, r, l, full) : why_not_later(b, r);
        for (size_t k = i + 1; k < l->n_banks; k++)
            l->banks[k].why = xstrdup("a higher one is there");
        return b->why ? SNAPLOAD_NONE : i;
    }
    return SNAPLOAD_NONE;
}

static void consider_bank(struct snaplocal *l, const struct snapload_rules *r, struct snapload *d)
{
    size_t at = loadable_bank(l, r, d->full);
    struct snaplocal_bank *b = at == SNAPLOAD_NONE ? NULL : &l->banks[at];

    d->from = SNAPLOAD_ARCHIVES;
    if (!b && r->use == SNAPLOAD_NEVER)
        d->from = SNAPLOAD_FAILS;
    if (!b)
        return;
    if (r->use == SNAPLOAD_ALWAYS)
        b->why = xstrdup("archives are always read (--use-snapshot-archives-at-startup)");
    else if (r->use == SNAPLOAD_WHEN_NEWEST && b->slot < d->slot)
        b->why = xasprintf("the archives are newer (slot %" PRIu64 ")", d->slot);
    if (b->why)
        return;
    b->why = xstrdup("the local state is as new as the archives: fast boot");
    b->loaded = true;
    d->from = SNAPLOAD_BANK;
    d->bank = at;
    d->slot = b->slot;
    d->bank_needs_full = rules_30(r) && !r->no_snapshots;
    if (b->accounts_known && !b->has_accounts)
        strlist_addf(&d->doubts,
                     "the accounts of the bank snapshot at slot %" PRIu64
                     " are not there: the start ends with an error, every time",
                     b->slot);
}

/* ---- the words --------------------------------------------------------------------------------
 */

static char *why_archive(const struct snaplocal *l, const struct snaplocal_file *f,
                         const struct snapload *d)
{
    uint64_t base = d->full == SNAPLOAD_NONE ? 0 : l->files[d->full].name.slot;

    if (f->name.legacy)
        return xstrdup("in a format that 3.0 and later do not read");
    if (f->apart)
        return xasprintf("in a folder where such archives are not looked for; that is '%s'",
                         f->name.incremental ? l->incr_dir : l->full_dir);
    if (f->place == SNAPLOCAL_STAGED)
        return xstrdup("waits until the validator is stopped; it does not see it");
    if (!f->name.incremental)
        return xasprintf("a higher full archive is there (slot %" PRIu64 ")", base);
    if (d->full == SNAPLOAD_NONE)
        return xstrdup("no full archive is there");
    if (f->name.base != base)
        return xasprintf("it builds on slot %" PRIu64
                         ", and the highest full archive is of slot %" PRIu64,
                         f->name.base, base);
    return xasprintf("a higher incremental is there (slot %" PRIu64 ")",
                     l->files[d->incr].name.slot);
}

static char *why_half(const struct snaplocal_file *f)
{
    if (f->kind == SNAPLOCAL_LEFT)
        return xstrdup("about an archive that is not there");
    if (f->maker == SNAPLOCAL_AGAVE)
        return xstrdup("half an archive of the validator's own");
    if (f->maker == SNAPLOCAL_ANYBODY)
        return xstrdup("half a download, of another program");
    return xstrdup(f->busy ? "being fetched" : "half a download; getting it again goes on with it");
}

static char *why_chosen(const struct snaplocal_file *f, const struct snapload *d)
{
    const char *what =
        f->name.incremental ? "the highest incremental of it" : "the highest full archive";

    if (d->from == SNAPLOAD_ARCHIVES)
        return xstrdup(what);
    if (d->from == SNAPLOAD_FAILS)
        return xasprintf("%s; not read (--use-snapshot-archives-at-startup never)", what);
    if (f->name.incremental)
        return xasprintf("%s; not read: the local state is as new", what);
    return xasprintf("%s; not read: the local state is as new, but %s", what,
                     d->bank_needs_full ? "it counts only while this archive is there"
                                        : "without any full archive the start is from genesis");
}

static void explain_files(struct snaplocal *l, const struct snapload *d)
{
    for (size_t i = 0; i < l->n; i++) {
        struct snaplocal_file *f = &l->files[i];
        bool chosen = i == d->full || i == d->incr;

        free(f->why);
        f->loaded = chosen && d->from == SNAPLOAD_ARCHIVES;
        f->why = chosen                         ? why_chosen(f, d)
                 : f->kind == SNAPLOCAL_ARCHIVE ? why_archive(l, f, d)
                                                : why_half(f);
    }
}

static char *why_all(const struct snaplocal *l, const struct snapload *d)
{
    switch (d->from) {
    case SNAPLOAD_GENESIS:
        return xstrdup("no full archive that it reads is there: it begins from genesis, with a "
                       "warning only");
    case SNAPLOAD_FAILS:
        return xstrdup("no bank snapshot can be loaded, and archives are never read "
                       "(--use-snapshot-archives-at-startup never): the start fails");
    case SNAPLOAD_BANK:
        return xasprintf("fast boot from the bank snapshot of slot %" PRIu64, d->slot);
    case SNAPLOAD_ARCHIVES:
        break;
    }
    if (d->incr == SNAPLOAD_NONE)
        return xasprintf("the full archive of slot %" PRIu64, d->slot);
    return xasprintf("the full archive of slot %" PRIu64 " and the incremental to slot %" PRIu64,
                     l->files[d->full].name.slot, d->slot);
}

static void forget(struct snaplocal *l)
{
    for (size_t i = 0; i < l->n_banks; i++) {
        free(l->banks[i].why);
        l->banks[i].why = NULL;
        l->banks[i].loaded = false;
    }
}

static void decide(struct snaplocal *l, const struct snapload_rules *r, struct snapload *d)
{
    forget(l);
    choose_archives(l, d);
    if (d->full != SNAPLOAD_NONE)
        consider_bank(l, r, d);
    for (size_t i = 0; d->full == SNAPLOAD_NONE && i < l->n_banks; i++)
        l->banks[i].why = xstrdup("no full archive is there, and without one nothing is loaded");
    if (d->from == SNAPLOAD_ARCHIVES)
        doubt_size(l, d->full, d);
    if (d->from == SNAPLOAD_ARCHIVES && d->incr != SNAPLOAD_NONE)
        doubt_size(l, d->incr, d);
    d->why = why_all(l, d);
    explain_files(l, d);
}

static struct snapload empty(void)
{
    return (struct snapload){.full = SNAPLOAD_NONE, .incr = SNAPLOAD_NONE, .bank = SNAPLOAD_NONE};
}

/* Where the versions do not agree, the answer is 3.0's, with a doubt. */
static void compare(struct snaplocal *l, const struct snapload_rules *rules, uint32_t major,
                    uint32_t minor, struct snapload *d)
{
    AUTO(snapload_clear) struct snapload other = empty();
    struct snapload_rules r = *rules;

    r.version = (struct agave_version){.known = true, .major = major, .minor = minor};
    decide(l, &r, &other);
    if (other.from != d->from || other.bank != d->bank)
        strlist_addf(&d->doubts,
                     "which version of Agave will start is not known: 3.0 would take %s, %u.%u %s",
                     d->why, major, minor, other.why);
}

void snapload_decide(struct snaplocal *l, const struct snapload_rules *rules, struct snapload *ret)
{
    static const struct {
        uint32_t major, minor;
    } others[] = {{3, 1}, {4, 0}};
    struct snapload_rules r = *rules;
    struct snapload d = empty();

    if (!rules->version.known)
        r.version = (struct agave_version){.known = true, .major = 3};
    decide(l, &r, &d);
    for (size_t i = 0; i < ARRAY_LEN(others) && !rules->version.known; i++)
        compare(l, rules, others[i].major, others[i].minor, &d);
    if (!rules->version.known) { /* the words are those of the answer */
        AUTO(snapload_clear) struct snapload again = empty();

        decide(l, &r, &again);
    }
    *ret = d;
}
