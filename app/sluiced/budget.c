// SPDX-License-Identifier: Apache-2.0
// The sum of memory, and the summary of a good configuration.
#include "budget.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "appliance.h"
#include "port/eal.h"
#include "port/port.h"
#include "port/profile.h"

#define MIB (UINT64_C(1) << 20)
#define LOOKUP (64 * MIB) // arrays of their full length 46 MiB, the rest for maps and Maglev tables
#define EAL_OWN (24 * MIB) // EAL's and each driver's bookkeeping
#define EAL_PORT (2 * MIB)

// A ring is emptied once a loop: that all of a worker's are full at once is overload, and then the device may drop.
uint32_t budget_held(const struct config *c) {
	uint32_t rings = c->site.workers > 1 ? 2 * BURST + BUDGET_RING : 0;

	return c->site.workers * (WORKER_HOLD + rings);
}

// Before a PCI device is opened its driver is not known; then the usual profile stands in.
static int find_profile(struct profile *out, const struct site_port *p, struct error *err) {
	const char *dir = profile_dir();

	if (p->profile != NULL)
		return profile_by_name(out, dir, p->profile, err);
	if (eal_is_pci_device(p->device) || profile_by_device(out, dir, p->device, NULL) < 0)
		profile_default(out);
	return 0;
}

static int sum_packets(struct budget *b, const struct config *c, struct error *err) {
	uint16_t mtu = 0;

	for (uint32_t i = 0; i < c->site.n_ports; i++)
		if (c->site.ports[i].mtu > mtu)
			mtu = c->site.ports[i].mtu;
	for (uint32_t i = 0; i < c->site.n_ports; i++) {
		struct profile profile;
		int ret = find_profile(&profile, &c->site.ports[i], err);

		if (ret < 0)
			return ret;
		b->packets += port_pool_bytes(&profile, 1, mtu, (uint16_t)c->site.workers,
					      i == 0 ? budget_held(c) : 0);
	}
	return 0;
}

int budget_compute(struct budget *out, const struct config *c, struct error *err) {
	struct budget b = {.lookup = LOOKUP};
	uint64_t rings = (uint64_t)c->site.workers * (c->site.workers - 1) * 2;
	int ret = sum_packets(&b, c, err);

	if (ret < 0)
		return ret;
	b.worker = appliance_worker_bytes(c);
	b.tables = b.worker * c->site.workers;
	b.eal = b.packets + rings * (BUDGET_RING * sizeof(void *) + 1024) + EAL_OWN +
		c->site.n_ports * EAL_PORT;
	b.sum = b.tables + b.lookup + b.eal;
	*out = b;
	if (b.sum <= c->dataplane.memory_mib * MIB)
		return 0;
	return error_set(err, -ENOMEM,
			 "dataplane.memoryMiB: %u is too little: %" PRIu64
			 " MiB are needed (%u workers with "
			 "tables of %" PRIu64 " MiB each, look-up tables %" PRIu64
			 " MiB, packet buffers and rings %" PRIu64
			 " MiB); raise it, or lower flowsPerWorker or workers",
			 c->dataplane.memory_mib, (b.sum + MIB - 1) / MIB, c->site.workers,
			 b.worker / MIB, b.lookup / MIB, b.eal / MIB);
}

static const char *idle_name(enum config_idle idle) {
	static const char *const names[] = {"busy", "pause", "sleep"};

	return names[idle];
}

static void print_port(const struct site_port *p) {
	char text[IP_PREFIX_STR];

	printf("port      %s: %s, MTU %u", p->name, p->device, p->mtu);
	if (p->vlan != 0)
		printf(", VLAN %u", p->vlan);
	for (uint32_t i = 0; i < p->n_addresses; i++)
		printf(", %s", ip_prefix_format(&p->addresses[i], text));
	putchar('\n');
}

static void print_workers(const struct config *c) {
	printf("workers   %u on CPUs", c->site.workers);
	for (uint32_t i = 0; i < c->site.workers; i++)
		printf(" %u", c->dataplane.worker_cpu[i]);
	printf(", idle: %s\n", idle_name(c->dataplane.idle));
}

static const char *source_name(const struct config_services *s) {
	if (s->manifests != NULL)
		return s->manifests;
	return s->in_cluster ? "the cluster's API server" : s->kubeconfig;
}

void budget_print(const struct budget *b, const struct config *c, const char *path) {
	printf("%s: good\n\n", path);
	print_workers(c);
	for (uint32_t i = 0; i < c->site.n_ports; i++)
		print_port(&c->site.ports[i]);
	printf("services  from %s, %s by default, %u address pools\n", source_name(&c->services),
	       model_mode_name(c->services.forwarding), c->services.n_pools);
	printf("socket    %s\n\n", c->socket);
	printf("memory    %6" PRIu64 " MiB  flow tables, %u workers of %" PRIu64
	       " MiB (%u flows each)\n",
	       b->tables / MIB, c->site.workers, b->worker / MIB, c->site.flows_per_worker);
	printf("          %6" PRIu64 " MiB  look-up tables\n", b->lookup / MIB);
	printf("          %6" PRIu64 " MiB  packet buffers, rings, drivers\n", b->eal / MIB);
	printf("          %6" PRIu64 " MiB  in all, of dataplane.memoryMiB %u\n",
	       (b->sum + MIB - 1) / MIB, c->dataplane.memory_mib);
}
