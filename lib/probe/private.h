// SPDX-License-Identifier: Apache-2.0
// Inside of probe: one target's record, shared by those who schedule and those who judge.
#ifndef SLUICE_PROBE_PRIVATE_H
#define SLUICE_PROBE_PRIVATE_H

#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#include <stdbool.h>

#include "probe/probe.h"
#include "probe/queue.h"

struct probe {
	struct queue_entry entry; // first: an entry of the queue is its probe
	struct probe_table *table;
	struct probe_state state; // its texts point into texts
	uint32_t failures, clear; // in a row; the clear ones among them
	uint32_t good;            // in a row
	void *call;               // under way
	uint32_t seen;
	UT_hash_handle hh;
	char *texts;
	char key[];
};

struct probe_table {
	struct probe_settings settings;
	struct probe_transport transport;
	probe_report_fn report;
	void *arg;
	struct queue queue; // all that are not under way
	struct probe *probes;
	size_t running;
	uint32_t round;
	uint64_t random;
};

// Take an answer into the target's record. Returns whether verdict or weight changed; *doubt: it should be asked again soon.
bool verdict_take(struct probe *p, const struct probe_answer *a, bool *doubt);

#endif
