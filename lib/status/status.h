// SPDX-License-Identifier: Apache-2.0
// The writer of Services' status: brings what the API server shows to what the appliance does, one careful write at a time.
//
//     status_put (object, grant, generation)  ->  queue  ->  aim.h: what is to be written?  ->  PATCH services/status  ->  the answer is the new view
//     status_served (generation)              ->  those that waited for it
//
// For each Service it keeps the newest view of the object (from the watch, or from the answer to its own write), the grant, and the generation of tables
// that contains the grant. An address is written only when status_served() has reached that generation.
//
// A write is a strategic merge patch guarded by uid and resourceVersion, so whoever writes from an old view is refused by the server (docs/decisions/0007). One
// write of a Service is under way at a time, so its writes keep their order; in_flight of all together, at most qps a second after a burst.
//
//     answer                       then
//     2xx                          the view is the answer's object; look again
//     404, or another uid          nothing until the object changes
//     409                          GET, look again, after a delay that grows
//     422, other 4xx               GET; the same object: Event, and nothing until it changes
//     403, 5xx                     that Service later, and all others after a pause
//     401, 429, no answer          a pause (Retry-After, else one that grows to 30 s), then the same again
//
// Who finds that another writer undid its write twice leaves that object alone for five minutes, says so in an Event, and counts it.
// Nothing is written while it does not lead; what it would write is worked out when it does.
//
// Pure: no clock, no event loop. The caller runs status_step() when status_due() has come down to 0, and after each of its own calls.
#ifndef SLUICE_STATUS_STATUS_H
#define SLUICE_STATUS_STATUS_H

#include "status/aim.h"
#include "status/events.h"
#include "status/exchange.h"

struct status;

struct status_config {
	bool finalizer;
	uint32_t qps, burst, in_flight;              // 0: 50, 100, 16
	uint64_t seed;                               // of the delays' jitter
	struct events *events;                       // NULL: none are told; outlives the writer
	void (*report)(void *arg, const char *text); // what a person should look at; NULL
	void *arg;
};

struct status_stats {
	uint64_t writes, reads;             // asked
	uint64_t results[EXCHANGE_RESULTS]; // of both
	uint64_t contested, invalid;        // Services left alone, how often
	uint32_t services, pending,
		in_flight; // known; with something to write, or waiting for workers; under way
	uint32_t unserved, held; // of the pending: waiting for workers; left alone
	int64_t paused_ms;       // until the next write may go; 0: now
	char error[200];         // of the last answer that was none of 2xx, 404, 409
};

// The transport outlives the writer. NULL: out of memory.
struct status *status_create(const struct api_transport *t, const struct status_config *c);
void status_destroy(struct status *s);

// A Service's object or grant has changed. v and g are taken over, always. generation: of the tables that contain the grant.
// Errors: -ENOMEM; say it again later.
int status_put(struct status *s, const char *ns, const char *name, struct view *v,
	       struct aim_grant *g, uint64_t generation, const struct moment *now);
// The watch shows the object no more; generation is that of the tables without it. Where our marks were still on it, it is looked for: it may be out of the
// watch's sight only (a label gave it to somebody else), and its finalizer would hold it for ever.
void status_remove(struct status *s, const char *ns, const char *name, uint64_t generation);
// All workers serve this generation, and its addresses are announced.
void status_served(struct status *s, uint64_t generation);
void status_lead(struct status *s, bool leads);

int64_t status_due(struct status *s, const struct moment *now); // ms; INT64_MAX: never
// Something is under way, or waits for workers: worth a look soon.
bool status_is_busy(const struct status *s);
void status_step(struct status *s, const struct moment *now);

void status_stats(struct status *s, struct status_stats *out, const struct moment *now);
// Services that can't be written as they should be, and why.
void status_troubles(const struct status *s,
		     void (*fn)(void *arg, const char *ns, const char *name, const char *why),
		     void *arg);

#endif
