// SPDX-License-Identifier: Apache-2.0
// Stage aside: what is not a flow's packet, one by one: ARP, neighbour discovery, ICMP; and the answers that Sluice gives in its own name.
#include <rte_ether.h>

#include "dataplane/stages.h"

enum { ICMP4_UNREACHABLE = 3, ICMP4_ECHO = 8, ICMP4_TIME_EXCEEDED = 11, ICMP4_PARAMETER = 12 };
enum { ICMP6_ECHO = 128, ICMP6_RS = 133, ICMP6_NS = 135, ICMP6_NA = 136, ICMP6_REDIRECT = 137 };

struct rte_mbuf *own_buffer(struct worker *w) {
	struct rte_mbuf *m = rte_pktmbuf_alloc(w->pool);

	if (m == NULL) {
		bump(&w->counters.drops[REASON_NO_MEMORY], 1);
		return NULL;
	}
	if (w->dp->trace != NULL)
		worker_trace_set(w->dp, m, w->cause);
	return m;
}

bool take_answer_token(struct worker *w) {
	uint64_t since = w->now_ms - w->answer_ms, earned = since * WORKER_ANSWERS_SECOND / 1000;

	if (earned > 0) {
		w->answer_tokens = (uint32_t)RTE_MIN((uint64_t)w->answer_tokens + earned,
						     (uint64_t)WORKER_ANSWERS_SECOND);
		w->answer_ms = w->now_ms;
	}
	if (w->answer_tokens == 0) {
		bump(&w->counters.answers_limited, 1);
		return false;
	}
	w->answer_tokens--;
	return true;
}

enum reason send_own(struct worker *w, const struct tables *t, struct rte_mbuf *m, uint8_t family) {
	const uint8_t *ip = rte_pktmbuf_mtod(m, const uint8_t *);
	enum reason reason = REASON_NO_ROUTE;
	enum fate fate = FATE_DROPPED;
	struct ip_addr to;
	uint32_t words[4] = {0}, nexthop;
	uint16_t port;

	memcpy(words, ip + (family == 4 ? 16 : 24), family == 4 ? 4 : 16);
	if (find_route(w->dp, t, family, words, &port, &nexthop)) {
		to = family == 4 ? ip_addr_from_v4(words[0]) : ip_addr_from_v6(words);
		fate = send_ip(w, t, m, 0, port, nexthop, nexthop == NEIGHBOR_NONE ? &to : NULL,
			       NULL, &reason);
	}
	if (fate != FATE_DROPPED)
		return REASON_NONE;
	rte_pktmbuf_free(m);
	return reason;
}

// --- answers to packets that can't go on ---

static struct ip_addr error_source(const struct tables *t, const struct packet *k) {
	const struct tables_port *p = &t->ports[k->m->port];
	const struct ip_addr *own = k->p.family == 4 ? &p->addr4 : &p->addr6;

	// In the name of the virtual address where it speaks for the service, else as the router that it is here.
	if (k->answer != REASON_ANSWERED_UNREACHABLE && own->family != 0)
		return *own;
	return k->p.family == 4 ? ip_addr_from_v4(k->p.dst[0]) : ip_addr_from_v6(k->p.dst);
}

static uint16_t build_answer(const struct tables *t, const struct packet *k, uint8_t *out) {
	struct ip_addr from = error_source(t, k);

	switch (k->answer) {
	case REASON_ANSWERED_RST:
		return rewrite_build_rst(out, k->data, &k->p);
	case REASON_ANSWERED_UNREACHABLE:
		return rewrite_build_icmp_error(out, k->data, &k->p, REWRITE_PORT_UNREACHABLE, 0,
						&from);
	case REASON_ANSWERED_TIME_EXCEEDED:
		return rewrite_build_icmp_error(out, k->data, &k->p, REWRITE_TIME_EXCEEDED, 0,
						&from);
	default:
		return rewrite_build_icmp_error(out, k->data, &k->p, REWRITE_TOO_BIG,
						t->ports[k->port].mtu, &from);
	}
}

static void answer(struct worker *w, const struct tables *t, struct packet *k) {
	struct rte_mbuf *m = take_answer_token(w) ? own_buffer(w) : NULL;
	uint16_t len;

	if (m == NULL) {
		k->answer = REASON_NONE;
		return;
	}
	len = build_answer(t, k, rte_pktmbuf_mtod(m, uint8_t *));
	if (len == 0) {
		k->answer = REASON_NONE;
		rte_pktmbuf_free(m);
		return;
	}
	rte_pktmbuf_append(m, len);
	if (send_own(w, t, m, k->p.family) != REASON_NONE)
		k->answer = REASON_NONE; // the packet keeps the reason it ended for
	else
		bump(&w->counters.answered, 1);
}

// --- neighbours ---

static void take_in(struct worker *w, struct packet *k, const struct ip_addr *addr,
		    const struct mac_addr *mac, bool is_answer) {
	struct event e = {.type = EVENT_HEARD,
			  .answer = is_answer,
			  .port = k->m->port,
			  .addr = *addr,
			  .mac = *mac};

	tell_control(w, &e, is_answer);
	packet_drop(w, k, REASON_NEIGHBOR);
}

static bool answers_for(const struct tables *t, uint16_t port, const struct ip_addr *addr) {
	struct local_ref local;

	return tuple_find_addr(t->local_map, addr, 0, 0, &local) && (local.answer & (1u << port));
}

static bool is_local(const struct tables *t, const struct ip_addr *addr) {
	struct local_ref local;

	return tuple_find_addr(t->local_map, addr, 0, 0, &local);
}

static void send_arp(struct worker *w, const struct tables *t, uint16_t port,
		     const struct arp_info *a, const struct mac_addr *to) {
	struct rte_mbuf *m = own_buffer(w);

	if (m == NULL)
		return;
	rte_pktmbuf_append(m, arp_build(rte_pktmbuf_mtod(m, uint8_t *), a));
	write_l2(&t->ports[port], m, 0, to->b, 0x0806);
	send_frame(w, m, port);
}

static void handle_arp(struct worker *w, const struct tables *t, struct packet *k) {
	uint16_t port = k->m->port;
	struct ip_addr sender, target;
	struct arp_info a;

	if (!arp_read(&a, k->data + k->p.l3)) {
		packet_drop(w, k, REASON_ARP_MALFORMED);
		return;
	}
	sender = ip_addr_from_v4(a.sender);
	target = ip_addr_from_v4(a.target);
	if (a.sender != 0 && is_local(t, &sender)) {
		packet_drop(w, k, REASON_ARP_OTHER); // somebody else uses an address of ours
	} else if (a.op == 1 && answers_for(t, port, &target)) {
		struct arp_info reply = {.op = 2,
					 .sender_mac = t->ports[port].mac,
					 .target_mac = a.sender_mac,
					 .sender = a.target,
					 .target = a.sender};

		send_arp(w, t, port, &reply, &a.sender_mac);
		if (a.sender != 0)
			take_in(w, k, &sender, &a.sender_mac, false);
		packet_drop(w, k, REASON_ANSWERED_ARP);
	} else if (a.op == 2 && memcmp(&a.target_mac, &t->ports[port].mac, 6) == 0 &&
		   a.sender != 0) {
		take_in(w, k, &sender, &a.sender_mac, true);
	} else if (a.sender == a.target && a.sender != 0) {
		take_in(w, k, &sender, &a.sender_mac, false);
	} else {
		packet_drop(w, k, REASON_ARP_OTHER);
	}
}

static void send_nd(struct worker *w, const struct tables *t, uint16_t port, struct rte_mbuf *m,
		    uint16_t len, const struct mac_addr *to) {
	rte_pktmbuf_append(m, len);
	write_l2(&t->ports[port], m, 0, to->b, 0x86dd);
	send_frame(w, m, port);
}

static void advertise(struct worker *w, const struct tables *t, uint16_t port,
		      const struct ip_addr *target, const struct ip_addr *to,
		      const struct mac_addr *to_mac) {
	static const struct ip_addr all_nodes = {.b = {0xff, 2, [15] = 1}, .family = 6};
	struct mac_addr group = nd_group_mac(&all_nodes);
	struct rte_mbuf *m = own_buffer(w);

	if (m == NULL)
		return;
	send_nd(w, t, port, m,
		nd_build_advertisement(rte_pktmbuf_mtod(m, uint8_t *), target, &t->ports[port].mac,
				       to, to != NULL, true),
		to == NULL ? &group : to_mac);
}

static void handle_nd(struct worker *w, const struct tables *t, struct packet *k) {
	uint16_t port = k->m->port;
	struct mac_addr from;
	struct nd_info nd;
	bool dad;

	memcpy(from.b, k->data + 6, 6);
	if (k->p.icmp_type != ICMP6_NS && k->p.icmp_type != ICMP6_NA) {
		packet_drop(w, k, REASON_ND_OTHER);
		return;
	}
	if (!nd_read(&nd, k->data, &k->p)) {
		packet_drop(w, k, REASON_ND_MALFORMED);
		return;
	}
	dad = ip_addr_eq(&nd.source, &(struct ip_addr){.family = 6});
	if (nd.type == ICMP6_NA && !is_local(t, &nd.target)) {
		take_in(w, k, &nd.target, nd.has_mac ? &nd.mac : &from,
			nd.solicited || nd.override);
	} else if (nd.type == ICMP6_NS && answers_for(t, port, &nd.target)) {
		advertise(w, t, port, &nd.target, dad ? NULL : &nd.source,
			  nd.has_mac ? &nd.mac : &from);
		if (!dad && nd.has_mac)
			take_in(w, k, &nd.source, &nd.mac, false);
		packet_drop(w, k, REASON_ANSWERED_ND);
	} else {
		packet_drop(w, k, REASON_ND_OTHER);
	}
}

void send_request(struct worker *w, const struct tables *t, const struct neighbor_request *r) {
	const struct tables_port *p = &t->ports[r->port];
	static const struct mac_addr broadcast = {{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}};
	struct mac_addr group;
	struct ip_addr solicited;
	struct rte_mbuf *m;

	if (r->target.family == 4) {
		struct arp_info a = {.op = 1,
				     .sender_mac = p->mac,
				     .sender = ip_addr_v4(&p->addr4),
				     .target = ip_addr_v4(&r->target)};

		send_arp(w, t, r->port, &a, r->has_mac ? &r->mac : &broadcast);
		return;
	}
	m = own_buffer(w);
	if (m == NULL)
		return;
	solicited = nd_solicited_node(&r->target);
	group = nd_group_mac(&solicited);
	send_nd(w, t, r->port, m,
		nd_build_solicitation(rte_pktmbuf_mtod(m, uint8_t *), &p->addr6, &p->mac,
				      &r->target, r->has_mac ? &r->target : NULL),
		r->has_mac ? &r->mac : &group);
}

void send_announcement(struct worker *w, const struct tables *t, uint16_t port,
		       const struct ip_addr *addr) {
	static const struct mac_addr broadcast = {{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}};

	if (addr->family == 4) {
		struct arp_info a = {.op = 1,
				     .sender_mac = t->ports[port].mac,
				     .sender = ip_addr_v4(addr),
				     .target = ip_addr_v4(addr)};

		send_arp(w, t, port, &a, &broadcast);
	} else {
		advertise(w, t, port, addr, NULL, NULL);
	}
}

// --- ICMP ---

static void echo(struct worker *w, const struct tables *t, struct packet *k) {
	struct rte_mbuf *m = k->m;

	if (!rewrite_echo_reply(k->data, &k->p)) {
		packet_drop(w, k, REASON_ICMP_MALFORMED);
		return;
	}
	rte_pktmbuf_trim(m, (uint16_t)(rte_pktmbuf_data_len(m) - k->p.l3 -
				       k->p.l3_len)); // Ethernet's padding
	rte_pktmbuf_adj(m, k->p.l3);
	k->fate = FATE_SENT; // m is no longer ours
	k->reason = send_own(w, t, m, k->p.family);
	if (k->reason != REASON_NONE) {
		bump(&w->counters.drops[k->reason], 1);
		return;
	}
	bump(&w->counters.answered, 1);
	k->reason = k->answer = REASON_ANSWERED_ECHO;
}

static bool is_too_big(const struct parsed *p) {
	return p->family == 4 ? p->icmp_type == ICMP4_UNREACHABLE && p->icmp_code == 4
			      : p->icmp_type == 2;
}

static bool is_error(const struct parsed *p) {
	if (p->family == 6)
		return p->icmp_type < 128;
	return p->icmp_type == ICMP4_UNREACHABLE || p->icmp_type == 4 || p->icmp_type == 5 ||
	       p->icmp_type == ICMP4_TIME_EXCEEDED || p->icmp_type == ICMP4_PARAMETER;
}

static void handle_icmp(struct worker *w, const struct tables *t, struct packet *k) {
	const struct parsed *p = &k->p;
	struct local_ref local;
	bool ours = tuple_find(t->local_map, p->family, p->dst, 0, 0, &local);

	if (p->family == 6 && p->icmp_type >= ICMP6_RS && p->icmp_type <= ICMP6_REDIRECT)
		handle_nd(w, t, k);
	else if (ours && p->icmp_type == (p->family == 4 ? ICMP4_ECHO : ICMP6_ECHO))
		echo(w, t, k);
	else if (is_too_big(p))
		icmp_translate(w, t, k);
	else
		packet_drop(w, k,
			    ours && (local.kinds & (LOCAL_VIP | LOCAL_SNAT)) && is_error(p)
				    ? REASON_ICMP_UNSUPPORTED
				    : REASON_NOT_FOR_US);
}

void stage_aside(struct worker *w, const struct tables *t, struct packet *pkt, uint16_t n) {
	for (uint16_t i = 0; i < n; i++) {
		struct packet *k = &pkt[i];
		bool answered = k->answer != REASON_NONE && k->fate == FATE_ONWARD;

		if (!answered && (k->way != WAY_ASIDE || k->fate != FATE_ONWARD || is_dropped(k)))
			continue;
		if (w->dp->trace != NULL)
			w->cause = k->trace;
		if (answered)
			answer(w, t, k);
		else if (k->p.kind == PARSE_ARP)
			handle_arp(w, t, k);
		else
			handle_icmp(w, t, k);
		w->cause = WORKER_NO_TRACE;
	}
}
