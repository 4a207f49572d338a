// SPDX-License-Identifier: Apache-2.0
// How long to wait before trying again: client-go's numbers, so that a fleet of clients behaves as API servers expect.
//
//     0.8 s, doubled each time, times a random factor of 1 to 2, at most 30 s; from the beginning again after two minutes without a failure
//
// Randomness comes from a seed. Pure.
#ifndef SLUICE_API_RETRY_H
#define SLUICE_API_RETRY_H

#include <stdint.h>

#define RETRY_MAX_MS 30000

struct retry {
	uint64_t random;
	int64_t last_ms; // of the last failure
	int64_t base_ms; // of the next wait
};

void retry_init(struct retry *r, uint64_t seed);
// Something failed now: how long to wait. at_least_ms is what the server asked for, and wins.
int64_t retry_failed(struct retry *r, int64_t now_ms, int64_t at_least_ms);
// A number of 0..n-1; n > 0.
uint32_t retry_random(struct retry *r, uint32_t n);

#endif
