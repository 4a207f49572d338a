// SPDX-License-Identifier: Apache-2.0
// Which Events are worth sending: the rules of client-go's correlator over bounded memory. See events.h.
#ifndef SLUICE_STATUS_CORRELATE_H
#define SLUICE_STATUS_CORRELATE_H

#include <stdbool.h>
#include <stdint.h>

#include "status/moment.h"

struct correlate_event {
	char ns[64], name[254], uid[64], version[64], reason[64];
	char message[512];
	bool warning;
	// Filled by correlate().
	uint64_t id;    // of the Event object: repeats have the same
	uint32_t count; // 1: it is new
	struct moment first, last;
};

struct correlate;

struct correlate *correlate_create(uint64_t seed); // NULL: out of memory
void correlate_destroy(struct correlate *c);
// True: send it as it now is (the message may have become that of many). False: there are too many.
bool correlate(struct correlate *c, struct correlate_event *e, const struct moment *now);

#endif
