// SPDX-License-Identifier: Apache-2.0
// Longest prefix match by intervals: an immutable map from prefixes to small values.
//
// n prefixes cut the address space into at most 2n + 1 disjoint intervals, each with the value of
// its longest prefix. The starts of the intervals stand in one sorted array, and a look-up is a
// branch-free binary search:
//
//     0.0.0.0/0 -> 0, 10.0.0.0/8 -> 1, 10.1.0.0/16 -> 2
//         =>   0.0.0.0:0  10.0.0.0:1  10.1.0.0:2  10.2.0.0:1  11.0.0.0:0
//
// For the tens to thousands of prefixes of an appliance's routes and a Service's source ranges that
// is one to three cache lines, where rte_fib's DIR-24-8 reads a cold line of a 64 MiB table. Used
// for routes, local subnets and source ranges. Built by the control thread; look-ups are pure and
// run on any thread.
#ifndef SLUICE_NET_LPM_H
#define SLUICE_NET_LPM_H

#include <arpa/inet.h>
#include <endian.h>
#include <stdint.h>
#include <string.h>

#include "net/addr.h"

#define LPM_NONE UINT32_MAX

struct lpm_rule {
	struct ip_prefix prefix;
	uint32_t value; // below LPM_NONE
};

struct lpm {
	uint32_t n4, n6; // at least 1: the first interval starts at address 0
	uint32_t *start4, *value4;
	unsigned __int128 *start6;
	uint32_t *value6;
};

// Both families in one map. A prefix given twice keeps its first value. NULL: out of memory.
struct lpm *lpm_create(const struct lpm_rule *rules, uint32_t n);
void lpm_destroy(struct lpm *l);
// The value of the longest prefix, or LPM_NONE.
uint32_t lpm_find4(const struct lpm *l, uint32_t addr_be);
uint32_t lpm_find6(const struct lpm *l, const uint8_t addr[16]);
uint32_t lpm_find(const struct lpm *l, const struct ip_addr *a);

// The same for a run of addresses that mostly lie in one interval, such as clients behind a default route: the interval of the last
// answer is the caller's, zeroed before the first look-up in a map, and looked at before the search.
struct lpm_near4 {
	uint32_t from, size; // size 0: none, or everything
	uint32_t value;
};
struct lpm_near6 {
	unsigned __int128 from, size;
	uint32_t value;
};
static inline uint32_t lpm_find4_near(const struct lpm *l, uint32_t addr_be,
				      struct lpm_near4 *near);
static inline uint32_t lpm_find6_near(const struct lpm *l, const uint8_t addr[16],
				      struct lpm_near6 *near);

// From here on: inline.

static inline unsigned __int128 lpm_load6(const uint8_t *b) {
	uint64_t w[2];

	memcpy(w, b, sizeof(w));
	return (unsigned __int128)be64toh(w[0]) << 64 | be64toh(w[1]);
}

// The interval that a key lies in.
void lpm_place4(const struct lpm *l, uint32_t key, struct lpm_near4 *out);
void lpm_place6(const struct lpm *l, unsigned __int128 key, struct lpm_near6 *out);

static inline uint32_t lpm_find4_near(const struct lpm *l, uint32_t addr_be,
				      struct lpm_near4 *near) {
	uint32_t key = ntohl(addr_be);

	if (__builtin_expect(key - near->from >= near->size, 0))
		lpm_place4(l, key, near);
	return near->value;
}

static inline uint32_t lpm_find6_near(const struct lpm *l, const uint8_t addr[16],
				      struct lpm_near6 *near) {
	unsigned __int128 key = lpm_load6(addr);

	if (__builtin_expect(key - near->from >= near->size, 0))
		lpm_place6(l, key, near);
	return near->value;
}

#endif
