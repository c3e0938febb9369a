/* The proof of a boot: one that parses is written as text that parses to the same. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "look/boot_proof.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    AUTO(freep) char *text = xstrndup((const char *)data, n);
    AUTO(boot_proof_clear) struct boot_proof p = {0};
    AUTO(boot_proof_clear) struct boot_proof again = {0};
    struct err *e = boot_proof_parse(text, n, "fuzz", &p);

    if (e) {
        assert(e->kind == ERR_CORRUPT);
        err_free(e);
        return 0;
    }
    AUTO(json_freep) struct json *j = boot_proof_json(&p);
    AUTO(freep) char *out = json_text(j, false);
    e = boot_proof_parse(out, strlen(out), "again", &again);
    assert(!e && again.left == p.left && again.mounted_at == p.mounted_at);
    assert(again.volume.major == p.volume.major || !(p.volume.major || p.volume.minor));
    assert(str_eq(again.boot_id, p.boot_id) && str_eq(again.failed, p.failed));
    err_free(e);
    return 0;
}
