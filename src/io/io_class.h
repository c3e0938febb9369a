#pragma once

#include "base/err.h"

/* Whose disk requests come first (ioprio_set(2)). Holds for this thread and those it starts later.
 */
enum io_class { IO_CLASS_BEST_EFFORT, IO_CLASS_IDLE };
/* Best effort: the last level of it; idle: only when nobody else wants the disk, with the
 * schedulers that know it (bfq). ERR_SYS. */
struct err *io_class_set(enum io_class c) MUST_CHECK;
