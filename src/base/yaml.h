#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

/* A YAML document as a tree that remembers its lines: for our config, a kubeconfig, spec.yml.
 * Scalars stay text (typing is the reader's business); anchors, aliases, tags and more than one
 * document are refused. Nodes are borrowed from the tree. */
enum yaml_kind { YAML_SCALAR, YAML_LIST, YAML_MAP };

struct yaml_node {
    enum yaml_kind kind;
    int line;                 /* 1-based, where the node starts */
    bool quoted;              /* scalar: was written in quotes, so "null" and "" are text */
    char *text;               /* scalar: its text; NULL for lists and maps */
    char *key;                /* within a map: the key; NULL elsewhere */
    int key_line;             /* line of the key */
    struct yaml_node **items; /* list elements or map values, in the order of the file */
    size_t n;
};

/* ERR_BADINPUT "name:line: why". Duplicate keys, more than 64 levels or more than 100,000 nodes are
 * errors. An empty document gives an empty map. name is used in messages only. */
struct err *yaml_parse(const char *text, size_t n, const char *name, struct yaml_node **ret)
    MUST_CHECK;
struct yaml_node *yaml_tree_free(struct yaml_node *node); /* NULL is fine; returns NULL */
void yaml_tree_freep(struct yaml_node **node);
/* Value of a key in a map, or NULL. */
const struct yaml_node *yaml_get(const struct yaml_node *map, const char *key);
