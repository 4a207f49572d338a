// SPDX-License-Identifier: Apache-2.0
// Counting a worker's SNAT ports by RSS class.
#include "flow/ports.h"

#include <string.h>

#include "flow/flow.h"

static uint32_t gcd(uint32_t a, uint32_t b) {
	while (b != 0) {
		uint32_t rest = a % b;

		a = b;
		b = rest;
	}
	return a;
}

uint32_t flow_ports_stride(uint32_t n) {
	uint32_t stride = (uint32_t)((uint64_t)n * 618 / 1000) | 1;

	while (gcd(stride, n) != 1)
		stride += 2;
	return stride;
}

static void count_usable(struct flow_ports *p, uint8_t family) {
	const struct rss *r = p->rss;
	uint16_t low[RSS_MAX_RETA] = {0}, *usable = p->usable[family != 4];
	uint16_t least = UINT16_MAX;

	for (uint16_t port = 0; port < FLOW_FIRST_PORT; port++)
		low[rss_port_part(r, family, port)]++;
	for (uint16_t part = 0; part < r->size; part++) {
		uint32_t n = p->n;

		for (uint16_t e = r->begin[p->worker]; e < r->begin[p->worker + 1]; e++)
			n -= low[r->entries[e] ^ part];
		usable[part] = (uint16_t)n;
		least = usable[part] < least ? usable[part] : least;
	}
	p->least[family != 4] = least;
}

void flow_ports_init(struct flow_ports *p, const struct rss *r, uint16_t worker) {
	memset(p, 0, sizeof(*p));
	p->rss = r;
	p->worker = worker;
	p->n = rss_steps(r, worker);
	p->stride = flow_ports_stride(p->n);
	for (uint8_t family = 4; family <= 6; family += 2)
		if (r->has_family[family != 4])
			count_usable(p, family);
}
