// SPDX-License-Identifier: Apache-2.0
// core/v1 Events about Services: told once, counted when repeated, and never at the price of anything else.
//
// Correlated as client-go does:
//     more than 25 about an object, then one in 5 minutes      the others are dropped
//     the same again                                           PATCH of its count
//     more than 10 different messages of one reason in 10 min  from then on one Event "(combined from similar events): ..."
//
// What waits is bounded: when the API server is slow or away, new ones are dropped and counted. Memory is bounded too: the least recently used
// objects and reasons are forgotten.
// Pure: time comes from the caller.
#ifndef SLUICE_STATUS_EVENTS_H
#define SLUICE_STATUS_EVENTS_H

#include <stdbool.h>
#include <stdint.h>

#include "api/transport.h"
#include "status/moment.h"

struct events;

struct events_config {
	const char *host; // source.host and reportingInstance; copied
	uint64_t seed;
};

struct events_object {
	const char *ns, *name, *uid, *version;
};

struct events_stats {
	uint64_t told, sent, failed, spam,
		dropped; // told = sent + failed + spam + dropped + waiting
};

// The transport outlives it. NULL: out of memory.
struct events *events_create(const struct api_transport *t, const struct events_config *c);
void events_destroy(struct events *e); // NULL is fine
// reason is CamelCase. Out of memory: dropped. e may be NULL.
__attribute__((format(printf, 6, 7))) void events_tell(struct events *e,
						       const struct events_object *about,
						       bool warning, const char *reason,
						       const struct moment *now, const char *format,
						       ...);
int64_t events_due(struct events *e, const struct moment *now); // ms; INT64_MAX: never
void events_step(struct events *e, const struct moment *now);
void events_stats(const struct events *e, struct events_stats *out);

#endif
