// SPDX-License-Identifier: Apache-2.0
// Endpoints and nodes as backends of one Service port.
#include "kube/translate.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum rank { READY, TERMINATING, NOT_READY, NOT_SERVING, BAD_ADDRESS, EXCLUDED }; // best first

struct candidate {
	struct ip_addr addr;
	uint16_t port;
	uint8_t rank;
	bool is_node;
	uint32_t weight;
	const char *node; // of an endpoint
};

struct candidates {
	struct candidate *list;
	uint32_t n, room;
};

static int add(struct candidates *c, const struct candidate *one) {
	if (c->n == c->room) {
		uint32_t room = c->room > 0 ? 2 * c->room : 16;
		struct candidate *grown = realloc(c->list, room * sizeof(*grown));

		if (grown == NULL)
			return -ENOMEM;
		c->list = grown;
		c->room = room;
	}
	c->list[c->n++] = *one;
	return 0;
}

// What no endpoint may be, whatever the API server let pass (kube-proxy refuses the same).
static bool addr_may_serve(const struct ip_addr *a) {
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

	if (!ip_addr_is_usable(a))
		return false;
	if (a->family == 4)
		return !(a->b[0] == 169 && a->b[1] == 254);
	return memcmp(a->b, mapped, sizeof(mapped)) != 0;
}

static enum rank rank_of(const struct kube_endpoint *e) {
	if (!addr_may_serve(&e->addr))
		return BAD_ADDRESS;
	if (e->ready)
		return READY;
	if (!e->terminating)
		return NOT_READY;
	return e->serving ? TERMINATING : NOT_SERVING;
}

static int candidate_cmp(const void *x, const void *y) {
	const struct candidate *a = x, *b = y;
	int c = ip_addr_cmp(&a->addr, &b->addr);

	if (c == 0)
		c = (a->port > b->port) - (a->port < b->port);
	if (c == 0)
		c = a->rank - b->rank;
	if (c == 0)
		c = (a->weight < b->weight) - (a->weight > b->weight);
	return c != 0 || a->is_node
		       ? c
		       : strcmp(b->node, a->node); // one that knows its node goes first
}

// Sort, and keep the best of those with one address and port.
static void make_unique(struct candidates *c) {
	uint32_t n = 0;

	if (c->n == 0)
		return;
	qsort(c->list, c->n, sizeof(*c->list), candidate_cmp);
	for (uint32_t i = 0; i < c->n; i++)
		if (n == 0 || c->list[n - 1].port != c->list[i].port ||
		    !ip_addr_eq(&c->list[n - 1].addr, &c->list[i].addr))
			c->list[n++] = c->list[i];
	c->n = n;
}

static int add_group(struct candidates *c, const struct kube_group *g,
		     const struct kube_service_port *p, bool keep_port) {
	for (uint32_t i = 0; i < g->n_ports; i++) {
		if (g->ports[i].protocol != p->protocol || strcmp(g->ports[i].name, p->name) != 0)
			continue;
		for (uint32_t e = 0; e < g->n_endpoints; e++) {
			const struct kube_endpoint *from = &g->endpoints[e];
			struct candidate one = {.addr = from->addr,
						.port = keep_port ? p->port : g->ports[i].port,
						.rank = rank_of(from),
						.weight = 1,
						.node = from->node};

			if (add(c, &one) < 0)
				return -ENOMEM;
		}
	}
	return 0;
}

static int collect_endpoints(struct candidates *c, const struct kube_view *v,
			     const struct kube_service_port *p, bool keep_port) {
	for (uint32_t i = 0; i < v->n_endpoints; i++) {
		const struct kube_endpoints *e = &v->endpoints[i]->endpoints;

		for (uint32_t g = 0; g < e->n_groups; g++)
			if (add_group(c, &e->groups[g], p, keep_port) < 0)
				return -ENOMEM;
	}
	make_unique(c);
	return 0;
}

struct locals { // endpoints on one node, of each family: ready ones, terminating but serving ones
	uint32_t ready[2], terminating[2];
};

static int node_name_cmp(const void *name, const void *o) {
	return strcmp(name, (*(const struct kube_object *const *)o)->meta.name);
}

static void count_locals(struct locals *locals, const struct kube_view *v,
			 const struct candidates *endpoints) {
	for (uint32_t i = 0; i < endpoints->n; i++) {
		const struct candidate *e = &endpoints->list[i];
		const struct kube_object *const *node = NULL;

		if (e->node[0] != 0 && v->n_nodes > 0)
			node = bsearch(e->node, v->nodes, v->n_nodes, sizeof(*v->nodes),
				       node_name_cmp);
		if (node == NULL)
			continue;
		if (e->rank == READY)
			locals[node - v->nodes].ready[e->addr.family == 6]++;
		else if (e->rank == TERMINATING)
			locals[node - v->nodes].terminating[e->addr.family == 6]++;
	}
}

static int add_node(struct candidates *c, const struct kube_object *o, uint16_t port,
		    const struct locals *local) {
	const struct kube_node *node = &o->node;

	for (int f = 0; f < 2; f++) {
		struct candidate one = {.addr = node->internal[f],
					.port = port,
					.rank = READY,
					.is_node = true,
					.weight = 1};

		if (one.addr.family == 0)
			continue;
		if (!addr_may_serve(&one.addr))
			one.rank = BAD_ADDRESS;
		else if (node->excluded)
			one.rank = EXCLUDED;
		else if (node->draining)
			one.rank = TERMINATING;
		if (local != NULL && one.rank <= TERMINATING) {
			one.weight = local->ready[f] > 0 ? local->ready[f] : local->terminating[f];
			if (one.weight == 0)
				continue;
		}
		if (add(c, &one) < 0)
			return -ENOMEM;
	}
	return 0;
}

static int collect_nodes(struct candidates *c, const struct kube_view *v,
			 const struct kube_service_port *p, bool dsr) {
	bool local = v->service->service.local;
	struct candidates endpoints = {0};
	struct locals *locals = calloc(v->n_nodes + 1, sizeof(*locals));
	int ret = locals == NULL ? -ENOMEM : 0;

	if (ret == 0 && local)
		ret = collect_endpoints(&endpoints, v, p, false);
	if (ret == 0 && local)
		count_locals(locals, v, &endpoints);
	for (uint32_t i = 0; i < v->n_nodes && ret == 0; i++)
		ret = add_node(c, v->nodes[i], dsr ? p->port : p->node_port,
			       local ? &locals[i] : NULL);
	free(endpoints.list);
	free(locals);
	make_unique(c);
	return ret;
}

static const char *reason_of(const struct candidate *c) {
	static const char *const reasons[] = {"",
					      "terminating",
					      "not-ready",
					      "not-serving",
					      "address-not-usable",
					      "node-excluded"};

	return c->rank == TERMINATING && c->is_node ? "node-draining" : reasons[c->rank];
}

static void fill_backend(struct model_backend *b, const struct candidate *c, bool fallback) {
	*b = (struct model_backend){.addr = c->addr, .port = c->port, .weight = c->weight};
	b->state = c->rank == READY         ? MODEL_READY
		   : c->rank == TERMINATING ? MODEL_DRAINING
					    : MODEL_UNUSABLE;
	b->usable = c->rank == READY || (c->rank == TERMINATING && fallback);
	strcpy(b->reason, reason_of(c));
}

static bool has_frontend(const struct kube_plan_port *p, uint8_t family) {
	for (uint32_t i = 0; i < p->n_frontends; i++)
		if (p->frontends[i].addr.family == family)
			return true;
	return false;
}

static int fill_backends(struct model_service *out, const struct candidates *c,
			 const struct kube_plan_port *plan) {
	bool wanted[2] = {has_frontend(plan, 4), has_frontend(plan, 6)}, ready[2] = {false, false};

	if (c->n == 0)
		return 0;
	out->backends = calloc(c->n, sizeof(*out->backends));
	if (out->backends == NULL)
		return -ENOMEM;
	for (uint32_t i = 0; i < c->n; i++)
		ready[c->list[i].addr.family == 6] |= c->list[i].rank == READY;
	for (uint32_t i = 0; i < c->n; i++) {
		int f = c->list[i].addr.family == 6;

		if (wanted[f])
			fill_backend(&out->backends[out->n_backends++], &c->list[i], !ready[f]);
	}
	return 0;
}

static int find_backends(struct model_service *out, const struct kube_view *v,
			 const struct kube_service_port *p, const struct kube_plan_port *plan) {
	struct candidates c = {0};
	bool dsr = v->plan->mode == MODEL_DSR;
	int ret = v->plan->target == KUBE_TARGET_NODE ? collect_nodes(&c, v, p, dsr)
						      : collect_endpoints(&c, v, p, dsr);

	if (ret == 0)
		ret = fill_backends(out, &c, plan);
	free(c.list);
	return ret;
}

static int copy_array(void **out, const void *from, size_t n, size_t size) {
	if (n == 0)
		return 0;
	*out = malloc(n * size);
	if (*out == NULL)
		return -ENOMEM;
	memcpy(*out, from, n * size);
	return 0;
}

static int fill_port(struct model_service *out, const struct kube_view *v, uint32_t row) {
	const struct kube_service *s = &v->service->service;
	const struct kube_plan_port *plan = &v->plan->ports[row];
	void *copy = NULL;
	int ret;

	strcpy(out->port_name, s->ports[row].name);
	memcpy(out->reason, plan->reason, sizeof(out->reason));
	ret = copy_array(&copy, plan->frontends, plan->n_frontends, sizeof(*plan->frontends));
	out->frontends = copy;
	out->n_frontends = copy != NULL ? plan->n_frontends : 0;
	copy = NULL;
	if (ret == 0)
		ret = copy_array(&copy, s->ranges, s->n_ranges, sizeof(*s->ranges));
	out->source_ranges = copy;
	out->n_source_ranges = copy != NULL ? s->n_ranges : 0;
	if (ret == 0 && plan->n_frontends > 0)
		ret = find_backends(out, v, &s->ports[row], plan);
	return ret;
}

uint32_t kube_rows(const struct kube_object *service) {
	return service->service.n_ports > 0 ? service->service.n_ports : 1;
}

int kube_translate(struct model_service *out, const struct kube_view *v, uint32_t row) {
	const struct kube_service *s = &v->service->service;
	struct model_service m = {.mode = v->plan->mode, .scheduler = MODEL_MAGLEV};
	int ret = 0;

	strcpy(m.key.ns, v->service->meta.ns);
	strcpy(m.key.name, v->service->meta.name);
	strcpy(m.uid, v->service->meta.uid);
	m.key.port = s->n_ports > 0 ? s->ports[row].port : 0;
	m.key.protocol = s->n_ports > 0 ? s->ports[row].protocol : MODEL_TCP;
	m.reject = v->settings->reject;
	m.restricted = s->restricted;
	m.affinity_timeout = s->affinity_timeout;
	memcpy(m.reason, v->plan->reason, sizeof(m.reason));
	if (s->n_ports > 0)
		ret = fill_port(&m, v, row);
	if (ret < 0)
		model_service_fini(&m);
	else
		*out = m;
	return ret;
}
