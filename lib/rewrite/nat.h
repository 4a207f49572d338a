// SPDX-License-Identifier: Apache-2.0
// The inline core of rewrite_nat(), shared with the translation of ICMP errors. Included by
// rewrite.h alone.
//
// One sum of changed words serves every checksum of a packet:
//
//     IPv4 header   addresses + TTL
//     TCP, UDP      addresses + ports        (addresses: the pseudo header's; the TTL is in none)
//
// A TTL that goes down by one changes its word by a constant, so that word's change need not be
// read: ~m + m' = ~1 in the TTL's byte. A right checksum comes out exactly as a full computation
// would write it (never the other zero).
#ifndef SLUICE_REWRITE_NAT_H
#define SLUICE_REWRITE_NAT_H

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdint.h>

#include "net/checksum.h"
#include "rewrite/bytes.h"

#define REWRITE_INLINE static inline __attribute__((always_inline))

REWRITE_INLINE uint16_t rewrite_checksum_offset(uint8_t protocol) { // in the TCP or UDP header
	return protocol == IPPROTO_TCP ? 16 : 6;
}

// The change that the new address makes is added to delta.
REWRITE_INLINE uint64_t rewrite_set_address(uint8_t *at, uint8_t family, const uint32_t *addr,
					    uint64_t delta) {
	for (unsigned i = 0; i < (family == 4 ? 1 : 4); i++) {
		delta = checksum_change32(delta, bytes_get32(at + 4 * i), addr[i]);
		bytes_put32(at + 4 * i, addr[i]);
	}
	return delta;
}

// Set addresses of an IP header (NULL: unchanged); returns the sum of the change.
REWRITE_INLINE uint64_t rewrite_set_addresses(uint8_t *l3, uint8_t family,
					      const struct rewrite_end *src,
					      const struct rewrite_end *dst) {
	uint64_t delta = 0;

	if (src)
		delta = rewrite_set_address(l3 + (family == 4 ? 12 : 8), family, src->addr, delta);
	if (dst)
		delta = rewrite_set_address(l3 + (family == 4 ? 16 : 24), family, dst->addr, delta);
	return delta;
}

// Set ports of a TCP or UDP header (NULL: unchanged); returns the sum of the change.
REWRITE_INLINE uint64_t rewrite_set_ports(uint8_t *l4, const struct rewrite_end *src,
					  const struct rewrite_end *dst) {
	uint64_t delta = 0;

	if (src) {
		delta = checksum_change16(delta, bytes_get16(l4), src->port);
		bytes_put16(l4, src->port);
	}
	if (dst) {
		delta = checksum_change16(delta, bytes_get16(l4 + 2), dst->port);
		bytes_put16(l4 + 2, dst->port);
	}
	return delta;
}

// TTL or hop limit minus one (it is at least 1), and the IPv4 header's checksum for that and for
// the addresses' change.
REWRITE_INLINE void rewrite_set_header(uint8_t *l3, uint8_t family, uint64_t delta) {
	if (family == 4) {
		l3[8]--;
		delta += (uint16_t)~htons(0x0100);
		bytes_put16(l3 + 10, checksum_apply(bytes_get16(l3 + 10), delta));
	} else {
		l3[7]--;
	}
}

// TCP's or UDP's checksum after a change.
REWRITE_INLINE void rewrite_set_checksum(uint8_t *l4, uint8_t protocol, uint64_t delta) {
	uint8_t *at = l4 + rewrite_checksum_offset(protocol);
	uint16_t was = bytes_get16(at);

	bytes_put16(at, protocol == IPPROTO_UDP ? checksum_apply_udp(was, delta)
						: checksum_apply(was, delta));
}

REWRITE_INLINE void rewrite_nat(uint8_t *l3, uint16_t l4_offset, uint8_t family, uint8_t protocol,
				const struct rewrite_end *src, const struct rewrite_end *dst) {
	uint8_t *l4 = l3 + l4_offset;
	uint64_t delta = rewrite_set_addresses(l3, family, src, dst);

	rewrite_set_header(l3, family, delta);
	rewrite_set_checksum(l4, protocol, delta + rewrite_set_ports(l4, src, dst));
}

#endif
