// SPDX-License-Identifier: Apache-2.0
// Writes plain IPv4 and IPv6 headers.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

#include "net/checksum.h"
#include "rewrite/bytes.h"
#include "rewrite/header.h"

#define IPV4_DF 0x4000

static uint16_t put_ipv4(uint8_t *out, const struct header *h, uint16_t l4_len) {
	memset(out, 0, 20);
	out[0] = 0x45;
	out[1] = h->tos;
	bytes_put16(out + 2, htons(20 + l4_len));
	bytes_put16(out + 6, htons(IPV4_DF));
	out[8] = h->ttl;
	out[9] = h->protocol;
	memcpy(out + 12, h->src, 4);
	memcpy(out + 16, h->dst, 4);
	bytes_put16(out + 10, checksum_ipv4_header(out, 20));
	return 20;
}

static uint16_t put_ipv6(uint8_t *out, const struct header *h, uint16_t l4_len) {
	bytes_put32(out, htonl(6u << 28 | (uint32_t)h->tos << 20));
	bytes_put16(out + 4, htons(l4_len));
	out[6] = h->protocol;
	out[7] = h->ttl;
	memcpy(out + 8, h->src, 16);
	memcpy(out + 24, h->dst, 16);
	return 40;
}

uint16_t header_put(uint8_t *out, const struct header *h, uint16_t l4_len) {
	return h->family == 4 ? put_ipv4(out, h, l4_len) : put_ipv6(out, h, l4_len);
}

uint16_t header_l4_checksum(const struct header *h, const uint8_t *l4, uint16_t l4_len) {
	if (h->protocol == IPPROTO_ICMP)
		return checksum_ipv4_header(l4, l4_len);
	return checksum_l4(h->family, h->src, h->dst, h->protocol, l4, l4_len);
}
