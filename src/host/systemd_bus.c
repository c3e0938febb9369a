/* D-Bus as far as systemd's manager needs it: the only file that knows sd-bus. What an answer means
 * is for the callers; here it becomes JSON. */
#include "host/systemd_bus.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-bus.h>

#include "base/str.h"
#include "io/clock.h"
#include "io/fsroot.h"

#define READ_US      (5U * 1000 * 1000)
#define SLICE_US     (100U * 1000) /* how late an interrupt may be seen */
#define DEPTH_MAX    8             /* an ExecStart is five deep */
#define BUS_NAME     "org.freedesktop.systemd1"
#define MANAGER_PATH "/org/freedesktop/systemd1"
#define MANAGER      "org.freedesktop.systemd1.Manager"

/* sd_bus_open of systemctl 252 tries them in this order. private: no daemon between, so that there
 * is no Hello. */
static const struct {
    const char *path;
    bool private;
} sockets[] = {
    {"/run/systemd/private", true},
    {"/run/dbus/system_bus_socket", false},
};

struct sysbus {
    sd_bus *bus;
    bool private;
};

struct sysbus_job {
    struct sysbus *b;
    sd_bus_slot *slot;
    char *path, *result; /* NULL: still under way */
};

static void bus_freep(sd_bus **b)
{
    sd_bus_close_unref(*b);
}

static void message_freep(sd_bus_message **m)
{
    sd_bus_message_unref(*m);
}

/* D-Bus Specification 0.38, "Server Addresses": what else is written as %XX. */
static char *address_of(const char *path)
{
    struct strbuf b = {0};

    strbuf_puts(&b, "unix:path=");
    for (const char *p = path; *p; p++) {
        unsigned char c = (unsigned char)*p;

        if (isalnum(c) || strchr("-_/.", c))
            strbuf_add(&b, p, 1);
        else
            strbuf_printf(&b, "%%%02x", c);
    }
    return strbuf_take(&b);
}

/* 0 or -errno. */
static int connect_to(const char *address, bool private, sd_bus **ret)
{
    AUTO(bus_freep) sd_bus *b = NULL;
    int rc = sd_bus_new(&b);

    if (rc >= 0)
        rc = sd_bus_set_address(b, address);
    if (rc >= 0 && !private)
        rc = sd_bus_set_bus_client(b, 1);
    if (rc >= 0)
        rc = sd_bus_start(b);
    if (rc < 0)
        return rc;
    *ret = TAKE(b);
    return 0;
}

struct err *sysbus_open(struct ctx *ctx, struct sysbus **ret)
{
    bool denied = false;
    int rc = -ENOENT;

    for (size_t i = 0; i < ARRAY_LEN(sockets); i++) {
        AUTO(freep) char *path = fsroot_path(ctx->root, sockets[i].path);
        AUTO(freep) char *address = address_of(path);
        sd_bus *bus = NULL;

        rc = connect_to(address, sockets[i].private, &bus);
        denied |= rc == -EACCES || rc == -EPERM;
        if (rc < 0)
            continue;
        *ret = xcalloc(1, sizeof(**ret));
        **ret = (struct sysbus){.bus = bus, .private = sockets[i].private};
        return NULL;
    }
    if (denied)
        return err_new(ERR_REFUSED, "systemd may not be asked; run this as root");
    return err_new_(__FILE__, __LINE__, ERR_ABSENT, -rc, 0,
                    "systemd does not answer on '%s' or '%s'", sockets[0].path, sockets[1].path);
}

struct sysbus *sysbus_close(struct sysbus *b)
{
    if (b)
        sd_bus_flush_close_unref(b->bus);
    free(b);
    return NULL;
}

void sysbus_closep(struct sysbus **b)
{
    *b = sysbus_close(*b);
}

static bool is_named(const sd_bus_error *error, const char *const *names)
{
    for (; *names; names++)
        if (sd_bus_error_has_name(error, *names))
            return true;
    return false;
}

static struct err *call_failed(int rc, const sd_bus_error *error, const char *what)
{
    /* not by rc: D-Bus's plain Failed becomes EACCES */
    static const char *const denied[] = {SD_BUS_ERROR_ACCESS_DENIED,
                                         SD_BUS_ERROR_INTERACTIVE_AUTHORIZATION_REQUIRED, NULL};
    static const char *const missing[] = {BUS_NAME ".NoSuchUnit", BUS_NAME ".NoSuchJob", NULL};
    static const char *const masked[] = {BUS_NAME ".UnitMasked", BUS_NAME ".ShuttingDown", NULL};
    static const char *const late[] = {SD_BUS_ERROR_NO_REPLY, SD_BUS_ERROR_TIMEOUT, NULL};
    AUTO(freep) char *why = error->message ? str_shown(error->message, 200) : NULL;
    const char *text = why ? why : strerror(-rc);

    if (rc == -ETIMEDOUT || is_named(error, late))
        return err_new(ERR_TIMEOUT, "systemd did not %s in time: %s", what, text);
    if (is_named(error, denied))
        return err_new(ERR_REFUSED, "systemd would not %s: %s; run this as root", what, text);
    if (is_named(error, missing))
        return err_new(ERR_NOTFOUND, "systemd did not %s: %s", what, text);
    if (is_named(error, masked))
        return err_new(ERR_REFUSED, "systemd would not %s: %s", what, text);
    return err_remote(-rc, "systemd did not %s: %s", what, text);
}

/* object, interface, member; args: all of them texts. */
static struct err *call(struct sysbus *b, const char *const to[3], const char *const *args,
                        uint64_t timeout_us, const char *what, sd_bus_message **ret)
{
    AUTO(message_freep) sd_bus_message *m = NULL;
    sd_bus_error error = SD_BUS_ERROR_NULL;
    int rc = sd_bus_message_new_method_call(b->bus, &m, BUS_NAME, to[0], to[1], to[2]);

    for (; rc >= 0 && args && *args; args++)
        rc = sd_bus_message_append_basic(m, 's', *args);
    if (rc >= 0)
        rc = sd_bus_call(b->bus, m, timeout_us, &error, ret);
    struct err *e = rc < 0 ? call_failed(rc, &error, what) : NULL;
    sd_bus_error_free(&error);
    return e;
}

static struct err *nonsense(int rc, const char *what)
{
    return err_remote(rc < 0 ? -rc : 0, "systemd's answer to '%s' cannot be read: %s", what,
                      rc < 0 ? strerror(-rc) : "it is of another type");
}

struct err *sysbus_call(struct sysbus *b, const char *method, const char *const *args,
                        uint32_t timeout_ms, const char *what, char **ret_text)
{
    AUTO(message_freep) sd_bus_message *m = NULL;
    const char *text = NULL;
    char type;

    TRY(call(b, (const char *const[]){MANAGER_PATH, MANAGER, method}, args,
             (uint64_t)timeout_ms * 1000, what, &m));
    if (!ret_text)
        return NULL;
    int rc = sd_bus_message_peek_type(m, &type, NULL);
    if (rc > 0 && (type == 's' || type == 'o'))
        rc = sd_bus_message_read_basic(m, type, &text);
    if (rc <= 0 || !text)
        return nonsense(rc, method);
    *ret_text = xstrdup(text);
    return NULL;
}

/* --- an answer as JSON --- */

static int value(sd_bus_message *m, unsigned depth, struct json **ret);

static struct json *of_signed(int64_t v)
{
    return v < 0 ? json_new_f64((double)v) : json_new_u64((uint64_t)v);
}

static int basic(sd_bus_message *m, char type, struct json **ret)
{
    union {
        uint8_t y;
        int b; /* a boolean is an int here */
        int16_t n;
        uint16_t q;
        int32_t i;
        uint32_t u;
        int64_t x;
        uint64_t t;
        double d;
        const char *s;
    } v = {0};
    int rc = sd_bus_message_read_basic(m, type, &v);

    if (rc <= 0)
        return rc < 0 ? rc : -EBADMSG;
    *ret = type == 'b'   ? json_new_bool(v.b != 0)
           : type == 'y' ? json_new_u64(v.y)
           : type == 'q' ? json_new_u64(v.q)
           : type == 'u' ? json_new_u64(v.u)
           : type == 't' ? json_new_u64(v.t)
           : type == 'n' ? of_signed(v.n)
           : type == 'i' ? of_signed(v.i)
           : type == 'x' ? of_signed(v.x)
           : type == 'd' ? json_new_f64(v.d)
           : type == 'h' ? NULL /* a descriptor says nothing here */
                         : json_new_str(v.s);
    return 0;
}

static int bytes(sd_bus_message *m, struct json **ret)
{
    AUTO(strbuf_clear) struct strbuf hex = {0};
    const void *data = NULL;
    size_t n = 0;
    int rc = sd_bus_message_read_array(m, 'y', &data, &n);

    for (size_t i = 0; rc >= 0 && i < n; i++)
        strbuf_printf(&hex, "%02x", ((const uint8_t *)data)[i]);
    if (rc >= 0)
        *ret = json_new_str(strbuf_text(&hex));
    return rc < 0 ? rc : 0;
}

/* What is left of the container that was entered. */
static int members(sd_bus_message *m, unsigned depth, struct json *to)
{
    int rc;

    while ((rc = sd_bus_message_at_end(m, 0)) == 0) {
        struct json *v = NULL;

        rc = value(m, depth, &v);
        if (rc < 0)
            return rc;
        json_push(to, v);
    }
    return rc < 0 ? rc : 0;
}

static int entry(sd_bus_message *m, unsigned depth, struct json *to)
{
    const char *key = NULL;
    struct json *v = NULL;
    int rc = sd_bus_message_enter_container(m, 'e', NULL);

    if (rc > 0)
        rc = sd_bus_message_read_basic(m, 's', &key);
    if (rc > 0)
        rc = value(m, depth, &v);
    if (rc < 0)
        return rc;
    json_put(to, key, v);
    return sd_bus_message_exit_container(m);
}

static int dictionary(sd_bus_message *m, unsigned depth, struct json *to)
{
    int rc;

    while ((rc = sd_bus_message_at_end(m, 0)) == 0) {
        rc = entry(m, depth, to);
        if (rc < 0)
            return rc;
    }
    return rc < 0 ? rc : 0;
}

static int container(sd_bus_message *m, char type, const char *contents, unsigned depth,
                     struct json **ret)
{
    AUTO(json_freep) struct json *all = NULL;
    bool dict = type == 'a' && str_starts(contents, "{s");
    int rc = sd_bus_message_enter_container(m, type, contents);

    if (rc < 0)
        return rc;
    if (type == 'v') {
        rc = value(m, depth, &all);
    } else {
        all = dict ? json_new_object() : json_new_array();
        rc = dict ? dictionary(m, depth, all) : members(m, depth, all);
    }
    if (rc >= 0)
        rc = sd_bus_message_exit_container(m);
    if (rc >= 0)
        *ret = TAKE(all);
    return rc;
}

static int value(sd_bus_message *m, unsigned depth, struct json **ret)
{
    const char *contents = NULL;
    char type;
    int rc = sd_bus_message_peek_type(m, &type, &contents);

    if (rc <= 0)
        return rc < 0 ? rc : -EBADMSG;
    if (type == 'a' && str_eq(contents, "y"))
        return bytes(m, ret);
    if (!strchr("avre", type))
        return basic(m, type, ret);
    return depth ? container(m, type, contents, depth - 1, ret) : -EMSGSIZE;
}

struct err *sysbus_properties(struct sysbus *b, const char *object, const char *interface,
                              struct json **ret)
{
    AUTO(message_freep) sd_bus_message *m = NULL;
    AUTO(json_freep) struct json *j = NULL;

    TRY(call(b, (const char *const[]){object, "org.freedesktop.DBus.Properties", "GetAll"},
             (const char *const[]){interface, NULL}, READ_US, "tell about the unit", &m));
    int rc = value(m, DEPTH_MAX, &j);
    if (rc < 0 || !json_is_object(j))
        return nonsense(rc, interface);
    *ret = TAKE(j);
    return NULL;
}

/* --- jobs --- */

/* JobRemoved: number, object path, unit, result. One that comes before the answer with our path
 * waits in sd-bus until it is processed. */
static int on_removed(sd_bus_message *m, void *arg, sd_bus_error *error)
{
    struct sysbus_job *j = arg;
    const char *path, *unit, *result;
    uint32_t number;

    (void)error;
    if (sd_bus_message_read(m, "uoss", &number, &path, &unit, &result) < 0)
        return 0;
    if (str_eq(j->path, path)) {
        free(j->result);
        j->result = xstrdup(result);
    }
    return 0;
}

void sysbus_job_freep(struct sysbus_job **p)
{
    struct sysbus_job *j = *p;

    *p = NULL;
    if (!j)
        return;
    sd_bus_slot_unref(j->slot);
    free(j->path);
    free(j->result);
    free(j);
}

struct err *sysbus_job_begin(struct sysbus *b, const char *method, const char *unit,
                             const char *what, struct sysbus_job **ret)
{
    AUTO(sysbus_job_freep) struct sysbus_job *j = xcalloc(1, sizeof(*j));
    const char *const args[] = {unit, "replace", NULL};

    j->b = b;
    int rc = sd_bus_match_signal(b->bus, &j->slot, b->private ? NULL : BUS_NAME, MANAGER_PATH,
                                 MANAGER, "JobRemoved", on_removed, j);
    if (rc < 0)
        return err_remote(-rc, "systemd's signals cannot be had");
    if (!b->private) /* its own connections get them all */
        TRY(sysbus_call(b, "Subscribe", NULL, READ_US / 1000, "tell of its jobs", NULL));
    TRY(sysbus_call(b, method, args, 30000, what, &j->path));
    *ret = TAKE(j);
    return NULL;
}

struct err *sysbus_job_wait(struct ctx *ctx, struct sysbus_job *j, uint32_t ms,
                            const char **ret_result)
{
    uint64_t deadline_ns = deadline_in_ms(ctx, ms);

    while (!j->result) {
        int rc = sd_bus_process(j->b->bus, NULL);

        if (rc < 0)
            return err_remote(-rc, "the connection to systemd broke");
        if (rc > 0)
            continue;
        if (ctx_cancelled(ctx))
            return err_new(ERR_CANCELLED, "interrupted while systemd was at work");
        if (deadline_passed(ctx, deadline_ns))
            break;
        rc = sd_bus_wait(j->b->bus, SLICE_US);
        if (rc < 0 && rc != -EINTR)
            return err_remote(-rc, "the connection to systemd broke");
    }
    *ret_result = j->result;
    return NULL;
}
