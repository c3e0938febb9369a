#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/base58.h"
#include "base/err.h"
#include "io/fsroot.h"
#include "solana/ed25519.h"

/* Solana's keypair file: a JSON array of 64 integers, the secret seed and the public key
 * (solana-keypair, as solana-keygen writes it). No message, no log line and no other output of this
 * module holds a byte of the secret half.
 */
#define KEYPAIR_TEXT_MAX 512 /* [255,...] with its NUL */

struct keypair_info {
    char pubkey[BASE58_32_MAX];
    uint8_t public[ED25519_PUBLIC_B];
    uid_t uid;
    gid_t gid;
    mode_t mode; /* permission bits */
    bool loose;  /* the group or others have rights on the file: to be warned about */
};

/* Reads and checks a key file; keeps nothing of the secret. The file must be a regular file of at
 * most 4 KiB, no link. ERR_NOTFOUND, ERR_SYS, ERR_BADINPUT (no keypair, or its halves do not belong
 * together). */
struct err *keypair_read_public(struct fsroot *r, const char *path, struct keypair_info *ret)
    MUST_CHECK;
/* The whole key; the caller wipes it with ed25519_wipe. ret_info may be NULL. */
struct err *keypair_read(struct fsroot *r, const char *path, struct ed25519_key *ret,
                         struct keypair_info *ret_info) MUST_CHECK;
/* Text of a key file. ERR_BADINPUT with the position, never with what stands there. */
struct err *keypair_parse(const char *text, size_t n, struct ed25519_key *ret) MUST_CHECK;
/* Text for a key file, without a newline; buf is returned and to be wiped by the caller. */
const char *keypair_format(const struct ed25519_key *key, char buf[static KEYPAIR_TEXT_MAX]);
