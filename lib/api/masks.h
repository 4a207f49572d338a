// SPDX-License-Identifier: Apache-2.0
// Where the characters that make JSON's shape stand in 64 bytes, a bit a byte.
#ifndef SLUICE_API_MASKS_H
#define SLUICE_API_MASKS_H

#include <stdbool.h>
#include <stdint.h>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

#define MASKS_BLOCK 64

struct masks {
	uint64_t quote, backslash;
	uint64_t open, close; // { or [, } or ]; inside strings, too
};

#ifdef __SSE2__
static inline void masks_of(struct masks *m, const char *p) {
	const __m128i quote = _mm_set1_epi8('"'), backslash = _mm_set1_epi8('\\');
	const __m128i bit = _mm_set1_epi8(0x20); // makes [ of {, and ] of }
	const __m128i open = _mm_set1_epi8('{'), close = _mm_set1_epi8('}');

	*m = (struct masks){0};
	for (int i = 0; i < 4; i++) {
		__m128i v = _mm_loadu_si128((const __m128i *)(p + 16 * i));
		__m128i folded = _mm_or_si128(v, bit);

#define MASK(x, c) ((uint64_t)(uint32_t)_mm_movemask_epi8(_mm_cmpeq_epi8(x, c)) << (16 * i))
		m->quote |= MASK(v, quote);
		m->backslash |= MASK(v, backslash);
		m->open |= MASK(folded, open);
		m->close |= MASK(folded, close);
#undef MASK
	}
}
#else
static inline void masks_of(struct masks *m, const char *p) {
	*m = (struct masks){0};
	for (int i = 0; i < MASKS_BLOCK; i++) {
		uint64_t bit = UINT64_C(1) << i;

		m->quote |= p[i] == '"' ? bit : 0;
		m->backslash |= p[i] == '\\' ? bit : 0;
		m->open |= p[i] == '{' || p[i] == '[' ? bit : 0;
		m->close |= p[i] == '}' || p[i] == ']' ? bit : 0;
	}
}
#endif

// The bytes that a backslash before them takes the meaning from. *carry: the first byte is one; then, that of the next block is.
static inline uint64_t masks_escaped(uint64_t backslash, bool *carry) {
	uint64_t escaped = *carry;

	backslash &= ~escaped;
	*carry = false;
	while (backslash != 0) {
		uint64_t next = (backslash & -backslash) << 1; // after the lowest one

		*carry |= next == 0;
		escaped |= next;
		backslash &= backslash - 1;
		backslash &= ~next;
	}
	return escaped;
}

// Bit i: the number of ones in bits 0..i is odd. Of quotes: i is in a string (or opens one).
static inline uint64_t masks_parity(uint64_t x) {
	for (int shift = 1; shift < MASKS_BLOCK; shift *= 2)
		x ^= x << shift;
	return x;
}

#endif
