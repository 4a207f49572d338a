// SPDX-License-Identifier: Apache-2.0
// IP headers and checksums of the packets that Sluice makes itself. Inside lib/rewrite only.
#ifndef SLUICE_REWRITE_HEADER_H
#define SLUICE_REWRITE_HEADER_H

#include <stdint.h>

#define HEADER_TTL 64 // RFC 1700's, what hosts send

struct header {
	const void *src, *dst; // 4 or 16 bytes by family
	uint8_t family;
	uint8_t protocol;
	uint8_t ttl;
	uint8_t tos; // traffic class
};

// Write an IPv4 (20 bytes: no options, DF, id 0, RFC 6864) or IPv6 header (40 bytes) for l4_len
// bytes that follow; returns its length.
uint16_t header_put(uint8_t *out, const struct header *h, uint16_t l4_len);
// The L4 checksum over everything behind that header, with the pseudo header; its field is 0 so
// far. ICMP over IPv4 has no pseudo header.
uint16_t header_l4_checksum(const struct header *h, const uint8_t *l4, uint16_t l4_len);

#endif
