// SPDX-License-Identifier: Apache-2.0
// Packets for the tests of lib/rewrite, each built whole from a description: what a rewrite must
// give is the packet of the changed description. Sums are added byte by byte, without lib/net.
#ifndef SLUICE_TESTS_REWRITE_PACKET_H
#define SLUICE_TESTS_REWRITE_PACKET_H

#include <arpa/inet.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define ETHER_LEN 14
#define PACKET_ROOM 2048

struct packet {
	uint8_t family, protocol; // of IP
	uint8_t ttl;
	uint8_t options;         // 8-byte IPv4 options (at most 5) or IPv6 extension headers
	bool no_checksum;        // UDP over IPv4
	uint32_t src[4], dst[4]; // network order, also the ports
	uint16_t sport, dport;   // ICMP: the type and code, the rest of the header
	uint8_t tcp_flags;
	uint32_t seq, ack; // host order
	const uint8_t *data;
	uint16_t data_len;
};

static inline uint32_t random32(uint64_t *state) { // xorshift64*
	*state ^= *state >> 12;
	*state ^= *state << 25;
	*state ^= *state >> 27;
	return (uint32_t)(*state * 0x2545f4914f6cdd1d >> 32);
}

static inline void put16(uint8_t *at, uint16_t v) { // host order
	at[0] = (uint8_t)(v >> 8);
	at[1] = (uint8_t)v;
}

static inline uint16_t get16(const uint8_t *at) {
	return (uint16_t)(at[0] << 8 | at[1]);
}

static inline void put32(uint8_t *at, uint32_t v) {
	put16(at, (uint16_t)(v >> 16));
	put16(at + 2, (uint16_t)v);
}

static inline uint32_t get32(const uint8_t *at) {
	return (uint32_t)get16(at) << 16 | get16(at + 2);
}

static inline uint32_t slow_add(uint32_t sum, const uint8_t *p, uint32_t len) {
	for (uint32_t i = 0; i < len; i++) {
		sum += i % 2 ? p[i] : (uint32_t)p[i] << 8;
		sum = (sum & 0xffff) + (sum >> 16);
	}
	return sum;
}

static inline uint16_t slow_checksum(uint32_t sum, const uint8_t *p, uint32_t len) {
	return (uint16_t)~slow_add(sum, p, len);
}

// Sum of the pseudo header; 0 for ICMP over IPv4.
static inline uint32_t slow_pseudo(uint8_t family, const uint8_t *addresses, uint8_t protocol,
				   uint16_t l4_len) {
	uint8_t tail[4] = {0, protocol, (uint8_t)(l4_len >> 8), (uint8_t)l4_len};

	if (protocol == 1)
		return 0;
	return slow_add(slow_add(0, addresses, family == 4 ? 8 : 32), tail, 4);
}

// What the checksum field must be for the packet at l3, whose L4 is at l4; its field counts as 0.
static inline uint16_t slow_l4_checksum(const uint8_t *l3, const uint8_t *l4, uint16_t l4_len,
					uint8_t protocol, uint16_t field) {
	uint8_t family = l3[0] >> 4, copy[PACKET_ROOM];

	memcpy(copy, l4, l4_len);
	put16(copy + field, 0);
	return slow_checksum(slow_pseudo(family, l3 + (family == 4 ? 12 : 8), protocol, l4_len),
			     copy, l4_len);
}

static inline uint16_t checksum_field(uint8_t protocol) {
	return protocol == 6 ? 16 : protocol == 17 ? 6 : 2;
}

static inline uint16_t packet_ip4(uint8_t *ip, const struct packet *p, uint16_t l4_len) {
	uint16_t len = 20 + p->options * 8;

	memset(ip, 1, len); // options: all no-operation
	ip[0] = (uint8_t)(0x40 | len / 4);
	ip[1] = 0x2e;
	put16(ip + 2, len + l4_len);
	put16(ip + 4, 0xbeef);
	put16(ip + 6, 0x4000);
	ip[8] = p->ttl;
	ip[9] = p->protocol;
	put16(ip + 10, 0);
	memcpy(ip + 12, p->src, 4);
	memcpy(ip + 16, p->dst, 4);
	put16(ip + 10, slow_checksum(0, ip, len));
	return len;
}

static inline uint16_t packet_ip6(uint8_t *ip, const struct packet *p, uint16_t l4_len) {
	static const uint8_t padded[8] = {0, 0, 1, 4};

	memset(ip, 0, 40);
	put32(ip, 0x62e12345);
	put16(ip + 4, p->options * 8 + l4_len);
	ip[6] = p->options ? 0 : p->protocol; // hop-by-hop, then destination options
	ip[7] = p->ttl;
	memcpy(ip + 8, p->src, 16);
	memcpy(ip + 24, p->dst, 16);
	for (uint8_t i = 0; i < p->options; i++) {
		memcpy(ip + 40 + i * 8, padded, 8);
		ip[40 + i * 8] = i + 1 == p->options ? p->protocol : 60;
	}
	return 40 + p->options * 8;
}

static inline uint16_t packet_l4_len(const struct packet *p) {
	return (p->protocol == 6 ? 20 : 8) + p->data_len;
}

static inline void packet_l4(uint8_t *l4, const struct packet *p) {
	uint16_t header = p->protocol == 6 ? 20 : 8;

	memset(l4, 0, header);
	memcpy(l4, &p->sport, 2);
	memcpy(l4 + (p->protocol == 1 || p->protocol == 58 ? 6 : 2), &p->dport, 2);
	if (p->protocol == 6) {
		put32(l4 + 4, p->seq);
		put32(l4 + 8, p->ack);
		l4[12] = 0x50;
		l4[13] = p->tcp_flags;
		put16(l4 + 14, 0xfaf0);
	}
	if (p->protocol == 17)
		put16(l4 + 4, packet_l4_len(p));
	if (p->data_len)
		memcpy(l4 + header, p->data, p->data_len);
}

// A whole frame; returns its length. The frame may stand at any alignment.
static inline uint16_t packet_build(uint8_t *frame, const struct packet *p) {
	uint8_t *l3 = frame + ETHER_LEN, *l4;
	uint16_t l4_len = packet_l4_len(p), sum;

	memcpy(frame, "\x02\0\0\0\0\1\x02\0\0\0\0\2", 12);
	put16(frame + 12, p->family == 4 ? 0x0800 : 0x86dd);
	l4 = l3 + (p->family == 4 ? packet_ip4(l3, p, l4_len) : packet_ip6(l3, p, l4_len));
	packet_l4(l4, p);
	sum = slow_l4_checksum(l3, l4, l4_len, p->protocol, checksum_field(p->protocol));
	if (p->protocol == 17 && sum == 0)
		sum = 0xffff;
	put16(l4 + checksum_field(p->protocol), p->no_checksum ? 0 : sum);
	return (uint16_t)(l4 + l4_len - frame);
}

// A host's address, different in each word.
static inline void random_address(uint32_t *addr, uint8_t family, uint64_t *state) {
	for (unsigned i = 0; i < 4; i++)
		addr[i] = family == 4 && i > 0 ? 0 : random32(state);
	*(uint8_t *)addr = family == 4 ? 10 : 0x20;
}

// A random TCP or UDP packet with options and up to data_max bytes of data at data.
static inline struct packet random_packet(uint64_t *state, const uint8_t *data, uint16_t data_max) {
	struct packet p = {.family = random32(state) % 2 ? 4 : 6,
			   .protocol = random32(state) % 2 ? 6 : 17,
			   .ttl = (uint8_t)(random32(state) % 254 + 2),
			   .options = random32(state) % 2 ? 0 : (uint8_t)(random32(state) % 5),
			   .sport = (uint16_t)(random32(state) | 0x0101),
			   .dport = (uint16_t)(random32(state) | 0x0101),
			   .tcp_flags = 0x10,
			   .seq = random32(state),
			   .ack = random32(state),
			   .data = data,
			   .data_len = (uint16_t)(random32(state) % (data_max + 1))};

	p.no_checksum = p.family == 4 && p.protocol == 17 && random32(state) % 4 == 0;
	random_address(p.src, p.family, state);
	random_address(p.dst, p.family, state);
	return p;
}

// Two fields that are equally wrong against two right ones: the same difference in one's
// complement, where 0 and 0xffff are one number.
static inline bool equally_wrong(uint16_t a, uint16_t right_a, uint16_t b, uint16_t right_b) {
	return (a + 65535u - right_a) % 65535 == (b + 65535u - right_b) % 65535;
}

#endif
