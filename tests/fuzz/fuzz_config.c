/* The config: any text is either refused with a text, or becomes a config whose printed values are
 * read back as the same values. */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "base/str.h"
#include "config/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* Every value as it is printed, as one text. */
static char *all_values(const struct config *c)
{
    struct strbuf b = {0};

    for (const struct config_key *k = config_keys; k->name; k++) {
        AUTO(freep) char *value = config_value(c, k);
        AUTO(json_freep) struct json *j = config_json(c, k);

        strbuf_printf(&b, "%s %s\n", k->name, value);
    }
    return strbuf_take(&b);
}

/* One key of the config as a document of its own. */
static void read_back(const struct config *c, const struct config_key *k)
{
    AUTO(strbuf_clear) struct strbuf doc = {0};
    AUTO(freep) char *value = config_value(c, k);
    AUTO(config_freep) struct config *again = NULL;
    size_t braces = 0;

    for (const char *p = k->name; *p; p++) {
        strbuf_add(&doc, *p == '.' ? ": {" : p, *p == '.' ? 3 : 1);
        braces += *p == '.';
    }
    strbuf_printf(&doc, ": %s", value);
    for (; braces > 0; braces--)
        strbuf_puts(&doc, "}");
    AUTO(err_freep) struct err *e = config_parse(doc.data, doc.len, "again", &again);
    /* One key alone may contradict the other keys' defaults ("x and y are both", "x needs y"); it
     * may not be unreadable, which would be "again:1: x: ...". */
    if (e) {
        AUTO(freep) char *unreadable = xasprintf("again:1: %s: ", k->name);

        assert(str_starts(e->text, "again:1: ") && !str_starts(e->text, unreadable));
        return;
    }
    AUTO(freep) char *twice = config_value(again, k);
    assert(strcmp(value, twice) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    AUTO(config_freep) struct config *c = NULL;
    AUTO(err_freep) struct err *e = config_parse((const char *)data, n, "f", &c);

    assert(!c != !e);
    if (e) {
        assert(e->kind == ERR_BADINPUT && *e->text);
        for (const char *p = e->text; *p; p++)
            assert((unsigned char)*p >= 0x20 || *p == '\n');
        return 0;
    }
    AUTO(freep) char *values = all_values(c);
    for (const struct config_key *k = config_keys; k->name; k++)
        read_back(c, k);
    return 0;
}
