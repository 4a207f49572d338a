// SPDX-License-Identifier: Apache-2.0
// The verbs of sluice-bench, and what several of them share.
#ifndef SLUICE_BENCH_BENCH_H
#define SLUICE_BENCH_BENCH_H

#include <stdbool.h>
#include <stdint.h>

#include "measure.h"
#include "options.h"

// dataplane.flowsPerWorker's default: rows with fewer flows have a table of that size all the same
#define BENCH_CAPACITY 1048576u
#define BENCH_DATA 256   // of a packet buffer, as in the pcap profile
#define BENCH_PRIVATE 64 // of an mbuf, a line so that frames begin on one
#define BENCH_MBUFS (MEASURE_COLD_BURSTS * MEASURE_BURST + 1023)
#define BENCH_MIB 96 // of packet buffers

// Each prints one JSON object on a line. Errors: -errno with text.
int pipeline_run(const struct options *o, struct error *err);
int limit_run(const struct options *o, struct error *err);
int stages_run(const struct options *o, struct error *err);
int control_run(const struct options *o, struct error *err);
int capture_run(const struct options *o, struct error *err);
int offer_run(const struct options *o, struct error *err);

// Flows that a row's table is made for.
uint32_t bench_capacity(const struct options *o);
int bench_eal(unsigned cpu, bool *huge, struct error *err);
const char *bench_bool(bool b);

#endif
