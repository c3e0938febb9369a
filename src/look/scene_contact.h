#pragma once

#include "look/scene.h"

/* Who is outside of this program and may keep a look waiting. */
enum party {
    PARTY_DOCKER = 1 << 0,
    PARTY_KUBE = 1 << 1,   /* the API server */
    PARTY_STATUS = 1 << 2, /* the node's RPC and the references: what scene_status asks */
};

/* Whom this look is going to ask: a set of enum party, added to what was said before. When the
 * first of them is needed, all of them that the config names are asked their first question at
 * once, so that all who are silent cost one time-out together. Who is silent then, or later, is not
 * asked again in this look: whatever is wanted of it fails at once, with the same ERR_TIMEOUT. */
void scene_expect(struct scene *s, unsigned parties);
