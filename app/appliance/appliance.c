// SPDX-License-Identifier: Apache-2.0
// Start in order, stop in reverse: the parts of the appliance and what ties them together.
#include "appliance.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "flow/affinity.h"
#include "flow/ports.h"

static struct flow_config flow_config_of(const struct config *c, uint16_t worker, uint64_t secret) {
	const struct site_timeouts *t = &c->site.timeouts;

	return (struct flow_config){
		.capacity = c->site.flows_per_worker,
		.max_backends = TABLES_MAX_BACKENDS,
		.max_endpoints = TABLES_MAX_ENDPOINTS,
		.half_open_percent = APPLIANCE_HALF_OPEN_PERCENT,
		.worker = worker,
		.workers = (uint16_t)c->site.workers,
		.n_snat = {(uint8_t)c->site.n_snat4, (uint8_t)c->site.n_snat6},
		.timeouts.ticks = {[FLOW_TCP_SYN_SENT] = t->tcp_syn_sent * FLOW_TICKS,
				   [FLOW_TCP_SYN_RECV] = t->tcp_syn_sent * FLOW_TICKS,
				   [FLOW_TCP_ESTABLISHED] = t->tcp_established * FLOW_TICKS,
				   [FLOW_TCP_FIN_WAIT] = t->tcp_fin_wait * FLOW_TICKS,
				   [FLOW_TCP_TIME_WAIT] = t->tcp_time_wait * FLOW_TICKS,
				   [FLOW_TCP_CLOSE] = t->tcp_close * FLOW_TICKS,
				   [FLOW_UDP] = t->udp * FLOW_TICKS,
				   [FLOW_UDP_STREAM] = t->udp_stream * FLOW_TICKS},
		.secret = secret,
	};
}

// One client in four of those that fit may have an affinity of its own.
static uint32_t affinity_capacity(const struct config *c) {
	uint32_t capacity = c->site.flows_per_worker / 4;

	return capacity < 1024 ? 1024 : capacity;
}

uint64_t appliance_worker_bytes(const struct config *c) {
	struct flow_config f = flow_config_of(c, 0, 0);

	return flow_table_size(&f) + affinity_table_size(affinity_capacity(c));
}

static int create_worker(struct appliance *a, uint16_t id, struct error *err) {
	const struct appliance_settings *s = &a->settings;
	struct flow_config f = flow_config_of(a->config, id, s->secret);
	int socket = s->worker_cpus == NULL ? MEMORY_ANY_SOCKET
					    : memory_cpu_node(s->worker_cpus[id]);
	uint32_t capacity = affinity_capacity(a->config);
	struct worker *w;
	int ret = memory_alloc(&a->worker_memory[id], sizeof(*w), socket, HUGEPAGES_OFF, s->touch,
			       err);

	if (ret < 0)
		return ret;
	a->workers[id] = w = a->worker_memory[id].base;
	w->id = id;
	w->socket = socket;
	w->dp = &a->dp;
	w->pool = s->pools[id];
	w->idle = (uint8_t)a->config->dataplane.idle;
	ret = memory_alloc(&a->flow_memory[id], flow_table_size(&f), socket, s->hugepages, s->touch,
			   err);
	if (ret == 0)
		ret = memory_alloc(&a->affinity_memory[id], affinity_table_size(capacity), socket,
				   s->hugepages, s->touch, err);
	if (ret < 0)
		return ret;
	if (flow_init(&w->flows, a->flow_memory[id].base, &f) < 0 ||
	    affinity_init(&w->affinity, a->affinity_memory[id].base, capacity, s->secret) < 0)
		return error_set(err, -EINVAL,
				 "dataplane.flowsPerWorker: %u flows can't be laid out",
				 a->config->site.flows_per_worker);
	return 0;
}

static void destroy_workers(struct appliance *a) {
	for (uint32_t i = 0; i < a->config->site.workers; i++) {
		memory_free(&a->flow_memory[i]);
		memory_free(&a->affinity_memory[i]);
		memory_free(&a->worker_memory[i]);
		a->workers[i] = NULL;
	}
}

static int create_workers(struct appliance *a, struct error *err) {
	int ret = 0;

	a->dp.n_workers = (uint16_t)a->config->site.workers;
	a->dp.n_ports = (uint16_t)a->config->site.n_ports;
	a->dp.publish = a->publish;
	a->dp.neighbors = a->neighbors;
	a->dp.workers = a->workers;
	a->dp.ring_size = a->settings.ring_size;
	for (uint16_t i = 0; i < a->dp.n_workers && ret == 0; i++)
		ret = create_worker(a, i, err);
	if (ret == 0 && dataplane_connect(&a->dp) < 0)
		ret = error_set(
			err, -ENOMEM,
			"out of memory for the rings between %u workers: raise dataplane.memoryMiB",
			a->dp.n_workers);
	if (ret < 0)
		destroy_workers(a);
	return ret;
}

bool appliance_command(struct appliance *a, uint16_t worker, const struct command *c) {
	return worker_command(a->workers[worker], c);
}

// The worker that has a transmit queue on the port sends it.
static void send_request(void *ctx, const struct neighbor_request *r) {
	struct appliance *a = ctx;
	struct command c = {.type = COMMAND_REQUEST, .request = *r};

	appliance_command(a, a->dp.sender[r->port][0], &c);
}

static void add_reserved(struct appliance *a, const struct ip_addr *addr, const char *what,
			 const char *name) {
	uint32_t i = a->kube_settings.n_reserved++;

	snprintf(a->reserved_text[i], sizeof(a->reserved_text[i]), "%s%s", what, name);
	a->reserved[i] = (struct kube_reserved){.addr = *addr, .what = a->reserved_text[i]};
}

static int reserve(struct appliance *a) {
	const struct site *s = &a->config->site;
	uint32_t n = s->n_snat4 + s->n_snat6 + s->n_routes + s->n_neighbors + 1;

	for (uint32_t i = 0; i < s->n_ports; i++)
		n += s->ports[i].n_addresses;
	a->reserved = calloc(n, sizeof(*a->reserved));
	a->reserved_text = calloc(n, sizeof(*a->reserved_text));
	if (a->reserved == NULL || a->reserved_text == NULL)
		return -ENOMEM;
	for (uint32_t i = 0; i < s->n_ports; i++)
		for (uint32_t j = 0; j < s->ports[i].n_addresses; j++)
			add_reserved(a, &s->ports[i].addresses[j].addr, "port ", s->ports[i].name);
	for (uint32_t i = 0; i < s->n_snat4; i++)
		add_reserved(a, &s->snat4[i], "an SNAT address", "");
	for (uint32_t i = 0; i < s->n_snat6; i++)
		add_reserved(a, &s->snat6[i], "an SNAT address", "");
	for (uint32_t i = 0; i < s->n_routes; i++)
		add_reserved(a, &s->routes[i].via, "a route's next hop", "");
	for (uint32_t i = 0; i < s->n_neighbors; i++)
		add_reserved(a, &s->neighbors[i].addr, "a neighbour", "");
	return 0;
}

// NULL: out of memory.
static struct ipam_pool *pools_of(const struct config_services *s) {
	struct ipam_pool *pools = calloc(s->n_pools + 1, sizeof(*pools));

	for (uint32_t i = 0; pools != NULL && i < s->n_pools; i++) {
		const struct config_pool *from = &s->pools[i];

		pools[i] = (struct ipam_pool){.auto_assign = from->auto_assign,
					      .priority = from->priority,
					      .avoid_buggy = from->avoid_buggy,
					      .proxy = from->proxy,
					      .n_namespaces = from->n_namespaces,
					      .namespaces = from->namespaces,
					      .n_selectors = from->n_selectors,
					      .selectors = from->selectors,
					      .n_ranges = from->n_ranges,
					      .ranges = from->ranges};
		memcpy(pools[i].name, from->name, sizeof(pools[i].name));
	}
	return pools;
}

static void set_kube_settings(struct appliance *a, const struct config_services *s) {
	struct kube_settings *k = &a->kube_settings;

	k->target = s->target == CONFIG_TARGET_POD ? KUBE_TARGET_POD : KUBE_TARGET_NODE;
	k->forwarding = s->forwarding;
	k->lb_class = s->load_balancer_class;
	k->cluster_ips = s->cluster_ips;
	k->reject = s->reject;
	k->external_nodes = s->external_nodes;
	k->exclude_by_presence = s->exclude_by_presence;
	k->durable = s->manifests == NULL;
	k->n_pools = s->n_pools;
	k->pools = a->pools;
	k->n_node_port_addresses = s->n_node_port_addresses;
	k->node_port_addresses = s->node_port_addresses;
	k->n_external_ips = s->n_external_ips;
	k->external_ips = s->external_ips;
	k->reserved = a->reserved;
}

static int create_kube(struct appliance *a, struct error *err) {
	a->pools = pools_of(&a->config->services);
	a->addresses = ipam_memory_create();
	a->model = model_create();
	if (a->pools == NULL || a->addresses == NULL || a->model == NULL || reserve(a) < 0)
		return error_set(err, -ENOMEM, "out of memory");
	set_kube_settings(a, &a->config->services);
	a->kube = kube_create(&a->kube_settings, a->addresses);
	return a->kube == NULL ? error_set(err, -ENOMEM, "out of memory") : 0;
}

int appliance_configure(struct appliance *a, const struct config_services *s) {
	struct ipam_pool *pools = pools_of(s), *before = a->pools;

	if (pools == NULL)
		return -ENOMEM;
	a->pools = pools;
	set_kube_settings(a, s);
	kube_configure(a->kube, &a->kube_settings);
	free(before);
	return 0;
}

void appliance_follow(struct appliance *a, bool follower) {
	if (a->kube_settings.follower == follower)
		return;
	a->kube_settings.follower = follower;
	kube_reconsider(a->kube);
}

static void destroy_kube(struct appliance *a) {
	manifests_destroy(a->manifests);
	kube_destroy(a->kube);
	model_destroy(a->model);
	ipam_memory_destroy(a->addresses);
	free(a->announcements);
	free(a->reserved_text);
	free(a->reserved);
	free(a->pools);
}

int appliance_create(struct appliance *a, struct config *c, const struct appliance_settings *s,
		     struct error *err) {
	struct compile_settings cs = {.site = &c->site,
				      .port_macs = s->port_macs,
				      .secret = s->secret};
	int ret;

	*a = (struct appliance){.config = c, .settings = *s};
	ret = create_kube(a, err);
	if (ret < 0)
		goto kube;
	cs.neighbors = a->neighbors = neighbor_create(APPLIANCE_NEIGHBORS, s->secret, send_request,
						      a);
	ret = a->neighbors == NULL ? error_set(err, -ENOMEM, "out of memory")
				   : compile_create(&a->compile, &cs, err);
	if (ret < 0)
		goto neighbors;
	a->publish = publish_create(s->readers, compile_tables(a->compile));
	if (a->publish == NULL) {
		ret = error_set(err, -ENOMEM, "out of memory");
		goto compile;
	}
	ret = create_workers(a, err);
	if (ret == 0)
		return 0;
	publish_destroy(a->publish);
compile:
	compile_destroy(a->compile);
neighbors:
	neighbor_destroy(a->neighbors);
kube:
	destroy_kube(a);
	*a = (struct appliance){.config = NULL};
	return ret;
}

void appliance_destroy(struct appliance *a) {
	dataplane_disconnect(&a->dp);
	destroy_workers(a);
	free(a->snat_ports);
	publish_destroy(a->publish);
	compile_destroy(a->compile);
	neighbor_destroy(a->neighbors);
	destroy_kube(a);
}

int appliance_load(struct appliance *a, const char *path, manifests_report_fn report, void *arg,
		   uint64_t now_ms) {
	struct manifests *m = manifests_create(path, report, arg);
	int ret;

	if (m == NULL)
		return -ENOMEM;
	manifests_destroy(a->manifests);
	a->manifests = m;
	ret = manifests_load(m, a->kube, (int64_t)now_ms);
	return ret < 0 ? ret : 0;
}

static int queue_announcement(struct appliance *a, uint16_t port, const struct ip_addr *addr) {
	if (a->n_announcements == a->announcements_room) {
		uint32_t room = a->announcements_room == 0 ? 64 : 2 * a->announcements_room;
		struct announcement *grown = realloc(a->announcements, room * sizeof(*grown));

		if (grown == NULL)
			return -ENOMEM;
		a->announcements = grown;
		a->announcements_room = room;
	}
	a->announcements[a->n_announcements++] = (struct announcement){.port = port, .addr = *addr};
	return 0;
}

// As many as the workers' queues take; the others wait for the next step.
static void send_announcements(struct appliance *a) {
	uint32_t sent = 0;

	while (sent < a->n_announcements) {
		const struct announcement *n = &a->announcements[sent];
		struct command c = {.type = COMMAND_ANNOUNCE,
				    .announce = {.port = n->port, .addr = n->addr}};

		if (!appliance_command(a, a->dp.sender[n->port][0], &c))
			break;
		sent++;
	}
	if (sent == 0)
		return;
	a->n_announcements -= sent;
	memmove(a->announcements, a->announcements + sent,
		a->n_announcements * sizeof(*a->announcements));
}

// Gratuitous ARP and unsolicited advertisements for the virtual addresses that appeared, where they are answered.
static void announce(struct appliance *a, const struct tables *t) {
	struct ip_addr *fresh;
	int n = compile_new_addresses(a->compile, &fresh);

	for (int i = 0; i < n; i++) {
		struct local_ref local;

		if (!tuple_find_addr(t->local_map, &fresh[i], 0, 0, &local))
			continue;
		for (uint16_t port = 0; port < t->n_ports; port++)
			if (local.answer & (1u << port))
				queue_announcement(a, port, &fresh[i]);
	}
	if (n >= 0)
		free(fresh);
	send_announcements(a);
}

int appliance_set_rss(struct appliance *a, const struct rss *const *by_port) {
	uint16_t workers = a->dp.n_workers, ports = a->dp.n_ports;
	struct flow_ports *p = calloc((size_t)workers * ports, sizeof(*p));

	if (p == NULL)
		return -ENOMEM;
	a->snat_ports = p;
	for (uint16_t w = 0; w < workers; w++) {
		for (uint16_t i = 0; i < ports; i++, p++) {
			if (by_port[i] == NULL)
				continue;
			flow_ports_init(p, by_port[i], w);
			a->snat_ports_of[w][i] = p;
		}
		a->workers[w]->ports = a->snat_ports_of[w];
	}
	compile_set_rss(a->compile, by_port);
	return 0;
}

static void free_garbage(void *garbage) {
	compile_free(garbage);
}

int appliance_apply(struct appliance *a, uint64_t now_ms) {
	struct compile_garbage *garbage;
	const struct tables *next;
	int ret;

	kube_set_time(a->kube, (int64_t)now_ms);
	ret = kube_apply(a->kube, a->model,
			 a->manifests == NULL ? !a->is_incomplete
					      : manifests_is_complete(a->manifests));

	if (ret < 0)
		return ret;
	ret = compile_update(a->compile, a->model, now_ms / 1000, &next, &garbage);
	if (ret <= 0)
		return ret;
	publish_swap(a->publish, next);
	if (a->settings.announces)
		announce(a, next);
	return publish_retire(a->publish, free_garbage, garbage) < 0 ? -ENOMEM : 1;
}

static void take_event(struct appliance *a, const struct event *e, uint64_t now_ms) {
	if (e->type == EVENT_WANTED)
		neighbor_want(a->neighbors, e->port, &e->addr, now_ms);
	else
		neighbor_heard(a->neighbors, e->port, &e->addr, &e->mac, e->answer, now_ms);
}

struct reclaim {
	struct neighbor_table *neighbors;
	uint64_t mark;
};

static void reclaim(void *arg) {
	struct reclaim *r = arg;

	neighbor_reclaim(r->neighbors, r->mark);
	free(r);
}

// Neighbour slots that were given up come back after a grace period.
static void start_reclaim(struct appliance *a) {
	struct reclaim *r = malloc(sizeof(*r));

	if (r == NULL)
		return; // the next second tries again
	*r = (struct reclaim){.neighbors = a->neighbors, .mark = neighbor_limbo_mark(a->neighbors)};
	if (publish_retire(a->publish, reclaim, r) < 0)
		free(r);
}

uint32_t appliance_step(struct appliance *a, uint64_t now_ms) {
	struct event e;
	uint32_t n = 0;

	for (uint32_t i = 0; i < a->dp.n_workers; i++) {
		for (uint32_t j = 0; j < 1024 && spsc_pop(a->workers[i]->events, &e); j++) {
			take_event(a, &e, now_ms);
			n++;
		}
	}
	if (n > 0 || now_ms >= a->neighbors_due)
		a->neighbors_due = neighbor_run(a->neighbors, now_ms);
	if (now_ms >= a->reclaim_due) {
		start_reclaim(a);
		a->reclaim_due = now_ms + 1000;
	}
	if (a->n_announcements > 0)
		send_announcements(a);
	publish_poll(a->publish);
	return n;
}

uint64_t appliance_served(const struct appliance *a) {
	uint64_t least = UINT64_MAX;

	for (uint16_t i = 0; i < a->dp.n_workers; i++) {
		uint64_t at = __atomic_load_n(&a->workers[i]->generation, __ATOMIC_RELAXED);

		least = at < least ? at : least;
	}
	return least;
}

void appliance_print_report(const struct config_report *report) {
	for (size_t i = 0; i < report->n; i++)
		fprintf(stderr, "%s%s\n", report->notes[i].warning ? "warning: " : "",
			report->notes[i].error.text);
	if (report->n_faults > report->n)
		fprintf(stderr, "... and %zu more\n", report->n_faults - report->n);
}
