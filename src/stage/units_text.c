/* The text of what is written for systemd: pure, from the config and a few facts. Each line was
 * needed at a real reboot, or keeps a running validator from being ended; docs/boot.md says why. No
 * Requires= or BindsTo= names a unit of ours: a stop of ours would then be a stop of Docker. */
#include "stage/units_text.h"

#include <inttypes.h>
#include <stdlib.h>

#include "host/unit_file.h"
#include "look/boot_proof.h"
#include "stage/ramdisk.h"

#define MAN "Documentation=man:agavectl(1)\n"

void units_files_clear(struct units_files *f)
{
    for (size_t i = 0; i < f->n; i++) {
        free(f->items[i].path);
        free(f->items[i].text);
        free(f->items[i].link);
    }
    free(f->items);
    *f = (struct units_files){0};
}

const struct units_file *units_files_find(const struct units_files *f, const char *path)
{
    for (size_t i = 0; i < f->n; i++)
        if (str_eq(f->items[i].path, path))
            return &f->items[i];
    return NULL;
}

char *units_mount_unit(const char *path)
{
    AUTO(freep) char *stem = unit_path_escape(path);

    return xasprintf("%s.mount", stem);
}

static bool is_below(const char *path, const char *folder)
{
    size_t n = strlen(folder);

    return strncmp(path, folder, n) == 0 && path[n] == '/';
}

/* What is mounted at boot and must be there, each once. */
static void add_places(const struct config *cfg, struct strlist *ret)
{
    if (*cfg->storage.volume.device)
        strlist_add(ret, cfg->storage.volume.mount);
    if (ramdisk_is_mount(cfg))
        strlist_add(ret, cfg->storage.ramdisk.mount);
    if (*cfg->storage.bind)
        strlist_add(ret, cfg->storage.bind);
}

void units_mount_points(const struct config *cfg, struct strlist *ret)
{
    const char *volume = cfg->storage.volume.mount, *ramdisk = cfg->storage.ramdisk.mount;

    if (*cfg->storage.kind_root && *cfg->storage.kind_dataset)
        strlist_add(ret, cfg->storage.kind_root);
    add_places(cfg, ret);
    if (*cfg->storage.bind && ramdisk_is_mount(cfg) && is_below(ramdisk, volume))
        strlist_addf(ret, "%s%s", cfg->storage.bind, ramdisk + strlen(volume));
}

/* A word of ExecStart= or of a list of paths: systemd.syntax(7) and systemd.unit(5), "Specifiers".
 * command: a dollar sign would be a variable. */
static void put_word(struct strbuf *b, const char *word, bool command)
{
    bool quote = strpbrk(word, " \t\"'\\;") != NULL;

    strbuf_puts(b, quote ? "\"" : "");
    for (const char *p = word; *p; p++) {
        bool twice = *p == '%' || (command && *p == '$');

        if (*p == '"' || *p == '\\')
            strbuf_puts(b, "\\");
        strbuf_add(b, p, 1);
        if (twice)
            strbuf_add(b, p, 1);
    }
    strbuf_puts(b, quote ? "\"" : "");
}

static void put_exec(struct strbuf *b, const char *key, const struct units_facts *f,
                     const char *what)
{
    strbuf_printf(b, "%s=", key);
    put_word(b, f->program, true);
    if (f->config) {
        strbuf_puts(b, " --config ");
        put_word(b, f->config, true);
    }
    strbuf_printf(b, " boot %s\n", what);
}

static void put_units(struct strbuf *b, const char *key, const struct strlist *units)
{
    if (!units->n)
        return;
    strbuf_printf(b, "%s=", key);
    for (size_t i = 0; i < units->n; i++)
        strbuf_printf(b, "%s%s", i ? " " : "", units->items[i]);
    strbuf_puts(b, "\n");
}

static void add_mount_units(const struct config *cfg, struct strlist *ret)
{
    AUTO(strlist_clear) struct strlist places = {0};

    add_places(cfg, &places);
    for (size_t i = 0; i < places.n; i++) {
        AUTO(freep) char *unit = units_mount_unit(places.items[i]);

        strlist_add(ret, unit);
    }
}

static void add_consumers(const struct units_facts *f, struct strlist *ret)
{
    if (f->docker)
        strlist_add(ret, "docker.service");
    if (f->kubelet)
        strlist_add(ret, "kubelet.service");
    if (f->validator && !strlist_has(ret, f->validator))
        strlist_add(ret, f->validator);
}

/* A device that is only named in the config may have been made by the unit that ours takes the
 * place of. */
static const char *module_of(const struct config *cfg)
{
    const char *module = ramdisk_module(cfg), *device = cfg->storage.ramdisk.device;

    if (!module && str_starts(device, "/dev/ram"))
        module = "brd";
    if (!module && str_starts(device, "/dev/zram"))
        module = "zram";
    return module;
}

/* Before local-fs.target not all file systems are there: it waits for that of its program. */
static void put_needed(struct strbuf *b, const struct units_facts *f)
{
    strbuf_puts(b, "RequiresMountsFor=");
    put_word(b, f->program, false);
    if (f->config) {
        strbuf_puts(b, " ");
        put_word(b, f->config, false);
    }
    strbuf_puts(b, "\n");
}

/* Without DefaultDependencies=no it would wait for local-fs.target, which waits for the mount. Nor
 * does local-fs.target wait for it: the config may lie on the volume, and the host is reachable
 * before a slow one is there. The mount requires it, so a stop of it would unmount the RAM disk:
 * only a shutdown stops it. */
static void ramdisk_text(const struct config *cfg, const struct units_facts *f, struct strbuf *b)
{
    AUTO(freep) char *mount = units_mount_unit(cfg->storage.ramdisk.mount);
    const char *module = module_of(cfg);

    strbuf_puts(b, "[Unit]\nDescription=A blank RAM disk for the validator's accounts\n" MAN
                   "DefaultDependencies=no\n");
    put_needed(b, f);
    strbuf_puts(b, "After=systemd-modules-load.service\n");
    if (module)
        strbuf_printf(b, "Wants=modprobe@%s.service\nAfter=modprobe@%s.service\n", module, module);
    strbuf_printf(b,
                  "Before=%s shutdown.target\nConflicts=shutdown.target\n"
                  "RefuseManualStop=yes\n\n[Service]\nType=oneshot\nRemainAfterExit=yes\n",
                  mount);
    put_exec(b, "ExecStart", f, "format");
    strbuf_puts(b, "TimeoutStartSec=300\n");
}

/* Wants= of the mounts, so that it also runs, and says so, when one of them failed. */
static void boot_text(const struct config *cfg, const struct units_facts *f, struct strbuf *b)
{
    AUTO(strlist_clear) struct strlist mounts = {0};
    AUTO(strlist_clear) struct strlist before = {0};

    add_mount_units(cfg, &mounts);
    add_consumers(f, &before);
    strbuf_puts(b, "[Unit]\nDescription=Is the validator's storage that of this boot\n" MAN);
    put_units(b, "Wants", &mounts);
    put_units(b, "After", &mounts);
    put_units(b, "Before", &before);
    strbuf_puts(b, "RefuseManualStop=yes\n\n[Service]\nType=oneshot\nRemainAfterExit=yes\n");
    put_exec(b, "ExecStart", f, "finish");
    put_exec(b, "ExecStop", f, "leave");
    strbuf_puts(b, "TimeoutStartSec=600\nTimeoutStopSec=60\n\n[Install]\n"
                   "WantedBy=multi-user.target\n");
}

static void seen_text(const struct config *cfg, const struct units_facts *f, struct strbuf *b)
{
    strbuf_puts(b, "[Unit]\nDescription=Do node and pod see the validator's storage\n" MAN
                   "After=" UNITS_BOOT "\n\n[Service]\nType=oneshot\n");
    put_exec(b, "ExecStart", f, "seen");
    strbuf_printf(b, "TimeoutStartSec=%" PRIu64 "\n", cfg->boot.seen_timeout_s + 60);
}

/* A timer and not multi-user.target: the boot would not be finished before node and pod run. */
static void timer_text(const struct config *cfg, const struct units_facts *f, struct strbuf *b)
{
    (void)cfg;
    (void)f;
    strbuf_puts(b, "[Unit]\nDescription=Looks when node and pod see the validator's storage\n" MAN
                   "\n[Timer]\nOnActiveSec=20\nAccuracySec=1\n\n[Install]\n"
                   "WantedBy=timers.target\n");
}

static const char mount_key[] = "RequiresMountsFor";

/* RequiresMountsFor= alone means nothing when the line of fstab is gone: the asserts hold then. */
static void dropin_text(const struct config *cfg, const struct units_facts *f, struct strbuf *b)
{
    AUTO(strlist_clear) struct strlist points = {0};
    AUTO(strlist_clear) struct strlist places = {0};

    (void)f;
    units_mount_points(cfg, &points);
    add_places(cfg, &places);
    strbuf_puts(b, "[Unit]\n");
    if (places.n)
        strbuf_printf(b, "%s=", mount_key);
    for (size_t i = 0; i < places.n; i++) {
        strbuf_puts(b, i ? " " : "");
        put_word(b, places.items[i], false);
    }
    strbuf_puts(b, places.n ? "\n" : "");
    strbuf_puts(b, "Wants=" UNITS_BOOT "\nAfter=" UNITS_BOOT "\n");
    for (size_t i = 0; i < points.n; i++) {
        strbuf_puts(b, "AssertPathIsMountPoint=");
        for (const char *p = points.items[i]; *p; p++)
            strbuf_printf(b, "%s%c", *p == '%' ? "%" : "", *p);
        strbuf_puts(b, "\n");
    }
    strbuf_puts(b, "AssertPathExists=" BOOT_OK_PATH "\n");
}

/* For somebody else's unit that formats the RAM disk, and that one line or link may still start: it
 * comes after ours, and is not run when ours is. Both at once would be two mkfs on one device. */
static void yield_text(const struct config *cfg, const struct units_facts *f, struct strbuf *b)
{
    (void)cfg;
    (void)f;
    strbuf_puts(b, "[Unit]\nAfter=" UNITS_RAMDISK "\nConditionPathExists=!" BOOT_FORMATS_PATH "\n");
}

static bool always(const struct config *cfg, const struct units_facts *f)
{
    return true;
}

static bool with_device(const struct config *cfg, const struct units_facts *f)
{
    return ramdisk_is_device(cfg);
}

static bool with_docker(const struct config *cfg, const struct units_facts *f)
{
    return f->docker;
}

static bool with_kubelet(const struct config *cfg, const struct units_facts *f)
{
    return f->kubelet;
}

static bool with_validator(const struct config *cfg, const struct units_facts *f)
{
    return f->validator != NULL;
}

static bool with_formatter(const struct config *cfg, const struct units_facts *f)
{
    return ramdisk_is_device(cfg) && f->formatter;
}

/* The one table, in the order of writing: what a drop-in waits for is there before the drop-in, and
 * all of it before the line of fstab. A "%s" of a name is the validator's service, "%f" somebody
 * else's that formats. */
static const struct {
    const char *name;
    bool (*when)(const struct config *cfg, const struct units_facts *f);
    void (*text)(const struct config *cfg, const struct units_facts *f, struct strbuf *b);
    const char *link; /* in place of text */
} parts[] = {
    {UNITS_RAMDISK, with_device, ramdisk_text, NULL},
    {UNITS_BOOT, always, boot_text, NULL},
    {UNITS_SEEN ".service", always, seen_text, NULL},
    {UNITS_SEEN ".timer", always, timer_text, NULL},
    {"multi-user.target.wants/" UNITS_BOOT, always, NULL, "../" UNITS_BOOT},
    {"timers.target.wants/" UNITS_SEEN ".timer", always, NULL, "../" UNITS_SEEN ".timer"},
    {"%f.d/" UNITS_YIELD, with_formatter, yield_text, NULL},
    {"docker.service.d/" UNITS_DROPIN, with_docker, dropin_text, NULL},
    {"kubelet.service.d/" UNITS_DROPIN, with_kubelet, dropin_text, NULL},
    {"%s.d/" UNITS_DROPIN, with_validator, dropin_text, NULL},
};

static char *path_of(const char *name, const struct units_facts *f)
{
    if (*name != '%')
        return xasprintf(UNITS_ETC "/%s", name);
    return xasprintf(UNITS_ETC "/%s%s", name[1] == 's' ? f->validator : f->formatter, name + 2);
}

void units_files_make(const struct config *cfg, const struct units_facts *facts,
                      struct units_files *ret)
{
    for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
        struct strbuf b = {0};
        AUTO(freep) char *path = NULL;

        if (!parts[i].when(cfg, facts))
            continue;
        path = path_of(parts[i].name, facts);
        if (units_files_find(ret, path))
            continue; /* the validator's service is one of the others */
        if (parts[i].text)
            parts[i].text(cfg, facts, &b);
        ret->items = xgrow(ret->items, &ret->cap, ret->n + 1, sizeof(*ret->items));
        ret->items[ret->n++] = (struct units_file){
            .path = TAKE(path),
            .text = parts[i].text ? strbuf_take(&b) : NULL,
            .link = parts[i].link ? xstrdup(parts[i].link) : NULL,
            .dropin = parts[i].text == dropin_text || parts[i].text == yield_text,
        };
    }
}
