/* unit files: any text gives settings that have a section, a key and a line of the text, and can be
 * asked for in every way. */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "host/unit_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    AUTO(unit_file_clear) struct unit_file u = {0};
    uint32_t lines = 1;

    for (size_t i = 0; i < n; i++)
        lines += data[i] == '\n' || data[i] == '\0';
    unit_file_parse((const char *)data, n, "/f", &u);
    for (size_t i = 0; i < u.n; i++) {
        const struct unit_setting *s = &u.items[i];
        AUTO(strlist_clear) struct strlist words = {0};
        AUTO(freep) char *escaped = unit_path_escape(s->value);

        assert(s->section[0] && s->key[0] && s->line >= 1 && s->line <= lines);
        assert(unit_file_get(&u, s->section, s->key));
        unit_file_words(&u, s->section, s->key, &words);
        assert(escaped[0] && !strchr(escaped, '/'));
        (void)unit_file_bool(&u, s->section, s->key, true);
    }
    return 0;
}
