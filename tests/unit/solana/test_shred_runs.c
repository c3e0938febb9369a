/* solana/shred_runs: runs along parents, over skipped slots and forks. */
#include "solana/shred_runs.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>

#define U SLOT_UNKNOWN

enum { FULL, HOLE, DEAD };

static struct slot_state state(uint64_t slot, uint64_t parent, int how)
{
    return (struct slot_state){
        .meta = {.slot = slot,
                 .parent = parent,
                 .consumed = how == HOLE ? 3 : 10,
                 .received = 10,
                 .last_index = 9,
                 .full = how != HOLE},
        .dead = how == DEAD,
    };
}

struct link {
    uint64_t slot, parent;
    int how;
};

static size_t build(const struct link *links, struct slot_state *ret)
{
    size_t n = 0;

    for (; links[n].slot != U; n++)
        ret[n] = state(links[n].slot, links[n].parent, links[n].how);
    return n;
}

static void expect(const char *name, const struct link *links, const struct shred_run *want)
{
    struct slot_state states[64];
    size_t n = build(links, states), runs_n, members = 0;
    AUTO(freep) struct shred_run *runs = NULL;

    shred_runs_find(states, n, &runs, &runs_n);
    for (size_t i = 0; i < runs_n || want[i].slots; i++) {
        if (i >= runs_n || !want[i].slots)
            fail_msg("%s: %zu runs", name, runs_n);
        if (runs[i].first != want[i].first || runs[i].last != want[i].last ||
            runs[i].slots != want[i].slots)
            fail_msg("%s: run %zu is %lu to %lu of %lu", name, i, runs[i].first, runs[i].last,
                     runs[i].slots);
        members += runs[i].slots;
    }
    /* Every full, not dead slot is in exactly one run. */
    for (size_t i = 0; i < n; i++)
        members -= states[i].meta.full && !states[i].dead;
    assert_int_equal(members, 0);
}

static void runs(void **unused)
{
    static const struct {
        const char *name;
        struct link links[16];
        struct shred_run want[8];
    } cases[] = {
        {"nothing", {{U}}, {{0}}},
        {"none full", {{5, 4, HOLE}, {6, 5, HOLE}, {U}}, {{0}}},
        {"one", {{5, 4, FULL}, {U}}, {{5, 5, 1}}},
        {"slot 0 names itself", {{0, 0, FULL}, {1, 0, FULL}, {U}}, {{0, 1, 2}}},
        {"in a row", {{5, 4, FULL}, {6, 5, FULL}, {7, 6, FULL}, {U}}, {{5, 7, 3}}},
        {"skipped slots break nothing",
         {{5, 4, FULL}, {9, 5, FULL}, {40, 9, FULL}, {U}},
         {{5, 40, 3}}},
        {"a hole breaks",
         {{5, 4, FULL}, {6, 5, HOLE}, {7, 6, FULL}, {8, 7, FULL}, {U}},
         {{5, 5, 1}, {7, 8, 2}}},
        {"a dead slot breaks",
         {{5, 4, FULL}, {6, 5, DEAD}, {7, 6, FULL}, {U}},
         {{5, 5, 1}, {7, 7, 1}}},
        {"next in number is not next in chain",
         {{5, 4, FULL}, {6, 3, FULL}, {U}},
         {{5, 5, 1}, {6, 6, 1}}},
        {"unknown parent", {{5, 4, FULL}, {6, U, FULL}, {7, 6, FULL}, {U}}, {{5, 5, 1}, {6, 7, 2}}},
        {"a lost sibling does not break the main chain",
         {{5, 4, FULL}, {6, 5, FULL}, {7, 5, FULL}, {8, 7, FULL}, {U}},
         {{5, 8, 3}, {6, 6, 1}}},
        {"a sibling with children of its own",
         {{5, 4, FULL}, {6, 5, FULL}, {7, 5, FULL}, {8, 6, FULL}, {9, 7, FULL}, {U}},
         {{5, 9, 3}, {6, 8, 2}}},
        {"the earlier sibling wins when it reaches higher",
         {{5, 4, FULL}, {6, 5, FULL}, {7, 5, FULL}, {8, 6, FULL}, {U}},
         {{5, 8, 3}, {7, 7, 1}}},
        {"a sibling that is not full is nobody",
         {{5, 4, FULL}, {6, 5, FULL}, {7, 5, HOLE}, {8, 6, FULL}, {U}},
         {{5, 8, 3}}},
        {"a full slot behind a hole of a longer fork",
         {{5, 4, FULL}, {6, 5, FULL}, {7, 5, HOLE}, {8, 7, FULL}, {U}},
         {{5, 6, 2}, {8, 8, 1}}},
        {"a parent above its child is none", {{5, 6, FULL}, {6, 5, FULL}, {U}}, {{5, 6, 2}}},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        expect(cases[i].name, cases[i].links, cases[i].want);
}

static void ending_at(void **unused)
{
    static const struct link links[] = {{10, 8, FULL},  {11, 10, FULL}, {12, 10, FULL},
                                        {13, 11, HOLE}, {14, 12, FULL}, {15, 11, FULL},
                                        {16, 3, DEAD},  {17, 16, FULL}, {U, 0, 0}};
    struct slot_state states[16];
    size_t n = build(links, states);
    struct shred_run r;
    uint64_t below;

    /* From a loser's point of view its ancestors are its run; and it goes on below the array. */
    shred_runs_ending_at(states, n, 15, &r, &below);
    assert_true(r.first == 10 && r.last == 15 && r.slots == 3 && below == 8);
    shred_runs_ending_at(states, n, 17, &r, &below);
    assert_true(r.first == 17 && r.last == 17 && r.slots == 1 && below == U);
    shred_runs_ending_at(states, n, 13, &r, &below);
    assert_true(r.slots == 0 && below == U);
    shred_runs_ending_at(states, n, 16, &r, &below);
    assert_int_equal(r.slots, 0);
    shred_runs_ending_at(states, n, 99, &r, &below);
    assert_int_equal(r.slots, 0);
    shred_runs_ending_at(states, 0, 99, &r, &below);
    assert_int_equal(r.slots, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(runs),
        cmocka_unit_test(ending_at),
    };

    return cmocka_run_group_tests_name("shred_runs", tests, NULL, NULL);
}
