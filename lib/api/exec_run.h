// SPDX-License-Identifier: Apache-2.0
// A program run beside the loop: no shell, no stdin, its output gathered up to a limit, ended when it takes too long.
//
// posix_spawn, not fork: the parent's memory (packet buffers, tables that workers write to) is never marked for copying. The program is a process group of
// its own, so that its children end with it.
#ifndef SLUICE_API_EXEC_RUN_H
#define SLUICE_API_EXEC_RUN_H

#include <stddef.h>
#include <stdint.h>

struct event_base;
struct exec_run;

#define EXEC_OUT_MAX (1u << 20) // more on stdout is a failure
#define EXEC_ERR_MAX 400        // so much of stderr is kept

struct exec_result {
	int error; // 0: it ended by itself, with status; -ETIMEDOUT, -EFBIG: it was ended; -EIO: nobody knows how it ended
	int status;      // of wait(2)
	const char *out; // stdout, with a NUL behind it
	size_t n;
	const char *err; // the beginning of stderr
};

// argv[0] with a slash is a path, else looked up in PATH. env is the whole environment. done() comes later, once.
// Errors: -errno of starting it (-ENOENT: there is no such program), -ENOMEM.
int exec_start(struct exec_run **out, struct event_base *base, char *const argv[],
	       char *const env[], uint32_t timeout_ms,
	       void (*done)(void *arg, const struct exec_result *r), void *arg);
// End it; done() is not called.
void exec_kill(struct exec_run *r);

#endif
