#pragma once

#include <stdbool.h>

#include "base/ctx.h"
#include "base/str.h"

/* Real block devices and mounts for a test program that runs as root: a mount namespace of its own,
 * a folder for image files, and a count of what was there, so that a test which leaves something
 * behind fails. */
struct real {
    struct ctx ctx;
    char *dir;            /* images and mount points */
    struct strlist zrams; /* made by real_zram and not yet removed */
    char *before;         /* mounts, and loop devices on files in dir */
};
/* Before the tests begin. NULL when it cannot run here: then the whole program was skipped in TAP,
 * with the reason. parts: the names for "# real:" lines, NULL-terminated. */
struct real *real_new(const char *const *parts);
/* Fails the test program (exit 1) when something was left behind. */
void real_end(struct real *r);
/* The end of main(): makes r, runs the tests and ends it. parts: as above. */
#define real_main(r, parts, tests)                                                                 \
    (((r) = real_new(parts)) ? real_ended(r, cmocka_run_group_tests(tests, NULL, NULL)) : 0)
/* real_end; returns failed. */
int real_ended(struct real *r, int failed);

/* A sparse file of that size in the folder; to be freed. */
char *real_image(struct real *r, const char *name, unsigned long long size_b);
/* The same, attached to a loop device; to be freed. The test detaches it. */
char *real_loop(struct real *r, const char *name, unsigned long long size_b);
/* A zram device of that size, to be freed; NULL when this kernel has none. One at a time; removed
 * by real_zram_remove only: its number may be somebody else's device a moment later. */
char *real_zram(struct real *r, unsigned long long size_b);
void real_zram_remove(struct real *r, const char *dev);
/* The lowest free number, for a zram that somebody else makes: it goes with real_end. From 7 on, so
 * that others who take the lowest do not matter. To be freed. */
char *real_zram_free(struct real *r);
/* Path in the folder, and a new folder in it; to be freed. */
char *real_path(struct real *r, const char *name);
char *real_dir(struct real *r, const char *name);
/* Unmounts everything below the folder, the newest first. */
void real_umount_all(struct real *r);
bool real_mounted(struct real *r, const char *path);
/* Runs a program and wants exit 0. */
void real_run(struct real *r, const char *const *argv);
/* A number that changes with the content of a loop device: taken over the pages of its sparse file
 * that are not zero, and where they lie. */
unsigned long long real_sum(struct real *r, const char *dev);
void real_write(const char *dev, unsigned long long at, const void *data, size_t n);
