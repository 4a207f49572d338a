// SPDX-License-Identifier: Apache-2.0
// One worker of the appliance under test, its packets and its flows: what the rows of the path, of
// stages and of expiry share.
#ifndef SLUICE_BENCH_PIPELINE_H
#define SLUICE_BENCH_PIPELINE_H

#include "bed.h"
#include "bench.h"
#include "measure.h"

struct pipeline {
	struct bed bed;
	struct measure measure;
	uint64_t sent;
	struct traffic_back *back; // of each flow, while the table is filled; then in random order
	uint32_t learning;         // first flow of the burst under way
	uint64_t clock_start, clock_next, clock_step, ms;
};

// The appliance, packets and traffic of a row; no flows yet. udp_timeout: seconds, 0: longer than
// any run.
int pipeline_open(struct pipeline *p, const struct options *o, uint32_t udp_timeout,
		  struct error *err);
void pipeline_close(struct pipeline *p);
// The row's flows, established.
int pipeline_fill(struct pipeline *p, struct error *err);
// What the worker's loop does with a burst; p is a struct pipeline.
void pipeline_process(void *p, struct rte_mbuf **m);
uint64_t pipeline_ms(struct pipeline *p);          // the worker's clock
uint64_t pipeline_flows(const struct pipeline *p); // live, of the row's family
uint64_t pipeline_drops(const struct pipeline *p);

#endif
