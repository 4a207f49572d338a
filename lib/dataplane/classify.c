// SPDX-License-Identifier: Apache-2.0
// Stage classify: which way a packet goes, by what it is addressed to and then by who sent it.
#include "dataplane/stages.h"

static bool is_denied(const struct tables *t, const struct packet *k) {
	const struct service *s = t->services[k->frontend.service];
	uint32_t found;

	if (s->sources == NULL)
		return false;
	found = k->p.family == 4 ? lpm_find4(s->sources, k->p.src[0])
				 : lpm_find6(s->sources, (const uint8_t *)k->p.src);
	return found == LPM_NONE;
}

static void expire_ttl(struct packet *k) {
	k->reason = REASON_TTL_EXCEEDED;
	k->answer = REASON_ANSWERED_TIME_EXCEEDED;
}

static void classify_in(const struct tables *t, struct packet *k) {
	k->way = WAY_IN;
	k->by_address = k->frontend.owner_by_address;
	set_key(k, k->p.src, k->p.src_port, k->frontend.id);
	if (k->frontend.restricted && is_denied(t, k))
		k->reason = REASON_SOURCE_DENIED;
	else if (is_own_address(t, k->p.family, k->p.src))
		k->reason = REASON_MARTIAN_SOURCE;
	else if (k->frontend.mode != TABLES_DSR && k->p.ttl <= 1)
		expire_ttl(k);
}

// Not to a frontend: an answer to an SNAT address, or one of dnat to the client itself.
static void classify_back(const struct tables *t, struct packet *k) {
	struct local_ref local;
	bool is_local = tuple_find(t->local_map, k->p.family, k->p.dst, 0, 0, &local);
	bool known = tuple_find(t->endpoint_map, k->p.family, k->p.src, k->p.src_port,
				k->p.protocol, &k->endpoint);

	if (is_local && (local.kinds & LOCAL_SNAT) &&
	    rte_be_to_cpu_16(k->p.dst_port) >= FLOW_FIRST_PORT) {
		k->way = WAY_BACK_SNAT;
		k->snat_index = (uint8_t)local.snat_index;
		k->snat_port = rte_be_to_cpu_16(k->p.dst_port);
		if (!known)
			k->reason = REASON_NO_FLOW_REVERSE;
	} else if (!is_local && known && k->endpoint.dnat) {
		k->way = WAY_BACK_DNAT;
		k->by_address = k->endpoint.owner_by_address;
		set_key(k, k->p.dst, k->p.dst_port, k->endpoint.frontend);
	} else {
		k->reason = REASON_NOT_FOR_US;
	}
	if (k->reason == REASON_NONE && k->p.ttl <= 1)
		expire_ttl(k);
}

// Sets way and keys, or reason of a drop. Changes nothing else; also called by explain.
void classify_packet(const struct tables *t, struct packet *k) {
	const struct parsed *p = &k->p;

	if (p->kind == PARSE_ARP || p->kind == PARSE_ICMP) {
		k->way = WAY_ASIDE;
	} else if (p->kind == PARSE_OTHER_L4) {
		struct local_ref local;

		k->reason = tuple_find(t->local_map, p->family, p->dst, 0, 0, &local) &&
					    (local.kinds & LOCAL_VIP)
				    ? REASON_PROTOCOL
				    : REASON_NOT_FOR_US;
	} else if (tuple_find(t->frontend_map, p->family, p->dst, p->dst_port, p->protocol,
			      &k->frontend)) {
		classify_in(t, k);
	} else {
		classify_back(t, k);
	}
}

void stage_classify(const struct tables *t, struct packet *pkt, uint16_t n) {
	for (uint16_t i = 0; i < n; i++)
		if (pkt[i].fate == FATE_ONWARD && pkt[i].p.family == 4)
			tuple_prefetch4(t->frontend_map, pkt[i].p.dst[0], pkt[i].p.dst_port,
					pkt[i].p.protocol);
	for (uint16_t i = 0; i < n; i++)
		if (pkt[i].fate == FATE_ONWARD)
			classify_packet(t, &pkt[i]);
}
