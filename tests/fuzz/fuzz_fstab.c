/* fstab: any text gives entries that are complete and faults that name a line; no entry has a
 * relative mount point but swap's, and every option can be asked for. */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "host/fstab.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    AUTO(fstab_clear) struct fstab f = {0};

    fstab_parse((const char *)data, n, &f);
    for (size_t i = 0; i < f.n; i++) {
        const struct fstab_entry *e = &f.items[i];
        AUTO(freep) char *device = fstab_device(e);
        AUTO(strlist_clear) struct strlist all = {0};
        size_t same = 0;

        assert(e->line && e->spec[0] && e->target[0] && e->type[0] && e->options[0]);
        assert(e->target[0] == '/' || strcmp(e->type, "swap") == 0 ||
               strcmp(e->target, "none") == 0 || strcmp(e->target, "swap") == 0);
        assert(device[0] && fstab_at(&f, e->target, &same) && same >= 1);
        fstab_option_all(e, "x-systemd.requires", &all);
        assert(!all.n || fstab_option(e, "x-systemd.requires", NULL));
    }
    for (size_t i = 0; i < f.n_faults; i++)
        assert(f.faults[i].line && f.faults[i].text[0]);
    return 0;
}
