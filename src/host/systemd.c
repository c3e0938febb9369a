/* What is asked of a running systemd, by D-Bus. Its unit files are host/unit_file's; nothing here
 * starts or stops a unit. The manager's private socket is asked first: it is there without a bus
 * daemon, and root may use it. */
#include "host/systemd.h"

#include <ctype.h>
#include <errno.h>
#include <systemd/sd-bus.h>

#include "base/str.h"
#include "io/fsroot.h"

#define RELOAD_TIMEOUT_US (90U * 1000 * 1000)
#define BUS_NAME          "org.freedesktop.systemd1"
#define MANAGER_PATH      "/org/freedesktop/systemd1"
#define MANAGER           "org.freedesktop.systemd1.Manager"

/* sd_bus_open of systemctl 252 tries them in this order. private: no daemon between, so that there
 * is no Hello. */
static const struct {
    const char *path;
    bool private;
} sockets[] = {
    {"/run/systemd/private", true},
    {"/run/dbus/system_bus_socket", false},
};

static void bus_freep(sd_bus **b)
{
    sd_bus_close_unref(*b);
}

struct err *systemd_booted(struct ctx *ctx, bool *ret)
{
    struct stat st;
    struct err *e = fsroot_stat(ctx->root, "/run/systemd/system", &st);

    if (e && e->kind == ERR_NOTFOUND) {
        *ret = false;
        return err_free(e);
    }
    TRY(e);
    *ret = S_ISDIR(st.st_mode);
    return NULL;
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

static struct err *open_bus(struct ctx *ctx, sd_bus **ret)
{
    int rc = -ENOENT;

    for (size_t i = 0; i < ARRAY_LEN(sockets); i++) {
        AUTO(freep) char *path = fsroot_path(ctx->root, sockets[i].path);
        AUTO(freep) char *address = address_of(path);

        rc = connect_to(address, sockets[i].private, ret);
        if (rc >= 0)
            return NULL;
    }
    if (rc == -EACCES || rc == -EPERM)
        return err_new(ERR_REFUSED, "systemd may not be asked; run this as root");
    return err_new_(__FILE__, __LINE__, ERR_ABSENT, -rc, 0,
                    "systemd does not answer on '%s' or '%s'", sockets[0].path, sockets[1].path);
}

static struct err *call_failed(int rc, const sd_bus_error *error, const char *what)
{
    AUTO(freep) char *why = error->message ? str_shown(error->message, 200) : NULL;
    const char *text = why ? why : strerror(-rc);

    if (rc == -ETIMEDOUT || sd_bus_error_has_name(error, SD_BUS_ERROR_NO_REPLY))
        return err_new(ERR_TIMEOUT, "systemd did not %s in time: %s", what, text);
    /* not by rc: D-Bus's plain Failed becomes EACCES */
    if (sd_bus_error_has_name(error, SD_BUS_ERROR_ACCESS_DENIED) ||
        sd_bus_error_has_name(error, SD_BUS_ERROR_INTERACTIVE_AUTHORIZATION_REQUIRED))
        return err_new(ERR_REFUSED, "systemd would not %s: %s; run this as root", what, text);
    return err_remote(-rc, "systemd did not %s: %s", what, text);
}

struct err *systemd_reload(struct ctx *ctx)
{
    AUTO(bus_freep) sd_bus *bus = NULL;
    sd_bus_error error = SD_BUS_ERROR_NULL;
    sd_bus_message *call = NULL;
    bool booted = false;

    TRY(systemd_booted(ctx, &booted));
    if (!booted)
        return NULL;
    TRY(open_bus(ctx, &bus));
    int rc = sd_bus_message_new_method_call(bus, &call, BUS_NAME, MANAGER_PATH, MANAGER, "Reload");
    if (rc >= 0)
        rc = sd_bus_call(bus, call, RELOAD_TIMEOUT_US, &error, NULL);
    struct err *e = rc < 0 ? call_failed(rc, &error, "read its files again") : NULL;
    sd_bus_error_free(&error);
    sd_bus_message_unref(call);
    return e;
}
