/* Encoding and checking of repair requests. No socket and no clock: the callers have them. The ping
 * that a real server sends to an unknown caller first is left out: both ends here are ours. */
#include "lab/node/repair_proto.h"

#include <string.h>

#include "base/bytes.h"

#define TAG_B    4
#define SIG_B    64
#define HEADER_B (SIG_B + 32 + 32 + 8 + 4)

/* Offsets from the start of the packet. */
#define AT_SENDER    (TAG_B + SIG_B)
#define AT_RECIPIENT (AT_SENDER + 32)
#define AT_TIME      (AT_RECIPIENT + 32)
#define AT_NONCE     (AT_TIME + 8)
#define AT_SLOT      (TAG_B + HEADER_B)
#define AT_INDEX     (AT_SLOT + 8)

static size_t length_of(uint32_t tag)
{
    if (tag == REPAIR_ORPHAN)
        return AT_INDEX;
    return tag == REPAIR_WINDOW_INDEX || tag == REPAIR_HIGHEST_WINDOW_INDEX ? AT_INDEX + 8 : 0;
}

/* What is signed: the tag and everything after the signature. */
static size_t signed_part(const uint8_t *packet, size_t n, uint8_t *to)
{
    memcpy(to, packet, TAG_B);
    memcpy(to + TAG_B, packet + AT_SENDER, n - AT_SENDER);
    return n - SIG_B;
}

size_t repair_encode(const struct repair_request *r, const struct ed25519_key *key,
                     uint8_t buf[static REPAIR_REQUEST_MAX])
{
    uint8_t message[REPAIR_REQUEST_MAX];
    size_t n = length_of(r->kind);

    put_le32(buf, r->kind);
    memcpy(buf + AT_SENDER, key->public, 32);
    memcpy(buf + AT_RECIPIENT, r->recipient, 32);
    put_le64(buf + AT_TIME, r->at_ms);
    put_le32(buf + AT_NONCE, r->nonce);
    put_le64(buf + AT_SLOT, r->slot);
    if (r->kind != REPAIR_ORPHAN)
        put_le64(buf + AT_INDEX, r->index);
    ed25519_sign(key, message, signed_part(buf, n, message), buf + TAG_B);
    return n;
}

enum repair_fault repair_decode(const uint8_t *packet, size_t n, const uint8_t us[static 32],
                                uint64_t now_ms, struct repair_request *ret)
{
    struct repair_request r = {0};
    uint8_t message[REPAIR_REQUEST_MAX];
    uint64_t skew_ms;

    if (n < TAG_B || !length_of(get_le32(packet)) || n != length_of(get_le32(packet)))
        return REPAIR_MALFORMED;
    r.kind = (enum repair_kind)get_le32(packet);
    memcpy(r.sender, packet + AT_SENDER, 32);
    memcpy(r.recipient, packet + AT_RECIPIENT, 32);
    r.at_ms = get_le64(packet + AT_TIME);
    r.nonce = get_le32(packet + AT_NONCE);
    r.slot = get_le64(packet + AT_SLOT);
    r.index = r.kind == REPAIR_ORPHAN ? 0 : get_le64(packet + AT_INDEX);
    if (memcmp(r.recipient, us, 32) != 0)
        return REPAIR_NOT_FOR_US;
    skew_ms = r.at_ms > now_ms ? r.at_ms - now_ms : now_ms - r.at_ms;
    if (skew_ms > REPAIR_TIME_WINDOW_S * 1000)
        return REPAIR_TIME_SKEW;
    if (!ed25519_verify(r.sender, message, signed_part(packet, n, message), packet + TAG_B))
        return REPAIR_BAD_SIGNATURE;
    *ret = r;
    return REPAIR_OK;
}
