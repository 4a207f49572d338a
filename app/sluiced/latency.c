// SPDX-License-Identifier: Apache-2.0
// Pending generations and a ring of samples.
#include "latency.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

int64_t latency_now(void) {
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

void latency_begin(struct latency *l, uint64_t generation, int64_t began_us) {
	if (l->n_pending == LATENCY_PENDING) // workers stand still: the youngest is not counted
		return;
	l->pending[l->n_pending].generation = generation;
	l->pending[l->n_pending++].began_us = began_us;
}

static void add(struct latency *l, int64_t us) {
	uint32_t sample = us < 0 ? 0 : us > UINT32_MAX ? UINT32_MAX : (uint32_t)us;

	l->samples[l->count++ % LATENCY_SAMPLES] = sample;
	if (sample > l->max)
		l->max = sample;
}

void latency_reached(struct latency *l, uint64_t generation, int64_t now_us) {
	unsigned n = 0;

	for (; n < l->n_pending && l->pending[n].generation <= generation; n++)
		add(l, now_us - l->pending[n].began_us);
	l->n_pending -= n;
	memmove(l->pending, l->pending + n, l->n_pending * sizeof(l->pending[0]));
}

static int sample_cmp(const void *x, const void *y) {
	uint32_t a = *(const uint32_t *)x, b = *(const uint32_t *)y;

	return (a > b) - (a < b);
}

json_t *latency_describe(const struct latency *l) {
	uint32_t sorted[LATENCY_SAMPLES] = {0};
	size_t n = l->count < LATENCY_SAMPLES ? (size_t)l->count : LATENCY_SAMPLES;

	memcpy(sorted, l->samples, n * sizeof(sorted[0]));
	qsort(sorted, n, sizeof(sorted[0]), sample_cmp);
	return json_pack("{s:I, s:I, s:I, s:I}", "count", (json_int_t)l->count, "p50",
			 (json_int_t)sorted[n / 2], "p99", (json_int_t)sorted[n * 99 / 100], "max",
			 (json_int_t)l->max);
}
