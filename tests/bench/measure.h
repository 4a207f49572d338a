// SPDX-License-Identifier: Apache-2.0
// Passes over packets in memory, with and without what is measured, in turn; one line of JSON at
// the end.
//
//     hot    write a burst, process it, the next ...; the time of a pass less the time of one that
//            only writes
//     cold   write many bursts, flush their data out of all caches; then receive and process burst
//            by burst. A driver's receive function leaves the mbuf in the cache and the data where
//            the NIC put it; what the former costs is measured alone and subtracted
//     new    like hot, but each round begins with empty tables; emptying is outside of the time
//
// What is measured is a function that takes a burst and leaves its mbufs to the caller. Figures are
// raw: cycles of each pass; medians, rates and ratios are made by whoever reads them.
#ifndef SLUICE_BENCH_MEASURE_H
#define SLUICE_BENCH_MEASURE_H

#include <rte_mbuf.h>

#include "options.h"
#include "traffic.h"

#define MEASURE_BURST 32
#define MEASURE_HOT_BURSTS 32 // of packets that take turns: 256 KiB with their mbufs
#define MEASURE_COLD_BURSTS 256
#define MEASURE_MAX_PASSES 64

struct measure {
	const struct options *options;
	struct traffic traffic;
	const struct traffic_back *back; // in random order, one a flow; NULL: packets of clients
	struct rte_mbuf **mbufs;         // MEASURE_COLD_BURSTS bursts
	void *ctx;
	void (*process)(void *ctx, struct rte_mbuf **m);
	void (*empty)(void *ctx); // NULL: never
	// Its own.
	uint64_t random;
	uint32_t next_new;  // flow id of the next new flow
	uint32_t at;        // position in back
	uint64_t processed; // packets handed to process()
};

struct measured {
	uint32_t n;
	uint64_t packets; // of a pass
	uint64_t alone[MEASURE_MAX_PASSES],
		both[MEASURE_MAX_PASSES]; // cycles of a pass: writing alone, writing and processing
};

int measure_allocate(struct measure *m, struct rte_mempool *pool, struct error *err);
void measure_run(struct measure *m, struct measured *out);
// Write and process a burst of flows first .. first + 31 (beyond the row's flows: the last one
// again): how tables are filled.
void measure_fill(struct measure *m, uint32_t first, uint8_t flags);
// The same of backends' answers to those flows; back is in order of flows.
void measure_fill_back(struct measure *m, const struct traffic_back *back, uint32_t first,
		       uint8_t flags);
// The cycles of each pass, as members of a JSON object.
void measure_print(const struct measured *r);

#endif
