#pragma once

#include "look/scene.h"
#include "look/status.h"

/* The node, the references and the snapshots, as status_gather sees them: at most status.timeout_ms
 * and a little for all stages together, however many references are dead. Changes nothing, so
 * without rates. Needs ctx->cfg. ERR_CANCELLED. Owned by the scene. */
struct err *scene_status(struct ctx *ctx, struct scene *s, const struct status **ret) MUST_CHECK;
