// SPDX-License-Identifier: Apache-2.0
// What became of each input packet, and the JSON report of a replay.
#ifndef SLUICE_REPLAY_DECISIONS_H
#define SLUICE_REPLAY_DECISIONS_H

#include <stdint.h>

#include "dataplane/worker.h"

struct decision {
	int64_t out;         // first output packet it caused; -1: none
	const char *service; // "NS/NAME", interned; NULL: none
	const char *backend; // "ADDR:PORT", interned; NULL: none
	const char *reason;
};

struct decisions {
	struct decision *items;
	uint64_t n, capacity;
	struct interned *texts; // uthash
};

struct report {
	uint64_t packets_in, packets_out, flows;
	uint64_t drops[REASON_DROPS];
};

// Errors: -ENOMEM.
int decisions_add(struct decisions *d);
const char *decisions_intern(struct decisions *d, const char *text); // NULL: out of memory
void decisions_fini(struct decisions *d);

// Errors: -errno.
int report_write(const struct report *r, const struct decisions *d, const char *path);

#endif
