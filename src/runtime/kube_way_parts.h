#pragma once

#include "runtime/kube_way.h"
#include "runtime/systemd_unit.h"

/* Shared by kube_way*.c alone. */

/* What a preStop hook means for a stop that needs need_s. */
enum kube_hook {
    HOOK_NONE,    /* there is none, or it only waits, and not long enough */
    HOOK_ASKS,    /* it asks the validator to exit, and waits until it has */
    HOOK_SLEEPS,  /* the signal comes when a stop is over */
    HOOK_UNKNOWN, /* it may do anything */
};
enum kube_hook kube_way_hook(const struct kube_container *c, uint32_t need_s);
/* That container of the spec that is no init container; name NULL: the first. Borrowed, or NULL. */
const struct kube_container *kube_way_container(const struct kube_pod_spec *spec, const char *name);
bool kube_way_has_pid1(const struct kube_way_facts *f);

/* The words of a way whose other members are set. To be freed. */
char *kube_way_words(const struct kube_way_facts *f, const struct kube_way *w);
/* What to write into the template, or NULL: nothing, or it is there already. To be freed. */
char *kube_way_fix(const struct kube_way_facts *f);
/* What was read; unknown is null. */
struct json *kube_way_read(const struct kube_way_facts *f);
