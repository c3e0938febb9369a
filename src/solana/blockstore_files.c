#include "solana/blockstore_files.h"

struct err *blockstore_files_check(const char *dir, struct strlist *warnings)
{
    return NULL;
}
