// SPDX-License-Identifier: Apache-2.0
// Internet checksums: whole (RFC 1071) and incremental (RFC 1624, equation 3: HC' = ~(~HC + ~m +
// m')).
//
// An incremental change never looks at the payload, so a packet that arrives corrupt leaves
// corrupt, never repaired. Sums are kept in 32 or 64 bits and folded once, with the end-around
// carry. All words are in network order as they lie in memory, which one's complement addition
// allows on any byte order. Pure, any thread.
#ifndef SLUICE_NET_CHECKSUM_H
#define SLUICE_NET_CHECKSUM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CHECKSUM_INLINE static inline __attribute__((always_inline))

// Sum of len bytes at any alignment, not yet complemented; add several parts (each but the last of
// even length) and fold once.
uint64_t checksum_add(uint64_t sum, const void *data, size_t len);

// To 16 bits, not complemented. A word plus itself with its halves swapped has, in its upper half, the
// one's complement sum of both: the lower halves' carry is the end-around carry.
CHECKSUM_INLINE uint16_t checksum_fold(uint64_t sum) {
	uint32_t half;

	sum += sum << 32 | sum >> 32;
	half = (uint32_t)(sum >> 32);
	half += half << 16 | half >> 16;
	return (uint16_t)(half >> 16);
}

// The words of a header that is right add up to a multiple of 0xffff. sum: not 0, and of so few words that nothing was carried out of 64
// bits. By multiplication with the inverse of 0xffff, which takes multiples, and nothing else, to numbers below 2^64 / 0xffff.
static inline bool checksum_is_whole(uint64_t sum) {
	return sum * UINT64_C(0xfffefffefffeffff) <= UINT64_MAX / 0xffff;
}

// A change of words as a sum to be applied with checksum_apply(): start at 0, fold in every word
// that changes.
static inline uint64_t checksum_change16(uint64_t delta, uint16_t was, uint16_t is) {
	return delta + (uint16_t)~was + is;
}

static inline uint64_t checksum_change32(uint64_t delta, uint32_t was, uint32_t is) {
	return delta + (uint32_t)~was + is;
}

// HC' for the field's present value. Never call it for a UDP checksum of 0 over IPv4.
CHECKSUM_INLINE uint16_t checksum_apply(uint16_t checksum, uint64_t delta) {
	return (uint16_t)~checksum_fold(delta + (uint16_t)~checksum);
}

// The same for UDP's field: 0 over IPv4 means "none" and stays 0 (over IPv6 it is invalid, and
// stays so), and a result of 0 is written as 0xffff, the other zero of one's complement (RFC 768).
CHECKSUM_INLINE uint16_t checksum_apply_udp(uint16_t checksum, uint64_t delta) {
	uint16_t changed = checksum_apply(checksum, delta);

	if (checksum == 0)
		return 0;
	return changed == 0 ? 0xffff : changed;
}

// Checksum field of an IPv4 header of ihl * 4 bytes, of ICMP (no pseudo header) and of L4 over IPv4
// or IPv6 (TCP, UDP, ICMPv6), computed over the whole; the field's own bytes in the data must be 0,
// or the result tells 0 when a received one is right. Whoever writes a UDP checksum writes 0xffff
// where the result is 0.
uint16_t checksum_ipv4_header(const void *header, size_t len);
uint16_t checksum_l4(uint8_t family, const void *src, const void *dst, uint8_t protocol,
		     const void *l4, uint32_t len);

#endif
