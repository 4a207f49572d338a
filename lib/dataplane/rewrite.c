// SPDX-License-Identifier: Apache-2.0
// Stage rewrite: each mode's bytes, one variant for each family and protocol out of rewrite_nat()'s inline core.
#include "dataplane/stages.h"

#define TCP_MSS_OVERHEAD4 40 // IP and TCP headers
#define TCP_MSS_OVERHEAD6 60

void clamp_mss(const struct tables *t, uint16_t port, uint8_t family, uint8_t *l4,
	       uint16_t l4_len) {
	rewrite_clamp_mss(l4, l4_len,
			  (uint16_t)(t->ports[port].mtu -
				     (family == 4 ? TCP_MSS_OVERHEAD4 : TCP_MSS_OVERHEAD6)));
}

static inline void nat(struct packet *k, const struct rewrite_end *src,
		       const struct rewrite_end *dst) {
	uint8_t *l3 = k->data + k->p.l3;
	uint16_t l4 = (uint16_t)(k->p.l4 - k->p.l3);

	if (k->p.family == 4) {
		if (k->p.protocol == 6)
			rewrite_nat(l3, l4, 4, 6, src, dst);
		else
			rewrite_nat(l3, l4, 4, 17, src, dst);
	} else {
		if (k->p.protocol == 6)
			rewrite_nat(l3, l4, 6, 6, src, dst);
		else
			rewrite_nat(l3, l4, 6, 17, src, dst);
	}
}

static void rewrite_in(const struct tables *t, struct packet *k) {
	const struct backend *b = &t->backends[k->backend];
	struct rewrite_end src, dst = end_of(b->addr, b->port);

	if (k->frontend.mode == TABLES_FULLNAT) {
		src = snat_end(t, k);
		nat(k, &src, &dst);
	} else {
		nat(k, NULL, &dst);
	}
}

static void rewrite_back(const struct tables *t, struct packet *k) {
	const struct frontend *f = &t->frontends[k->key.id];
	struct rewrite_end src = end_of(f->addr.b, f->port), dst = {.port = k->key.port};

	memcpy(dst.addr, k->key.addr, sizeof(dst.addr));
	if (k->frontend.mode == TABLES_FULLNAT)
		nat(k, &src, &dst);
	else
		nat(k, &src, NULL);
}

void stage_rewrite(const struct tables *t, struct packet *pkt, uint16_t n) {
	for (uint16_t i = 0; i < n; i++) {
		struct packet *k = &pkt[i];

		if (!is_forwarded(k) || k->frontend.mode == TABLES_DSR)
			continue;
		if (k->p.tcp_flags & PARSE_TCP_SYN)
			clamp_mss(t, k->port, k->p.family, k->data + k->p.l4, k->p.l4_len);
		if (k->way == WAY_IN)
			rewrite_in(t, k);
		else
			rewrite_back(t, k);
	}
}
