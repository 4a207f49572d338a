// SPDX-License-Identifier: Apache-2.0
// Token bucket, backoff, jitter.
#include "status/pace.h"

#define ONE 1000

void pace_init(struct pace *p, uint32_t burst, uint32_t refill, int64_t period_ms, int64_t now) {
	*p = (struct pace){.tokens = (int64_t)burst * ONE,
			   .full = (int64_t)burst * ONE,
			   .period = period_ms,
			   .refill = refill,
			   .at = now};
}

// Whole thousandths only; the time of a fraction is kept for later.
static void fill(struct pace *p, int64_t now) {
	int64_t passed = now - p->at, gain;

	if (passed <= 0)
		return;
	gain = passed * p->refill * ONE / p->period;
	if (gain >= p->full - p->tokens) {
		p->tokens = p->full;
		p->at = now;
		return;
	}
	p->tokens += gain;
	p->at += gain * p->period / (p->refill * ONE);
}

bool pace_take(struct pace *p, int64_t now) {
	fill(p, now);
	if (p->tokens < ONE)
		return false;
	p->tokens -= ONE;
	return true;
}

int64_t pace_wait(struct pace *p, int64_t now) {
	int64_t missing, each = p->refill * ONE;

	fill(p, now);
	missing = ONE - p->tokens;
	if (missing <= 0)
		return 0;
	return (missing * p->period + each - 1) / each;
}

// splitmix64
static uint64_t draw(uint64_t *chance) {
	uint64_t z = *chance += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

int64_t pace_jitter(int64_t v, uint32_t percent, uint64_t *chance) {
	uint64_t room = (uint64_t)v * percent / 100 + 1;

	return v + (int64_t)(draw(chance) % room);
}

int64_t pace_backoff(uint32_t failures, int64_t base_ms, int64_t cap_ms, uint64_t *chance) {
	int64_t delay = base_ms;

	while (--failures > 0 && delay < cap_ms)
		delay *= 2;
	return pace_jitter(delay < cap_ms ? delay : cap_ms, 50, chance);
}
