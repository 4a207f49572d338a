// SPDX-License-Identifier: Apache-2.0
// Stage select: a backend for each new flow, by affinity or by the service's table, and the flow's entry.
#include <errno.h>

#include "dataplane/stages.h"

static uint32_t choose_index(const struct tables *t, const struct service *s,
			     const struct packet *k) {
	if (s->table.size == 0)
		return 0;
	return maglev_find(&s->table,
			   tables_choice(&t->frontends[k->frontend.id], k->key.addr, k->key.port));
}

uint32_t choose_backend(const struct tables *t, const struct packet *k) {
	const struct service *s = t->services[k->frontend.service];

	return s->n_usable == 0 ? TABLES_NO_ID : s->usable[choose_index(t, s, k)];
}

static struct affinity_key affinity_key_of(const struct packet *k) {
	struct affinity_key a = {.service = k->frontend.service, .family = k->p.family};

	memcpy(a.addr, k->key.addr, sizeof(a.addr));
	return a;
}

uint32_t choose_by_affinity(struct worker *w, const struct tables *t, const struct packet *k,
			    bool slide) {
	const struct service *s = t->services[k->frontend.service];
	struct affinity_key a = affinity_key_of(k);
	uint64_t hash = affinity_hash(w->affinity, &a);
	uint32_t backend;
	uint8_t gen;
	bool found = slide ? affinity_find(w->affinity, &a, hash, s->affinity_ticks, w->now,
					   &backend, &gen)
			   : affinity_peek(w->affinity, &a, hash, s->affinity_ticks, w->now,
					   &backend, &gen);

	if (!found || !backend_serves(&t->backends[backend], gen, k->frontend.service))
		return TABLES_NO_ID;
	return backend_state(&t->backends[backend]) & BACKEND_USABLE ? backend : TABLES_NO_ID;
}

static void remember_affinity(struct worker *w, const struct tables *t, const struct packet *k) {
	const struct service *s = t->services[k->frontend.service];
	struct affinity_key a = affinity_key_of(k);

	if (affinity_set(w->affinity, &a, affinity_hash(w->affinity, &a), s->affinity_ticks, w->now,
			 k->backend, t->backends[k->backend].gen))
		bump(&w->counters.affinity_evicted, 1);
}

// A known flow keeps its client's affinity alive; it also begins one where affinity was turned on after the flow.
static void refresh_affinity(struct worker *w, const struct tables *t, const struct packet *k) {
	if (choose_by_affinity(w, t, k, true) == TABLES_NO_ID &&
	    (backend_state(&t->backends[k->backend]) & BACKEND_USABLE))
		remember_affinity(w, t, k);
}

static uint8_t back_of(const struct tables *t, const struct packet *k) {
	if (k->frontend.mode == TABLES_FULLNAT)
		return FLOW_BACK_SNAT;
	if (k->frontend.mode == TABLES_DNAT &&
	    t->endpoints[t->backends[k->backend].endpoint].ref.ambiguous)
		return FLOW_BACK_ENTRY;
	return FLOW_BACK_NONE;
}

// A flow made while the endpoint had one frontend has no reverse entry; it holds (client, endpoint) all the same.
static bool is_held_without_entry(struct worker *w, const struct tables *t, const struct packet *k,
				  uint32_t endpoint) {
	struct flow_key first = k->key;
	const struct flow *f;

	first.id = t->endpoints[endpoint].ref.frontend;
	if (first.id == k->key.id)
		return false;
	f = flow_find(w->flows, &first, flow_hash(w->flows, &first), w->now);
	return f != NULL && !f->has_reverse && t->backends[f->backend].endpoint == endpoint;
}

static int create(struct worker *w, const struct tables *t, struct packet *k) {
	const struct backend *b = &t->backends[k->backend];
	struct flow_new n = {.backend = k->backend,
			     .endpoint = b->endpoint,
			     .gen = b->gen,
			     .protocol = k->p.protocol,
			     .back = back_of(t, k),
			     .starts = k->p.protocol != 6 || is_tcp_start(k)};
	int ret;

	if (n.back == FLOW_BACK_ENTRY && is_held_without_entry(w, t, k, n.endpoint))
		return -EADDRINUSE;
	if (n.back == FLOW_BACK_SNAT)
		set_own_ports(w, t, &n);
	ret = flow_create(w->flows, &k->key, k->hash, &n, w->now, &k->flow);
	if (ret == 0 && n.back == FLOW_BACK_SNAT) {
		const struct flow_record *r = flow_record(w->flows, k->p.family, k->flow);

		k->snat_index = (uint8_t)r->snat_index;
		k->snat_port = (uint16_t)r->snat_port;
	}
	return ret;
}

// dnat: the client's address and port already lead to this endpoint through another frontend. The next one in the table's order.
static int create_elsewhere(struct worker *w, const struct tables *t, struct packet *k) {
	const struct service *s = t->services[k->frontend.service];
	uint32_t first = choose_index(t, s, k);
	int ret = -EADDRINUSE;

	for (uint32_t i = 1; i <= s->n_usable && ret == -EADDRINUSE; i++) {
		k->backend = s->usable[(first + i) % s->n_usable];
		ret = create(w, t, k);
	}
	return ret;
}

static void judge_failure(struct worker *w, const struct tables *t, struct packet *k, int ret) {
	bool full = ret == -ENOSPC || ret == -EDQUOT;

	if (full && k->frontend.mode == TABLES_DSR)
		k->reason = REASON_STATELESS;
	else if (full)
		packet_drop(w, k, ret == -EDQUOT ? REASON_HALF_OPEN_LIMIT : REASON_FLOW_TABLE_FULL);
	else
		packet_drop(w, k, ret == -EADDRINUSE ? REASON_TUPLE_IN_USE : REASON_SNAT_EXHAUSTED);
}

static void reject(const struct tables *t, struct packet *k) {
	k->reason = REASON_NO_BACKEND;
	if (!t->services[k->frontend.service]->reject || (k->p.tcp_flags & PARSE_TCP_RST))
		return;
	k->answer = k->p.protocol == 6 ? REASON_ANSWERED_RST : REASON_ANSWERED_UNREACHABLE;
}

static void select_backend(struct worker *w, const struct tables *t, struct packet *k) {
	bool by_affinity = false;
	int ret;

	k->backend = TABLES_NO_ID;
	if (k->frontend.affinity)
		k->backend = choose_by_affinity(w, t, k, true);
	if (k->backend != TABLES_NO_ID)
		by_affinity = true;
	else
		k->backend = choose_backend(t, k);
	if (k->backend == TABLES_NO_ID) {
		reject(t, k);
		return;
	}
	if (k->stateless) {
		k->reason = REASON_STATELESS;
		return;
	}
	if (k->frontend.mode == TABLES_FULLNAT &&
	    (k->p.family == 4 ? t->n_snat4 : t->n_snat6) == 0) {
		packet_drop(w, k, REASON_SNAT_NO_ADDRESS);
		return;
	}
	ret = create(w, t, k);
	if (ret == -EADDRINUSE)
		ret = create_elsewhere(w, t, k);
	if (ret < 0) {
		judge_failure(w, t, k, ret);
		return;
	}
	k->reason = by_affinity ? REASON_AFFINITY : REASON_NEW;
	if (k->frontend.affinity && !by_affinity)
		remember_affinity(w, t, k);
}

// Two packets of one new flow in a burst: the second one finds what the first one made.
static bool is_made_meanwhile(struct worker *w, const struct tables *t, struct packet *k,
			      bool made) {
	if (!made || !k->fresh)
		return false;
	k->fresh = false;
	track_in(w, t, k);
	return !k->fresh;
}

void stage_select(struct worker *w, const struct tables *t, struct packet *pkt, uint16_t n) {
	bool made = false;

	for (uint16_t i = 0; i < n; i++) {
		struct packet *k = &pkt[i];

		if (k->fate != FATE_ONWARD || k->way != WAY_IN)
			continue;
		if ((k->fresh || k->stateless) && !is_made_meanwhile(w, t, k, made)) {
			select_backend(w, t, k);
			made = true;
		} else if (k->frontend.affinity && k->reason == REASON_TRACKED) {
			refresh_affinity(w, t, k);
		}
	}
}
