// SPDX-License-Identifier: Apache-2.0
// Compare a new reading of the configuration with the running one: take what can change, name what can't.
#include "reload.h"

#include <string.h>

#include "base/log.h"
#include "sluiced.h"

static bool same_text(const char *a, const char *b) {
	return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

static bool same_addresses(const struct ip_addr *a, uint32_t n, const struct ip_addr *b,
			   uint32_t m) {
	return n == m && (n == 0 || memcmp(a, b, n * sizeof(*a)) == 0);
}

static bool same_workers(const struct config *a, const struct config *b) {
	return a->site.workers == b->site.workers && a->site.hash_seed == b->site.hash_seed &&
	       a->site.flows_per_worker == b->site.flows_per_worker &&
	       memcmp(a->dataplane.worker_cpu, b->dataplane.worker_cpu,
		      a->site.workers * sizeof(a->dataplane.worker_cpu[0])) == 0 &&
	       a->dataplane.hugepages == b->dataplane.hugepages &&
	       a->dataplane.idle == b->dataplane.idle &&
	       a->dataplane.memory_mib == b->dataplane.memory_mib;
}

static bool same_timeouts(const struct config *a, const struct config *b) {
	return memcmp(&a->site.timeouts, &b->site.timeouts, sizeof(a->site.timeouts)) == 0;
}

static bool same_port(const struct site_port *a, const struct site_port *b) {
	if (a->n_addresses != b->n_addresses)
		return false;
	for (uint32_t i = 0; i < a->n_addresses; i++)
		if (!ip_addr_eq(&a->addresses[i].addr, &b->addresses[i].addr) ||
		    a->addresses[i].len != b->addresses[i].len)
			return false;
	return strcmp(a->name, b->name) == 0 && same_text(a->device, b->device) &&
	       same_text(a->profile, b->profile) && a->has_mac == b->has_mac &&
	       (!a->has_mac || memcmp(&a->mac, &b->mac, sizeof(a->mac)) == 0) && a->mtu == b->mtu &&
	       a->vlan == b->vlan;
}

static bool same_ports(const struct config *a, const struct config *b) {
	if (a->site.n_ports != b->site.n_ports)
		return false;
	for (uint32_t i = 0; i < a->site.n_ports; i++)
		if (!same_port(&a->site.ports[i], &b->site.ports[i]))
			return false;
	return true;
}

static bool same_routes(const struct config *a, const struct config *b) {
	if (a->site.n_routes != b->site.n_routes)
		return false;
	for (uint32_t i = 0; i < a->site.n_routes; i++) {
		const struct site_route *x = &a->site.routes[i], *y = &b->site.routes[i];

		if (!ip_addr_eq(&x->prefix.addr, &y->prefix.addr) ||
		    x->prefix.len != y->prefix.len || !ip_addr_eq(&x->via, &y->via))
			return false;
	}
	return true;
}

static bool same_neighbors(const struct config *a, const struct config *b) {
	if (a->site.n_neighbors != b->site.n_neighbors)
		return false;
	for (uint32_t i = 0; i < a->site.n_neighbors; i++) {
		const struct site_neighbor *x = &a->site.neighbors[i], *y = &b->site.neighbors[i];

		if (!ip_addr_eq(&x->addr, &y->addr) ||
		    memcmp(&x->mac, &y->mac, sizeof(x->mac)) != 0 || x->port != y->port)
			return false;
	}
	return true;
}

static bool same_snat(const struct config *a, const struct config *b) {
	return same_addresses(a->site.snat4, a->site.n_snat4, b->site.snat4, b->site.n_snat4) &&
	       same_addresses(a->site.snat6, a->site.n_snat6, b->site.snat6, b->site.n_snat6);
}

static bool same_source(const struct config *a, const struct config *b) {
	return (a->services.manifests == NULL) == (b->services.manifests == NULL);
}

// Which API server it is, and as whom, may change.
static bool same_cluster(const struct config *a, const struct config *b) {
	const struct config_services *x = &a->services, *y = &b->services;

	return x->write_status == y->write_status && x->finalizer == y->finalizer &&
	       same_text(x->lease_name, y->lease_name) &&
	       same_text(x->lease_namespace, y->lease_namespace) &&
	       same_text(x->identity, y->identity) && same_text(x->snapshot_file, y->snapshot_file);
}

static bool same_state_file(const struct config *a, const struct config *b) {
	return same_text(a->services.state_file, b->services.state_file);
}

static bool same_socket(const struct config *a, const struct config *b) {
	return same_text(a->socket, b->socket);
}

static const struct fixed {
	const char *path;
	bool (*same)(const struct config *running, const struct config *latest);
} fixed[] = {
	{"dataplane", same_workers},
	{"dataplane.timeouts", same_timeouts},
	{"ports", same_ports},
	{"routes", same_routes},
	{"neighbors", same_neighbors},
	{"services.snatAddresses", same_snat},
	{"services.manifests in place of kubernetes, or the other way", same_source},
	{"services.kubernetes, but for kubeconfig and inCluster", same_cluster},
	{"services.stateFile", same_state_file},
	{"management.socket", same_socket},
};

static void name_fixed(const struct config *running, const struct config *latest) {
	for (size_t i = 0; i < sizeof(fixed) / sizeof(fixed[0]); i++)
		if (!fixed[i].same(running, latest))
			log_warn("reload: %s: a change needs a restart; as before until then",
				 fixed[i].path);
}

static struct config *read_config(const struct sluiced *s) {
	struct config_report report = {0};
	struct config *c = NULL;
	int ret = config_load(&c, s->config_path, NULL, &report);

	if (ret == 0 && config_check_machine(c, &s->affinity, &report) < 0) {
		config_destroy(c);
		c = NULL;
	}
	for (size_t i = 0; i < report.n; i++)
		log_at(report.notes[i].warning ? LOG_WARN : LOG_ERROR, "reload: %s",
		       report.notes[i].error.text);
	config_report_fini(&report);
	if (c == NULL)
		log_error("reload: the configuration stays as it was");
	return c;
}

// Takes c over. What was in force before stays until reload() lets it go. False: nothing changed.
static bool take(struct sluiced *s, struct config *c) {
	if (appliance_configure(&s->appliance, &c->services) < 0) {
		log_error("reload: out of memory; the configuration stays as it was");
		config_destroy(c);
		return false;
	}
	name_fixed(s->config, c);
	log_init(c->log_level, c->log_json);
	s->latest = c;
	probes_configure(s);
	return true;
}

void reload(struct sluiced *s) {
	struct config *before = s->latest, *c = read_config(s);
	bool taken = c != NULL && take(s, c);

	s->source->reload(s, &before->services);
	control_apply(s);
	if (taken && before != s->config)
		config_destroy(before);
	log_info("reload: done");
}
