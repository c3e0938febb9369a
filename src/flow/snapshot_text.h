#pragma once

#include "fetch/archive.h"

/* "44 %, 1.2 GiB of 2.6 GiB, 118 MiB/s, 12 s left, verified 43 %; a:8899 60 MiB/s, 3 more; 12 MiB
 * read again to compare": the progress of one archive in one line; to be freed. */
char *snapshot_progress_text(const struct fetch_progress *p);
