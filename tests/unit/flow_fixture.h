// SPDX-License-Identifier: Apache-2.0
// Flow tables for tests: memory, a configuration to change, keys, and a fixed random sequence.
#ifndef SLUICE_TESTS_FLOW_FIXTURE_H
#define SLUICE_TESTS_FLOW_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "flow/flow.h"

#define SECONDS(n) ((uint32_t)(n)*FLOW_TICKS)

static inline struct flow_config fixture_config(uint32_t capacity) {
	static const uint32_t seconds[FLOW_STATES] = {0, 10, 10, 900, 30, 10, 10, 30, 120};
	struct flow_config c = {
		.capacity = capacity,
		.max_backends = 256,
		.max_endpoints = 256,
		.half_open_percent = 100,
		.worker = 0,
		.workers = 1,
		.n_snat = {2, 2},
		.secret = 0x5eed,
	};

	for (unsigned i = 0; i < FLOW_STATES; i++)
		c.timeouts.ticks[i] = SECONDS(seconds[i]);
	return c;
}

// The table begins its block: free(t) frees it.
static inline struct flow_table *fixture_table(const struct flow_config *c) {
	size_t size = flow_table_size(c);
	void *memory = aligned_alloc(64, size);
	struct flow_table *t = NULL;

	assert_non_null(memory);
	memset(memory, 0, size);
	assert_int_equal(flow_init(&t, memory, c), 0);
	assert_ptr_equal(t, memory);
	return t;
}

static inline uint64_t fixture_random(uint64_t *seed) {
	uint64_t x = *seed += 0x9e3779b97f4a7c15u;

	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
	return x ^ (x >> 31);
}

// Client n of a family, to a frontend.
static inline struct flow_key fixture_key(uint8_t family, uint32_t n, uint32_t frontend) {
	struct flow_key k = {.id = frontend,
			     .port = (uint16_t)(n * 7 + 1),
			     .family = family,
			     .kind = FLOW_FORWARD};

	k.addr[0] = family == 4 ? 0x0a000000 + n : 0x20010db8;
	k.addr[3] = family == 4 ? 0 : n;
	return k;
}

static inline struct flow *fixture_find(struct flow_table *t, const struct flow_key *k,
					uint32_t now) {
	return flow_find(t, k, flow_hash(t, k), now);
}

static inline struct snat *fixture_snat(const struct flow_table *t, uint8_t family,
					uint32_t endpoint, uint8_t index, uint16_t port) {
	uint64_t key = flow_snat_key(endpoint, index, port);

	return flow_snat_find(t, family, flow_snat_hash(t, family, key), key);
}

static inline int fixture_create(struct flow_table *t, const struct flow_key *k,
				 const struct flow_new *n, uint32_t now, struct flow **out) {
	return flow_create(t, k, flow_hash(t, k), n, now, out);
}

#endif
