// SPDX-License-Identifier: Apache-2.0
// Credentials of a program: when it runs, how long what it printed counts, what is said when it fails.
//
//     nothing yet, or expired: those who ask wait for it      -EAGAIN, then settled()
//     about to expire, or refused by the server: it runs      the old ones count on
//     it failed: the next run waits, 1 s doubling to 10 s     its error is the answer, unless the old ones still count
#ifndef SLUICE_API_EXEC_PLUGIN_H
#define SLUICE_API_EXEC_PLUGIN_H

#include <stdbool.h>

#include "api/exec_credential.h"

struct event_base;
struct exec_plugin;

// k->exec describes it. NULL: out of memory.
struct exec_plugin *exec_plugin_create(const struct kubeconfig *k, struct event_base *base,
				       void (*settled)(void *arg), void *arg);
void exec_plugin_destroy(struct exec_plugin *p);

// ca: as it is told. *out lives until the next call. Errors: as credentials_get().
int exec_plugin_get(struct exec_plugin *p, int64_t now_ms, const char *ca,
		    const struct exec_credential **out, struct error *err);
// True: it will be asked anew. False: it was asked a moment ago.
bool exec_plugin_refused(struct exec_plugin *p, int64_t now_ms);

unsigned exec_plugin_changes(const struct exec_plugin *p); // times that it printed something new
unsigned exec_plugin_runs(const struct exec_plugin *p);
const char *exec_plugin_trouble(const struct exec_plugin *p); // ""

#endif
