// SPDX-License-Identifier: Apache-2.0
// Rows of the production path: what worker_run() does with a burst, on packets that come from
// memory and go nowhere.
//
// Flows are made as traffic makes them: SYN, SYN-ACK through us where the mode sees it, ACK; or a
// datagram and its answer.
#include "pipeline.h"

#include <errno.h>
#include <rte_cycles.h>
#include <stdlib.h>

#define HALF_OPEN 2 // of flow_stats.evicted

static uint16_t count_sent(void *ctx, struct worker *w, uint16_t port, struct rte_mbuf **m,
			   uint16_t n) {
	struct pipeline *p = ctx;

	(void)w, (void)port, (void)m;
	p->sent += n;
	return n;
}

// The mbuf's private area holds its place in the burst: packets may leave in another order.
static uint16_t learn_sent(void *ctx, struct worker *w, uint16_t port, struct rte_mbuf **m,
			   uint16_t n) {
	struct pipeline *p = ctx;

	(void)w;
	for (uint16_t i = 0; i < n && port == TRAFFIC_LAN; i++) {
		uint32_t flow = p->learning + *(const uint32_t *)rte_mbuf_to_priv(m[i]);

		if (flow < p->measure.options->flows)
			traffic_learn(&p->measure.traffic, m[i], flow, &p->back[flow]);
	}
	p->sent += n;
	return n;
}

uint64_t pipeline_ms(struct pipeline *p) { // as the worker's loop has it: no division a burst
	uint64_t tsc = rte_rdtsc();

	if (tsc >= p->clock_next) {
		p->ms = 1000 + (tsc - p->clock_start) / p->clock_step;
		p->clock_next = p->clock_start + (p->ms - 999) * p->clock_step;
	}
	return p->ms;
}

void pipeline_process(void *ctx, struct rte_mbuf **m) {
	struct pipeline *p = ctx;
	struct worker *w = p->bed.worker;
	const struct tables *t = publish_read(p->bed.appliance.publish);

	worker_tick(w, t, pipeline_ms(p));
	worker_burst(w, t, m, MEASURE_BURST, false);
	worker_chores(w, t);
	worker_flush(w);
}

static void empty(void *ctx) {
	struct pipeline *p = ctx;

	bed_empty(&p->bed);
}

// --- filling ---

static void make_flows(struct pipeline *p, uint32_t first) {
	struct measure *m = &p->measure;
	bool tcp = m->options->protocol == MODEL_TCP, both = p->back != NULL;

	p->learning = first;
	measure_fill(m, first, TRAFFIC_SYN);
	if (both)
		measure_fill_back(m, p->back, first, TRAFFIC_SYN_ACK);
	if (tcp)
		measure_fill(m, first, TRAFFIC_ACK);
}

static void shuffle(struct traffic_back *v, uint32_t n) {
	uint64_t x = 0x2545f4914f6cdd1du;

	for (uint32_t i = n - 1; i > 0; i--) {
		struct traffic_back swap = v[i];
		uint32_t j;

		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		j = traffic_scale((uint32_t)(x >> 16), i + 1);
		v[i] = v[j];
		v[j] = swap;
	}
}

int pipeline_fill(struct pipeline *p, struct error *err) {
	const struct options *o = p->measure.options;
	uint32_t n = o->flows;

	if (o->mode != MODEL_DSR) {
		p->back = calloc(n, sizeof(*p->back));
		if (p->back == NULL)
			return error_set(err, -ENOMEM, "out of memory for %u flows", n);
		p->bed.appliance.dp.io.send = learn_sent;
	}
	for (uint32_t f = 0; f < n; f += MEASURE_BURST)
		make_flows(p, f);
	p->bed.appliance.dp.io.send = count_sent;
	if (!o->reverse)
		return 0;
	shuffle(p->back, n);
	p->measure.back = p->back;
	return 0;
}

// New flows until each meets a table without room: half-open ones then give way to half-open ones.
static void fill_up(struct pipeline *p) {
	struct measure *m = &p->measure;
	const struct options *o = m->options;
	struct options more = *o;

	more.flows = o->flows / 2 * 3;
	m->options = &more;
	for (m->next_new = 0; m->next_new < more.flows; m->next_new += MEASURE_BURST)
		measure_fill(m, m->next_new, TRAFFIC_SYN);
	m->options = o;
}

// --- the verdict ---

uint64_t pipeline_drops(const struct pipeline *p) {
	const struct worker *w = p->bed.worker;
	uint64_t n = 0;

	for (int i = 1; i < REASON_DROPS; i++)
		n += w->counters.drops[i];
	return n;
}

uint64_t pipeline_flows(const struct pipeline *p) {
	return flow_stats(p->bed.worker->flows)->flows[p->measure.options->family != 4];
}

static void print_drops(const struct worker *w) {
	const char *comma = "";

	printf("\"drops\": {");
	for (int i = 1; i < REASON_DROPS; i++) {
		if (w->counters.drops[i] == 0)
			continue;
		printf("%s\"%s\": %lu", comma, reason_name((enum reason)i), w->counters.drops[i]);
		comma = ", ";
	}
	printf("}");
}

static uint64_t flows_expected(const struct measure *m) {
	const struct options *o = m->options;

	if (o->new_share >= 1)
		return (o->flows + MEASURE_BURST - 1) / MEASURE_BURST * MEASURE_BURST;
	return o->new_share > 0 ? m->next_new : o->flows;
}

// What the row claims: that many flows are there; or each packet made one, in a table that was and
// stays full.
static bool has_flows(const struct pipeline *p, const struct flow_stats *before) {
	const struct options *o = p->measure.options;
	const struct flow_stats *s = flow_stats(p->bed.worker->flows);
	uint64_t flows = s->flows[o->family != 4],
		 evicted = s->evicted[HALF_OPEN] - before->evicted[HALF_OPEN];

	if (!o->full)
		return flows == flows_expected(&p->measure);
	return flows >= o->flows && s->created - before->created == p->measure.processed &&
	       evicted >= p->measure.processed / 10 * 9;
}

static void report(const struct pipeline *p, const struct measured *r,
		   const struct flow_stats *before) {
	const struct measure *m = &p->measure;
	const struct worker *w = p->bed.worker;
	bool valid = p->sent == m->processed && pipeline_drops(p) == 0 && has_flows(p, before);

	printf("{");
	measure_print(r);
	printf(", \"packets_in\": %lu, \"packets_out\": %lu, ", m->processed, p->sent);
	print_drops(w);
	printf(", \"flows\": %lu, \"flows_expected\": %lu, \"huge_packets\": %s, \"huge_flows\": %s, \"table_bytes\": %zu, \"valid\": %s}\n",
	       pipeline_flows(p), flows_expected(m), bench_bool(p->bed.huge_packets),
	       bench_bool(p->bed.huge_flows), p->bed.appliance.flow_memory[0].size,
	       bench_bool(valid));
}

static void measure(struct pipeline *p) {
	struct measure *m = &p->measure;
	struct flow_stats before;
	struct measured r;

	if (m->options->full)
		fill_up(p);
	else if (m->options->new_share >= 1)
		m->empty = empty;
	if (!m->options->full)
		m->next_new = m->options->flows;
	before = *flow_stats(p->bed.worker->flows);
	p->sent = 0;
	measure_run(m, &r);
	report(p, &r, &before);
}

static void number_packets(struct measure *m) {
	for (uint32_t i = 0; i < MEASURE_COLD_BURSTS * MEASURE_BURST; i++)
		*(uint32_t *)rte_mbuf_to_priv(m->mbufs[i]) = i;
}

int pipeline_open(struct pipeline *p, const struct options *o, uint32_t udp_timeout,
		  struct error *err) {
	struct bed_settings s = {.mode = o->mode,
				 .family = o->family,
				 .protocol = o->protocol,
				 .frontends = o->frontends,
				 .capacity = bench_capacity(o),
				 .udp_timeout = udp_timeout,
				 .cpu = o->cpu};
	struct measure *m = &p->measure;
	int ret = bed_create(&p->bed, &s, err);

	if (ret < 0)
		return ret;
	*m = (struct measure){.options = o, .ctx = p, .process = pipeline_process};
	ret = measure_allocate(m, p->bed.pool, err);
	if (ret < 0) {
		bed_destroy(&p->bed);
		return ret;
	}
	number_packets(m);
	p->bed.appliance.dp.io = (struct worker_io){.send = count_sent, .ctx = p};
	p->clock_start = rte_rdtsc();
	p->clock_step = rte_get_tsc_hz() / 1000;
	traffic_init(&m->traffic, o->family, o->protocol, o->frontends, o->mode == MODEL_FULLNAT);
	return 0;
}

void pipeline_close(struct pipeline *p) {
	free(p->back);
	free(p->measure.mbufs);
	bed_destroy(&p->bed);
}

int pipeline_run(const struct options *o, struct error *err) {
	static struct pipeline p;
	int ret = pipeline_open(&p, o, 0, err);

	if (ret < 0)
		return ret;
	if (o->new_share < 1)
		ret = pipeline_fill(&p, err);
	if (ret == 0)
		measure(&p);
	pipeline_close(&p);
	return ret;
}
