// SPDX-License-Identifier: Apache-2.0
// Stage route: the egress port and next hop, before the bytes change: the MSS depends on them, and so does what is too big.
#include <rte_ip.h>

#include "dataplane/stages.h"

bool find_route(const struct dataplane *dp, const struct tables *t, uint8_t family,
		const uint32_t addr[4], uint16_t *port, uint32_t *nexthop) {
	uint32_t i = family == 4 ? lpm_find4(t->route_map, addr[0])
				 : lpm_find6(t->route_map, (const uint8_t *)addr);
	const struct route *r;

	if (i == LPM_NONE)
		return false;
	r = &t->routes[i];
	*port = r->port;
	*nexthop = r->on_link ? neighbor_find(dp->neighbors, r->port, family, addr) : r->nexthop;
	return true;
}

static bool route_in(const struct worker *w, const struct tables *t, struct packet *k) {
	k->nexthop = t->backends[k->backend].nexthop;
	if (k->nexthop == TABLES_NO_ID)
		return false;
	k->port = neighbor_port(w->dp->neighbors, k->nexthop);
	return true;
}

static bool may_fragment(
	const struct packet *k) { // DF is clear: the sender doesn't want to hear of it
	const struct rte_ipv4_hdr *ip = (const void *)(k->data + k->p.l3);

	return k->p.family == 4 && !(ip->fragment_offset & rte_cpu_to_be_16(RTE_IPV4_HDR_DF_FLAG));
}

static void judge_size(const struct tables *t, struct packet *k) {
	if (k->p.l3_len <= t->ports[k->port].mtu)
		return;
	k->reason = REASON_TOO_BIG;
	if (k->frontend.mode != TABLES_DSR && !may_fragment(k))
		k->answer = REASON_ANSWERED_TOO_BIG;
}

void stage_route(struct worker *w, const struct tables *t, struct packet *pkt, uint16_t n) {
	for (uint16_t i = 0; i < n; i++) {
		struct packet *k = &pkt[i];
		bool found;

		if (!is_forwarded(k))
			continue;
		if (k->way == WAY_IN)
			found = route_in(w, t, k);
		else
			found = find_route(w->dp, t, k->p.family, k->key.addr, &k->port,
					   &k->nexthop);
		if (!found)
			k->reason = REASON_NO_ROUTE;
		else
			judge_size(t, k);
	}
}
