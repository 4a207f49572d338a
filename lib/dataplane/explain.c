// SPDX-License-Identifier: Apache-2.0
// explain and the list of flows: jobs that a worker runs between bursts.
#include "dataplane/explain.h"

#include "dataplane/stages.h"

static void begin(struct packet *k, const struct explain *e) {
	*k = (struct packet){.backend = TABLES_NO_ID,
			     .frontend.service = TABLES_NO_ID,
			     .nexthop = NEIGHBOR_NONE};
	k->p = (struct parsed){.family = e->client.family,
			       .kind = PARSE_FLOW,
			       .protocol = e->protocol,
			       .ttl = 64,
			       .src_port = e->client_port,
			       .dst_port = e->vip_port,
			       .tcp_flags = e->protocol == 6 ? PARSE_TCP_SYN : 0};
	memcpy(k->p.src, e->client.b, sizeof(k->p.src));
	memcpy(k->p.dst, e->vip.b, sizeof(k->p.dst));
}

uint16_t explain_owner(const struct tables *t, const struct explain *e) {
	struct packet k;

	begin(&k, e);
	classify_packet(t, &k);
	return k.reason != REASON_NONE ? 0 : owner_of(t, &k, EXPLAIN_ANY);
}

static void view(const struct worker *w, const struct packet *k, struct flow_view *v) {
	const struct flow *f = k->flow;
	const struct flow_record *r = flow_record(w->flows, k->p.family, f);

	*v = (struct flow_view){
		.key = k->key,
		.backend = (uint32_t)f->backend,
		.endpoint = (uint32_t)r->endpoint,
		.gen = (uint8_t)f->gen,
		.state = (uint8_t)f->state,
		.snat_index = (uint8_t)r->snat_index,
		.snat_port = (uint16_t)r->snat_port,
		.age = (w->now / FLOW_TICKS - (uint32_t)r->created) & ((1u << FLOW_TIME_BITS) - 1),
		.idle = ((w->now - (uint32_t)f->last) & ((1u << FLOW_TIME_BITS) - 1)) / FLOW_TICKS};
}

static void choose(struct worker *w, const struct tables *t, struct packet *k, struct explain *e) {
	const struct service *s = t->services[k->frontend.service];

	if (k->frontend.affinity)
		e->by_affinity = choose_by_affinity(w, t, k, false);
	e->by_table = choose_backend(t, k);
	if (s->table.size > 0)
		e->slot = maglev_slot(&s->table, tables_choice(&t->frontends[k->frontend.id],
							       k->key.addr, k->key.port));
	e->backend = e->by_affinity != TABLES_NO_ID ? e->by_affinity : e->by_table;
	if (e->backend == TABLES_NO_ID)
		e->reason = REASON_NO_BACKEND;
	else
		e->reason = e->by_affinity != TABLES_NO_ID ? REASON_AFFINITY : REASON_NEW;
}

static void track_or_choose(struct worker *w, const struct tables *t, struct packet *k,
			    struct explain *e) {
	k->hash = flow_hash(w->flows, &k->key);
	k->flow = flow_find(w->flows, &k->key, k->hash, w->now);
	e->has_flow = k->flow != NULL;
	if (e->has_flow)
		view(w, k, &e->flow);
	if (e->has_flow &&
	    backend_serves(&t->backends[e->flow.backend], e->flow.gen, k->frontend.service)) {
		e->reason = REASON_TRACKED;
		e->backend = e->flow.backend;
	} else {
		choose(w, t, k, e);
	}
}

bool explain_run(struct worker *w, const struct tables *t, struct job *job) {
	struct explain *e = (struct explain *)job;
	struct packet k;

	begin(&k, e);
	e->by_affinity = e->by_table = e->backend = TABLES_NO_ID;
	e->has_flow = e->has_route = false;
	classify_packet(t, &k);
	e->frontend = k.frontend;
	e->owner = w->id;
	e->reason = k.reason;
	if (k.way != WAY_IN) {
		e->reason = REASON_NOT_FOR_US;
		return true;
	}
	if (k.reason != REASON_NONE)
		return true;
	track_or_choose(w, t, &k, e);
	if (e->backend != TABLES_NO_ID) {
		e->nexthop = t->backends[e->backend].nexthop;
		e->has_route = e->nexthop != TABLES_NO_ID;
		e->port = e->has_route ? neighbor_port(w->dp->neighbors, e->nexthop) : 0;
	}
	return true;
}

bool flow_list_run(struct worker *w, const struct tables *t, struct job *job) {
	struct flow_list *l = (struct flow_list *)job;
	struct flow_view found[64];
	uint32_t n = flow_scan(w->flows, &l->cursor, w->now, found, RTE_DIM(found));

	for (uint32_t i = 0; i < n && l->n < l->max; i++) {
		const struct flow_view *v = &found[i];
		size_t size = v->key.family == 4 ? 4 : 16;

		if (l->by_client && (v->key.family != l->client.family ||
				     memcmp(v->key.addr, l->client.b, size) != 0))
			continue;
		if (l->wanted != NULL && !l->wanted(l->ctx, t, v))
			continue;
		l->rows[l->n++] = *v;
	}
	return l->cursor == UINT64_MAX || l->n == l->max;
}
