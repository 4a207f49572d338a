// SPDX-License-Identifier: Apache-2.0
// From device strings to queues that workers poll, and back.
#include "devices.h"

#include <string.h>

#include "base/log.h"
#include "port/eal.h"

static int start_eal(struct devices *d, const struct config *c, const struct budget *b,
		     struct error *err) {
	unsigned control_cpus[CPU_SETSIZE];
	struct eal_settings s = {
		.worker_cpus = d->worker_cpus,
		.control_cpus = control_cpus,
		.n_workers = c->site.workers,
		.hugepages = d->hugepages,
		.memory_mib = (uint32_t)(b->eal >> 20) + 1,
	};
	bool huge = false;
	int ret;

	for (unsigned i = 0; i < CPU_SETSIZE; i++)
		if (CPU_ISSET(i, &c->dataplane.control_cpus))
			control_cpus[s.n_control_cpus++] = i;
	for (uint32_t i = 0; i < c->site.n_ports; i++)
		s.needs_pci |= eal_is_pci_device(c->site.ports[i].device);
	ret = eal_init(&s, &huge, err);
	if (ret == 0)
		log_info("memory: %u MiB for packets, in %s", s.memory_mib,
			 huge ? "hugepages" : "4 KiB pages");
	return ret;
}

static int open_port(struct devices *d, const struct config *c, uint16_t i, struct error *err) {
	const struct site_port *p = &c->site.ports[i];
	struct port_settings s = {
		.name = p->name,
		.device = p->device,
		.profile = p->profile,
		.mac = p->has_mac ? &p->mac : NULL,
		.mtu = p->mtu,
		.workers = d->n_workers,
		// Queues of port i begin at worker i (dataplane_queue_worker): entry e leads to worker e mod workers on every port.
		.first_queue = (uint16_t)((d->n_workers - i % d->n_workers) % d->n_workers),
		.wants_rx_intr = c->dataplane.idle == CONFIG_IDLE_SLEEP,
	};
	char mac[MAC_STR];
	int ret = port_open(&d->ports[i], &s, err);

	if (ret < 0)
		return ret;
	d->macs[i] = d->ports[i].mac;
	log_info("port %s: %s (%s), MAC %s, %u receive and %u transmit queues", p->name, p->device,
		 d->ports[i].driver, mac_format(&d->macs[i], mac), d->ports[i].n_rx_queues,
		 d->ports[i].n_tx_queues);
	return 0;
}

static void close_ports(struct devices *d, uint16_t n) {
	while (n > 0)
		port_close(&d->ports[--n]);
}

// The pool on the worker's own node, else the first there is.
static struct rte_mempool *pool_for(const struct devices *d, unsigned cpu) {
	int node = memory_cpu_node(cpu);

	if (node >= 0 && node < PORT_MAX_SOCKETS && d->pools.pool[node] != NULL)
		return d->pools.pool[node];
	return port_pool(&d->pools, &d->ports[0]);
}

// Packets would cross between the sockets twice: worth a line, never an error.
static void check_nodes(const struct devices *d, uint16_t worker) {
	int node = memory_cpu_node(d->worker_cpus[worker]);

	for (uint16_t i = 0; i < d->n_ports; i++) {
		if (d->ports[i].socket == node)
			continue;
		log_warn(
			"worker %u: its CPU %u is on NUMA node %d, port %s on node %d: choose dataplane.cpus on the NIC's node",
			worker, d->worker_cpus[worker], node, d->ports[i].name, d->ports[i].socket);
		return;
	}
}

static int open_ports(struct devices *d, const struct config *c, struct error *err) {
	uint16_t n = 0;
	int ret = 0;

	while (n < d->n_ports && (ret = open_port(d, c, n, err)) == 0)
		n++;
	if (ret == 0)
		ret = port_pools_create(&d->pools, d->ports, d->n_ports, d->n_workers,
					budget_held(c), err);
	if (ret < 0)
		close_ports(d, n);
	return ret;
}

int devices_open(struct devices *d, const struct config *c, const struct budget *b,
		 struct error *err) {
	static const enum hugepages pages[] = {
		[CONFIG_HUGEPAGES_AUTO] = HUGEPAGES_AUTO,
		[CONFIG_HUGEPAGES_REQUIRED] = HUGEPAGES_REQUIRED,
		[CONFIG_HUGEPAGES_OFF] = HUGEPAGES_OFF,
	};
	int ret;

	d->n_ports = (uint16_t)c->site.n_ports;
	d->n_workers = (uint16_t)c->site.workers;
	d->hugepages = pages[c->dataplane.hugepages];
	for (uint16_t i = 0; i < d->n_workers; i++)
		d->worker_cpus[i] = c->dataplane.worker_cpu[i];
	ret = start_eal(d, c, b, err);
	if (ret < 0)
		return ret;
	ret = open_ports(d, c, err);
	if (ret < 0) {
		eal_fini();
		return ret;
	}
	for (uint16_t i = 0; i < d->n_workers; i++) {
		d->worker_pools[i] = pool_for(d, d->worker_cpus[i]);
		check_nodes(d, i);
	}
	return 0;
}

void devices_attach(struct devices *d, struct dataplane *dp) {
	for (uint16_t i = 0; i < d->n_ports; i++)
		d->io.ports[i] = (struct device_port){.ethdev = d->ports[i].id,
						      .rx_queues = d->ports[i].n_rx_queues,
						      .tx_queues = d->ports[i].n_tx_queues};
	device_attach(dp, &d->io);
}

static void stop_ports(struct devices *d) {
	for (uint16_t i = d->n_ports; i > 0; i--)
		port_stop(&d->ports[i - 1]);
}

// What idle: sleep waits on, known only now.
static int arm(struct devices *d, struct dataplane *dp, struct error *err) {
	int ret;

	for (uint16_t i = 0; i < d->n_ports; i++) {
		d->io.ports[i].has_rx_intr = d->ports[i].has_rx_intr;
		d->io.ports[i].rx_level = d->ports[i].profile.rx_level;
	}
	ret = device_arm(dp, &d->io);
	return ret < 0 ? error_set(err, ret, "workers can't sleep: %s", strerror(-ret)) : 0;
}

int devices_start(struct devices *d, struct dataplane *dp, struct error *err) {
	int ret = 0;

	for (uint16_t i = 0; i < d->n_ports && ret == 0; i++)
		ret = port_start(&d->ports[i], port_pool(&d->pools, &d->ports[i]), err);
	if (ret == 0)
		ret = arm(d, dp, err);
	if (ret < 0)
		stop_ports(d);
	return ret;
}

void devices_stop(struct devices *d, struct dataplane *dp) {
	device_disarm(dp, &d->io);
	stop_ports(d);
}

void devices_close(struct devices *d) {
	close_ports(d, d->n_ports);
	port_pools_destroy(&d->pools);
	eal_fini();
}
