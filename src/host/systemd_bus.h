#pragma once

#include <stdint.h>

#include "base/ctx.h"
#include "base/err.h"
#include "base/json.h"

/* Talking to the system's manager over D-Bus: org.freedesktop.systemd1 of systemd 252
 * (org.freedesktop.systemd1(5)). Its private socket is tried first: it is there without a bus
 * daemon, and root may use it. Errors of all calls: ERR_ABSENT (systemd does not answer),
 * ERR_REFUSED (this user may not; the unit is masked), ERR_NOTFOUND (no such unit or job),
 * ERR_TIMEOUT, ERR_REMOTE, ERR_CANCELLED. */
struct sysbus;

struct err *sysbus_open(struct ctx *ctx, struct sysbus **ret) MUST_CHECK;
struct sysbus *sysbus_close(struct sysbus *b); /* NULL is fine; returns NULL */
void sysbus_closep(struct sysbus **b);

/* A method of the manager with text arguments (NULL-terminated), for which systemd may take
 * timeout_ms. what: for the error, after "systemd did not": "start the unit". ret_text: the text or
 * object path that it answers with, to be freed; NULL: not wanted. Blocks. */
struct err *sysbus_call(struct sysbus *b, const char *method, const char *const *args,
                        uint32_t timeout_ms, const char *what, char **ret_text) MUST_CHECK;
/* All properties of one interface of an object, as a JSON object: numbers, booleans and texts as
 * they are, arrays and structs as arrays, bytes as hexadecimal text. Blocks, at most 5 s. */
struct err *sysbus_properties(struct sysbus *b, const char *object, const char *interface,
                              struct json **ret) MUST_CHECK;

/* A method that queues a job for a unit (StartUnit, StopUnit), in mode "replace", and its end. The
 * job belongs to b and is to be freed before it. */
struct sysbus_job;
struct err *sysbus_job_begin(struct sysbus *b, const char *method, const char *unit,
                             const char *what, struct sysbus_job **ret) MUST_CHECK;
/* Waits at most ms. *ret_result: "done", "failed", "dependency", "assert", "canceled" …
 * (JobRemoved), owned by the job; NULL: it is still under way. */
struct err *sysbus_job_wait(struct ctx *ctx, struct sysbus_job *j, uint32_t ms,
                            const char **ret_result) MUST_CHECK;
void sysbus_job_freep(struct sysbus_job **j);
