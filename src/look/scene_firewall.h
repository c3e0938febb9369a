#pragma once

#include "host/fw.h"
#include "look/scene.h"

/* The packet filter of this host (of the network namespace that we are in). */
struct firewall {
    struct fw fw;
    bool live;          /* what the kernel does now; false: what the files would load at boot */
    const char *source; /* static: "nft list ruleset", "/etc/iptables/rules.v4" … */
    /* NULL: all rules are known. Else why nothing can be said, with fw empty or a part. */
    char *unknown;
};
/* Runs nft and iptables-save where they are (read only); where not, reads the usual files. ERR_SYS,
 * ERR_CANCELLED. Owned by the scene. */
struct err *scene_firewall(struct ctx *ctx, struct scene *s, const struct firewall **ret)
    MUST_CHECK;
/* The rules that the files of this host load at boot, whatever is loaded now. ret: {0}, to be
 * cleared. */
struct err *firewall_persistent(struct ctx *ctx, struct firewall *ret) MUST_CHECK;
void firewall_clear(struct firewall *f);
