#pragma once

/* Every id that a finding may have, as docs/findings.md lists them, sorted; NULL-terminated. Made
 * by tools/finding-ids. */
extern const char *const finding_ids[];
