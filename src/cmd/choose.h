#pragma once

#include "base/ctx.h"
#include "base/err.h"
#include "cmd/opts.h"
#include "config/config.h"

#define CONFIG_ETC "/etc/agavectl/agavectl.yaml"

/* Which config, and which world, a command works on: --config, else AGAVECTL_CONFIG, else the lab's
 * when --lab is given, else /etc/agavectl/agavectl.yaml, else the lab's when a lab is up and
 * --no-lab is not given (then it says so on stderr). With the lab's config this process has joined
 * the lab's namespaces when it returns: call it before any file is opened and with one thread. *ret
 * is NULL when there is none and it is not needed. ERR_BADINPUT names the places. */
struct err *choose_config(const struct globals *g, bool needed, struct config **ret) MUST_CHECK;
/* The config for a captured host: --config, else the host's own CONFIG_ETC, else none (*ret NULL)
 * where none is needed. No lab. ERR_BADINPUT. */
struct err *choose_captured(const struct globals *g, struct fsroot *host, bool needed,
                            struct config **ret) MUST_CHECK;
