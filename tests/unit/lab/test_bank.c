/* lab/bank and lab/chain: forests of slots. */
#include "lab/node/bank.h"

#include "base/cleanup.h"
#include "lab/chain/chain.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static struct banks *grown(uint64_t root, uint64_t last)
{
    struct banks *b = banks_new(&(struct bank){.slot = root, .height = 50});

    for (uint64_t slot = root + 1; slot <= last; slot++)
        assert_true(banks_add(b, &(struct bank){.slot = slot, .parent = slot - 1}));
    return b;
}

static void root_stays_32_below_the_tip(void **state)
{
    AUTO(banks_freep) struct banks *b = grown(100, 132);
    uint64_t roots[64];

    assert_int_equal(banks_tip(b)->slot, 132);
    assert_int_equal(banks_confirmed(b)->slot, 131);
    assert_int_equal(banks_tip(b)->height, 82);
    assert_int_equal(banks_advance_root(b, roots, 64), 0);
    assert_true(banks_add(b, &(struct bank){.slot = 140, .parent = 132}));
    assert_int_equal(banks_advance_root(b, roots, 64), 1);
    assert_int_equal(roots[0], 101);
    assert_int_equal(banks_root(b)->slot, 101);
    assert_null(banks_find(b, 100));
}

static void roots_come_in_order_and_in_parts(void **state)
{
    AUTO(banks_freep) struct banks *b = grown(100, 150);
    uint64_t roots[10];

    assert_int_equal(banks_advance_root(b, roots, 10), 10);
    assert_int_equal(roots[0], 101);
    assert_int_equal(roots[9], 110);
    assert_int_equal(banks_advance_root(b, roots, 10), 8);
    assert_int_equal(roots[7], 118);
    assert_int_equal(banks_advance_root(b, roots, 10), 0);
}

static void longest_fork_wins_and_the_other_is_forgotten(void **state)
{
    AUTO(banks_freep) struct banks *b = grown(100, 110);
    uint64_t roots[64];

    /* A fork from 105 that is higher in slots and shorter in blocks. */
    assert_true(banks_add(b, &(struct bank){.slot = 115, .parent = 105}));
    assert_int_equal(banks_tip(b)->slot, 110);
    for (uint64_t slot = 120; slot < 160; slot++)
        assert_true(
            banks_add(b, &(struct bank){.slot = slot, .parent = slot == 120 ? 115 : slot - 1}));
    assert_int_equal(banks_tip(b)->slot, 159);
    assert_int_equal(banks_advance_root(b, roots, 64), 14);
    assert_null(banks_find(b, 110));
    assert_non_null(banks_find(b, 159));
}

static void refuses_orphans_and_doubles(void **state)
{
    AUTO(banks_freep) struct banks *b = grown(100, 105);

    assert_false(banks_add(b, &(struct bank){.slot = 108, .parent = 107}));
    assert_false(banks_add(b, &(struct bank){.slot = 105, .parent = 104}));
    assert_false(banks_add(b, &(struct bank){.slot = 104, .parent = 105}));
}

static void chain_is_the_seeds_and_skips_some(void **state)
{
    AUTO(chain_freep) struct chain *a = chain_new(7, 900, 4096);
    AUTO(chain_freep) struct chain *b = chain_new(7, 900, 4096);
    AUTO(chain_freep) struct chain *other = chain_new(8, 900, 4096);
    size_t skipped = 0, dead = 0, differ = 0;

    for (int i = 0; i < 2000; i++) {
        const struct chain_slot *s = chain_next(a), *t = chain_next(b), *u = chain_next(other);

        assert_int_equal(s->parent, t->parent);
        assert_int_equal(s->skipped, t->skipped);
        differ += s->skipped != u->skipped;
        skipped += s->skipped;
        dead += !s->skipped && s->dead_end;
        if (!s->skipped) {
            const struct chain_slot *p = chain_find(a, s->parent);

            assert_true(s->parent < s->slot);
            assert_false(p->skipped || p->dead_end);
            assert_int_equal(s->height, p->height + 1);
        }
    }
    assert_in_range(skipped, 10, 200);
    assert_in_range(dead, 1, 100);
    assert_true(differ > 0);
}

static void chain_forgets_what_leaves_its_window(void **state)
{
    AUTO(chain_freep) struct chain *c = chain_new(1, 0, 64);

    for (int i = 0; i < 200; i++)
        chain_next(c);
    assert_int_equal(chain_last(c), 200);
    assert_int_equal(chain_first(c), 137);
    assert_null(chain_find(c, 136));
    assert_null(chain_find(c, 201));
    assert_null(chain_below_tip(c, 100));
    assert_non_null(chain_below_tip(c, 32));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(root_stays_32_below_the_tip),
        cmocka_unit_test(roots_come_in_order_and_in_parts),
        cmocka_unit_test(longest_fork_wins_and_the_other_is_forgotten),
        cmocka_unit_test(refuses_orphans_and_doubles),
        cmocka_unit_test(chain_is_the_seeds_and_skips_some),
        cmocka_unit_test(chain_forgets_what_leaves_its_window),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
