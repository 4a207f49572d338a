// SPDX-License-Identifier: Apache-2.0
// MSS clamping: by cases of option lists, and the checksum wherever the option stands.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "rewrite/rewrite.h"
#include "rewrite_packet.h"

#define ADDRESSES "\x0a\0\0\1\x0a\0\0\2"

static uint16_t checksum(const uint8_t *l4, uint16_t len) {
	uint8_t copy[64];

	memcpy(copy, l4, len);
	put16(copy + 16, 0);
	return slow_checksum(slow_pseudo(4, (const uint8_t *)ADDRESSES, IPPROTO_TCP, len), copy,
			     len);
}

// A SYN with these options (a multiple of 4 bytes), its checksum right, at an odd address.
static uint16_t syn(uint8_t *l4, const void *options, uint16_t options_len) {
	uint16_t len = 20 + options_len;

	memset(l4, 0x11, 20);
	l4[12] = (uint8_t)(len / 4 << 4);
	l4[13] = PARSE_TCP_SYN;
	memcpy(l4 + 20, options, options_len);
	put16(l4 + 16, checksum(l4, len));
	return len;
}

static void options_are_clamped_as_the_table_says(void **state) {
	static const struct {
		const char *is, *becomes;
		uint16_t len;
	} cases[] = {
		{"\2\4\x05\xb4", "\2\4\x05\x50", 4},
		{"\2\4\x05\x50", "\2\4\x05\x50", 4}, // equal
		{"\2\4\x02\x18", "\2\4\x02\x18", 4}, // lower
		{"\2\4\0\0", "\2\4\0\0", 4},
		{"\2\4\xff\xff\1\3\3\7", "\2\4\x05\x50\1\3\3\7", 8},
		{"\4\2\1\2\4\x05\xb4\1", "\4\2\1\2\4\x05\x50\1", 8}, // at an odd offset
		{"\1\2\4\x05\xb4\0\0\0", "\1\2\4\x05\x50\0\0\0", 8},
		{"\2\4\x05\xb4\2\4\x05\xb5", "\2\4\x05\x50\2\4\x05\x50", 8}, // twice
		{"\0\2\4\x05\xb4\0\0\0", "\0\2\4\x05\xb4\0\0\0", 8},         // behind the end
		{"\1\1\1\2", "\1\1\1\2", 4},                                 // cut
		{"\1\1\2\4", "\1\1\2\4", 4},
		{"\1\2\4\x05", "\1\2\4\x05", 4},
		{"\2\3\x05\xb4", "\2\3\x05\xb4", 4}, // wrong lengths
		{"\2\5\x05\xb4\1\0\0\0", "\2\5\x05\xb4\1\0\0\0", 8},
		{"\3\0\2\4\x05\xb4\0\0", "\3\0\2\4\x05\xb4\0\0", 8},
		{"\3\1\2\4\x05\xb4\0\0", "\3\1\2\4\x05\xb4\0\0", 8},
		{"\3\xff\2\4\x05\xb4\0\0", "\3\xff\2\4\x05\xb4\0\0", 8},
		{"", "", 0},
	};
	uint8_t room[64], *l4 = room + 1;

	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		bool changes = memcmp(cases[i].is, cases[i].becomes, cases[i].len) != 0;
		uint16_t len = syn(l4, cases[i].is, cases[i].len);

		assert_int_equal(rewrite_clamp_mss(l4, len, 0x550), changes);
		assert_memory_equal(l4 + 20, cases[i].becomes, cases[i].len);
		assert_int_equal(get16(l4 + 16), checksum(l4, len));
	}
}

static void options_behind_the_segments_end_are_not_read(void **state) {
	uint8_t l4[64];

	syn(l4, "\2\4\x05\xb4\2\4\x05\xb4", 8);
	assert_false(rewrite_clamp_mss(l4, 20, 1000));
	assert_true(rewrite_clamp_mss(l4, 24, 1000));
	assert_memory_equal(l4 + 24, "\2\4\x05\xb4", 4);
}

static void each_mss_at_each_place_leaves_the_checksum_right(void **state) {
	for (uint32_t mss = 1; mss <= 0xffff; mss++) {
		uint8_t l4[64], options[12] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1};
		uint16_t len, at = mss % 8;

		memcpy(options + at, "\2\4", 2);
		put16(options + at + 2, (uint16_t)mss);
		len = syn(l4, options, sizeof(options));
		assert_true(rewrite_clamp_mss(l4, len, (uint16_t)(mss / 3)));
		assert_int_equal(get16(l4 + 16), checksum(l4, len));
	}
}

static void a_corrupt_checksum_stays_as_wrong(void **state) {
	uint8_t l4[64];
	uint16_t len, right;

	for (uint32_t wrong = 0; wrong <= 0xffff; wrong++) {
		len = syn(l4, "\1\2\4\x05\xb4\1\1\1", 8);
		right = get16(l4 + 16);
		put16(l4 + 16, (uint16_t)wrong);
		assert_true(rewrite_clamp_mss(l4, len, 1220));
		assert_true(
			equally_wrong(get16(l4 + 16), checksum(l4, len), (uint16_t)wrong, right));
	}
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(options_are_clamped_as_the_table_says),
		cmocka_unit_test(options_behind_the_segments_end_are_not_read),
		cmocka_unit_test(each_mss_at_each_place_leaves_the_checksum_right),
		cmocka_unit_test(a_corrupt_checksum_stays_as_wrong),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
