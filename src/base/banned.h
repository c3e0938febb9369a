#pragma once

/* Forced into every file of the project by the build: these do not compile. A shell, a search along
 * PATH, an unbounded copy or hidden static state has no place here; str.h and io/proc.h have the
 * replacements. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#undef sprintf /* under clang the C library makes it a macro */
#pragma GCC poison system popen execvp execlp execvpe strcpy strcat sprintf vsprintf strtok gets
#pragma GCC poison atoi atol atoll localtime gmtime ctime asctime tmpnam mktemp
