// SPDX-License-Identifier: Apache-2.0
// What a request carries to prove who we are, and whom it trusts: now, after files changed, after an exec plugin ran.
//
// Files are read again when they change, at least every minute, and by credentials_refused(); one that can't be read leaves the last good content in force.
// An exec plugin runs when its credentials are about to expire or were refused, in the background while the old ones still count. Time is passed in
// (monotonic milliseconds), so that tests make it. Trouble is logged when it begins, changes and ends. Control thread only.
#ifndef SLUICE_API_CREDENTIALS_H
#define SLUICE_API_CREDENTIALS_H

#include <stdbool.h>
#include <stdint.h>

#include "api/kubeconfig.h"
#include "base/error.h"

struct credentials;
struct event_base;

// PEM and a bearer token, NULL when there is none; until the next call of any function here.
struct credentials_view {
	const char *ca, *cert, *key, *token;
	unsigned version; // another one when anything of the above is another
};

// k must outlive it. settled() is called after a plugin ended, for those who heard -EAGAIN. NULL: out of memory.
struct credentials *credentials_create(const struct kubeconfig *k, struct event_base *base,
				       void (*settled)(void *arg), void *arg);
void credentials_destroy(struct credentials *c);

// What counts now. Errors: -EAGAIN, a plugin is running; others with a text: a file that was never good, a plugin that fails.
int credentials_get(struct credentials *c, int64_t now_ms, struct credentials_view *out,
		    struct error *err);
// The server did not take, or did not get trust by, what `version` was: look for something newer. True: credentials_get() has it, or will have.
bool credentials_refused(struct credentials *c, int64_t now_ms, unsigned version);

unsigned credentials_plugin_runs(const struct credentials *c);
const char *credentials_trouble(const struct credentials *c); // ""

#endif
