/* The identity of a block device, for plans that are carried out later: after a reboot, or a disk
 * that was pulled, the same name may lead to somebody's ledger. Tells devices apart; what they hold
 * is host/block.c's. */
#include "host/block_id.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "base/str.h"
#include "host/block.h"
#include "host/udev.h"
#include "io/fsroot.h"

#define BY_ID       "/dev/disk/by-id"
#define ZVOLS       "/dev/zvol"
#define BRD_MAJOR   1U   /* linux/major.h: RAMDISK_MAJOR */
#define SECTOR_B    512U /* of /sys/block/X/size, whatever the device's own is */
#define SHOWN_MAX   128
#define ENTRIES_MAX 16384U /* looked at in /dev/zvol */

void block_id_clear(struct block_id *b)
{
    free(b->text);
    free(b->stable_name);
    *b = (struct block_id){0};
}

/* Where /sys and /dev have it. */
struct place {
    struct ctx *ctx;
    uint32_t major, minor;
    char *dir;    /* "/sys/devices/…/block/sda/sda1"; NULL: /sys does not know it */
    char *disk;   /* of the whole disk: dir itself, or the folder above a partition */
    char *name;   /* the kernel's: "sda1" */
    char *number; /* of a partition, or NULL */
};
static void place_clear(struct place *p)
{
    free(p->dir);
    free(p->disk);
    free(p->name);
    free(p->number);
}

/* A line of a file that need not be there, without blanks at its ends; *ret NULL: nothing. */
static struct err *line_of(const struct place *p, const char *dir, const char *file, char **ret)
{
    AUTO(freep) char *path = xasprintf("%s/%s", dir, file);
    AUTO(freep) char *line = NULL;
    struct err *e = fsroot_read_line(p->ctx->root, path, &line);

    *ret = NULL;
    /* Some drivers answer with an error where a device has no such thing. */
    if (e && (e->kind == ERR_NOTFOUND || e->kind == ERR_SYS))
        return err_free(e);
    TRY(e);
    size_t from = strspn(line, " \t"), n = strlen(line);
    while (n > from && isspace((unsigned char)line[n - 1]))
        line[--n] = '\0';
    if (n > from)
        *ret = str_shown(line + from, SHOWN_MAX);
    return NULL;
}

static const char *base_of(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash ? slash + 1 : path;
}

static struct err *find_place(struct ctx *ctx, const char *dev, struct place *p)
{
    AUTO(freep) char *link = NULL;
    AUTO(freep) char *real = NULL;
    struct stat st;

    p->ctx = ctx;
    TRY(block_number(ctx, dev, &p->major, &p->minor));
    link = xasprintf("/sys/dev/block/%u:%u", p->major, p->minor);
    struct err *e = fsroot_stat(ctx->root, link, &st);
    if (e && e->kind == ERR_NOTFOUND) { /* the name is what remains */
        err_free(e);
        TRY(fsroot_real(ctx->root, dev, &real));
        p->name = xstrdup(base_of(real));
        return NULL;
    }
    TRY(e);
    TRY(fsroot_real(ctx->root, link, &p->dir));
    p->name = xstrdup(base_of(p->dir));
    TRY(line_of(p, p->dir, "partition", &p->number));
    p->disk = xstrdup(p->dir);
    if (p->number)
        *strrchr(p->disk, '/') = '\0';
    return NULL;
}

static struct err *read_size(const struct place *p, uint64_t *ret_b)
{
    AUTO(freep) char *text = NULL;
    uint64_t sectors = 0;

    *ret_b = 0;
    if (!p->dir)
        return NULL;
    TRY(line_of(p, p->dir, "size", &text));
    if (text)
        TRY_CTX(parse_u64(text, 0, UINT64_MAX / SECTOR_B, &sectors), "%s/size", p->dir);
    *ret_b = sectors * SECTOR_B;
    return NULL;
}

/* ", 3.5 TiB", or nothing. To be freed. */
static char *size_text(uint64_t size_b)
{
    char buf[32];

    return size_b ? xasprintf(", %s", fmt_size(size_b, buf, sizeof(buf))) : xstrdup("");
}

/* The number of a disk's own node, from its folder in /sys. */
static struct err *disk_number(const struct place *p, uint32_t *ret_major, uint32_t *ret_minor)
{
    AUTO(freep) char *text = NULL;
    unsigned int ma = p->major, mi = p->minor;

    if (p->number)
        TRY(line_of(p, p->disk, "dev", &text));
    if (text && sscanf(text, "%u:%u", &ma, &mi) != 2)
        return err_new(ERR_CORRUPT, "%s/dev is '%s', which is no device's number", p->disk, text);
    *ret_major = ma;
    *ret_minor = mi;
    return NULL;
}

static struct err *leads_to(struct ctx *ctx, const char *path, uint32_t major, uint32_t minor,
                            bool *ret, bool *ret_folder)
{
    struct stat st;
    struct err *e = fsroot_stat(ctx->root, path, &st);

    *ret = *ret_folder = false;
    if (e && e->kind == ERR_NOTFOUND) /* a link whose device has gone */
        return err_free(e);
    TRY(e);
    *ret_folder = S_ISDIR(st.st_mode);
    *ret = S_ISBLK(st.st_mode) && major(st.st_rdev) == major && minor(st.st_rdev) == minor;
    return NULL;
}

/* The one link below /dev/zvol that leads to that number; *ret NULL: none does. */
static struct err *zvol_link(struct ctx *ctx, uint32_t major, uint32_t minor, char **ret)
{
    AUTO(strlist_clear) struct strlist dirs = {0};
    size_t seen = 0;

    *ret = NULL;
    strlist_add(&dirs, ZVOLS);
    for (size_t i = 0; i < dirs.n && !*ret; i++) {
        AUTO(strlist_clear) struct strlist names = {0};
        struct err *e = fsroot_list(ctx->root, dirs.items[i], &names);

        if (e && e->kind == ERR_NOTFOUND) {
            err_free(e);
            continue;
        }
        TRY(e);
        for (size_t k = 0; k < names.n && !*ret && seen < ENTRIES_MAX; k++, seen++) {
            AUTO(freep) char *path = xasprintf("%s/%s", dirs.items[i], names.items[k]);
            bool here = false, folder = false;

            TRY(leads_to(ctx, path, major, minor, &here, &folder));
            if (folder)
                strlist_add(&dirs, path);
            if (here)
                *ret = TAKE(path);
        }
    }
    return NULL;
}

/* Names that say most come first; those made of numbers alone, or of what lies on top, last. */
static int rank_of(const char *name)
{
    static const char *const last[] = {"wwn-",  "nvme-eui.", "nvme-nvme.", "nvme-uuid.",
                                       "scsi-", "lvm-pv-",   "dm-",        "md-name-"};

    for (size_t i = 0; i < ARRAY_LEN(last); i++)
        if (str_starts(name, last[i]))
            return 1;
    return 0;
}

static struct err *by_id(const struct place *p, char **ret)
{
    AUTO(strlist_clear) struct strlist names = {0};
    const char *best = NULL;
    struct err *e = fsroot_list(p->ctx->root, BY_ID, &names);

    *ret = NULL;
    if (e && e->kind == ERR_NOTFOUND)
        return err_free(e);
    TRY(e);
    for (size_t i = 0; i < names.n; i++) {
        AUTO(freep) char *path = xasprintf(BY_ID "/%s", names.items[i]);
        bool here = false, folder = false;

        TRY(leads_to(p->ctx, path, p->major, p->minor, &here, &folder));
        if (here && (!best || rank_of(names.items[i]) < rank_of(best)))
            best = names.items[i];
    }
    *ret = best ? xasprintf(BY_ID "/%s", best) : NULL;
    return NULL;
}

static struct err *first_line(const struct place *p, const char *const *files, char **ret)
{
    *ret = NULL;
    for (size_t i = 0; files[i] && !*ret; i++)
        TRY(line_of(p, p->disk, files[i], ret));
    return NULL;
}

static struct err *from_udev(struct ctx *ctx, uint32_t major, uint32_t minor,
                             const char *const *names, char **ret)
{
    AUTO(freep) char *value = NULL;

    *ret = NULL;
    for (size_t i = 0; names[i] && !value; i++)
        TRY(udev_property(ctx, major, minor, names[i], &value));
    *ret = value ? str_shown(value, SHOWN_MAX) : NULL;
    return NULL;
}

/* What a disk is known by; *ret NULL: nothing of its own. The kernel's word first: it is there
 * before udev has looked. An NVMe namespace shares the serial number with its siblings. */
static struct err *serial_of(const struct place *p, char **ret)
{
    static const char *const kernel[] = {"device/serial", "serial", "wwid", "device/wwid", NULL};
    static const char *const udev[] = {"ID_SERIAL_SHORT", "ID_SERIAL", "ID_WWN", NULL};
    AUTO(freep) char *serial = NULL;
    AUTO(freep) char *space = NULL;
    uint32_t ma, mi;

    TRY(first_line(p, kernel, &serial));
    if (!serial) {
        TRY(disk_number(p, &ma, &mi));
        return from_udev(p->ctx, ma, mi, udev, ret);
    }
    if (str_starts(base_of(p->disk), "nvme"))
        TRY(line_of(p, p->disk, "wwid", &space));
    *ret = space && !str_eq(space, serial) ? xasprintf("%s %s", serial, space) : TAKE(serial);
    return NULL;
}

static struct err *disk_text(const struct place *p, struct block_id *b)
{
    AUTO(freep) char *serial = NULL;
    AUTO(freep) char *size = size_text(b->size_b);

    TRY(serial_of(p, &serial));
    b->sure = serial != NULL;
    b->text = serial ? xasprintf("disk '%s'%s", serial, size)
                     : xasprintf("disk %u:%u without a serial number%s", b->major, b->minor, size);
    return NULL;
}

static struct err *loop_text(const struct place *p, struct block_id *b)
{
    AUTO(freep) char *file = NULL;
    AUTO(freep) char *size = size_text(b->size_b);

    TRY(line_of(p, p->disk, "loop/backing_file", &file));
    b->sure = file != NULL;
    b->text = file ? xasprintf("loop device on '%s'%s", file, size)
                   : xasprintf("loop device %u:%u without a file", b->major, b->minor);
    return NULL;
}

/* Known by number and size: there is no more to say of them, and brd's number is its own. */
static struct err *memory_text(const struct place *p, struct block_id *b)
{
    AUTO(freep) char *size = size_text(b->size_b);

    b->sure = b->size_b > 0;
    b->text = b->major == BRD_MAJOR ? block_id_brd_text(b->minor, b->size_b)
                                    : xasprintf("zram %u:%u%s", b->major, b->minor, size);
    return NULL;
}

static struct err *zvol_text(const struct place *p, struct block_id *b)
{
    AUTO(freep) char *link = NULL;
    AUTO(freep) char *size = size_text(b->size_b);
    uint32_t ma, mi;

    TRY(disk_number(p, &ma, &mi));
    TRY(zvol_link(p->ctx, ma, mi, &link));
    b->sure = link != NULL;
    b->text = link ? block_id_zvol_text(link + strlen(ZVOLS "/"))
                   : xasprintf("zvol %u:%u of unknown name%s", b->major, b->minor, size);
    if (!p->number)
        b->stable_name = TAKE(link);
    return NULL;
}

static struct err *made_of_others(const struct place *p, struct block_id *b, const char *what,
                                  const char *const *files, const char *const *udev)
{
    AUTO(freep) char *id = NULL;
    AUTO(freep) char *size = size_text(b->size_b);

    TRY(first_line(p, files, &id));
    if (!id)
        TRY(from_udev(p->ctx, b->major, b->minor, udev, &id));
    b->sure = id != NULL;
    b->text = id ? xasprintf("%s '%s'%s", what, id, size)
                 : xasprintf("%s %u:%u%s", what, b->major, b->minor, size);
    return NULL;
}

static struct err *md_text(const struct place *p, struct block_id *b)
{
    static const char *const files[] = {"md/uuid", NULL}; /* not in every kernel */
    static const char *const udev[] = {"MD_UUID", "MD_NAME", NULL};

    return made_of_others(p, b, "md array", files, udev);
}

static struct err *dm_text(const struct place *p, struct block_id *b)
{
    static const char *const files[] = {"dm/uuid", "dm/name", NULL};
    static const char *const udev[] = {"DM_UUID", "DM_NAME", NULL};

    return made_of_others(p, b, "mapped device", files, udev);
}

/* The kernel's names of whole devices (Documentation/admin-guide/devices.txt of Linux 6.1; "zd" is
 * that of OpenZFS). What is none of these is a disk. */
static const struct {
    const char *prefix;
    enum block_id_kind kind;
    struct err *(*text)(const struct place *p, struct block_id *b);
} kinds[] = {
    {"zd", BLOCK_ID_ZVOL, zvol_text},     {"ram", BLOCK_ID_BRD, memory_text},
    {"zram", BLOCK_ID_ZRAM, memory_text}, {"loop", BLOCK_ID_LOOP, loop_text},
    {"md", BLOCK_ID_MD, md_text},         {"dm-", BLOCK_ID_DM, dm_text},
    {"", BLOCK_ID_DISK, disk_text},
};

static struct err *whole_text(const struct place *p, struct block_id *b)
{
    const char *name = base_of(p->disk);
    size_t i = 0;

    for (; *kinds[i].prefix; i++) {
        size_t n = strlen(kinds[i].prefix);

        if (strncmp(name, kinds[i].prefix, n) == 0 &&
            (isdigit((unsigned char)name[n]) || (kinds[i].kind == BLOCK_ID_MD && name[n] == '_')))
            break;
    }
    b->kind = kinds[i].kind;
    return kinds[i].text(p, b);
}

/* By the table's own number where there is one: a partition's number changes with its neighbours.
 */
static struct err *partition_text(const struct place *p, struct block_id *b)
{
    static const char *const udev[] = {"ID_PART_ENTRY_UUID", NULL};
    struct block_id whole = {.major = b->major, .minor = b->minor};
    AUTO(freep) char *uuid = NULL;
    AUTO(freep) char *size = size_text(b->size_b);
    struct err *e = whole_text(p, &whole);

    if (!e)
        e = from_udev(p->ctx, b->major, b->minor, udev, &uuid);
    if (!e) {
        b->kind = BLOCK_ID_PARTITION;
        b->sure = uuid || whole.sure;
        b->text = xasprintf("partition %s%s%s of %s%s", uuid ? "'" : "", uuid ? uuid : p->number,
                            uuid ? "'" : "", whole.text, size);
    }
    block_id_clear(&whole);
    return e;
}

static struct err *describe(struct place *p, struct block_id *b)
{
    TRY(read_size(p, &b->size_b));
    if (!p->dir && str_starts(p->name, "zd")) /* the links of /dev tell it without /sys */
        p->disk = xasprintf("/sys/block/%s", p->name);
    if (p->number) {
        TRY(partition_text(p, b));
    } else if (p->disk) {
        TRY(whole_text(p, b));
    } else {
        b->kind = BLOCK_ID_OTHER;
        b->text = xasprintf("device %u:%u", b->major, b->minor);
    }
    return b->stable_name ? NULL : by_id(p, &b->stable_name);
}

struct err *block_id_read(struct ctx *ctx, const char *dev, struct block_id *ret)
{
    AUTO(place_clear) struct place p = {0};
    AUTO(block_id_clear) struct block_id b = {0};

    TRY(find_place(ctx, dev, &p));
    b.major = p.major;
    b.minor = p.minor;
    TRY_CTX(describe(&p, &b), "device '%s'", dev);
    *ret = b;
    b = (struct block_id){0};
    return NULL;
}

bool block_id_same(const struct block_id *a, const struct block_id *b)
{
    return str_eq(a->text, b->text);
}

struct err *block_id_expect(struct ctx *ctx, const char *dev, const char *text)
{
    AUTO(block_id_clear) struct block_id b = {0};

    if (!text)
        return NULL;
    TRY(block_id_read(ctx, dev, &b));
    if (str_eq(b.text, text))
        return NULL;
    return err_new(ERR_REFUSED,
                   "'%s' is another device now: this was decided for %s, and it leads to %s; run "
                   "the command again to see the plan for that one",
                   dev, text, b.text);
}

char *block_id_brd_text(uint32_t n, uint64_t size_b)
{
    AUTO(freep) char *size = size_text(size_b);

    return xasprintf("RAM disk %u:%u%s", BRD_MAJOR, n, size);
}

char *block_id_zvol_text(const char *dataset)
{
    AUTO(freep) char *shown = str_shown(dataset, 256);

    return xasprintf("zvol %s", shown);
}

bool block_id_passing_name(const char *dev)
{
    static const char *const passing[] = {"sd",  "hd", "vd", "xvd", "nvme", "mmcblk",
                                          "dm-", "md", "zd", "nbd", NULL};
    const char *name = dev + strlen("/dev/");

    if (!str_starts(dev, "/dev/") || strchr(name, '/'))
        return false;
    for (size_t i = 0; passing[i]; i++)
        if (str_starts(name, passing[i]))
            return true;
    return false;
}
