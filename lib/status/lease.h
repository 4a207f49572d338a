// SPDX-License-Identifier: Apache-2.0
// Which of several appliances writes: leader election over a coordination.k8s.io/v1 Lease, by client-go's rules and numbers.
//
//     absent          make it, held by us
//     free, expired   take it           a PUT with the resourceVersion that was seen: of two, one gets 409
//     ours            renew every 2 s; 10 s without success: not leader any more
//     another's       look every 2 to 4.4 s; expired when it did not change for its duration (15 s) by our own clock
//
// No clock of another machine is compared with ours: the times in the Lease are only written, never read. There is no fencing, so a leader that lost without
// knowing may still write; those writes name the resourceVersion they were worked out from (status.h).
// Losing it stops writes. It must touch neither forwarding nor announcing: that is the caller's to keep.
// Pure: time comes from the caller, who runs lease_step() when lease_due() has come down to 0.
#ifndef SLUICE_STATUS_LEASE_H
#define SLUICE_STATUS_LEASE_H

#include <stdbool.h>
#include <stdint.h>

#include "api/transport.h"
#include "status/moment.h"

struct lease;

struct lease_config { // the texts are copied
	const char *ns, *name, *identity;
	uint64_t seed; // of jitter
};

struct lease_stats {
	bool leads;
	const char *holder; // "" nobody, or not known yet; valid until the next step
	int64_t renewed_ms; // since our last renewal; -1: never
	uint64_t errors;
	char error[200]; // of the last attempt, "" when it went well
};

// The transport outlives it. NULL: out of memory.
struct lease *lease_create(const struct api_transport *t, const struct lease_config *c);
void lease_destroy(struct lease *l);                                // NULL is fine
int64_t lease_due(const struct lease *l, const struct moment *now); // ms
// Returns whether we lead now.
bool lease_step(struct lease *l, const struct moment *now);
// We stop: give it back so that another one need not wait. Steps go on until lease_is_released(), or until the caller has no more time.
void lease_release(struct lease *l, const struct moment *now);
bool lease_is_released(const struct lease *l);
void lease_stats(const struct lease *l, struct lease_stats *out, const struct moment *now);

#endif
