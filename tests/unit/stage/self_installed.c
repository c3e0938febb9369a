/* The program that the units name is this test; where its checkout lies below /tmp, which units
 * refuse, an installed one. For tests linked with --wrap=proc_self. */
#include "io/proc.h"

#include <stdlib.h>

#include "base/str.h"

struct err *__real_proc_self(char **ret);
struct err *__wrap_proc_self(char **ret);
struct err *__wrap_proc_self(char **ret)
{
    TRY(__real_proc_self(ret));
    if (str_starts(*ret, "/tmp/") || str_starts(*ret, "/var/tmp/")) {
        free(*ret);
        *ret = xstrdup("/usr/bin/agavectl");
    }
    return NULL;
}
