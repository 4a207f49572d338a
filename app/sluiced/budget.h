// SPDX-License-Identifier: Apache-2.0
// The memory that a configuration takes, known before any of it is asked for; what --check prints.
#ifndef SLUICED_BUDGET_H
#define SLUICED_BUDGET_H

#include <stdint.h>

#include "base/error.h"
#include "config/config.h"

#define BUDGET_RING 2048 // packets in each ring between two workers

struct budget {           // bytes
	uint64_t worker;  // flow and affinity tables of one worker
	uint64_t tables;  // of all workers
	uint64_t lookup;  // the snapshots that workers read: set aside, filled as Services come
	uint64_t packets; // packet buffers
	uint64_t eal;     // packets, rings, and what drivers ask for
	uint64_t sum;
};

// Packets that may wait at once: for a neighbour, and in rings between workers.
uint32_t budget_held(const struct config *c);
// Errors: -ENOENT and others of the ports' profiles; -ENOMEM: the sum exceeds dataplane.memoryMiB (*out is filled all the same).
int budget_compute(struct budget *out, const struct config *c, struct error *err);
// A readable summary of the configuration on stdout.
void budget_print(const struct budget *b, const struct config *c, const char *path);

#endif
