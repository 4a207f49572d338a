// SPDX-License-Identifier: Apache-2.0
// Stage track: the packet's flow, found by the client's half on the way in and by the backend's on the way back.
#include "dataplane/stages.h"

static bool is_onward(const struct packet *k) {
	return k->fate == FATE_ONWARD && k->reason == REASON_NONE && k->way != WAY_ASIDE;
}

static enum flow_ways ways_of(const struct packet *k) {
	switch (k->frontend.mode) {
	case TABLES_DSR:
		return FLOW_ONE_WAY;
	case TABLES_DNAT:
		return FLOW_TWO_WAYS;
	default:
		return FLOW_CONFIRMED;
	}
}

// No entry on the way in: what may begin a flow here, and what goes without one.
static void judge_unknown(struct packet *k) {
	bool fullnat = k->frontend.mode == TABLES_FULLNAT;
	uint8_t flags = k->p.tcp_flags;

	if (k->p.protocol != 6 || is_tcp_start(k))
		k->fresh = true;
	else if (fullnat || (flags & PARSE_TCP_SYN))
		k->reason = REASON_NO_FLOW;
	else if (flags & (PARSE_TCP_RST | PARSE_TCP_FIN))
		k->stateless = true;
	else
		k->fresh = true; // in its middle: chosen as its SYN was
	if (k->reason == REASON_NO_FLOW &&
	    !(flags & (PARSE_TCP_RST | PARSE_TCP_SYN | PARSE_TCP_FIN)))
		k->answer = REASON_ANSWERED_RST;
}

static void read_flow(struct worker *w, struct packet *k) {
	k->backend = k->flow->backend;
	if (k->frontend.mode == TABLES_FULLNAT) {
		struct flow_port_at at = flow_port_of(w->flows, k->p.family, k->flow);

		k->snat_index = at.index;
		k->snat_port = at.port;
	}
}

static void use_flow(struct worker *w, struct packet *k, bool from_backend) {
	read_flow(w, k);
	flow_touch(w->flows, k->p.family, k->flow, ways_of(k), from_backend, k->p.tcp_flags,
		   w->now);
}

// fullnat where the device chooses the owner: it may not find the ports of every packet (a damaged one, for instance). Before a client is
// told that its connection is not known here, whom it should have met is asked.
static void ask_owner(struct worker *w, const struct tables *t, struct packet *k) {
	uint16_t owner;

	if (k->handed_over || t->workers == 1 || !tables_is_receivers(t, k->frontend))
		return;
	owner = owner_of(t, k, w->id);
	if (owner == w->id)
		return;
	k->reason = k->answer = REASON_NONE;
	move_packet(w, k, owner);
}

// Affinity came or went, and with it the owner: a connection that is not known to the present owner may live on at the former one, who
// decides. A SYN and UDP begin anew here.
static bool ask_former_owner(struct worker *w, const struct tables *t, struct packet *k,
			     bool moved) {
	uint16_t owner;

	if (!moved || t->workers == 1 || k->p.protocol != 6 || is_tcp_start(k) ||
	    owner_of(t, k, w->id) != w->id)
		return false;
	k->by_address = !k->by_address;
	k->frontend.owner_by_address = k->by_address;
	owner = owner_of(t, k, w->id);
	k->by_address = !k->by_address;
	k->frontend.owner_by_address = k->by_address;
	if (owner == w->id)
		return false;
	move_packet(w, k, owner);
	return true;
}

void track_in(struct worker *w, const struct tables *t, struct packet *k) {
	bool serves;

	k->flow = flow_find(w->flows, &k->key, k->hash, w->now);
	if (k->flow == NULL && ask_former_owner(w, t, k, k->frontend.owner_moved))
		return;
	if (k->flow == NULL) {
		judge_unknown(k);
		if (k->reason == REASON_NO_FLOW)
			ask_owner(w, t, k);
		return;
	}
	serves = backend_serves(&t->backends[k->flow->backend], (uint8_t)k->flow->gen,
				k->frontend.service);
	if (serves && !(is_tcp_start(k) && flow_is_reusable(k->flow))) {
		use_flow(w, k, false);
		k->reason = REASON_TRACKED;
		return;
	}
	flow_remove(w->flows, k->p.family, k->flow, w->now);
	k->flow = NULL;
	if (k->p.protocol != 6 || is_tcp_start(k)) {
		k->fresh = true;
	} else {
		k->reason = REASON_BACKEND_GONE;
		k->answer = k->p.tcp_flags & PARSE_TCP_RST ? REASON_NONE : REASON_ANSWERED_RST;
	}
}

static uint64_t snat_key(const struct packet *k) {
	return flow_snat_key(k->endpoint.id, k->snat_index, k->snat_port);
}

// fullnat: the snat entry names the client and the frontend.
static bool origin_snat(struct worker *w, const struct tables *t, struct packet *k) {
	const struct snat *s = flow_snat_find(w->flows, k->p.family, k->hash, snat_key(k));

	if (s == NULL)
		return false;
	k->key = flow_snat_origin(k->p.family, s);
	k->frontend = t->frontends[k->key.id].ref;
	return true;
}

// dnat: the endpoint's one frontend, or the one that the reverse entry names.
static void origin_dnat(struct worker *w, const struct tables *t, struct packet *k) {
	if (k->endpoint.ambiguous) {
		struct flow_key back = k->key;
		struct flow *f;

		back.kind = FLOW_REVERSE;
		back.id = k->endpoint.id;
		f = flow_find(w->flows, &back, flow_hash(w->flows, &back), w->now);
		if (f != NULL)
			k->key.id = (uint32_t)f->backend;
	}
	k->frontend = t->frontends[k->key.id].ref;
}

// The flow that a packet from this endpoint belongs to, as long as its backend serves.
static bool find_back(struct worker *w, const struct tables *t, struct packet *k) {
	if (k->way == WAY_BACK_DNAT)
		origin_dnat(w, t, k);
	else if (!origin_snat(w, t, k))
		return false;
	k->hash = flow_hash(w->flows, &k->key);
	k->flow = flow_find(w->flows, &k->key, k->hash, w->now);
	return k->flow != NULL &&
	       backend_serves(&t->backends[k->flow->backend], (uint8_t)k->flow->gen,
			      k->frontend.service) &&
	       t->backends[k->flow->backend].endpoint == k->endpoint.id;
}

static void track_back(struct worker *w, const struct tables *t, struct packet *k) {
	if (!find_back(w, t, k)) {
		k->flow = NULL;
		if (k->way == WAY_BACK_DNAT && ask_former_owner(w, t, k, k->endpoint.owner_moved))
			return;
		k->reason = REASON_NO_FLOW_REVERSE;
		return;
	}
	use_flow(w, k, true);
	k->reason = REASON_REVERSE;
}

static uint64_t first_hash(const struct worker *w, const struct packet *k) {
	if (k->way == WAY_BACK_SNAT)
		return flow_snat_hash(w->flows, k->p.family, snat_key(k));
	return flow_hash(w->flows, &k->key);
}

bool find_related(struct worker *w, const struct tables *t, struct packet *k) {
	k->hash = first_hash(w, k);
	if (k->way == WAY_IN) {
		k->flow = flow_find(w->flows, &k->key, k->hash, w->now);
		if (k->flow == NULL || !backend_serves(&t->backends[k->flow->backend],
						       (uint8_t)k->flow->gen, k->frontend.service))
			return false;
	} else if (!find_back(w, t, k)) {
		return false;
	}
	read_flow(w, k);
	return true;
}

void stage_track(struct worker *w, const struct tables *t, struct packet *pkt, uint16_t n) {
	// First name every bucket, then read them: the misses of a burst overlap.
	for (uint16_t i = 0; i < n; i++) {
		struct packet *k = &pkt[i];

		if (!is_onward(k))
			continue;
		k->hash = first_hash(w, k);
		if (k->way == WAY_BACK_SNAT)
			flow_snat_prefetch(w->flows, k->p.family, k->hash);
		else
			flow_prefetch(w->flows, k->p.family, k->hash,
				      k->way == WAY_IN && k->frontend.mode == TABLES_FULLNAT);
	}
	for (uint16_t i = 0; i < n; i++) {
		if (!is_onward(&pkt[i]))
			continue;
		if (pkt[i].way == WAY_IN)
			track_in(w, t, &pkt[i]);
		else
			track_back(w, t, &pkt[i]);
	}
}
