// SPDX-License-Identifier: Apache-2.0
// Checksums against a sum of 16-bit words, and incremental changes against sums of the whole.
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "net/checksum.h"

// RFC 1071 by the letter: big-endian words, the carry added at each step.
static uint16_t naive(const uint8_t *p, size_t len) {
	uint32_t sum = 0;

	for (size_t i = 0; i < len; i++) {
		sum += i % 2 == 0 ? (uint32_t)p[i] << 8 : p[i];
		sum = (sum & 0xffff) + (sum >> 16);
	}
	return htons((uint16_t)sum);
}

static void fill(uint8_t *p, size_t len) {
	int kind = rand() % 4; // runs of 00 and ff reach the carries and both zeros

	for (size_t i = 0; i < len; i++)
		p[i] = kind == 0 ? 0 : kind == 1 ? 0xff : (uint8_t)rand();
}

static void any_length_at_any_alignment_sums_as_words_do(void **state) {
	uint8_t buf[256];

	srand(1);
	for (unsigned round = 0; round < 20000; round++) {
		size_t at = (size_t)rand() % 16, len = (size_t)rand() % 200;

		fill(buf, sizeof(buf));
		assert_int_equal(checksum_fold(checksum_add(0, buf + at, len)),
				 naive(buf + at, len));
	}
}

static void parts_of_even_length_add_up(void **state) {
	uint8_t buf[128];

	srand(2);
	for (unsigned round = 0; round < 5000; round++) {
		size_t cut = (size_t)(rand() % 64) * 2;
		uint64_t sum;

		fill(buf, sizeof(buf));
		sum = checksum_add(checksum_add(0, buf, cut), buf + cut, sizeof(buf) - cut);
		assert_int_equal(checksum_fold(sum), naive(buf, sizeof(buf)));
	}
}

static void sums_fold_from_any_value(void **state) {
	static const uint64_t cases[] = {
		0,           1,           0xffff,     0x10000,        0xffffffff,
		0x100000000, 0x1fffeffff, UINT64_MAX, UINT64_MAX - 1, 0xffff0000ffff0000};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint16_t folded = checksum_fold(cases[i]);

		assert_int_equal(folded % 0xffff, cases[i] % 0xffff);
		assert_int_equal(folded == 0, cases[i] == 0);
		assert_int_equal(checksum_is_whole(cases[i]), cases[i] % 0xffff == 0);
	}
}

// A packet of words, the first of which is its checksum.
static void changing_words_gives_the_checksum_of_the_whole(void **state) {
	uint16_t w[32];

	srand(3);
	for (unsigned round = 0; round < 50000; round++) {
		unsigned n = 2 + (unsigned)rand() % 30, at = 1 + (unsigned)rand() % (n - 1);
		uint64_t delta = 0;
		uint16_t is;

		fill((uint8_t *)w, sizeof(w));
		w[1] |= 1; // as in every real packet some word is not 0, whatever changes below
		w[0] = 0;
		w[0] = (uint16_t)~naive((uint8_t *)w, n * 2);
		for (unsigned k = 0; k < 3; k++, at = 1 + (unsigned)rand() % (n - 1)) {
			is = (uint16_t)(rand() % 3 == 0 ? 0 : rand() % 2 == 0 ? 0xffff : rand());
			if (at == 1)
				is |= 1;
			delta = checksum_change16(delta, w[at], is);
			w[at] = is;
		}
		is = w[0];
		w[0] = 0;
		assert_int_equal(checksum_apply(is, delta), (uint16_t)~naive((uint8_t *)w, n * 2));
	}
}

static void changing_32_bits_equals_changing_their_halves(void **state) {
	srand(4);
	for (unsigned round = 0; round < 50000; round++) {
		uint16_t was[2], is[2], sum = (uint16_t)rand();
		uint32_t was32, is32;
		uint64_t halves;

		fill((uint8_t *)was, sizeof(was));
		fill((uint8_t *)is, sizeof(is));
		memcpy(&was32, was, sizeof(was32));
		memcpy(&is32, is, sizeof(is32));
		halves = checksum_change16(checksum_change16(0, was[0], is[0]), was[1], is[1]);
		assert_int_equal(checksum_apply(sum, checksum_change32(0, was32, is32)),
				 checksum_apply(sum, halves));
	}
}

// RFC 1624 section 4: the example where RFC 1141 gave the other zero.
static void the_example_of_rfc_1624_comes_out(void **state) {
	uint64_t delta = checksum_change16(0, htons(0x5555), htons(0x3285));

	assert_int_equal(checksum_apply(htons(0xdd2f), delta), htons(0x0000));
}

static void a_wrong_checksum_stays_wrong(void **state) {
	uint64_t delta = checksum_change32(0, 0x01020304, 0x0a0b0c0d);
	uint16_t right = 0x1234;

	for (uint32_t wrong = 0; wrong < 0x10000; wrong++) {
		if (wrong % 0xffff != right)
			assert_int_not_equal(checksum_apply((uint16_t)wrong, delta),
					     checksum_apply(right, delta));
	}
}

static void udp_without_a_checksum_keeps_none_and_never_gets_it_by_accident(void **state) {
	for (uint32_t was = 0; was < 0x10000; was++) {
		uint16_t is = checksum_apply_udp((uint16_t)was, checksum_change16(0, 7, 9));

		assert_int_equal(is == 0, was == 0);
		if (was != 0)
			assert_int_equal(is % 0xffff, checksum_apply((uint16_t)was, 2) % 0xffff);
	}
}

static void headers_and_l4_are_summed_with_their_pseudo_header(void **state) {
	static const uint8_t ip[20] = {0x45, 0,    0,    0x73, 0, 0, 0x40, 0,    0x40, 0x11,
				       0xb8, 0x61, 0xc0, 0xa8, 0, 1, 0xc0, 0xa8, 0,    0xc7};
	uint8_t pseudo[40 + 60], l4[60];
	uint32_t len_be, proto_be = htonl(17);

	assert_int_equal(checksum_ipv4_header(ip, sizeof(ip)), 0);
	srand(5);
	for (uint32_t len = 0; len <= sizeof(l4); len++) {
		fill(pseudo, sizeof(pseudo));
		fill(l4, sizeof(l4));
		len_be = htonl(len);
		memcpy(pseudo + 32, &len_be, 4);
		memcpy(pseudo + 36, &proto_be, 4);
		memcpy(pseudo + 40, l4, len);
		assert_int_equal(checksum_l4(6, pseudo, pseudo + 16, 17, l4, len),
				 (uint16_t)~naive(pseudo, 40 + len));
		memset(pseudo + 4, 0, 12);
		memset(pseudo + 20, 0, 12);
		assert_int_equal(checksum_l4(4, pseudo, pseudo + 16, 17, l4, len),
				 (uint16_t)~naive(pseudo, 40 + len));
	}
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(any_length_at_any_alignment_sums_as_words_do),
		cmocka_unit_test(parts_of_even_length_add_up),
		cmocka_unit_test(sums_fold_from_any_value),
		cmocka_unit_test(changing_words_gives_the_checksum_of_the_whole),
		cmocka_unit_test(changing_32_bits_equals_changing_their_halves),
		cmocka_unit_test(the_example_of_rfc_1624_comes_out),
		cmocka_unit_test(a_wrong_checksum_stays_wrong),
		cmocka_unit_test(udp_without_a_checksum_keeps_none_and_never_gets_it_by_accident),
		cmocka_unit_test(headers_and_l4_are_summed_with_their_pseudo_header),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
