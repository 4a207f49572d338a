// SPDX-License-Identifier: Apache-2.0
// Packets made in memory: which addresses there are, and how a burst of them is written.
//
//     client flow f          16.0.0.0/6, 2001:db8:c::/64; address and port are functions of f, one
//                            to one below 2^26 flows
//     frontend i             198.18.0.1 + i, 2001:db8:100::1 + i, port 80; flow f goes to the one
//                            that its hash names
//     endpoint address e     10.1.0.1 + e, 2001:db8:1::1 + e, e < 100, on the port `lan`
//     SNAT address s         10.1.254.1 + s, 2001:db8:1::fe:1 + s, s < 4
//
// A frame is copied from a template, then its addresses, ports, flags and IPv4 header checksum are
// set: what a NIC would have written. That costs about as much as a packet's way through the limit,
// so whoever measures runs the same writing alone and subtracts it. Templates are 60 bytes (IPv4, a
// 64-byte frame with its FCS) or 74 (IPv6 with TCP).
#ifndef SLUICE_BENCH_TRAFFIC_H
#define SLUICE_BENCH_TRAFFIC_H

#include <rte_byteorder.h>
#include <rte_mbuf.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "net/addr.h"

#define TRAFFIC_ENDPOINT_ADDRESSES 100
#define TRAFFIC_SNAT_ADDRESSES 4
#define TRAFFIC_MAX_FLOWS (1u << 26)
#define TRAFFIC_PORT 80
#define TRAFFIC_WAN 0 // ports of the appliance
#define TRAFFIC_LAN 1

#define TRAFFIC_SYN 0x02
#define TRAFFIC_SYN_ACK 0x12
#define TRAFFIC_ACK 0x10

struct traffic {
	uint8_t family, protocol;
	bool fullnat; // of the way back: to an SNAT address, not to the client
	uint16_t len; // of a frame
	uint32_t frontends;
	uint32_t sum;                          // of the IPv4 header without addresses and checksum
	_Alignas(16) uint8_t in[80], back[80]; // templates: from wan, from lan
};

// What a backend's answer to a flow is addressed to; learnt from the packet that the backend got.
struct traffic_back {
	uint32_t to;      // fullnat: SNAT address index << 16 | SNAT port; else the flow
	uint16_t port;    // of the endpoint
	uint8_t endpoint; // address index
	uint8_t unused;
};

void traffic_init(struct traffic *x, uint8_t family, uint8_t protocol, uint32_t frontends,
		  bool fullnat);

struct ip_addr traffic_frontend(uint8_t family, uint32_t i);
struct ip_addr traffic_endpoint(uint8_t family, uint32_t e);
struct ip_addr traffic_snat(uint8_t family, uint32_t s);
struct mac_addr traffic_port_mac(unsigned port); // of the appliance's ports
struct mac_addr traffic_neighbor_mac(
	unsigned port,
	uint32_t e); // of what is behind them; the gateway is TRAFFIC_ENDPOINT_ADDRESSES

// Read out of a packet that left for its backend how that one will answer.
void traffic_learn(const struct traffic *x, const struct rte_mbuf *m, uint32_t flow,
		   struct traffic_back *out);

static inline uint32_t traffic_scale(uint32_t hash, uint32_t n) {
	return (uint32_t)((uint64_t)hash * n >> 32);
}

static inline uint32_t traffic_client4(uint32_t flow) { // host order
	return 0x10000000u + ((flow * 0x9e3779b1u) & (TRAFFIC_MAX_FLOWS - 1));
}

static inline uint16_t traffic_client_port(uint32_t flow) {
	return (uint16_t)(1024 + (flow >> 3 & 0x7fff));
}

static inline uint32_t traffic_frontend_of(const struct traffic *x, uint32_t flow) {
	return traffic_scale(flow * 0x85ebca6bu, x->frontends);
}

static inline void traffic_put32(uint8_t *at, uint32_t host) {
	host = rte_cpu_to_be_32(host);
	memcpy(at, &host, 4);
}

static inline void traffic_put16(uint8_t *at, uint16_t host) {
	host = rte_cpu_to_be_16(host);
	memcpy(at, &host, 2);
}

// What a driver's receive function leaves in the mbuf.
static inline void traffic_receive(const struct traffic *x, struct rte_mbuf *m, uint16_t port) {
	m->data_off = RTE_PKTMBUF_HEADROOM;
	m->port = port;
	m->data_len = x->len;
	m->pkt_len = x->len;
}

static inline void traffic_addresses4(const struct traffic *x, uint8_t *ip, uint32_t src,
				      uint32_t dst) {
	uint32_t sum = x->sum + (src >> 16) + (src & 0xffff) + (dst >> 16) + (dst & 0xffff);

	traffic_put32(ip + 12, src);
	traffic_put32(ip + 16, dst);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	traffic_put16(ip + 10, (uint16_t)~sum);
}

// Client and frontend of a flow, on the way in (at = source) or back.
static inline void traffic_client6(uint8_t *at, uint32_t flow) {
	traffic_put32(at + 8, flow * 0x9e3779b1u);
	traffic_put32(at + 12, flow);
}

// A packet of the flow from its client.
static inline __attribute__((always_inline)) void traffic_write_in(const struct traffic *x,
								   struct rte_mbuf *m,
								   uint8_t family, uint32_t flow,
								   uint8_t flags) {
	uint8_t *frame = (uint8_t *)m->buf_addr + RTE_PKTMBUF_HEADROOM, *ip = frame + 14, *l4;
	uint32_t frontend = traffic_frontend_of(x, flow);

	memcpy(frame, x->in, family == 4 ? 64 : 80);
	if (family == 4) {
		traffic_addresses4(x, ip, traffic_client4(flow), 0xc6120001u + frontend);
		l4 = ip + 20;
	} else {
		traffic_client6(ip + 8, flow);
		traffic_put32(ip + 24 + 12, frontend + 1);
		l4 = ip + 40;
	}
	traffic_put16(l4, traffic_client_port(flow));
	if (x->protocol == 6)
		l4[13] = flags;
}

// A backend's answer.
static inline __attribute__((always_inline)) void traffic_write_back(const struct traffic *x,
								     struct rte_mbuf *m,
								     uint8_t family,
								     const struct traffic_back *b,
								     uint8_t flags) {
	uint8_t *frame = (uint8_t *)m->buf_addr + RTE_PKTMBUF_HEADROOM, *ip = frame + 14, *l4;
	uint16_t to_port = x->fullnat ? (uint16_t)b->to : traffic_client_port(b->to);

	memcpy(frame, x->back, family == 4 ? 64 : 80);
	if (family == 4) {
		uint32_t to = x->fullnat ? 0x0a01fe01u + (b->to >> 16) : traffic_client4(b->to);

		traffic_addresses4(x, ip, 0x0a010001u + b->endpoint, to);
		l4 = ip + 20;
	} else {
		traffic_put32(ip + 8 + 12, b->endpoint + 1u);
		if (x->fullnat)
			traffic_put32(ip + 24 + 12, 0xfe0001u + (b->to >> 16));
		else
			traffic_client6(ip + 24, b->to);
		l4 = ip + 40;
	}
	traffic_put16(l4, b->port);
	traffic_put16(l4 + 2, to_port);
	if (x->protocol == 6)
		l4[13] = flags;
}

#endif
