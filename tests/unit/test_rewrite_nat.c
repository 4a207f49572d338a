// SPDX-License-Identifier: Apache-2.0
// Address translation against packets that are built anew with the changed fields.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "rewrite/rewrite.h"
#include "rewrite_packet.h"

static const uint8_t data[1400] = {1, 2, 3, 0xff, 0xff, 7, [100] = 9, [1399] = 0x5a};

// The variants as the stages call them: family and protocol are constants.
static void nat(uint8_t *frame, const struct parsed *p, const struct rewrite_end *src,
		const struct rewrite_end *dst) {
	uint8_t *l3 = frame + p->l3;

	if (p->family == 4 && p->protocol == IPPROTO_TCP)
		rewrite_nat(l3, p->l4 - p->l3, 4, IPPROTO_TCP, src, dst);
	else if (p->family == 4)
		rewrite_nat(l3, p->l4 - p->l3, 4, IPPROTO_UDP, src, dst);
	else if (p->protocol == IPPROTO_TCP)
		rewrite_nat(l3, p->l4 - p->l3, 6, IPPROTO_TCP, src, dst);
	else
		rewrite_nat(l3, p->l4 - p->l3, 6, IPPROTO_UDP, src, dst);
}

static struct rewrite_end random_end(uint8_t family, uint64_t *state) {
	struct rewrite_end e = {.port = (uint16_t)(random32(state) | 0x0101)};

	random_address(e.addr, family, state);
	return e;
}

// The description of the packet that translation must give.
static struct packet translated(const struct packet *p, const struct rewrite_end *src,
				const struct rewrite_end *dst) {
	struct packet t = *p;

	t.ttl--;
	if (src) {
		memcpy(t.src, src->addr, sizeof(t.src));
		t.sport = src->port;
	}
	if (dst) {
		memcpy(t.dst, dst->addr, sizeof(t.dst));
		t.dport = dst->port;
	}
	return t;
}

static void a_translated_packet_is_the_one_built_anew(void **state) {
	uint8_t room[PACKET_ROOM + 1], want[PACKET_ROOM], *frame = room + 1;
	uint64_t seed = 1;

	for (unsigned i = 0; i < 50000; i++) {
		struct packet p = random_packet(&seed, data, i % 50 ? 40 : sizeof(data)), t;
		struct rewrite_end src = random_end(p.family, &seed),
				   dst = random_end(p.family, &seed);
		bool has_src = random32(&seed) % 2, has_dst = random32(&seed) % 2;
		struct parsed parsed;
		uint16_t len = packet_build(frame, &p);

		assert_int_equal(parse_frame(&parsed, frame, len), REASON_NONE);
		nat(frame, &parsed, has_src ? &src : NULL, has_dst ? &dst : NULL);
		t = translated(&p, has_src ? &src : NULL, has_dst ? &dst : NULL);
		assert_int_equal(packet_build(want, &t), len);
		assert_memory_equal(frame, want, len);
	}
}

static void a_corrupt_checksum_stays_exactly_as_wrong(void **state) {
	uint8_t frame[PACKET_ROOM], want[PACKET_ROOM];
	uint64_t seed = 2;

	for (unsigned i = 0; i < 20000; i++) {
		struct packet p = random_packet(&seed, data, 60), t;
		struct rewrite_end src = random_end(p.family, &seed),
				   dst = random_end(p.family, &seed);
		uint16_t len, at, right, wrong = (uint16_t)(random32(&seed) | 1);
		struct parsed parsed;

		p.no_checksum = false;
		len = packet_build(frame, &p);
		assert_int_equal(parse_frame(&parsed, frame, len), REASON_NONE);
		at = parsed.l4 + checksum_field(p.protocol);
		right = get16(frame + at);
		put16(frame + at, wrong);
		nat(frame, &parsed, &src, &dst);
		t = translated(&p, &src, &dst);
		packet_build(want, &t);
		assert_true(equally_wrong(get16(frame + at), get16(want + at), wrong, right));
		memcpy(want + at, frame + at, 2);
		assert_memory_equal(frame, want, len);
	}
}

// Every value of the field, for changes whose sum is about zero and for one in the middle.
static void each_value_of_the_field_changes_alike(void **state) {
	static const struct {
		uint32_t was, is; // source address
	} changes[] = {
		{0x0a000001, 0x0a000001}, {0x0a000001, 0x0a000002}, {0x0a000002, 0x0a000001},
		{0x0affffff, 0x0a000000}, {0x0a000000, 0x0affffff}, {0x0a00ffff, 0x0a010000},
		{0x0a123456, 0xc0a89abc},
	};

	for (unsigned c = 0; c < 2 * sizeof(changes) / sizeof(changes[0]); c++) {
		struct packet p = {.family = 4,
				   .protocol = c % 2 ? IPPROTO_TCP : IPPROTO_UDP,
				   .ttl = 64,
				   .src = {htonl(changes[c / 2].was)},
				   .dst = {htonl(0x0a000001)},
				   .sport = htons(1000),
				   .dport = htons(80),
				   .tcp_flags = PARSE_TCP_ACK};
		struct rewrite_end src = {{htonl(changes[c / 2].is)}, htons(1000)};
		struct packet t = translated(&p, &src, NULL);
		uint8_t was[PACKET_ROOM], frame[PACKET_ROOM], want[PACKET_ROOM];
		uint16_t len = packet_build(was, &p), at = 34 + checksum_field(p.protocol);
		struct parsed parsed;

		packet_build(want, &t);
		assert_int_equal(parse_frame(&parsed, was, len), REASON_NONE);
		for (uint32_t field = 0; field <= 0xffff; field++) {
			uint16_t got;

			memcpy(frame, was, len);
			put16(frame + at, (uint16_t)field);
			nat(frame, &parsed, &src, NULL);
			got = get16(frame + at);
			if (p.protocol == IPPROTO_UDP)
				assert_int_equal(got == 0, field == 0);
			if (p.protocol == IPPROTO_UDP && field == 0)
				continue;
			assert_true(equally_wrong(got, get16(want + at), (uint16_t)field,
						  get16(was + at)));
		}
	}
}

// Sums of every value in both headers, among them those that come out as 0 and 0xffff.
static void each_sum_comes_out_as_computed_anew(void **state) {
	uint8_t frame[PACKET_ROOM], want[PACKET_ROOM];
	struct rewrite_end src = {{htonl(0xc0a80105)}, htons(40000)};
	unsigned zeros = 0;

	for (uint32_t v = 0; v <= 0xffff; v++) {
		uint8_t word[2] = {(uint8_t)(v >> 8), (uint8_t)v};
		struct packet p = {.family = 4,
				   .protocol = v % 2 ? IPPROTO_TCP : IPPROTO_UDP,
				   .ttl = 64,
				   .src = {htonl(0x0a000001)},
				   .dst = {htonl(0x0a000000 | v)},
				   .sport = htons(1000),
				   .dport = htons(80),
				   .tcp_flags = PARSE_TCP_ACK,
				   .data = word,
				   .data_len = 2};
		struct packet t;
		struct parsed parsed;
		uint16_t len;

		if (v % 3)
			p.dst[0] = htonl(0x0a000002);
		t = translated(&p, &src, NULL);
		len = packet_build(frame, &p);
		assert_int_equal(parse_frame(&parsed, frame, len), REASON_NONE);
		nat(frame, &parsed, &src, NULL);
		packet_build(want, &t);
		assert_memory_equal(frame, want, len);
		zeros += p.protocol == IPPROTO_UDP && get16(frame + 40) == 0xffff;
	}
	assert_in_range(zeros, 1, 4);
}

static void udp_without_a_checksum_keeps_none(void **state) {
	struct packet p = {.family = 4,
			   .protocol = IPPROTO_UDP,
			   .ttl = 2,
			   .no_checksum = true,
			   .src = {htonl(0x0a000001)},
			   .dst = {htonl(0x0a000002)},
			   .sport = htons(1000),
			   .dport = htons(53)};
	struct rewrite_end dst = {{htonl(0x0a010203)}, htons(5353)};
	uint8_t frame[PACKET_ROOM];
	struct parsed parsed;

	assert_int_equal(parse_frame(&parsed, frame, packet_build(frame, &p)), REASON_NONE);
	nat(frame, &parsed, NULL, &dst);
	assert_int_equal(get16(frame + 40), 0);
	assert_int_equal(frame[22], 1);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_translated_packet_is_the_one_built_anew),
		cmocka_unit_test(a_corrupt_checksum_stays_exactly_as_wrong),
		cmocka_unit_test(each_value_of_the_field_changes_alike),
		cmocka_unit_test(each_sum_comes_out_as_computed_anew),
		cmocka_unit_test(udp_without_a_checksum_keeps_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
