/* The one list of flows. */
#include "flow/prepare.h"
#include "flow/restart.h"
#include "flow/start.h"
#include "flow/stop.h"
#include "flow/undo.h"
#include "flow/up.h"

const struct flow *const flow_table[] = {
    &prepare_flow, &restart_flow, &start_flow, &stop_flow, &undo_flow, &up_flow, NULL,
};
