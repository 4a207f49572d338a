// SPDX-License-Identifier: Apache-2.0
// Where the cycles of a row go: the TSC is read between the passes of the short way (lane.c, built
// once more with SLUICE_LAPS), and
// between the stages of worker_burst(), which take what the short way leaves.
#include <rte_cycles.h>

#include "dataplane/stages.h"
#include "pipeline.h"

#define LAPS_MAX 32
#define INTERRUPTED 100000 // cycles of a lap that something else took

void bench_lap(const char *name); // lane.c calls it

static struct {
	const char *names[LAPS_MAX];
	uint64_t cycles[LAPS_MAX], bursts[LAPS_MAX], last;
	unsigned n, at;    // laps of a burst; the next one, LAPS_MAX: none
} laps = {.at = LAPS_MAX}; // at: nothing is timed yet

// The laps of a burst come in the same order each time, so their place is their index.
void bench_lap(const char *name) {
	uint64_t now = rte_rdtsc_precise();

	if (laps.at == LAPS_MAX)
		return;
	laps.names[laps.at] = name;
	if (now - laps.last < INTERRUPTED) {
		laps.cycles[laps.at] += now - laps.last;
		laps.bursts[laps.at]++;
	}
	laps.last = now;
	laps.at++;
	if (laps.at > laps.n)
		laps.n = laps.at;
}

static void start_laps(void) {
	laps.at = 0;
	laps.last = rte_rdtsc_precise();
}

static void process_lane(void *ctx, struct rte_mbuf **m) {
	struct pipeline *p = ctx;
	struct worker *w = p->bed.worker;
	const struct tables *t = publish_read(p->bed.appliance.publish);
	struct rte_mbuf *rest[BURST];

	start_laps();
	worker_tick(w, t, pipeline_ms(p));
	bench_lap("tick");
	lane_burst(w, t, m, MEASURE_BURST, false, rest);
	worker_chores(w, t);
	worker_flush(w);
	bench_lap("chores");
}

static void process_stages(void *ctx, struct rte_mbuf **m) {
	struct pipeline *p = ctx;
	struct worker *w = p->bed.worker;
	const struct tables *t = publish_read(p->bed.appliance.publish);
	struct packet *pkt = w->burst;

	start_laps();
	burst_begin(pkt, m, MEASURE_BURST, false);
	bench_lap("begin");
	stage_parse(w, t, pkt, MEASURE_BURST);
	bench_lap("parse");
	stage_classify(t, pkt, MEASURE_BURST);
	bench_lap("classify");
	stage_own(w, t, pkt, MEASURE_BURST);
	bench_lap("own");
	stage_track(w, t, pkt, MEASURE_BURST);
	bench_lap("track");
	stage_select(w, t, pkt, MEASURE_BURST);
	bench_lap("select");
	stage_route(w, t, pkt, MEASURE_BURST);
	bench_lap("route");
	stage_rewrite(t, pkt, MEASURE_BURST);
	bench_lap("rewrite");
	stage_egress(w, t, pkt, MEASURE_BURST);
	bench_lap("egress");
	stage_aside(w, t, pkt, MEASURE_BURST);
	bench_lap("aside");
	burst_finish(w, pkt, MEASURE_BURST);
	bench_lap("finish");
	worker_chores(w, t);
	worker_flush(w);
}

static double lap_cost(void) { // of reading the clock, in cycles
	start_laps();
	for (unsigned i = 0; i < 1000; i++) {
		laps.at = 0;
		bench_lap("");
	}
	return (double)laps.cycles[0] / (double)laps.bursts[0];
}

// Returns whether every packet went this way.
static bool time_laps(struct pipeline *p, const char *name,
		      void (*process)(void *ctx, struct rte_mbuf **m)) {
	struct measure *m = &p->measure;
	double cost;
	struct measured r;

	memset(&laps, 0, sizeof(laps));
	cost = lap_cost();
	memset(&laps, 0, sizeof(laps));
	m->process = process;
	m->processed = p->sent = 0;
	measure_run(m, &r);
	laps.at = LAPS_MAX;
	printf("\"%s\": {", name);
	for (unsigned i = 0; i < laps.n; i++)
		printf("%s\"%s\": %.2f", i > 0 ? ", " : "", laps.names[i],
		       ((double)laps.cycles[i] / (double)laps.bursts[i] - cost) / MEASURE_BURST);
	printf("}, ");
	return p->sent == m->processed && pipeline_drops(p) == 0;
}

int stages_run(const struct options *o, struct error *err) {
	static struct pipeline p;
	bool valid;
	int ret = pipeline_open(&p, o, 0, err);

	if (ret < 0)
		return ret;
	ret = pipeline_fill(&p, err);
	if (ret == 0) {
		printf("{");
		valid = time_laps(&p, "short", process_lane);
		valid &= time_laps(&p, "stages", process_stages);
		printf("\"tsc_hz\": %lu, \"valid\": %s}\n", rte_get_tsc_hz(), bench_bool(valid));
	}
	pipeline_close(&p);
	return ret;
}
