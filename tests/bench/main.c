// SPDX-License-Identifier: Apache-2.0
// sluice-bench: one row a run, raw figures as JSON. tools/bench calls it; docs/performance.md says
// what the figures mean.
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"
#include "port/eal.h"

static const struct {
	const char *name;
	int (*run)(const struct options *o, struct error *err);
} verbs[] = {
	{"pipeline", pipeline_run}, {"limit", limit_run},     {"stages", stages_run},
	{"control", control_run},   {"capture", capture_run}, {"offer", offer_run},
};

uint32_t bench_capacity(const struct options *o) {
	uint32_t flows = o->new_share > 0 ? 2 * o->flows : o->flows; // new flows fill half of it

	if (o->full)
		return o->flows;
	if (o->new_share >= 1)
		return flows < 4096 ? 4096 : flows;
	return flows < BENCH_CAPACITY ? BENCH_CAPACITY : flows;
}

int bench_eal(unsigned cpu, bool *huge, struct error *err) {
	struct eal_settings s = {.worker_cpus = &cpu,
				 .control_cpus = &cpu,
				 .n_workers = 1,
				 .n_control_cpus = 1,
				 .hugepages = HUGEPAGES_AUTO,
				 .memory_mib = BENCH_MIB};

	return eal_init(&s, huge, err);
}

const char *bench_bool(bool b) {
	return b ? "true" : "false";
}

static int run(const struct options *o, struct error *err) {
	for (unsigned i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++)
		if (strcmp(verbs[i].name, o->verb) == 0)
			return verbs[i].run(o, err);
	return error_set(err, -EINVAL, "%s: no such verb", o->verb);
}

int main(int argc, char **argv) {
	struct error err = {""};
	struct options o;
	int ret = options_read(&o, argc, argv, &err);

	if (ret == 0)
		ret = run(&o, &err);
	if (ret < 0)
		fprintf(stderr, "sluice-bench: %s\n", err.text);
	return ret < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
