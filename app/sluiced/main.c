// SPDX-License-Identifier: Apache-2.0
// sluiced: start in order, stop in reverse. Read this first.
//
//     arguments, configuration, CPUs, memory      nothing is touched until all of it is good
//     event loop (signals wait in it)  socket     a second daemon on the same socket ends here
//     EAL, ports, pools   appliance   objects     tables are ready before the first packet; probes of nodes
//     ports receive   their RSS   workers
//     control_run()                               READY=1 once there is something to serve; until a signal
//     STOPPING=1; then everything back up this list
#include <errno.h>
#include <inttypes.h>
#include <rte_launch.h>
#include <rte_lcore.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/log.h"
#include "mgmt/mgmt.h"
#include "notify.h"
#include "options.h"
#include "sluiced.h"

// --- steps of the start, and what undoes them ---

static int read_config(struct sluiced *s) {
	struct config_report report = {0};
	int ret = config_load(&s->config, s->config_path, NULL, &report);

	if (sched_getaffinity(0, sizeof(s->affinity), &s->affinity) < 0)
		CPU_SET(0, &s->affinity);
	if (ret == 0) {
		ret = config_check_machine(s->config, &s->affinity, &report);
		if (ret < 0)
			config_destroy(s->config);
	}
	appliance_print_report(&report);
	config_report_fini(&report);
	s->latest = s->config;
	return ret;
}

static void free_config(struct sluiced *s) {
	if (s->latest != s->config)
		config_destroy(s->latest);
	config_destroy(s->config);
}

static int create_appliance(struct sluiced *s, struct error *err) {
	struct appliance_settings settings = {
		.port_macs = s->devices.macs,
		.pools = s->devices.worker_pools,
		.worker_cpus = s->devices.worker_cpus,
		.hugepages = s->devices.hugepages,
		.touch = true,
		.announces = true,
		.readers = s->config->site.workers,
		.ring_size = BUDGET_RING,
	};

	if (getrandom(&settings.secret, sizeof(settings.secret), 0) != sizeof(settings.secret))
		return error_set(err, -EIO, "no random numbers to be had: %s", strerror(errno));
	return appliance_create(&s->appliance, s->config, &settings, err);
}

static void stop_workers(struct sluiced *s) {
	__atomic_store_n(&s->appliance.dp.stop, true, __ATOMIC_RELAXED);
	rte_eal_mp_wait_lcore();
}

static int start_workers(struct sluiced *s, struct error *err) {
	for (uint16_t i = 0; i < s->devices.n_workers; i++) {
		int ret = rte_eal_remote_launch(worker_run, s->appliance.workers[i], i + 1u);

		if (ret < 0) {
			stop_workers(s);
			return error_set(err, ret, "worker %u does not start: %s", i,
					 strerror(-ret));
		}
		log_info("worker %u: on CPU %u, %u receive queues", i, s->devices.worker_cpus[i],
			 s->appliance.workers[i]->n_queues);
	}
	return 0;
}

static int start_socket(struct sluiced *s, struct error *err) {
	unsigned n;
	const struct mgmt_verb *list = verbs_list(&n);
	int ret = mgmt_create(&s->mgmt, s->base, s->config->socket, list, n, s, err);

	if (ret == 0)
		log_info("management: listening on %s", s->config->socket);
	return ret;
}

// Once the devices say how they spread packets, and while nobody reads the tables.
static int learn_rss(struct sluiced *s, struct error *err) {
	const struct rss *known[SITE_MAX_PORTS] = {NULL};
	bool any = false;

	for (uint16_t i = 0; i < s->devices.n_ports; i++) {
		struct rss_port *r = &s->devices.rss[i];

		rss_learn(r, &s->devices.ports[i], i, s->config, &s->appliance.dp);
		known[i] = r->is_known ? &r->rss : NULL;
		any |= r->is_known;
	}
	if (any && (appliance_set_rss(&s->appliance, known) < 0 ||
		    appliance_apply(&s->appliance, control_now()) < 0))
		return error_set(err, -ENOMEM, "out of memory");
	return 0;
}

// --- the ladder ---

static int run(struct sluiced *s, struct error *err) {
	int ret = control_init(s, err);

	if (ret < 0)
		return ret;
	ret = start_socket(s, err);
	if (ret < 0)
		goto control;
	ret = devices_open(&s->devices, s->config, &s->budget, err);
	if (ret < 0)
		goto socket;
	ret = create_appliance(s, err);
	if (ret < 0)
		goto devices;
	devices_attach(&s->devices, &s->appliance.dp);
	ret = control_load(s, err);
	if (ret < 0)
		goto appliance;
	ret = probes_start(s, err);
	if (ret < 0)
		goto appliance;
	ret = devices_start(&s->devices, &s->appliance.dp, err);
	if (ret < 0)
		goto probes;
	ret = learn_rss(s, err);
	if (ret == 0)
		ret = start_workers(s, err);
	if (ret < 0)
		goto ports;
	ret = control_run(s, err);
	notify_systemd("STOPPING=1");
	writer_stop(s); // while they still forward
	stop_workers(s);
ports:
	devices_stop(&s->devices, &s->appliance.dp);
probes:
	probes_stop(s);
appliance:
	verbs_fini(s);
	s->source->stop(s);
	appliance_destroy(&s->appliance);
devices:
	devices_close(&s->devices);
socket:
	mgmt_destroy(s->mgmt);
control:
	control_fini(s);
	return ret;
}

static int check(struct sluiced *s, const struct error *budget_fault) {
	if (budget_fault != NULL) {
		fprintf(stderr, "%s: %s\n", s->config_path, budget_fault->text);
		return EXIT_FAILURE;
	}
	budget_print(&s->budget, s->config, s->config_path);
	return EXIT_SUCCESS;
}

static int start(const struct options *o) {
	static struct sluiced s;
	struct error err;
	int ret;

	s.config_path = o->config;
	if (read_config(&s) < 0)
		return EXIT_FAILURE;
	log_init(s.config->log_level, s.config->log_json);
	ret = budget_compute(&s.budget, s.config, &err);
	if (o->check || ret < 0) {
		ret = check(&s, ret < 0 ? &err : NULL);
		free_config(&s);
		return ret;
	}
	log_info("sluiced " SLUICE_VERSION " with %s: %u workers, %u ports, %" PRIu64 " MiB",
		 o->config, s.config->site.workers, s.config->site.n_ports, s.budget.sum >> 20);
	s.source = s.config->services.manifests != NULL ? &source_files : &source_cluster;
	ret = run(&s, &err);
	if (ret < 0)
		log_error("%s", err.text);
	else
		log_info("stopped");
	free_config(&s);
	return ret < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

int main(int argc, char **argv) {
	struct options o;
	struct error err;

	if (options_parse(&o, argc, argv, &err) < 0) {
		fprintf(stderr, "sluiced: %s\n", err.text);
		return EXIT_FAILURE;
	}
	if (o.help) {
		options_help();
		return EXIT_SUCCESS;
	}
	if (o.version) {
		puts("sluiced " SLUICE_VERSION);
		return EXIT_SUCCESS;
	}
	return start(&o);
}
