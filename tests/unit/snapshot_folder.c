/* See snapshot_folder.h. */
#include "unit/snapshot_folder.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/bytes.h"
#include "remove_tree.h"

int snapshot_folder_setup(void **state)
{
    struct snapshot_folder *w = xcalloc(1, sizeof(*w));

    snprintf(w->dir, sizeof(w->dir), "/tmp/agavectl-test-XXXXXX");
    assert_non_null(mkdtemp(w->dir));
    assert_null(fsroot_open(w->dir, &w->root));
    assert_null(fsroot_mkdirs(w->root, "/s", 0755));
    w->ctx = (struct ctx){.root = w->root};
    *state = w;
    return 0;
}

int snapshot_folder_teardown(void **state)
{
    struct snapshot_folder *w = *state;

    remove_tree(w->dir);
    fsroot_close(w->root);
    free(w);
    return 0;
}

void folder_put(struct snapshot_folder *w, const char *path, const void *data, size_t n)
{
    AUTO(freep) char *folder = xstrndup(path, (size_t)(strrchr(path, '/') - path));

    assert_null(fsroot_mkdirs(w->root, folder, 0755));
    assert_null(fsroot_write_atomic(w->root, path, data, n, 0644));
}

void folder_touch(struct snapshot_folder *w, const char *name)
{
    AUTO(freep) char *path = xasprintf("/s/%s", name);

    folder_put(w, path, "x", 1);
}

bool folder_has(struct snapshot_folder *w, const char *name)
{
    AUTO(freep) char *path = xasprintf("%s/s/%s", w->dir, name);

    return access(path, F_OK) == 0;
}

void folder_expect(struct snapshot_folder *w, const char *const *names, bool there)
{
    for (; *names; names++)
        if (folder_has(w, *names) != there)
            fail_msg("'%s' is %s", *names, there ? "gone" : "still there");
}

void folder_bank(struct snapshot_folder *w, const struct folder_bank *b)
{
    AUTO(freep) char *dir = xasprintf("/s/snapshots/%llu", (unsigned long long)b->slot);
    const char *const names[] = {"status_cache", "state_complete", "storages_flushed"};
    uint8_t slot[8];
    AUTO(freep) char *bank = xasprintf("%s/%llu", dir, (unsigned long long)b->slot);
    AUTO(freep) char *pre = xasprintf("%s.pre", bank);
    AUTO(freep) char *version = xasprintf("%s/version", dir);
    AUTO(freep) char *full = xasprintf("%s/full_snapshot_slot", dir);
    AUTO(freep) char *fastboot = xasprintf("%s/fastboot_version", dir);

    folder_put(w, bank, "bank", 4);
    folder_put(w, version, b->version ? b->version : "1.2.0", b->version ? strlen(b->version) : 5);
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        AUTO(freep) char *path = xasprintf("%s/%s", dir, names[i]);

        if (i == 0 || strchr(b->marks, i == 1 ? 'c' : 'f'))
            folder_put(w, path, "", 0);
    }
    if (strchr(b->marks, 'p'))
        folder_put(w, pre, "", 0);
    put_le64(slot, b->full_slot);
    if (strchr(b->marks, 's'))
        folder_put(w, full, slot, 8);
    if (b->fastboot)
        folder_put(w, fastboot, b->fastboot, strlen(b->fastboot));
}
