// SPDX-License-Identifier: Apache-2.0
// Words at any alignment, in the byte order in which they lie in the packet.
//
// IP headers follow 14 or 18 bytes of Ethernet and quoted ones lie anywhere, so no header may be
// read through a pointer to a struct. memcpy() of a constant size is one instruction.
#ifndef SLUICE_REWRITE_BYTES_H
#define SLUICE_REWRITE_BYTES_H

#include <stdint.h>
#include <string.h>

static inline uint16_t bytes_get16(const uint8_t *at) {
	uint16_t v;

	memcpy(&v, at, sizeof(v));
	return v;
}

static inline uint32_t bytes_get32(const uint8_t *at) {
	uint32_t v;

	memcpy(&v, at, sizeof(v));
	return v;
}

static inline void bytes_put16(uint8_t *at, uint16_t v) {
	memcpy(at, &v, sizeof(v));
}

static inline void bytes_put32(uint8_t *at, uint32_t v) {
	memcpy(at, &v, sizeof(v));
}

#endif
