// SPDX-License-Identifier: Apache-2.0
// Where the cycles of a row go: the stages of worker_burst() in its order, the TSC read between them.
#include <rte_cycles.h>

#include "dataplane/stages.h"
#include "pipeline.h"

enum {
	TICK,
	BEGIN,
	PARSE,
	CLASSIFY,
	OWN,
	TRACK,
	SELECT,
	ROUTE,
	REWRITE,
	EGRESS,
	ASIDE,
	FINISH,
	CHORES,
	STEPS
};

static const char *const names[STEPS] = {"tick",  "begin",  "parse", "classify", "own",
					 "track", "select", "route", "rewrite",  "egress",
					 "aside", "finish", "chores"};

struct timed {
	struct pipeline pipeline;
	uint64_t cycles[STEPS], last;
};

static inline void lap(struct timed *s, unsigned step) {
	uint64_t now = rte_rdtsc_precise();

	s->cycles[step] += now - s->last;
	s->last = now;
}

static void process_timed(void *ctx, struct rte_mbuf **m) {
	struct timed *s = ctx;
	struct pipeline *p = &s->pipeline;
	struct worker *w = p->bed.worker;
	const struct tables *t = publish_read(p->bed.appliance.publish);
	struct packet *pkt = w->burst;

	s->last = rte_rdtsc_precise();
	worker_tick(w, t, pipeline_ms(p));
	lap(s, TICK);
	burst_begin(pkt, m, MEASURE_BURST, false);
	lap(s, BEGIN);
	stage_parse(w, t, pkt, MEASURE_BURST);
	lap(s, PARSE);
	stage_classify(t, pkt, MEASURE_BURST);
	lap(s, CLASSIFY);
	stage_own(w, t, pkt, MEASURE_BURST);
	lap(s, OWN);
	stage_track(w, t, pkt, MEASURE_BURST);
	lap(s, TRACK);
	stage_select(w, t, pkt, MEASURE_BURST);
	lap(s, SELECT);
	stage_route(w, t, pkt, MEASURE_BURST);
	lap(s, ROUTE);
	stage_rewrite(t, pkt, MEASURE_BURST);
	lap(s, REWRITE);
	stage_egress(w, t, pkt, MEASURE_BURST);
	lap(s, EGRESS);
	stage_aside(w, t, pkt, MEASURE_BURST);
	lap(s, ASIDE);
	burst_finish(w, pkt, MEASURE_BURST);
	lap(s, FINISH);
	worker_chores(w, t);
	worker_flush(w);
	lap(s, CHORES);
}

static uint64_t lap_cost(struct timed *s) { // of reading the clock, in cycles a thousand laps
	s->last = rte_rdtsc_precise();
	s->cycles[TICK] = 0;
	for (unsigned i = 0; i < 1000; i++)
		lap(s, TICK);
	return s->cycles[TICK];
}

static void report(const struct timed *s, const struct measure *m, uint64_t thousand_laps) {
	double bursts = (double)(m->processed / MEASURE_BURST);
	bool valid = s->pipeline.sent == m->processed && pipeline_drops(&s->pipeline) == 0;

	printf("{\"stages\": {");
	for (unsigned i = 0; i < STEPS; i++)
		printf("%s\"%s\": %.2f", i > 0 ? ", " : "", names[i],
		       ((double)s->cycles[i] / bursts - (double)thousand_laps / 1000) /
			       MEASURE_BURST);
	printf("}, \"tsc_hz\": %lu, \"valid\": %s}\n", rte_get_tsc_hz(), bench_bool(valid));
}

int stages_run(const struct options *o, struct error *err) {
	static struct timed s;
	struct measure *m = &s.pipeline.measure;
	struct measured r;
	uint64_t cost;
	int ret = pipeline_open(&s.pipeline, o, 0, err);

	if (ret < 0)
		return ret;
	ret = pipeline_fill(&s.pipeline, err);
	if (ret == 0) {
		cost = lap_cost(&s);
		memset(s.cycles, 0, sizeof(s.cycles));
		m->ctx = &s;
		m->process = process_timed;
		s.pipeline.sent = 0;
		measure_run(m, &r);
		report(&s, m, cost);
	}
	pipeline_close(&s.pipeline);
	return ret;
}
