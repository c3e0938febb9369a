#pragma once

/* Reads tests/data/recordings: answers of real nodes. */
#include <stdio.h>
#include <stdlib.h>

#include "base/json.h"
#include "base/str.h"

static const char *const recorded_nodes[] = {"rpc", "tv", "voter"};

/* Aborts the test when the file is not there: it is part of the source. */
static struct json *recording(const char *node, const char *name)
{
    const char *source = getenv("AGAVECTL_TEST_SOURCE");
    AUTO(freep)
    char *path =
        xasprintf("%s/tests/data/recordings/%s/%s.json", source ? source : ".", node, name);
    AUTO(strbuf_clear) struct strbuf text = {0};
    AUTO(fclosep) FILE *f = fopen(path, "rbe");
    struct json *doc = NULL;
    char piece[4096];
    size_t n;

    assert_non_null(f);
    while ((n = fread(piece, 1, sizeof(piece), f)) > 0)
        strbuf_add(&text, piece, n);
    assert_null(json_parse(strbuf_text(&text), text.len, &doc));
    assert_true(json_len(doc) > 5);
    return doc;
}
