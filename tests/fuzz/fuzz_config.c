// SPDX-License-Identifier: Apache-2.0
// Any bytes as a configuration: a config without faults or faults without a config, and the machine check on what is accepted.
#include <errno.h>
#include <stdlib.h>

#include "config/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_source(const struct config_services *s) {
	if ((s->manifests != NULL) + (s->kubeconfig != NULL) + s->in_cluster != 1)
		abort();
	if (s->lease_name == NULL || s->lease_namespace == NULL || s->identity == NULL ||
	    s->snapshot_file == NULL)
		abort();
}

static void check(const struct config *c) {
	const struct site *s = &c->site;

	if (s->n_ports == 0 || s->n_ports > SITE_MAX_PORTS || s->workers == 0 ||
	    s->workers > SITE_MAX_WORKERS || s->n_snat4 > SITE_MAX_SNAT ||
	    s->n_snat6 > SITE_MAX_SNAT)
		abort();
	for (uint32_t i = 0; i < s->n_ports; i++)
		if (s->ports[i].name[0] == 0 || s->ports[i].device == NULL)
			abort();
	for (uint32_t i = 0; i < s->n_routes; i++)
		if (s->routes[i].port >= s->n_ports ||
		    s->routes[i].via.family != s->routes[i].prefix.addr.family)
			abort();
	for (uint32_t i = 0; i < s->n_neighbors; i++)
		if (s->neighbors[i].port >= s->n_ports)
			abort();
	for (uint32_t i = 0; i < c->services.n_pools; i++)
		if (c->services.pools[i].name[0] == 0 || c->services.pools[i].n_ranges == 0)
			abort();
	check_source(&c->services);
	if (c->services.state_file == NULL || c->socket == NULL)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
	const struct config_options options = {.manifests = "m"};
	struct config_report report = {0};
	struct config *c = NULL;
	cpu_set_t affinity;
	int ret = config_parse(&c, "f", (const char *)data, size, size % 2 == 1 ? &options : NULL,
			       &report);

	if ((ret == 0) != (c != NULL) || (ret == -EINVAL) != (report.n_faults > 0))
		abort();
	if (ret == 0) {
		check(c);
		CPU_ZERO(&affinity);
		CPU_SET(size % 8, &affinity);
		CPU_SET(size % 5, &affinity);
		ret = config_check_machine(c, &affinity, &report);
		for (uint32_t i = 0; ret == 0 && i < c->site.workers; i++)
			if (!CPU_ISSET(c->dataplane.worker_cpu[i], &affinity))
				abort();
	}
	config_destroy(c);
	config_report_fini(&report);
	return 0;
}
