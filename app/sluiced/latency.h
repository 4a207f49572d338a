// SPDX-License-Identifier: Apache-2.0
// How long a change takes from its first byte read to all workers serving it: what users of Kubernetes know as network programming latency.
// Control thread only.
#ifndef SLUICED_LATENCY_H
#define SLUICED_LATENCY_H

#include <jansson.h>
#include <stdint.h>

#define LATENCY_PENDING 64
#define LATENCY_SAMPLES 1024

struct latency {
	struct {
		uint64_t generation;
		int64_t began_us;
	} pending[LATENCY_PENDING];
	unsigned n_pending;
	uint32_t samples[LATENCY_SAMPLES]; // us, the last ones in a ring
	uint64_t count;
	uint32_t max;
};

int64_t latency_now(void); // us, monotonic
// A change that began then is in this generation.
void latency_begin(struct latency *l, uint64_t generation, int64_t began_us);
// All workers serve this generation.
void latency_reached(struct latency *l, uint64_t generation, int64_t now_us);
json_t *latency_describe(
	const struct latency *l); // {count, p50, p99, max} in us, of the last samples

#endif
