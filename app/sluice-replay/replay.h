// SPDX-License-Identifier: Apache-2.0
// A replay: the appliance over captures, in virtual time, all workers in one thread.
//
// A packet of port p is received by worker p mod workers. After each packet workers and control run in turn until nothing is left to do; timers run just
// before the next packet. Seeds are fixed: equal input gives equal bytes.
#ifndef SLUICE_REPLAY_REPLAY_H
#define SLUICE_REPLAY_REPLAY_H

#include "appliance.h"
#include "capture.h"
#include "decisions.h"
#include "options.h"

struct replay {
	struct options options;
	struct config *config;
	struct capture_in in[SITE_MAX_PORTS];   // options.n_rx of them
	struct capture_out out[SITE_MAX_PORTS]; // by port
	struct rte_mempool *pool;
	struct appliance appliance;
	struct decisions decisions;
	struct report report;
	uint64_t first, now; // ns: the first packet's time, the present one's
	unsigned applied;
};

// Errors: -errno with text; *r is then as replay_close() leaves it.
int replay_open(struct replay *r, struct error *err);
int replay_run(struct replay *r, struct error *err);
int replay_finish(struct replay *r, struct error *err); // writes what is to be written
void replay_close(struct replay *r);

#endif
