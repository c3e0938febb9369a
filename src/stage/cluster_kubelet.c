/* The kubelet's own rules: hard eviction kills a pod without any grace. Its config is a file in the
 * node (KubeletConfiguration v1beta1; Kubernetes 1.34, pkg/kubelet/apis/config/v1beta1/defaults.go
 * and pkg/kubelet/eviction), read through the node's first process, so that it is seen with the API
 * server dead as well. */
#include "stage/cluster_parts.h"

#include <stdlib.h>

#include "base/str.h"
#include "base/yaml.h"
#include "io/fsroot.h"
#include "look/scene_cluster.h"

#define CONFIG_MAX_B (1U << 20)
#define PLACE        "/var/lib/kubelet/config.yaml"

/* "0%", "0", "0Gi": a threshold that is never reached. */
static bool never(const char *threshold)
{
    char *end;
    double v = strtod(threshold, &end);

    return end != threshold && v == 0;
}

static void report(const struct strbuf *rules, const char *source, bool defaults,
                   struct findings *ret)
{
    struct finding *f = findings_add(
        ret, "cluster.eviction", CLUSTER_LAYER, rules->len ? SEV_WARN : SEV_OK,
        rules->len ? "the kubelet kills pods without grace when %s%s: set evictionHard to 0 for "
                     "disk and memory in its config, while the validator is stopped"
                   : "the kubelet evicts nothing without grace%s%s",
        rules->len ? strbuf_text(rules) : "", defaults ? " (its defaults)" : "");

    finding_compare(f, "no hard eviction", rules->len ? strbuf_text(rules) : "none", source);
}

/* Linux's defaults, which hold when the file names no rule at all, or for those that it leaves out
 * when mergeDefaultEvictionSettings is set (since Kubernetes 1.33; false by default). */
static void add_rules(const struct yaml_node *config, struct strbuf *rules, bool *ret_defaults)
{
    static const char *const defaults[][2] = {
        {"memory.available", "100Mi"}, {"nodefs.available", "10%"},  {"nodefs.inodesFree", "5%"},
        {"imagefs.available", "15%"},  {"imagefs.inodesFree", "5%"},
    };
    const struct yaml_node *hard = yaml_get(config, "evictionHard");
    const struct yaml_node *merge = yaml_get(config, "mergeDefaultEvictionSettings");
    bool named = hard && hard->kind == YAML_MAP && hard->n;
    bool merged = !named || (merge && str_eq(merge->text, "true"));

    for (size_t i = 0; named && i < hard->n; i++) {
        const struct yaml_node *rule = hard->items[i];

        if (rule->kind == YAML_SCALAR && !never(rule->text))
            strbuf_printf(rules, "%s%s<%s", rules->len ? ", " : "", rule->key, rule->text);
    }
    *ret_defaults = false;
    for (size_t i = 0; merged && i < ARRAY_LEN(defaults); i++) {
        if (named && yaml_get(hard, defaults[i][0]))
            continue;
        strbuf_printf(rules, "%s%s<%s", rules->len ? ", " : "", defaults[i][0], defaults[i][1]);
        *ret_defaults = true;
    }
}

static struct err *check_eviction(struct ctx *ctx, pid_t node_pid, struct findings *ret)
{
    AUTO(freep) char *path = xasprintf("/proc/%d/root" PLACE, node_pid);
    AUTO(yaml_tree_freep) struct yaml_node *config = NULL;
    AUTO(strbuf_clear) struct strbuf rules = {0};
    AUTO(freep) char *text = NULL;
    bool defaults = false;
    size_t n;

    TRY(fsroot_read(ctx->root, path, CONFIG_MAX_B, &text, &n));
    TRY(yaml_parse(text, n, path, &config));
    add_rules(config, &rules, &defaults);
    report(&rules, path, defaults, ret);
    return NULL;
}

struct err *cluster_kubelet_check(struct ctx *ctx, struct scene *scene, struct findings *ret)
{
    const struct docker_inspect *node;
    struct err *e = scene_node(ctx, scene, &node);

    if (e && e->kind == ERR_NOTFOUND)
        return err_free(e); /* cluster.node says so */
    TRY(e);
    if (!node->running || node->pid <= 0)
        return NULL;
    return check_eviction(ctx, node->pid, ret);
}
