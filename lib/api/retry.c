// SPDX-License-Identifier: Apache-2.0
// Backoff with jitter.
#include "api/retry.h"

#define FIRST_MS 800
#define QUIET_MS 120000
#define ASKED_MAX_MS 300000 // a server that asks for more gets this

void retry_init(struct retry *r, uint64_t seed) {
	*r = (struct retry){.random = seed, .base_ms = FIRST_MS, .last_ms = INT64_MIN / 2};
}

// splitmix64
static uint64_t next(struct retry *r) {
	uint64_t z = r->random += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

uint32_t retry_random(struct retry *r, uint32_t n) {
	return (uint32_t)((next(r) >> 32) * n >> 32);
}

int64_t retry_failed(struct retry *r, int64_t now_ms, int64_t at_least_ms) {
	int64_t wait;

	if (now_ms - r->last_ms > QUIET_MS)
		r->base_ms = FIRST_MS;
	r->last_ms = now_ms;
	wait = r->base_ms + retry_random(r, (uint32_t)r->base_ms + 1);
	if (wait > RETRY_MAX_MS)
		wait = RETRY_MAX_MS;
	r->base_ms = r->base_ms * 2 < RETRY_MAX_MS ? r->base_ms * 2 : RETRY_MAX_MS;
	if (at_least_ms > ASKED_MAX_MS)
		at_least_ms = ASKED_MAX_MS;
	return wait > at_least_ms ? wait : at_least_ms;
}
