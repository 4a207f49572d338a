// SPDX-License-Identifier: Apache-2.0
// Search of one bucket: a cache line of four entries of 16 bytes, or of two that are 16 bytes of address before 16 bytes like those.
//
// All entries are compared at once, without a branch for each: which one matches is random, and a mispredicted branch costs as much as all
// compares. With SSE4.1 (in every build for x86) that is half of the instructions of the plain twin; the same tests run both.
// Included by flow_table.h.
#ifndef SLUICE_FLOW_FLOW_LINE_H
#define SLUICE_FLOW_FLOW_LINE_H

#include <stdint.h>
#include <string.h>

#ifdef __SSE4_1__
#include <smmintrin.h>
#endif

// The 16 bytes that every entry ends with, as two words.
struct flow_words {
	uint64_t a, b;
};

static inline struct flow_words flow_load(const void *entry) {
	struct flow_words w;

	memcpy(&w, entry, sizeof(w));
	return w;
}

// The offset of the entry that equals want under the mask, or -1. At most one does; want has no bits outside of the mask.
static inline int flow_line_plain4(const void *line, struct flow_words want,
				   struct flow_words mask) {
	unsigned found = 0;

	for (unsigned i = 0; i < 4; i++) {
		struct flow_words is = flow_load((const char *)line + 16 * i);
		uint64_t differs = ((is.a & mask.a) ^ want.a) | ((is.b & mask.b) ^ want.b);

		found |= (unsigned)(differs == 0) << i;
	}
	return found == 0 ? -1 : 16 * __builtin_ctz(found);
}

// The same of two entries with addresses: the offset of the 16 bytes behind the address.
static inline int flow_line_plain6(const void *line, const void *addr, struct flow_words want,
				   struct flow_words mask) {
	struct flow_words here = flow_load(addr);
	unsigned found = 0;

	for (unsigned i = 0; i < 2; i++) {
		struct flow_words there = flow_load((const char *)line + 32 * i);
		struct flow_words is = flow_load((const char *)line + 32 * i + 16);
		uint64_t differs = ((is.a & mask.a) ^ want.a) | ((is.b & mask.b) ^ want.b);

		differs |= (there.a ^ here.a) | (there.b ^ here.b);
		found |= (unsigned)(differs == 0) << i;
	}
	return found == 0 ? -1 : 16 + 32 * __builtin_ctz(found);
}

#ifdef __SSE4_1__

static inline __m128i flow_vector(struct flow_words w) {
	return _mm_set_epi64x((long long)w.b, (long long)w.a);
}

static inline __m128i flow_same(const void *entry, __m128i want, __m128i mask) { // by 32 bits
	return _mm_cmpeq_epi32(_mm_and_si128(_mm_load_si128(entry), mask), want);
}

static inline int flow_line_find4(const void *line, struct flow_words want,
				  struct flow_words mask) {
	const __m128i w = flow_vector(want), m = flow_vector(mask), *e = line;
	__m128i low = _mm_packs_epi32(flow_same(e, w, m), flow_same(e + 1, w, m));
	__m128i high = _mm_packs_epi32(flow_same(e + 2, w, m), flow_same(e + 3, w, m));
	__m128i all = _mm_cmpeq_epi32(_mm_packs_epi16(low, high), _mm_set1_epi32(-1));
	unsigned found = (unsigned)_mm_movemask_ps(_mm_castsi128_ps(all)); // a bit an entry

	return found == 0 ? -1 : 16 * __builtin_ctz(found);
}

static inline int flow_line_find6(const void *line, const void *addr, struct flow_words want,
				  struct flow_words mask) {
	const __m128i w = flow_vector(want), m = flow_vector(mask), *e = line;
	__m128i a = _mm_loadu_si128(addr);
	__m128i first = _mm_and_si128(_mm_cmpeq_epi32(_mm_load_si128(e), a),
				      flow_same(e + 1, w, m));
	__m128i second = _mm_and_si128(_mm_cmpeq_epi32(_mm_load_si128(e + 2), a),
				       flow_same(e + 3, w, m));

	if (_mm_movemask_epi8(first) == 0xffff)
		return 16;
	return _mm_movemask_epi8(second) == 0xffff ? 48 : -1;
}

#else

static inline int flow_line_find4(const void *line, struct flow_words want,
				  struct flow_words mask) {
	return flow_line_plain4(line, want, mask);
}

static inline int flow_line_find6(const void *line, const void *addr, struct flow_words want,
				  struct flow_words mask) {
	return flow_line_plain6(line, addr, want, mask);
}

#endif

// Of two entries with addresses that are no part of the key.
static inline int flow_line_ends6(const void *line, struct flow_words want,
				  struct flow_words mask) {
	for (int at = 16; at < 64; at += 32) {
		struct flow_words is = flow_load((const char *)line + at);

		if (((is.a & mask.a) ^ want.a) == 0 && ((is.b & mask.b) ^ want.b) == 0)
			return at;
	}
	return -1;
}

static inline int flow_line_find(const void *line, uint8_t family, const void *addr,
				 struct flow_words want, struct flow_words mask) {
	return family == 4 ? flow_line_find4(line, want, mask)
			   : flow_line_find6(line, addr, want, mask);
}

#endif
