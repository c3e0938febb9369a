/* A small option parser for the lab's two programs: getopt_long cannot say what clap says. */
#include "lab/node/args.h"

void args_clear(struct args *a)
{
    strlist_clear(&a->names);
    strlist_clear(&a->values);
    strlist_clear(&a->rest);
}

static const struct arg_spec *find(const struct arg_spec *specs, size_t n, const char *arg,
                                   size_t len)
{
    for (size_t i = 0; i < n; i++) {
        bool is_long = str_starts(arg, "--") && strlen(specs[i].name) == len - 2 &&
                       memcmp(specs[i].name, arg + 2, len - 2) == 0;

        if (is_long || (specs[i].alias && len == 2 && arg[0] == '-' && arg[1] == specs[i].alias))
            return &specs[i];
    }
    return NULL;
}

/* The value of spec at *i: after "=", or the next word, which *i then moves to. */
static struct err *take_value(const struct arg_spec *spec, const char *equals, char *const *argv,
                              size_t *i, const char **ret)
{
    *ret = "";
    if (spec->kind == ARG_FLAG && equals)
        return err_new(ERR_BADINPUT, "The argument '--%s' wasn't expected to have a value",
                       spec->name);
    if (spec->kind == ARG_FLAG)
        return NULL;
    if (equals) {
        *ret = equals + 1;
    } else if (argv[*i + 1] && !str_starts(argv[*i + 1], "--")) {
        *ret = argv[++*i];
    } else if (spec->kind == ARG_VALUE) {
        return err_new(ERR_BADINPUT,
                       "The argument '--%s <%s>' requires a value but none was supplied",
                       spec->name, spec->value);
    }
    return NULL;
}

struct err *args_parse(const struct arg_spec *specs, size_t n, char *const *argv, struct args *ret)
{
    AUTO(args_clear) struct args a = {0};
    size_t i = 1;

    for (; argv[i] && argv[i][0] == '-' && argv[i][1]; i++) {
        const char *arg = argv[i], *equals = strchr(arg, '='), *value;
        size_t len = equals ? (size_t)(equals - arg) : strlen(arg);
        const struct arg_spec *spec = find(specs, n, arg, len);

        if (!spec)
            return err_new(ERR_BADINPUT,
                           "Found argument '%.*s' which wasn't expected, or isn't valid in this "
                           "context",
                           (int)len, arg);
        TRY(take_value(spec, equals, argv, &i, &value));
        strlist_add(&a.names, spec->name);
        strlist_add(&a.values, value);
    }
    for (; argv[i]; i++)
        strlist_add(&a.rest, argv[i]);
    *ret = a;
    a = (struct args){0};
    return NULL;
}

bool args_has(const struct args *a, const char *name)
{
    return strlist_has(&a->names, name);
}

const char *args_get(const struct args *a, const char *name, const char *fallback)
{
    for (size_t i = a->names.n; i-- > 0;)
        if (str_eq(a->names.items[i], name))
            return a->values.items[i];
    return fallback;
}

void args_all(const struct args *a, const char *name, struct strlist *ret)
{
    for (size_t i = 0; i < a->names.n; i++)
        if (str_eq(a->names.items[i], name))
            strlist_add(ret, a->values.items[i]);
}

struct err *args_u64(const struct args *a, const char *name, uint64_t min, uint64_t max,
                     uint64_t fallback, uint64_t *ret)
{
    const char *text = args_get(a, name, NULL);

    if (!text || !*text) {
        *ret = fallback;
        return NULL;
    }
    TRY_CTX(parse_u64(text, min, max, ret), "Invalid value for '--%s'", name);
    return NULL;
}
