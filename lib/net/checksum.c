// SPDX-License-Identifier: Apache-2.0
// Whole internet checksums, eight bytes a step. One's complement addition may
// be done in words of any width that is a multiple of 16 bits as long as each
// carry is added back in.
#include "net/checksum.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <string.h>

static inline uint64_t add_with_carry(uint64_t sum, uint64_t word) {
	uint64_t total;
	bool carry = __builtin_add_overflow(sum, word, &total);

	return total + carry;
}

uint64_t checksum_add(uint64_t sum, const void *data, size_t len) {
	const uint8_t *p = data;
	uint64_t total = sum, word;

	for (; len >= sizeof(word); p += sizeof(word), len -= sizeof(word)) {
		memcpy(&word, p, sizeof(word));
		total = add_with_carry(total, word);
	}
	if (len > 0) {
		word = 0; // an odd last byte is the first of its word, whatever the byte order
		memcpy(&word, p, len);
		total = add_with_carry(total, word);
	}
	// Room for the caller's further parts and 32-bit words.
	return (total & 0xffffffff) + (total >> 32);
}

uint16_t checksum_ipv4_header(const void *header, size_t len) {
	return (uint16_t)~checksum_fold(checksum_add(0, header, len));
}

uint16_t checksum_l4(uint8_t family, const void *src, const void *dst, uint8_t protocol,
		     const void *l4, uint32_t len) {
	size_t addr_len = family == 4 ? 4 : 16;
	uint64_t sum = (uint64_t)htonl(protocol) + htonl(len);

	sum = checksum_add(sum, src, addr_len);
	sum = checksum_add(sum, dst, addr_len);
	return (uint16_t)~checksum_fold(checksum_add(sum, l4, len));
}
