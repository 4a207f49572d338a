// SPDX-License-Identifier: Apache-2.0
// Address pools: membership and the lowest free address.
#include "ipam/ipam.h"

bool ipam_pool_contains(const struct ipam_pool *p, const struct ip_addr *a) {
	for (uint32_t i = 0; i < p->n_ranges; i++)
		if (ip_range_contains(&p->ranges[i], a))
			return true;
	return false;
}

bool ipam_pool_has_family(const struct ipam_pool *p, uint8_t family) {
	for (uint32_t i = 0; i < p->n_ranges; i++)
		if (p->ranges[i].first.family == family)
			return true;
	return false;
}

// The pool's lowest address of the family that is at least *from, taken or not.
static bool lowest_member(struct ip_addr *out, const struct ipam_pool *p, uint8_t family,
			  const struct ip_addr *from) {
	bool found = false;

	for (uint32_t i = 0; i < p->n_ranges; i++) {
		const struct ip_range *r = &p->ranges[i];
		const struct ip_addr *a = &r->first;

		if (a->family != family)
			continue;
		if (from != NULL && ip_addr_cmp(from, a) > 0)
			a = from;
		if (ip_addr_cmp(a, &r->last) > 0 || (found && ip_addr_cmp(a, out) >= 0))
			continue;
		*out = *a;
		found = true;
	}
	return found;
}

bool ipam_lowest(struct ip_addr *out, const struct ipam_pool *p, uint8_t family,
		 const struct ip_addr *from, ipam_taken_fn taken, void *arg) {
	struct ip_addr a, next;

	while (lowest_member(&a, p, family, from)) {
		if (!taken(arg, &a)) {
			*out = a;
			return true;
		}
		if (!ip_addr_next(&next, &a))
			return false;
		from = &next;
	}
	return false;
}

bool ipam_is_buggy(const struct ip_addr *a) {
	return a->family == 4 && (a->b[3] == 0 || a->b[3] == 255);
}

// UINT64_MAX for more than fit.
static uint64_t range_size(const struct ip_range *r) {
	unsigned __int128 first = 0, last = 0;
	int bytes = r->first.family == 4 ? 4 : 16;

	for (int i = 0; i < bytes; i++) {
		first = first << 8 | r->first.b[i];
		last = last << 8 | r->last.b[i];
	}
	return last - first >= UINT64_MAX ? UINT64_MAX : (uint64_t)(last - first) + 1;
}

uint64_t ipam_pool_size(const struct ipam_pool *p, uint8_t family) {
	uint64_t n = 0, more;

	for (uint32_t i = 0; i < p->n_ranges; i++) {
		if (p->ranges[i].first.family != family)
			continue;
		more = range_size(&p->ranges[i]);
		n = n > UINT64_MAX - more ? UINT64_MAX : n + more;
	}
	return n;
}
