/* Redrawing in place: cursor home, each line followed by "erase to its end", then "erase the rest
 * of the screen" (ECMA-48: CUP, EL, ED). Nothing is erased before it is written over, and no line
 * is so long that the terminal would wrap it. A window that changes its size is drawn again. */
#include "cmd/watch.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/str.h"
#include "io/clock.h"

#define HOME        "\033[H"
#define ERASE_LINE  "\033[K"
#define ERASE_BELOW "\033[J"
#define LOOK_MS     100 /* how often the window's size is asked for */
#define COLUMNS_MIN 20
#define ROWS_MIN    4

struct window {
    unsigned columns, rows;
};

/* Bytes of the first max characters of a line. */
static size_t fitting(const char *line, size_t n, unsigned max)
{
    size_t i = 0;

    for (unsigned c = 0; i < n && c < max; c++)
        for (i++; i < n && (line[i] & 0xc0) == 0x80; i++)
            ;
    return i;
}

char *watch_screen(const char *text, unsigned columns, unsigned rows)
{
    struct strbuf b = {0};
    size_t n;

    strbuf_puts(&b, HOME);
    /* The last column and the last row stay free: a character there may scroll or wrap. */
    for (unsigned row = 1; *text && row < rows; row++, text += n + (text[n] == '\n')) {
        n = strcspn(text, "\n");
        strbuf_add(&b, text, fitting(text, n, columns - 1));
        strbuf_puts(&b, ERASE_LINE "\r\n");
    }
    strbuf_puts(&b, ERASE_BELOW);
    return strbuf_take(&b);
}

static struct window window_of(int fd)
{
    struct winsize w = {0};
    bool known = ioctl(fd, TIOCGWINSZ, &w) == 0 && w.ws_col && w.ws_row;

    if (!known)
        return (struct window){80, 24};
    return (struct window){w.ws_col > COLUMNS_MIN ? w.ws_col : COLUMNS_MIN,
                           w.ws_row > ROWS_MIN ? w.ws_row : ROWS_MIN};
}

size_t watch_fits(int fd, const char *text, size_t used)
{
    unsigned columns = window_of(fd).columns - 1;

    return fitting(text, strlen(text), used < columns ? columns - (unsigned)used : 0);
}

static struct err *write_all(struct ctx *ctx, int fd, const char *text)
{
    size_t n = strlen(text);

    while (n > 0) {
        ssize_t done = write(fd, text, n);

        if (done < 0 && errno == EINTR && !ctx_cancelled(ctx))
            continue;
        if (done < 0 && ctx_cancelled(ctx))
            return NULL;
        if (done < 0)
            return err_sys(errno, "cannot write the answer");
        text += done;
        n -= (size_t)done;
    }
    return NULL;
}

/* One frame as text; to be freed. */
static struct err *render(struct ctx *ctx, const struct out *out,
                          struct err *(*frame)(struct ctx *ctx, void *arg, struct out *out),
                          void *arg, char **ret)
{
    AUTO(freep) char *text = NULL;
    struct out page = *out;
    size_t n = 0;
    struct err *e;

    page.f = open_memstream(&text, &n);
    if (!page.f)
        return err_sys(errno, "cannot draw");
    e = frame(ctx, arg, &page);
    if (fclose(page.f) != 0 && !e)
        e = err_sys(errno, "cannot draw");
    if (!e)
        *ret = TAKE(text);
    return e;
}

/* *drawn: the window that the frame was cut to. */
static struct err *show(struct ctx *ctx, int fd, bool terminal, const char *text,
                        struct window *drawn)
{
    AUTO(freep) char *screen = NULL;

    if (!terminal)
        return write_all(ctx, fd, text);
    *drawn = window_of(fd);
    screen = watch_screen(text, drawn->columns, drawn->rows);
    return write_all(ctx, fd, screen);
}

/* Until the next frame is due. */
static struct err *wait_for_next(struct ctx *ctx, int fd, bool terminal, uint64_t due_ns,
                                 const char *text, struct window drawn)
{
    while (!ctx_cancelled(ctx) && !deadline_passed(ctx, due_ns)) {
        uint64_t left_ms = deadline_left_ms(ctx, due_ns), step_ms = terminal ? LOOK_MS : left_ms;
        struct window now;

        ctx->clock->wait((left_ms < step_ms ? left_ms : step_ms) * 1000000, ctx->cancelled);
        now = window_of(fd);
        if (terminal && (now.columns != drawn.columns || now.rows != drawn.rows))
            TRY(show(ctx, fd, terminal, text, &drawn));
    }
    return NULL;
}

struct err *watch_run(struct ctx *ctx, struct out *out, uint64_t interval_ms,
                      struct err *(*frame)(struct ctx *ctx, void *arg, struct out *out), void *arg)
{
    int fd = fileno(out->f);
    bool terminal = isatty(fd) && !out->json;
    struct window drawn = {0};

    for (bool first = true; !ctx_cancelled(ctx); first = false) {
        AUTO(freep) char *text = NULL;
        uint64_t due_ns = deadline_in_ms(ctx, interval_ms);
        struct err *e = render(ctx, out, frame, arg, &text);

        if (e && e->kind == ERR_CANCELLED) {
            (void)err_free(e); /* that is how a watch ends */
            return NULL;
        }
        TRY(e);
        if (!first && !terminal && !out->json)
            TRY(write_all(ctx, fd, "\n"));
        TRY(show(ctx, fd, terminal, text, &drawn));
        TRY(wait_for_next(ctx, fd, terminal, due_ns, text, drawn));
    }
    return NULL;
}
