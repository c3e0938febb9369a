#pragma once

#include "base/ctx.h"
#include "base/err.h"
#include "stage/finding.h"

/* systemd's own opinion of the next boot, where systemd-analyze is on this host: what it prints is
 * read, since it exits 0 on an ordering cycle (252). Adds the finding boot.verify, one for each
 * complaint that counts; none where there is no such program. Never fails. Blocks, at most 60 s. */
void boot_verify(struct ctx *ctx, struct findings *ret);
/* The reading alone: appends a finding for each line that counts; true: there was one. */
bool boot_verify_read(const char *text, struct findings *ret);
