// SPDX-License-Identifier: Apache-2.0
// The short way's first pass: is it a plain packet for us, and which frontend, or endpoint, might it be of?
#include "dataplane/lane.h"

#define AHEAD 16 // frames whose first line is on its way
// And the second, where TCP's flags lie behind an IPv6 header: a frame of that family seldom comes alone.
#define AHEAD6 4

// To our MAC, from another host's; the IP header begins at 14, or at 18 behind the port's own tag. 0: not so.
LANE uint8_t find_ip(const struct tables_port *port, const uint8_t *frame, uint16_t *ethertype) {
	uint64_t mac = parse_load64(port->mac.b), to = parse_load64(frame),
		 from = parse_load64(frame + 6);

	if ((rte_le_to_cpu_64(to ^ mac) << 16) != 0 || (rte_le_to_cpu_64(from ^ mac) << 16) == 0 ||
	    (rte_le_to_cpu_64(from) & 1) != 0)
		return 0;
	if (port->vlan == 0) {
		*ethertype = parse_load16(frame + 12);
		return 14;
	}
	*ethertype = parse_load16(frame + 16);
	if (parse_load16(frame + 12) != rte_cpu_to_be_16(0x8100) ||
	    (rte_be_to_cpu_16(parse_load16(frame + 14)) & 0xfff) != port->vlan)
		return 0;
	return 18;
}

LANE void name_frontend(const struct tables *t, struct lane *l, const uint8_t family) {
	const struct tuple_map *map = t->frontend_map;
	const uint8_t *dst = dst_of(l, family);
	uint64_t tuple = tuple_of(l, dst, dst_port_of(l, family), family);
	uint64_t hash = hash_of(map, tuple, dst, family);

	if (!(family == 4 ? tuple_maybe4(map, hash) : tuple_maybe6(map, hash))) {
		name_endpoint(t, l, family);
		return;
	}
	l->way = WAY_IN;
	name_slot(l, map, tuple, hash, family);
}

LANE bool read_packet(const struct tables *t, struct lane *l, struct rte_mbuf *m, uint8_t *ip,
		      uint8_t l2_len, uint32_t room, const uint8_t family) {
	l->m = m;
	l->ip = ip;
	l->l2_len = l2_len;
	if (room < l3_size(family) + 8u ||
	    !(family == 4 ? parse_brief4(&l->p, ip, room) : parse_brief6(&l->p, ip, room)) ||
	    ip[family == 4 ? 8 : 7] <= 1) // TTL or hop limit
		return false;
	name_frontend(t, l, family);
	return true;
}

// The first of n frames.
LANE bool read_frame(const struct tables *t, struct rte_mbuf **left, uint16_t n, struct lanes *to) {
	struct rte_mbuf *m = left[0];
	uint8_t *frame = rte_pktmbuf_mtod(m, uint8_t *), *ip, l2_len;
	uint32_t len = rte_pktmbuf_data_len(m);
	uint16_t ethertype;

	if (len < 42)
		return false;
	l2_len = find_ip(&t->ports[m->port], frame, &ethertype);
	if (l2_len == 0)
		return false;
	ip = frame + l2_len;
	len -= l2_len;
	if (ethertype == rte_cpu_to_be_16(0x0800)) {
		if (!read_packet(t, to->end4, m, ip, l2_len, len, 4))
			return false;
		to->answers[0] += to->end4->way != WAY_IN;
		to->end4++;
		return true;
	}
	if (ethertype != rte_cpu_to_be_16(0x86dd))
		return false;
	if (n > AHEAD6)
		rte_prefetch0(rte_pktmbuf_mtod_offset(left[AHEAD6], void *, RTE_CACHE_LINE_SIZE));
	if (!read_packet(t, to->begin6 - 1, m, ip, l2_len, len, 6))
		return false;
	to->begin6--;
	to->answers[1] += to->begin6->way != WAY_IN;
	return true;
}

struct lanes lane_read(const struct tables *t, struct lane *lanes, struct rte_mbuf **m, uint16_t n,
		       struct rte_mbuf **rest) {
	struct lanes to = {.end4 = lanes, .begin6 = lanes + BURST};

	for (uint16_t i = 0; i < n && i < AHEAD; i++)
		rte_prefetch0(rte_pktmbuf_mtod(m[i], void *));
	for (uint16_t i = 0; i < n; i++) {
		if (i + AHEAD < n)
			rte_prefetch0(rte_pktmbuf_mtod(m[i + AHEAD], void *));
		if (!read_frame(t, &m[i], (uint16_t)(n - i), &to))
			rest[to.rest++] = m[i];
	}
	return to;
}
