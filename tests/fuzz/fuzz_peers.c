/* A list of nodes as an RPC node sends it, against the JSON reader that makes trees of values: what
 * both can read, they read alike. */
#include "fetch/peers.h"

#include <assert.h>
#include <string.h>

#include "base/json.h"
#include "base/str.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* Is there an entry that says so? */
static bool is_listed(const struct json *list, const char *member, const char *id, const char *text)
{
    for (size_t i = 0; i < json_len(list); i++) {
        const struct json *node = json_at(list, i);
        const char *has_id = NULL, *has = NULL;
        AUTO(err_freep) struct err *e = json_as_str(json_get(node, "pubkey"), &has_id);
        AUTO(err_freep) struct err *e2 = json_as_str(json_get(node, member), &has);

        if (!e && !e2 && str_eq(has_id, id) && str_eq(has, text))
            return true;
    }
    return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    AUTO(freep) char *body = xmemdup(n ? (const char *)data : "", n ? n : 1);
    AUTO(peers_clear) struct peers peers = {0};
    AUTO(json_freep) struct json *doc = NULL;
    struct peers_list said;
    AUTO(err_freep) struct err *e = peers_add(&peers, body, n, 1, NULL, NULL, &said);
    AUTO(err_freep) struct err *e2 = json_parse(body, n, &doc);

    assert(!e || peers.n == 0);
    for (size_t i = 0; i < peers.n; i++) {
        const struct peer *p = &peers.items[i];
        const struct json *list = e2 ? NULL : json_get(doc, "result");

        assert(p->id[0]);
        /* members that are there twice, the last of them no text, are read in another way */
        if (e2 || memmem(body, n, "null", 4) || said.n != json_len(list))
            continue;
        assert(!p->rpc[0] || p->disputed || is_listed(list, "rpc", p->id, p->rpc));
    }
    return 0;
}
