// SPDX-License-Identifier: Apache-2.0
// One burst through all stages, and the end of each packet. The whole packet path is worker_burst():
// the short way for what is usual (lane.c), then the stages, one call each, for the rest.
#include "dataplane/stages.h"

void packet_drop(struct worker *w, struct packet *k, enum reason reason) {
	(void)w;
	k->fate = FATE_DROPPED;
	k->reason = (uint8_t)reason;
}

void tell_verdict(struct worker *w, const struct tables *t, const struct packet *k) {
	struct verdict v = {.trace = k->trace,
			    .fate = k->fate,
			    .reason = k->reason,
			    .answer = k->answer,
			    .service = k->frontend.service,
			    .backend = k->backend};

	w->dp->trace(w->dp->trace_ctx, t, &v);
}

static void remember_traces(const struct worker *w, struct packet *pkt, uint16_t n) {
	for (uint16_t i = 0; i < n; i++)
		pkt[i].trace = worker_trace_get(w->dp, pkt[i].m);
}

static void begin_packet(struct packet *k, struct rte_mbuf *m, bool handed_over) {
	k->m = m;
	k->fate = FATE_ONWARD;
	k->reason = REASON_NONE;
	k->answer = REASON_NONE;
	k->way = WAY_ASIDE;
	k->handed_over = handed_over;
	k->by_address = false;
	k->fresh = false;
	k->stateless = false;
	k->frontend = (struct frontend_ref){.service = TABLES_NO_ID};
	k->flow = NULL;
	k->backend = TABLES_NO_ID;
}

void burst_begin(struct packet *pkt, struct rte_mbuf **m, uint16_t n, bool handed_over) {
	for (uint16_t i = 0; i < n; i++)
		begin_packet(&pkt[i], m[i], handed_over);
}

// Packets in a transmit buffer or held have left k->m to others.
void burst_finish(struct worker *w, struct packet *pkt, uint16_t n) {
	struct rte_mbuf *ended[BURST];
	unsigned n_ended = 0;

	for (uint16_t i = 0; i < n; i++) {
		struct packet *k = &pkt[i];

		if (k->fate != FATE_DROPPED && k->fate != FATE_ONWARD)
			continue;
		k->fate = FATE_DROPPED;
		if (is_dropped(k))
			bump(&w->counters.drops[k->reason], 1);
		ended[n_ended++] = k->m;
	}
	if (n_ended > 0)
		rte_pktmbuf_free_bulk(ended, n_ended);
}

static void tell(struct worker *w, const struct tables *t, const struct packet *pkt, uint16_t n) {
	for (uint16_t i = 0; i < n; i++)
		if (pkt[i].fate != FATE_MOVED)
			tell_verdict(w, t, &pkt[i]);
}

static void stages(struct worker *w, const struct tables *t, struct rte_mbuf **m, uint16_t n,
		   bool handed_over) {
	struct packet *pkt = w->burst;

	burst_begin(pkt, m, n, handed_over);
	if (w->dp->trace != NULL)
		remember_traces(w, pkt, n);
	stage_parse(w, t, pkt, n);
	stage_classify(t, pkt, n);
	stage_own(w, t, pkt, n);
	stage_track(w, t, pkt, n);
	stage_select(w, t, pkt, n);
	stage_route(w, t, pkt, n);
	stage_rewrite(t, pkt, n);
	stage_egress(w, t, pkt, n);
	stage_aside(w, t, pkt, n);
	burst_finish(w, pkt, n);
	if (w->dp->trace != NULL)
		tell(w, t, pkt, n);
}

void worker_burst(struct worker *w, const struct tables *t, struct rte_mbuf **m, uint16_t n,
		  bool handed_over) {
	struct rte_mbuf *rest[BURST];

	if (!w->dp->stages_only) {
		n = lane_burst(w, t, m, n, handed_over, rest);
		m = rest;
	}
	if (n > 0)
		stages(w, t, m, n, handed_over);
	bump(&w->counters.bursts, 1);
}
