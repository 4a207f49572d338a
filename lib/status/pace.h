// SPDX-License-Identifier: Apache-2.0
// How fast to go: a token bucket, and delays that grow from failure to failure.
//
// Both are values of the caller's; time is monotonic milliseconds, chance is a number that the caller keeps.
#ifndef SLUICE_STATUS_PACE_H
#define SLUICE_STATUS_PACE_H

#include <stdbool.h>
#include <stdint.h>

struct pace {
	int64_t tokens, full; // in thousandths of one
	int64_t period;       // ms for `refill` tokens
	int64_t refill;
	int64_t at; // ms; tokens are counted up to then
};

// At most burst at once, and `refill` each `period` ms in the long run.
void pace_init(struct pace *p, uint32_t burst, uint32_t refill, int64_t period_ms, int64_t now);
bool pace_take(struct pace *p, int64_t now);
// Milliseconds until pace_take() says yes; 0: now.
int64_t pace_wait(struct pace *p, int64_t now);

// base, 2 base, 4 base ... up to cap after `failures` failures (1 or more), and up to half of that on top by chance.
int64_t pace_backoff(uint32_t failures, int64_t base_ms, int64_t cap_ms, uint64_t *chance);
// v, and up to a share of percent on top by chance.
int64_t pace_jitter(int64_t v, uint32_t percent, uint64_t *chance);

#endif
