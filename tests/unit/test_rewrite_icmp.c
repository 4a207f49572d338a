// SPDX-License-Identifier: Apache-2.0
// ICMP errors through translation, against errors that are built anew around the translated packet.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "rewrite/rewrite.h"
#include "rewrite_packet.h"

static const uint8_t data[600] = {0xff, 0xff, 3, 4, 5, [99] = 7, [599] = 0xa5};

struct error_case {
	struct packet error, quoted; // error.data is room for the quote
	uint16_t l4_quoted;          // bytes of the quoted L4
	bool bad_header;             // the quoted IPv4 header's checksum is wrong
};

// Lay out the error; returns the frame's length.
static uint16_t build(uint8_t *frame, const struct error_case *c) {
	uint8_t quoted[PACKET_ROOM];
	struct packet error = c->error;
	uint16_t len = packet_build(quoted, &c->quoted) - ETHER_LEN;

	error.data = quoted + ETHER_LEN;
	error.data_len = len - packet_l4_len(&c->quoted) + c->l4_quoted;
	if (c->bad_header)
		quoted[ETHER_LEN + 10] ^= 0x5a;
	return packet_build(frame, &error);
}

static struct error_case random_case(uint64_t *state) {
	struct error_case c = {.quoted = random_packet(state, data, 80)};
	uint16_t len = packet_l4_len(&c.quoted);
	uint8_t family = c.quoted.family;

	c.error = (struct packet){.family = family,
				  .protocol = family == 4 ? IPPROTO_ICMP : IPPROTO_ICMPV6,
				  .ttl = 60,
				  .options = random32(state) % 3,
				  .sport = family == 4 ? htons(0x0304) : htons(0x0200),
				  .dport = htons(1400)};
	random_address(c.error.src, family, state);
	memcpy(c.error.dst, c.quoted.src, sizeof(c.error.dst));
	c.l4_quoted = random32(state) % 2 ? len : 8 + random32(state) % (len - 7);
	if (c.quoted.protocol == IPPROTO_TCP && c.l4_quoted == 17)
		c.l4_quoted = 16; // half a checksum is not translated
	c.bad_header = family == 4 && random32(state) % 4 == 0;
	return c;
}

struct ends {
	struct rewrite_end outer_src, outer_dst, inner_src, inner_dst;
	bool has[4];
};

static struct ends random_ends(uint8_t family, uint64_t *state) {
	struct ends e = {.inner_src.port = (uint16_t)(random32(state) | 0x0101),
			 .inner_dst.port = (uint16_t)(random32(state) | 0x0101)};

	random_address(e.outer_src.addr, family, state);
	random_address(e.outer_dst.addr, family, state);
	random_address(e.inner_src.addr, family, state);
	random_address(e.inner_dst.addr, family, state);
	for (unsigned i = 0; i < 4; i++)
		e.has[i] = random32(state) % 4 != 0;
	return e;
}

static void translate(uint8_t *frame, uint16_t len, const struct ends *e) {
	struct parsed outer, inner;
	bool whole;

	assert_int_equal(parse_frame(&outer, frame, len), REASON_NONE);
	assert_int_equal(parse_quoted(&inner, &whole, frame, outer.l3 + outer.l3_len, outer.l4 + 8,
				      outer.family),
			 REASON_NONE);
	rewrite_icmp_error(frame, &outer, &inner, e->has[0] ? &e->outer_src : NULL,
			   e->has[1] ? &e->outer_dst : NULL, e->has[2] ? &e->inner_src : NULL,
			   e->has[3] ? &e->inner_dst : NULL);
}

// The description of the error that translation must give.
static struct error_case translated(const struct error_case *c, const struct ends *e) {
	struct error_case t = *c;

	t.error.ttl--;
	t.bad_header = false;
	if (e->has[0])
		memcpy(t.error.src, e->outer_src.addr, sizeof(t.error.src));
	if (e->has[1])
		memcpy(t.error.dst, e->outer_dst.addr, sizeof(t.error.dst));
	if (e->has[2]) {
		memcpy(t.quoted.src, e->inner_src.addr, sizeof(t.quoted.src));
		t.quoted.sport = e->inner_src.port;
	}
	if (e->has[3]) {
		memcpy(t.quoted.dst, e->inner_dst.addr, sizeof(t.quoted.dst));
		t.quoted.dport = e->inner_dst.port;
	}
	return t;
}

// Whole quotes, quotes cut at every place from 8 bytes on, UDP without a checksum, wrong quoted
// IPv4 headers.
static void a_translated_error_is_the_one_built_anew(void **state) {
	uint8_t room[PACKET_ROOM + 1], want[PACKET_ROOM], *frame = room + 1;
	uint64_t seed = 3;

	for (unsigned i = 0; i < 50000; i++) {
		struct error_case c = random_case(&seed), t;
		struct ends e = random_ends(c.error.family, &seed);
		uint16_t len = build(frame, &c);

		translate(frame, len, &e);
		t = translated(&c, &e);
		assert_int_equal(build(want, &t), len);
		assert_memory_equal(frame, want, len);
	}
}

static void corrupt_checksums_stay_as_wrong(void **state) {
	uint8_t frame[PACKET_ROOM], want[PACKET_ROOM];
	uint64_t seed = 4;

	for (unsigned i = 0; i < 20000; i++) {
		struct error_case c = random_case(&seed), t;
		struct ends e = random_ends(c.error.family, &seed);
		uint16_t len = build(frame, &c), wrong = (uint16_t)random32(&seed), right, at;
		struct parsed p;

		assert_int_equal(parse_frame(&p, frame, len), REASON_NONE);
		at = p.l4 + 2;
		right = get16(frame + at);
		put16(frame + at, wrong);
		translate(frame, len, &e);
		t = translated(&c, &e);
		build(want, &t);
		assert_true(equally_wrong(get16(frame + at), get16(want + at), wrong, right));
	}
}

static void a_flipped_bit_makes_a_message_invalid(void **state) {
	uint8_t frame[PACKET_ROOM];
	uint64_t seed = 5;

	for (unsigned i = 0; i < 50; i++) {
		struct error_case c = random_case(&seed);
		uint16_t len = build(frame, &c);
		struct parsed p;

		assert_int_equal(parse_frame(&p, frame, len), REASON_NONE);
		assert_true(rewrite_icmp_is_valid(frame, &p));
		for (unsigned bit = 0; bit < p.l4_len * 8u; bit++) {
			frame[p.l4 + bit / 8] ^= 1 << bit % 8;
			assert_false(rewrite_icmp_is_valid(frame, &p));
			frame[p.l4 + bit / 8] ^= 1 << bit % 8;
		}
		p.kind = PARSE_FLOW;
		assert_false(rewrite_icmp_is_valid(frame, &p));
	}
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_translated_error_is_the_one_built_anew),
		cmocka_unit_test(corrupt_checksums_stay_as_wrong),
		cmocka_unit_test(a_flipped_bit_makes_a_message_invalid),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
