#pragma once

#include <stdbool.h>
#include <stddef.h>

/* A loopback HTTP server in a thread, one connection at a time, that behaves as its table says. */
enum manner {
    SERVE_WELL,
    SERVE_SHORT,    /* announces all of the body, sends half of it and closes */
    SERVE_UNSIZED,  /* no Content-Length: the end is the close */
    SERVE_HALF_WAY, /* no Content-Length, and only half of the body */
    SERVE_STALL,    /* sends half of the body and then nothing until the other side closes */
};
struct page {
    const char *path;
    int status; /* 0: 200 */
    const char *location;
    const void *body;
    size_t body_n;
    size_t length; /* 0: body_n */
    enum manner manner;
    int head_status; /* answer to HEAD; 0: the same */
    const char *raw; /* all that is sent, whatever it is; NULL: an answer made of the above */
    bool ranges;     /* a Range of the first byte is honoured */
    unsigned mute;   /* so many requests are not answered at first, until the other side closes */
    const char *next_location; /* from the second request on; NULL: the same */
};
struct server;

/* pages is borrowed and ends with path NULL; anything else is 404. Of the first 32 requests are
 * counted. */
struct server *server_start(const struct page *pages);
const char *server_url(const struct server *s); /* "http://127.0.0.1:port" */
/* Requests so far, "GET /path\n" each; owned by the server, valid after server_quiet. */
const char *server_log(const struct server *s);
/* Ends the thread. */
void server_quiet(struct server *s);
void server_stop(struct server *s);
/* A port of 127.0.0.1 where nobody listens. */
char *nobodys_url(void);
