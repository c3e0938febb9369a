/* The one list of stages, in the order of application. */
#include "stage/table.h"

const struct stage *const stage_table[] = {
    &stage_volume, &stage_ramdisk, &stage_bind, &stage_dirs, NULL,
};
