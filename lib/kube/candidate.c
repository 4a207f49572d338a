// SPDX-License-Identifier: Apache-2.0
// Candidates in order, and those that are endpoints.
#include "kube/candidate.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int candidate_add(struct candidates *c, const struct candidate *one) {
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

bool candidate_may_serve(const struct ip_addr *a) {
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

	if (!ip_addr_is_usable(a))
		return false;
	if (a->family == 4)
		return !(a->b[0] == 169 && a->b[1] == 254);
	return memcmp(a->b, mapped, sizeof(mapped)) != 0;
}

static enum rank rank_of(const struct kube_endpoint *e) {
	if (!candidate_may_serve(&e->addr))
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
		c = (a->verdict == KUBE_DOWN) - (b->verdict == KUBE_DOWN);
	if (c == 0)
		c = (a->weight < b->weight) - (a->weight > b->weight);
	if (c == 0)
		c = (a->verdict == KUBE_UNKNOWN) - (b->verdict == KUBE_UNKNOWN);
	return c != 0 || a->is_node
		       ? c
		       : strcmp(b->node, a->node); // one that knows its node goes first
}

void candidates_make_unique(struct candidates *c) {
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

			if (candidate_add(c, &one) < 0)
				return -ENOMEM;
		}
	}
	return 0;
}

int candidates_of_endpoints(struct candidates *c, const struct kube_view *v,
			    const struct kube_service_port *p, bool keep_port) {
	for (uint32_t i = 0; i < v->n_endpoints; i++) {
		const struct kube_endpoints *e = &v->endpoints[i]->endpoints;

		for (uint32_t g = 0; g < e->n_groups; g++)
			if (add_group(c, &e->groups[g], p, keep_port) < 0)
				return -ENOMEM;
	}
	candidates_make_unique(c);
	return 0;
}
