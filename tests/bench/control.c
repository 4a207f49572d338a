// SPDX-License-Identifier: Apache-2.0
// What is not a packet's cost: building and publishing tables, bytes of flows, and how fast they go
// when their time is out.
#include <errno.h>
#include <rte_cycles.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <time.h>

#include "maglev/maglev.h"
#include "pipeline.h"

#define CHANGES 1000     // of one Service, when publication is timed
#define SURVIVORS 1024   // flows that go on while others expire
#define EXPIRE_SECONDS 1 // after which those do
#define GIVE_UP_MS 60000
#define SLEEPS 4000
#define SLEEP_US 500 // a worker's longest without interrupts

static double us_of(clockid_t clock) {
	struct timespec t;

	clock_gettime(clock, &t);
	return (double)t.tv_sec * 1e6 + (double)t.tv_nsec * 1e-3;
}

static double cpu_us(void) {
	return us_of(CLOCK_THREAD_CPUTIME_ID);
}

static int compare(const void *a, const void *b) {
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

// The value below which the share of n sorted values lies.
static double percentile(const double *v, uint32_t n, double share) {
	return v[(uint32_t)(share * (n - 1))];
}

// --- Maglev ---

static int time_maglev(const struct options *o, struct error *err) {
	struct maglev_backend *b = calloc(o->backends, sizeof(*b));
	double *us = calloc(o->passes, sizeof(*us));
	int ret = b == NULL || us == NULL ? error_set(err, -ENOMEM, "out of memory") : 0;

	for (uint32_t i = 0; ret == 0 && i < o->backends; i++)
		b[i] = (struct maglev_backend){.addr = ip_addr_from_v4(
						       rte_cpu_to_be_32(0x0a000001u + i)),
					       .port = 8080,
					       .weight = 1};
	for (uint32_t i = 0; ret == 0 && i < o->passes; i++) {
		struct maglev_table t = {0};
		double start = cpu_us();

		ret = maglev_build(&t, NULL, b, o->backends);
		us[i] = cpu_us() - start;
		maglev_fini(&t, NULL);
	}
	if (ret == 0) {
		qsort(us, o->passes, sizeof(*us), compare);
		printf("{\"p50\": %.3f, \"low\": %.3f, \"high\": %.3f, \"valid\": true}\n",
		       percentile(us, o->passes, 0.5) / 1000, us[0] / 1000,
		       us[o->passes - 1] / 1000);
	}
	free(us);
	free(b);
	return ret;
}

// --- publication ---

// One Service loses a backend, the next time it gets it back.
static int time_change(struct bed *b, uint32_t service, uint32_t backends, bool skip, double *us) {
	const struct tables *before = publish_read(b->appliance.publish);
	double start = cpu_us();
	int ret = bed_put_service(b, service, backends, skip);

	if (ret > 0)
		ret = appliance_apply(&b->appliance, 1000);
	*us = cpu_us() - start;
	if (ret < 0)
		return ret;
	appliance_step(&b->appliance, 1000);
	return ret == 1 && publish_read(b->appliance.publish) != before ? 0 : -EIO;
}

static int time_publication(const struct options *o, struct error *err) {
	struct bed_settings s = {.mode = o->mode,
				 .family = o->family,
				 .protocol = o->protocol,
				 .capacity = 65536,
				 .cpu = o->cpu};
	static double us[CHANGES];
	struct bed b;
	int ret = bed_create(&b, &s, err);

	if (ret < 0)
		return ret;
	for (uint32_t i = 0; ret >= 0 && i < o->services; i++)
		ret = bed_put_service(&b, i, o->backends, false);
	ret = ret < 0 ? error_set(err, ret, "the model refuses a service") : bed_apply(&b, err);
	for (uint32_t i = 0; ret == 0 && i < CHANGES; i++)
		ret = time_change(&b, (i / 2 * 7919u) % o->services, o->backends, i % 2 == 0,
				  &us[i]);
	if (ret == 0) {
		qsort(us, CHANGES, sizeof(us[0]), compare);
		printf("{\"p50\": %.3f, \"p99\": %.3f, \"valid\": true}\n",
		       percentile(us, CHANGES, 0.5), percentile(us, CHANGES, 0.99));
	}
	bed_destroy(&b);
	return ret < 0 && err->text[0] == '\0'
		       ? error_set(err, ret, "a change was not published: %s", strerror(-ret))
		       : ret;
}

// --- bytes ---

// All that a family's flows have, over the flows that fit: entries, records, ways back. What is
// sized by backends is not theirs.
static int count_bytes(const struct options *o, struct error *err) {
	struct pipeline *p = calloc(1, sizeof(*p));
	const struct flow_table *t;
	double bytes;
	int ret = p == NULL ? error_set(err, -ENOMEM, "out of memory")
			    : pipeline_open(p, o, 0, err);

	if (ret < 0) {
		free(p);
		return ret;
	}
	t = p->bed.worker->flows;
	if (o->family == 4)
		bytes = (double)(t->flows_at[1] - t->flows_at[0]) +
			(double)(t->snats_at[1] - t->snats_at[0]);
	else
		bytes = (double)(t->snats_at[0] - t->flows_at[1]) +
			(double)(t->cursors_at - t->snats_at[1]);
	printf("{\"p50\": %.2f, \"valid\": true}\n", bytes / p->bed.settings.capacity);
	pipeline_close(p);
	free(p);
	return 0;
}

// --- expiry ---

struct expiry {
	double seconds;     // from the moment the last flow's time was out
	double quiet, busy; // cycles a packet before, and while flows went
	uint64_t left;
};

// Bursts of flows that live until the clock says so or only they are left; cycles of processing a
// packet.
static double forward_until(struct pipeline *p, uint64_t until, bool or_alone) {
	struct measure *m = &p->measure;
	uint64_t cycles = 0, packets = 0, start;
	uint32_t next = 0;

	while (pipeline_ms(p) < until && !(or_alone && pipeline_flows(p) <= SURVIVORS)) {
		start = rte_rdtsc();
		measure_fill(m, next, TRAFFIC_ACK);
		cycles += rte_rdtsc() - start;
		packets += MEASURE_BURST;
		next = (next + MEASURE_BURST) % SURVIVORS;
	}
	return packets == 0 ? 0 : (double)cycles / (double)packets;
}

static void let_expire(struct pipeline *p, struct expiry *e) {
	uint64_t due;

	for (uint32_t f = 0; f < p->measure.options->flows; f += MEASURE_BURST)
		measure_fill(&p->measure, f, TRAFFIC_ACK);
	due = pipeline_ms(p) + EXPIRE_SECONDS * 1000;
	e->quiet = forward_until(p, due, false);
	e->busy = forward_until(p, due + GIVE_UP_MS, true);
	e->seconds = ((double)pipeline_ms(p) - (double)due) / 1000;
	e->left = pipeline_flows(p);
}

static int time_expiry(const struct options *o, struct error *err) {
	static struct pipeline p;
	struct expiry e;
	bool valid;
	int ret = pipeline_open(&p, o, EXPIRE_SECONDS, err);

	if (ret < 0)
		return ret;
	let_expire(&p, &e);
	valid = e.left == SURVIVORS && pipeline_drops(&p) == 0;
	printf("{\"p50\": %.3f, \"cycles_before\": %.1f, \"cycles_while\": %.1f, \"tsc_hz\": %lu, \"valid\": %s}\n",
	       e.seconds, e.quiet, e.busy, rte_get_tsc_hz(), bench_bool(valid));
	pipeline_close(&p);
	return 0;
}

// What a machine takes for the sleeps alone: the ruler of an idle worker.
static int time_sleeps(const struct options *o, struct error *err) {
	const struct timespec us = {.tv_nsec = SLEEP_US * 1000};
	double start, cpu;
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(o->cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set) < 0 || prctl(PR_SET_TIMERSLACK, 1000) < 0)
		return error_set(err, -errno, "CPU %u, timer slack: %m", o->cpu);
	start = us_of(CLOCK_MONOTONIC);
	cpu = cpu_us();
	for (int i = 0; i < SLEEPS; i++)
		clock_nanosleep(CLOCK_MONOTONIC, 0, &us, NULL);
	printf("{\"cpu\": %.3f, \"valid\": true}\n",
	       100 * (cpu_us() - cpu) / (us_of(CLOCK_MONOTONIC) - start));
	return 0;
}

static const struct {
	const char *name;
	int (*run)(const struct options *o, struct error *err);
} things[] = {{"maglev", time_maglev},
	      {"publish", time_publication},
	      {"bytes", count_bytes},
	      {"expire", time_expiry},
	      {"sleep", time_sleeps}};

int control_run(const struct options *o, struct error *err) {
	for (unsigned i = 0; i < sizeof(things) / sizeof(things[0]); i++)
		if (strcmp(things[i].name, o->what) == 0)
			return things[i].run(o, err);
	return error_set(err, -EINVAL, "what=%s: maglev, publish, bytes, expire or sleep", o->what);
}
