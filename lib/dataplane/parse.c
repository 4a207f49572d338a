// SPDX-License-Identifier: Apache-2.0
// Stage parse: bytes to fields, and what only the ingress port can judge: MAC addresses and VLAN.
#include <rte_prefetch.h>

#include "dataplane/stages.h"

#define AHEAD 4 // frames whose first line is on its way

static enum reason judge_l2(const struct tables_port *port, const uint8_t *frame,
			    const struct parsed *p) {
	if ((frame[6] & 1) || memcmp(frame + 6, port->mac.b, 6) == 0)
		return REASON_MAC_SOURCE;
	if (!(frame[0] & 1) && memcmp(frame, port->mac.b, 6) != 0)
		return REASON_MAC_OTHER;
	if (p->vlan == port->vlan || (port->vlan == 0 && p->vlan == PARSE_UNTAGGED))
		return REASON_NONE;
	if (p->vlan == PARSE_UNTAGGED)
		return REASON_VLAN_UNTAGGED;
	return port->vlan == 0 ? REASON_VLAN_TAGGED : REASON_VLAN_OTHER;
}

// A frame to a group may carry ARP or ICMPv6 to a group, nothing that is forwarded.
static bool is_stray_group(const uint8_t *frame, const struct parsed *p) {
	return (frame[0] & 1) && p->kind != PARSE_ARP && !(p->kind == PARSE_ICMP && p->family == 6);
}

static enum reason judge(const struct tables *t, struct packet *k) {
	enum reason parsed = parse_frame(&k->p, k->data, rte_pktmbuf_data_len(k->m));
	enum reason l2;

	if (rte_pktmbuf_data_len(k->m) < 14)
		return REASON_TRUNCATED;
	l2 = judge_l2(&t->ports[k->m->port], k->data, &k->p);
	if (l2 != REASON_NONE)
		return l2;
	if (parsed == REASON_NONE && is_stray_group(k->data, &k->p))
		return REASON_MARTIAN_DESTINATION;
	return parsed;
}

void stage_parse(struct worker *w, const struct tables *t, struct packet *pkt, uint16_t n) {
	for (uint16_t i = 0; i < n && i < AHEAD; i++)
		rte_prefetch0(rte_pktmbuf_mtod(pkt[i].m, void *));
	for (uint16_t i = 0; i < n; i++) {
		enum reason reason;

		if (i + AHEAD < n)
			rte_prefetch0(rte_pktmbuf_mtod(pkt[i + AHEAD].m, void *));
		pkt[i].data = rte_pktmbuf_mtod(pkt[i].m, uint8_t *);
		reason = judge(t, &pkt[i]);
		if (reason != REASON_NONE)
			packet_drop(w, &pkt[i], reason);
	}
}
