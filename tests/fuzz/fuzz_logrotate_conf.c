/* logrotate's files: any text gives blocks that are complete, and each can be asked for a path. */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "host/logrotate_conf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    AUTO(logrotate_conf_clear) struct logrotate_conf c = {0};

    logrotate_conf_parse((const char *)data, n, "f", &c);
    for (size_t i = 0; i < c.n; i++) {
        const struct logrotate_block *b = &c.items[i];

        assert(b->patterns && b->body && b->line && strcmp(b->file, "f") == 0);
        (void)logrotate_block_means(b, "/srv/solana/log/validator.log");
    }
    return 0;
}
