#pragma once

/* Places where a crash hurts, for tests: FAULT("name") kills this process with SIGKILL when the
 * environment says AGAVECTL_FAULT=name or name:n and it is the n-th pass of that point (the first
 * without a number). FAULT_AT("name", "part") is passed as "name" and as "name@part". With
 * AGAVECTL_INTERRUPT in the same form it gets SIGTERM there, as from an operator who wants to
 * leave, and goes on as its handler lets it. Only in builds with the option 'fault'; elsewhere it
 * is compiled to nothing. The one mutable table outside of main's context besides log level and
 * cancel flag. */
#ifdef AGAVECTL_FAULTS
void fault_pass(const char *name, const char *part);
#define FAULT(name)          fault_pass(name, (const char *)0)
#define FAULT_AT(name, part) fault_pass(name, part)
#else
#define FAULT(name)          ((void)0)
#define FAULT_AT(name, part) ((void)(part))
#endif
