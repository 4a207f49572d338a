// SPDX-License-Identifier: Apache-2.0
// Templates and addresses; writing a burst is inline.
#include "traffic.h"

#define CHECKSUM                                                                                   \
	0x5a5a // of L4: not right, and not 0, so that it is updated; nobody on the way looks at it

static struct ip_addr address4(uint32_t host) {
	return ip_addr_from_v4(rte_cpu_to_be_32(host));
}

static struct ip_addr address6(uint16_t third, uint32_t last) { // 2001:db8:THIRD::LAST
	uint8_t b[16] = {0x20, 0x01, 0x0d, 0xb8};

	traffic_put16(b + 4, third);
	traffic_put32(b + 12, last);
	return ip_addr_from_v6(b);
}

struct ip_addr traffic_frontend(uint8_t family, uint32_t i) {
	return family == 4 ? address4(0xc6120001u + i) : address6(0x100, i + 1);
}

struct ip_addr traffic_endpoint(uint8_t family, uint32_t e) {
	return family == 4 ? address4(0x0a010001u + e) : address6(1, e + 1);
}

struct ip_addr traffic_snat(uint8_t family, uint32_t s) {
	return family == 4 ? address4(0x0a01fe01u + s) : address6(1, 0xfe0001u + s);
}

struct mac_addr traffic_port_mac(unsigned port) {
	return (struct mac_addr){{2, 0, 0, 0, 0, (uint8_t)(1 + port)}};
}

struct mac_addr traffic_neighbor_mac(unsigned port, uint32_t e) {
	return (struct mac_addr){{2, 0, 0, (uint8_t)(1 + port), (uint8_t)(e >> 8), (uint8_t)e}};
}

static uint32_t sum_of(const uint8_t *p, unsigned len) {
	uint32_t sum = 0;

	for (unsigned i = 0; i < len; i += 2)
		sum += (uint32_t)p[i] << 8 | p[i + 1];
	return sum;
}

static void write_l4(const struct traffic *x, uint8_t *l4, uint16_t len) {
	traffic_put16(l4 + 2, TRAFFIC_PORT);
	if (x->protocol == 6) {
		traffic_put32(l4 + 4, 1000);
		traffic_put32(l4 + 8, 2000);
		l4[12] = 5 << 4;
		traffic_put16(l4 + 14, 0xffff);
		traffic_put16(l4 + 16, CHECKSUM);
	} else {
		traffic_put16(l4 + 4, len);
		traffic_put16(l4 + 6, CHECKSUM);
	}
}

static void write_template(struct traffic *x, uint8_t *frame, unsigned port) {
	const struct mac_addr to = traffic_port_mac(port),
			      from = traffic_neighbor_mac(port, TRAFFIC_ENDPOINT_ADDRESSES);
	uint8_t *ip = frame + 14;
	uint16_t l3 = (uint16_t)(x->len - 14);

	memcpy(frame, to.b, 6);
	memcpy(frame + 6, from.b, 6);
	traffic_put16(frame + 12, x->family == 4 ? 0x0800 : 0x86dd);
	if (x->family == 4) {
		ip[0] = 0x45;
		traffic_put16(ip + 2, l3);
		traffic_put16(ip + 6, 0x4000); // don't fragment
		ip[8] = 64;
		ip[9] = x->protocol;
		x->sum = sum_of(ip, 20);
		write_l4(x, ip + 20, (uint16_t)(l3 - 20));
		return;
	}
	ip[0] = 0x60;
	traffic_put16(ip + 4, (uint16_t)(l3 - 40));
	ip[6] = x->protocol;
	ip[7] = 64;
	write_l4(x, ip + 40, (uint16_t)(l3 - 40));
}

// What all addresses of a way have in common.
static void write_prefixes(struct traffic *x) {
	struct ip_addr client = address6(0xc, 0), frontend = traffic_frontend(6, 0),
		       endpoint = traffic_endpoint(6, 0);

	memcpy(x->in + 14 + 8, client.b, 16);
	memcpy(x->in + 14 + 24, frontend.b, 16);
	memcpy(x->back + 14 + 8, endpoint.b, 16);
	memcpy(x->back + 14 + 24, x->fullnat ? endpoint.b : client.b, 16);
}

void traffic_init(struct traffic *x, uint8_t family, uint8_t protocol, uint32_t frontends,
		  bool fullnat) {
	*x = (struct traffic){.family = family,
			      .protocol = protocol,
			      .frontends = frontends,
			      .fullnat = fullnat};
	x->len = family == 4 ? 60 : protocol == 6 ? 74 : 62;
	write_template(x, x->in, TRAFFIC_WAN);
	write_template(x, x->back, TRAFFIC_LAN);
	if (family == 6)
		write_prefixes(x);
}

static uint16_t read16(const uint8_t *p) {
	return (uint16_t)(p[0] << 8 | p[1]);
}

void traffic_learn(const struct traffic *x, const struct rte_mbuf *m, uint32_t flow,
		   struct traffic_back *out) {
	const uint8_t *ip = rte_pktmbuf_mtod(m, const uint8_t *) + 14,
		      *l4 = ip + (x->family == 4 ? 20 : 40);
	const uint8_t *src_end = x->family == 4 ? ip + 16 : ip + 24,
		      *dst_end = x->family == 4 ? ip + 20 : ip + 40;

	out->endpoint = (uint8_t)(dst_end[-1] - 1);
	out->port = read16(l4 + 2);
	out->to = x->fullnat ? (uint32_t)(src_end[-1] - 1) << 16 | read16(l4) : flow;
}
