// SPDX-License-Identifier: Apache-2.0
// Frag-needed and Packet Too Big that quote a flow's packet: found by the quoted packet, translated with it, sent on.
//
//     way A: a router on the client's side, about an answer     VIP:p -> client:q       to the VIP                  => to the backend
//     way B: a router on the backend's side, about a request    SNAT:s | client:q -> backend:b   to SNAT or client  => to the client
//
// The flow's owner does it: an ICMP error arrives on whatever queue the router's address hashes to.
#include "dataplane/stages.h"

struct quote {
	struct parsed inner;
	bool to_backend;
};

// Which flow the quoted packet belongs to, as far as the tables can tell; sets way, keys and owner's inputs as classify does.
static enum reason find_quoted(const struct tables *t, struct packet *k, struct quote *q) {
	const struct parsed *in = &q->inner;
	size_t size = in->family == 4 ? 4 : 16;
	struct local_ref local;

	if (memcmp(in->src, k->p.dst, size) != 0)
		return REASON_ICMP_MISMATCH;
	q->to_backend = tuple_find(t->frontend_map, in->family, in->src, in->src_port, in->protocol,
				   &k->frontend);
	if (q->to_backend) {
		k->way = WAY_IN;
		k->by_address = k->frontend.owner_by_address;
		set_key(k, in->dst, in->dst_port, k->frontend.id);
		return REASON_NONE;
	}
	if (!tuple_find(t->endpoint_map, in->family, in->dst, in->dst_port, in->protocol,
			&k->endpoint))
		return tuple_find(t->local_map, in->family, in->src, 0, 0, &local)
			       ? REASON_ICMP_UNSUPPORTED
			       : REASON_NOT_FOR_US;
	if (tuple_find(t->local_map, in->family, in->src, 0, 0, &local) &&
	    (local.kinds & LOCAL_SNAT)) {
		k->way = WAY_BACK_SNAT;
		k->snat_index = (uint8_t)local.snat_index;
		k->snat_port = rte_be_to_cpu_16(in->src_port);
		return REASON_NONE;
	}
	if (!k->endpoint.dnat)
		return REASON_NOT_FOR_US;
	k->way = WAY_BACK_DNAT;
	k->by_address = k->endpoint.owner_by_address;
	set_key(k, in->src, in->src_port, k->endpoint.frontend);
	return REASON_NONE;
}

static void translate_to_backend(const struct tables *t, struct packet *k, const struct quote *q) {
	const struct backend *b = &t->backends[k->backend];
	struct rewrite_end backend = end_of(b->addr, b->port), snat;

	if (k->frontend.mode == TABLES_DSR)
		return; // the backend owns the virtual address: as it came
	if (k->frontend.mode == TABLES_DNAT) {
		rewrite_icmp_error(k->data, &k->p, &q->inner, NULL, &backend, &backend, NULL);
		return;
	}
	snat = snat_end(t, k);
	rewrite_icmp_error(k->data, &k->p, &q->inner, &snat, &backend, &backend, &snat);
}

static void translate_to_client(const struct tables *t, struct packet *k, const struct quote *q) {
	const struct frontend *f = &t->frontends[k->key.id];
	struct rewrite_end vip = end_of(f->addr.b, f->port),
			   client = end_of(k->key.addr, k->key.port);

	rewrite_icmp_error(k->data, &k->p, &q->inner, &vip, &client, &client, &vip);
}

static enum reason read_quote(struct packet *k, struct quote *q) {
	bool whole;

	if (!rewrite_icmp_is_valid(k->data, &k->p))
		return REASON_ICMP_MALFORMED;
	return parse_quoted(&q->inner, &whole, k->data, (uint32_t)(k->p.l3 + k->p.l3_len),
			    (uint16_t)(k->p.l4 + 8), k->p.family);
}

static bool route_translated(struct worker *w, const struct tables *t, struct packet *k,
			     bool to_backend) {
	if (!to_backend)
		return find_route(w->dp, t, k->p.family, k->key.addr, &k->port, &k->nexthop);
	k->nexthop = t->backends[k->backend].nexthop;
	if (k->nexthop == TABLES_NO_ID)
		return false;
	k->port = neighbor_port(w->dp->neighbors, k->nexthop);
	return true;
}

static void send_translated(struct worker *w, const struct tables *t, struct packet *k,
			    bool to_backend) {
	enum reason reason = REASON_NO_ROUTE;
	struct ip_addr to;

	if (!route_translated(w, t, k, to_backend)) {
		packet_drop(w, k, reason);
		return;
	}
	to = k->p.family == 4 ? ip_addr_from_v4(k->key.addr[0]) : ip_addr_from_v6(k->key.addr);
	k->reason = REASON_ICMP_RELATED;
	k->fate = send_ip(w, t, k->m, k->p.l3, k->port, k->nexthop,
			  k->nexthop == NEIGHBOR_NONE ? &to : NULL, k, &reason);
	if (k->fate == FATE_DROPPED)
		packet_drop(w, k, reason);
}

void icmp_translate(struct worker *w, const struct tables *t, struct packet *k) {
	struct quote q;
	enum reason reason = read_quote(k, &q);
	uint16_t owner;

	if (reason == REASON_NONE)
		reason = find_quoted(t, k, &q);
	if (reason != REASON_NONE) {
		packet_drop(w, k, reason);
		return;
	}
	owner = owner_of(t, k, w->id);
	if (owner != w->id && !k->handed_over) {
		move_packet(w, k, owner);
		return;
	}
	if (!find_related(w, t, k)) {
		packet_drop(w, k, q.to_backend ? REASON_NO_FLOW : REASON_NO_FLOW_REVERSE);
		return;
	}
	if (k->frontend.mode != TABLES_DSR && k->p.ttl <= 1) {
		packet_drop(w, k, REASON_TTL_EXCEEDED);
		return;
	}
	if (q.to_backend)
		translate_to_backend(t, k, &q);
	else
		translate_to_client(t, k, &q);
	send_translated(w, t, k, q.to_backend);
}
