/* Lines of /etc/fstab: ours from the config, and those of others that are taken over, which stay in
 * their place as comments. No option here makes systemd require a unit that somebody may stop: a
 * stop of zfs-mount.service, say, would then unmount the bind under a running validator. */
#include "stage/fstab_lines.h"

#include <stdlib.h>
#include <string.h>

#include "stage/ramdisk.h"

/* Importing a pool of many disks takes minutes, and a disk may take 40 s. Nobody but Docker and the
 * others that need it waits (nofail): a short wait would save nothing, and cost a boot without a
 * validator. The RAM disk's device may be made only after the volume is there, when agavectl or its
 * config lies on that; when it cannot be made, its unit fails, and the mount with it, without a
 * wait. */
#define WAIT "300s"

/* fstab(5): what would end a field. */
static void put_field(struct strbuf *b, const char *text)
{
    for (const char *p = text; *p; p++) {
        if (strchr(" \t\n\\", *p))
            strbuf_printf(b, "\\%03o", (unsigned)(unsigned char)*p);
        else
            strbuf_add(b, p, 1);
    }
}

static bool is_zvol(const char *device)
{
    return str_starts(device, "/dev/zvol/");
}

static char *line_of(const char *spec, const char *target, const char *type,
                     const struct strbuf *options)
{
    struct strbuf b = {0};

    put_field(&b, spec);
    strbuf_puts(&b, " ");
    put_field(&b, target);
    strbuf_printf(&b, " %s %s 0 0", type, strbuf_text(options));
    return strbuf_take(&b);
}

static char *volume_line(const struct config *cfg, const struct fstab_facts *f)
{
    AUTO(strbuf_clear) struct strbuf o = {0};

    if (!f->volume)
        return NULL;
    strbuf_puts(&o, "noatime,nofail,x-systemd.device-timeout=");
    strbuf_puts(&o, is_zvol(f->volume) ? WAIT ",x-systemd.after=zfs-volume-wait.service" : WAIT);
    return line_of(f->volume, cfg->storage.volume.mount, "xfs", &o);
}

static char *ramdisk_line(const struct config *cfg, const struct fstab_facts *f)
{
    AUTO(strbuf_clear) struct strbuf o = {0};

    if (!ramdisk_is_mount(cfg) || !f->ramdisk_options)
        return NULL;
    strbuf_printf(&o, "%s,nofail", f->ramdisk_options);
    if (ramdisk_is_device(cfg) && f->formatter)
        strbuf_printf(&o, ",x-systemd.requires=%s", f->formatter);
    if (ramdisk_is_device(cfg))
        strbuf_puts(&o, ",x-systemd.device-timeout=" WAIT);
    return line_of(ramdisk_source(cfg), cfg->storage.ramdisk.mount, ramdisk_fstype(cfg), &o);
}

/* What is mounted below the volume must be there before it is bound; the volume itself is waited
 * for because it is the source. */
static char *bind_line(const struct config *cfg, const struct fstab_facts *f)
{
    AUTO(strbuf_clear) struct strbuf o = {0};

    if (!*cfg->storage.bind)
        return NULL;
    strbuf_puts(&o, "rbind,rslave,rshared,nofail,x-systemd.requires-mounts-for=");
    put_field(&o, ramdisk_is_mount(cfg) ? cfg->storage.ramdisk.mount : cfg->storage.volume.mount);
    strbuf_puts(&o, f->zfs ? ",x-systemd.after=zfs-mount.service" : "");
    return line_of(cfg->storage.volume.mount, cfg->storage.bind, "none", &o);
}

char *fstab_line(const struct config *cfg, const struct fstab_facts *f, enum fstab_place p)
{
    static char *(*const lines[])(const struct config *, const struct fstab_facts *) = {
        [FSTAB_VOLUME] = volume_line,
        [FSTAB_RAMDISK] = ramdisk_line,
        [FSTAB_BIND] = bind_line,
    };

    return lines[p](cfg, f);
}

/* Options that ours has as well in another form, or that say what is so anyway. */
static bool says_nothing(const char *option)
{
    static const char *const plain[] = {
        "defaults", "rw",    "auto", "noatime", "relatime", "nodiratime", "nofail",
        "_netdev",  "rbind", "bind", "rslave",  "rshared",  "slave",      "shared",
        "async",    "dev",   "suid", "exec",    "nouser",   "inode64",    "attr2",
    };
    static const char *const starting[] = {
        "x-systemd.device-timeout=",
        "x-systemd.requires-mounts-for=",
        "x-systemd.mount-timeout=",
        "x-systemd.before=",
        "comment=",
        "x-systemd.makefs",
    };

    for (size_t i = 0; i < ARRAY_LEN(plain); i++)
        if (str_eq(option, plain[i]))
            return true;
    for (size_t i = 0; i < ARRAY_LEN(starting); i++)
        if (str_starts(option, starting[i]))
            return true;
    return false;
}

/* A unit that it waits for: ours waits for it too, or it has nothing to do any more. */
static bool waits_for_nothing(const char *option, const struct fstab_entry *ours,
                              const struct strlist *turned_off)
{
    static const char *const keys[] = {
        "x-systemd.requires=", "x-systemd.after=", "x-systemd.wants="};

    for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
        if (!str_starts(option, keys[i]))
            continue;
        const char *unit = option + strlen(keys[i]);
        AUTO(strlist_clear) struct strlist after = {0};

        fstab_option_all(ours, "x-systemd.after", &after);
        fstab_option_all(ours, "x-systemd.requires", &after);
        return strlist_has(turned_off, unit) || strlist_has(&after, unit) ||
               str_starts(unit, "modprobe@") || str_starts(unit, "zfs-") ||
               str_eq(unit, "zfs.target") || str_eq(unit, "local-fs-pre.target") ||
               str_starts(unit, "systemd-modules-load.service") || str_ends(unit, ".mount") ||
               str_ends(unit, ".device");
    }
    return false;
}

static bool has_option(const struct fstab_entry *e, const char *option)
{
    AUTO(strlist_clear) struct strlist all = {0};
    AUTO(freep) char *copy = xstrdup(e->options);
    char *save = NULL;

    for (char *o = strtok_r(copy, ",", &save); o; o = strtok_r(NULL, ",", &save))
        strlist_add(&all, o);
    return strlist_has(&all, option);
}

char *fstab_differs(const struct fstab_entry *theirs, const struct fstab_entry *ours,
                    const struct strlist *turned_off)
{
    AUTO(freep) char *copy = xstrdup(theirs->options);
    char *save = NULL;

    for (char *o = strtok_r(copy, ",", &save); o; o = strtok_r(NULL, ",", &save)) {
        if (has_option(ours, o) || says_nothing(o) || waits_for_nothing(o, ours, turned_off))
            continue;
        return xasprintf("it has the option '%s', which agavectl's line does not have", o);
    }
    return NULL;
}

/* The next whole line, its newline included. */
static size_t line_len(const char *data, size_t n)
{
    const char *nl = memchr(data, '\n', n);

    return nl ? (size_t)(nl - data) + 1 : n;
}

void fstab_adopt(const char *data, size_t n, const uint32_t *lines, size_t n_lines,
                 struct strbuf *ret)
{
    uint32_t line = 1;

    for (size_t at = 0, len; at < n; at += len, line++) {
        bool taken = false;

        len = line_len(data + at, n - at);
        for (size_t i = 0; i < n_lines; i++)
            taken = taken || lines[i] == line;
        strbuf_puts(ret, taken ? FSTAB_ADOPTED : "");
        strbuf_add(ret, data + at, len);
    }
}

void fstab_unadopt(const char *data, size_t n, struct strbuf *ret)
{
    const size_t mark = strlen(FSTAB_ADOPTED);

    for (size_t at = 0, len; at < n; at += len) {
        len = line_len(data + at, n - at);
        size_t skip = len >= mark && memcmp(data + at, FSTAB_ADOPTED, mark) == 0 ? mark : 0;
        strbuf_add(ret, data + at + skip, len - skip);
    }
}
