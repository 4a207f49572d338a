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
