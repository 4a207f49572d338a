// SPDX-License-Identifier: Apache-2.0
// Toeplitz, bit by bit: for what is hashed once; packets use the tables of rss.c.
#include "net/toeplitz.h"

// The 40 key bits from a byte on: eight windows of 32.
static uint64_t window(const uint8_t *key) {
	return (uint64_t)key[0] << 32 | (uint64_t)key[1] << 24 | (uint64_t)key[2] << 16 |
	       (uint64_t)key[3] << 8 | key[4];
}

uint32_t toeplitz_part(const uint8_t key[TOEPLITZ_KEY], size_t at, const void *data, size_t len) {
	const uint8_t *bytes = data;
	uint32_t hash = 0;

	for (size_t i = 0; i < len; i++) {
		uint64_t bits = window(key + at + i);

		for (unsigned b = 0; b < 8; b++)
			hash ^= (uint32_t)(bits >> (8 - b)) & -(bytes[i] >> (7 - b) & 1u);
	}
	return hash;
}

uint32_t toeplitz_tuple(const uint8_t key[TOEPLITZ_KEY], uint8_t family, const void *src,
			const void *dst, uint16_t src_port, uint16_t dst_port) {
	size_t size = family == 4 ? 4 : 16;

	return toeplitz_part(key, 0, src, size) ^ toeplitz_part(key, size, dst, size) ^
	       toeplitz_part(key, 2 * size, &src_port, 2) ^
	       toeplitz_part(key, 2 * size + 2, &dst_port, 2);
}
