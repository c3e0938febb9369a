#pragma once

#include "cmd/cmd.h"

/* The row of a command's options; member: const char *. */
#define AGAVE_VERSION_OPT(OWNER, MEMBER)                                                           \
    {                                                                                              \
        .type = OPT_STR, .lng = "agave-version", .arg = "X.Y.Z",                                   \
        .help = "the Agave that will load it; else the config's program is asked",                 \
        .offset = offsetof(OWNER, MEMBER)                                                          \
    }
