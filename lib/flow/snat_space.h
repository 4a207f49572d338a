// SPDX-License-Identifier: Apache-2.0
// The SNAT ports that a search goes through: a worker's own towards an endpoint, step by step on each SNAT address (snat.c).
#ifndef SLUICE_FLOW_SNAT_SPACE_H
#define SLUICE_FLOW_SNAT_SPACE_H

#include "flow/flow_private.h"
#include "flow/ports.h"

struct snat_space {
	const struct flow_table *t;
	const struct flow_ports *rss; // NULL: its slice
	uint16_t rss_part;            // of the endpoint
	uint8_t family, n_snat;
	uint32_t n, stride; // steps on an address, a leap
};

struct snat_place {
	uint32_t index, step; // SNAT address; the worker's step-th port
};

FLOW_CORE struct snat_space snat_space_of(const struct flow_table *t, const uint8_t family,
					  const struct flow_new *n) {
	return (struct snat_space){
		.t = t,
		.rss = n->ports,
		.rss_part = n->rss_part,
		.family = family,
		.n_snat = t->n_snat[family != 4],
		.n = n->ports != NULL ? n->ports->n : t->n_ports,
		.stride = n->ports != NULL ? n->ports->stride : t->port_stride,
	};
}

FLOW_CORE uint32_t snat_place_word(struct snat_place p) {
	return p.step << FLOW_SNAT_BITS | p.index;
}

// Where a cursor stands. At first that is any step below 65536.
FLOW_CORE struct snat_place snat_place_of(const struct snat_space *s, uint32_t word) {
	struct snat_place p = {.index = word & ((1u << FLOW_SNAT_BITS) - 1),
			       .step = word >> FLOW_SNAT_BITS};

	if (__builtin_expect(p.step >= s->n, 0))
		p.step = flow_scale(p.step << 16, s->n);
	return p;
}

// The port at a place. This and the two that follow are all that decides which ports are a worker's own.
FLOW_CORE uint16_t snat_port_at(const struct snat_space *s, struct snat_place p) {
	const struct rss *r;

	if (s->rss == NULL)
		return (uint16_t)(s->t->first_port + p.step * s->t->workers);
	r = s->rss->rss;
	return rss_port_at(r, s->family, s->rss->worker,
			   s->rss_part ^ r->of[s->family != 4].snat[p.index], p.step);
}

FLOW_CORE struct snat_place snat_step_by(const struct snat_space *s, struct snat_place p,
					 uint32_t n) {
	uint32_t step = p.step + n;

	p.step = step >= s->n ? step - s->n : step;
	return p;
}

FLOW_CORE struct snat_place snat_step_next(const struct snat_space *s, struct snat_place p,
					   bool leap) {
	bool round = ++p.index >= s->n_snat;

	if (round)
		p.index = 0;
	return leap ? snat_step_by(s, p, s->stride) : snat_step_by(s, p, round);
}

#endif
