/* Numbers of Agave's releases. What comes behind the number (rc, commit) changes no rule. */
#include "solana/agave_version.h"

#include <string.h>

#include "base/str.h"

#define PROGRAM "agave-validator "

/* Digits up to the next '.'; a part that is not there is 0. */
static struct err *take_part(const char **at, uint32_t *ret)
{
    size_t n = strspn(*at, "0123456789");
    AUTO(freep) char *text = xstrndup(*at, n);
    uint64_t v = 0;

    TRY(parse_u64(text, 0, 99999, &v));
    *ret = (uint32_t)v;
    *at += n;
    if (**at == '.' && (*at)[1] >= '0' && (*at)[1] <= '9')
        ++*at;
    return NULL;
}

struct err *agave_version_parse(const char *text, struct agave_version *ret)
{
    const char *program = strstr(text, PROGRAM);
    const char *at = program ? program + strlen(PROGRAM) : text;
    uint32_t parts[3] = {0};
    AUTO(freep) char *shown = str_shown(text, 80);

    at += *at == 'v';
    for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
        if (i && !(*at >= '0' && *at <= '9'))
            break;
        struct err *e = take_part(&at, &parts[i]);
        if (e) {
            err_free(e);
            return err_new(ERR_BADINPUT, "'%s' is no version of Agave; give one like 3.0.14",
                           shown);
        }
    }
    if (*at && !strchr("- +(\r\n)", *at))
        return err_new(ERR_BADINPUT, "'%s' is no version of Agave; give one like 3.0.14", shown);
    if (parts[0] < 3)
        return err_new(ERR_BADINPUT,
                       "what Agave %u.%u loads is not known here: the rules of 3.0 and later are",
                       parts[0], parts[1]);
    *ret = (struct agave_version){
        .known = true, .major = parts[0], .minor = parts[1], .patch = parts[2]};
    return NULL;
}

bool agave_version_before(const struct agave_version *v, uint32_t major, uint32_t minor)
{
    return v->major < major || (v->major == major && v->minor < minor);
}
