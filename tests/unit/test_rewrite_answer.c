// SPDX-License-Identifier: Apache-2.0
// RST, ICMP errors and echo replies: what they say, whom they go to, and when there is none.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "rewrite/rewrite.h"
#include "rewrite_packet.h"

enum { FIN = 1, SYN = 2, RST = 4, PSH = 8, ACK = 16 };

static const uint8_t data[1500] = {1, 2, 3, [1499] = 4};
static const struct ip_addr router4 = {.b = {192, 0, 2, 1}, .family = 4};
static const struct ip_addr router6 = {.b = {0x20, 1, 0xd, 0xb8, [15] = 1}, .family = 6};

struct received {
	uint8_t frame[PACKET_ROOM];
	struct parsed p;
};

static struct packet sample(uint8_t family, uint8_t protocol) {
	struct packet p = {.family = family,
			   .protocol = protocol,
			   .ttl = 9,
			   .sport = htons(40000),
			   .dport = htons(80),
			   .tcp_flags = ACK,
			   .data = data};
	uint64_t seed = 6;

	random_address(p.src, family, &seed);
	random_address(p.dst, family, &seed);
	return p;
}

static void receive(struct received *r, const struct packet *p) {
	assert_int_equal(parse_frame(&r->p, r->frame, packet_build(r->frame, p)), REASON_NONE);
}

// Give an answer an Ethernet header and take it in; it goes from `src` to the packet's sender, all
// sums are right, and its IPv4 header is what RFC 6864 calls atomic.
static void receive_answer(struct received *r, const uint8_t *out, uint16_t len,
			   const struct received *to, const void *src) {
	const uint8_t *l3 = r->frame + ETHER_LEN;
	uint16_t at;

	memset(r->frame, 2, 12);
	put16(r->frame + 12, to->p.family == 4 ? 0x0800 : 0x86dd);
	memcpy(r->frame + ETHER_LEN, out, len);
	assert_int_equal(parse_frame(&r->p, r->frame, ETHER_LEN + len), REASON_NONE);
	assert_int_equal(r->p.l3_len, len);
	assert_int_equal(r->p.ttl, 64);
	assert_memory_equal(r->p.src, src, to->p.family == 4 ? 4 : 16);
	assert_memory_equal(r->p.dst, to->p.src, to->p.family == 4 ? 4 : 16);
	if (to->p.family == 4)
		assert_int_equal(get32(l3 + 4), 0x00004000);
	at = r->p.l4 + checksum_field(r->p.protocol);
	assert_int_equal(get16(r->frame + at),
			 slow_l4_checksum(l3, r->frame + r->p.l4, r->p.l4_len, r->p.protocol,
					  checksum_field(r->p.protocol)));
}

static void a_rst_is_acceptable_to_its_receiver(void **state) {
	static const struct {
		uint8_t flags;
		uint16_t data_len;
		uint32_t seq, ack;
		uint8_t rst_flags;
		uint32_t rst_seq, rst_ack;
	} cases[] = {
		{ACK, 0, 1000, 2000, RST, 2000, 0},
		{ACK | PSH, 100, 1000, 2000, RST, 2000, 0},
		{ACK | FIN, 7, 1000, 0xffffffff, RST, 0xffffffff, 0},
		{ACK | SYN, 0, 1000, 2000, RST, 2000, 0},
		{SYN, 0, 1000, 77, RST | ACK, 0, 1001},
		{SYN, 10, 1000, 0, RST | ACK, 0, 1011},
		{SYN, 0, 0xffffffff, 0, RST | ACK, 0, 0},
		{FIN, 5, 1000, 0, RST | ACK, 0, 1006},
		{PSH, 5, 0xfffffffe, 0, RST | ACK, 0, 3},
		{PSH, 0, 5, 0, RST | ACK, 0, 5},
	};

	for (unsigned i = 0; i < 4 * sizeof(cases) / sizeof(cases[0]); i++) {
		const unsigned c = i / 4;
		struct packet p = sample(i % 2 ? 4 : 6, IPPROTO_TCP);
		struct received r, answer;
		uint8_t out[REWRITE_MAX], *tcp;
		uint16_t len;

		p.options = i / 2 % 2 ? 3 : 0;
		p.tcp_flags = cases[c].flags;
		p.data_len = cases[c].data_len;
		p.seq = cases[c].seq;
		p.ack = cases[c].ack;
		receive(&r, &p);
		len = rewrite_build_rst(out, r.frame, &r.p);
		assert_int_equal(len, p.family == 4 ? 40 : 60);
		receive_answer(&answer, out, len, &r, p.dst);
		tcp = answer.frame + answer.p.l4;
		assert_int_equal(answer.p.tcp_flags, cases[c].rst_flags);
		assert_int_equal(get32(tcp + 4), cases[c].rst_seq);
		assert_int_equal(get32(tcp + 8), cases[c].rst_ack);
		assert_int_equal(answer.p.src_port, p.dport);
		assert_int_equal(answer.p.dst_port, p.sport);
	}
}

// A segment's length is its data behind the TCP options, and bytes beyond the IP packet are
// padding.
static void a_rst_counts_neither_tcp_options_nor_padding(void **state) {
	struct packet p = sample(4, IPPROTO_TCP);
	struct received r;
	uint8_t out[REWRITE_MAX];

	p.tcp_flags = SYN;
	p.seq = 500;
	p.data_len = 15; // 12 of them become options
	packet_build(r.frame, &p);
	r.frame[ETHER_LEN + 20 + 12] = 0x80;
	assert_int_equal(parse_frame(&r.p, r.frame, ETHER_LEN + 20 + 35 + 30), REASON_NONE);
	assert_int_equal(rewrite_build_rst(out, r.frame, &r.p), 40);
	assert_int_equal(get32(out + 20 + 8), 500 + 3 + 1);
}

static void a_rst_answers_tcp_only_and_never_a_rst(void **state) {
	struct packet p = sample(4, IPPROTO_TCP);
	struct received r;
	uint8_t out[REWRITE_MAX];

	p.tcp_flags = RST;
	receive(&r, &p);
	assert_int_equal(rewrite_build_rst(out, r.frame, &r.p), 0);
	p.tcp_flags = RST | ACK;
	receive(&r, &p);
	assert_int_equal(rewrite_build_rst(out, r.frame, &r.p), 0);
	p = sample(6, IPPROTO_UDP);
	receive(&r, &p);
	assert_int_equal(rewrite_build_rst(out, r.frame, &r.p), 0);
}

static void an_icmp_error_says_what_and_quotes_what_fits(void **state) {
	static const struct {
		enum rewrite_error what;
		uint16_t mtu;
		uint16_t type4, type6; // type and code
		uint16_t rest;         // last two bytes of the ICMP header
	} cases[] = {
		{REWRITE_PORT_UNREACHABLE, 0, 0x0303, 0x0104, 0},
		{REWRITE_TIME_EXCEEDED, 1500, 0x0b00, 0x0300, 0},
		{REWRITE_TOO_BIG, 1400, 0x0304, 0x0200, 1400},
	};
	static const uint16_t lengths[] = {0, 1, 19, 500, 519, 520, 521, 1183, 1184, 1185, 1400};

	for (unsigned i = 0; i < 3 * 2 * sizeof(lengths) / sizeof(lengths[0]); i++) {
		const unsigned c = i % 3;
		struct packet p = sample(i / 3 % 2 ? 4 : 6, IPPROTO_UDP);
		const struct ip_addr *from = p.family == 4 ? &router4 : &router6;
		struct received r, answer;
		uint8_t out[REWRITE_MAX], *icmp;
		uint16_t len, room = p.family == 4 ? 576 : 1280, header = p.family == 4 ? 28 : 48;

		p.data_len = lengths[i / 6];
		receive(&r, &p);
		len = rewrite_build_icmp_error(out, r.frame, &r.p, cases[c].what, cases[c].mtu,
					       from);
		assert_int_equal(len, r.p.l3_len + header < room ? r.p.l3_len + header : room);
		receive_answer(&answer, out, len, &r, from->b);
		icmp = answer.frame + answer.p.l4;
		assert_int_equal(get16(icmp), p.family == 4 ? cases[c].type4 : cases[c].type6);
		assert_int_equal(get16(icmp + 4), 0);
		assert_int_equal(get16(icmp + 6), cases[c].rest);
		assert_memory_equal(icmp + 8, r.frame + r.p.l3, len - header);
	}
}

static void only_queries_of_icmp_are_answered_by_errors(void **state) {
	for (unsigned i = 0; i < 512; i++) {
		uint8_t family = i % 2 ? 4 : 6, type = (uint8_t)(i / 2), out[REWRITE_MAX];
		struct packet p = sample(family, family == 4 ? IPPROTO_ICMP : IPPROTO_ICMPV6);
		bool is_query = family == 6 ? type >= 128 && type != 137
					    : type == 0 || type == 8 || (type >= 13 && type <= 18);
		struct received r;
		uint16_t len;

		p.sport = htons((uint16_t)(type << 8));
		receive(&r, &p);
		len = rewrite_build_icmp_error(out, r.frame, &r.p, REWRITE_TIME_EXCEEDED, 0,
					       family == 4 ? &router4 : &router6);
		assert_int_equal(len != 0, is_query);
	}
}

static void nothing_is_answered_from_the_other_family(void **state) {
	struct packet p = sample(4, IPPROTO_UDP);
	struct received r;
	uint8_t out[REWRITE_MAX];

	receive(&r, &p);
	assert_int_equal(rewrite_build_icmp_error(out, r.frame, &r.p, REWRITE_TIME_EXCEEDED, 0,
						  &router6),
			 0);
}

// No answer of any kind, whatever parse_frame() would say of such a packet.
static void expect_silence(struct received *r) {
	uint8_t out[REWRITE_MAX];

	assert_int_equal(rewrite_build_rst(out, r->frame, &r->p), 0);
	assert_int_equal(rewrite_build_icmp_error(out, r->frame, &r->p, REWRITE_PORT_UNREACHABLE, 0,
						  r->p.family == 4 ? &router4 : &router6),
			 0);
	assert_false(rewrite_echo_reply(r->frame, &r->p));
}

static void groups_broadcasts_and_martians_get_no_answer(void **state) {
	static const char *const addresses[] = {"0.0.0.0",   "0.1.2.3",   "127.0.0.1",
						"224.0.0.1", "239.1.2.3", "240.0.0.1",
						"::",        "::1",       "255.255.255.255",
						"ff02::1",   "ff0e::7"};
	static const uint8_t protocols[] = {IPPROTO_TCP, IPPROTO_UDP, 0};

	for (unsigned i = 0; i < 6 * sizeof(addresses) / sizeof(addresses[0]); i++) {
		struct ip_addr a;
		struct packet p;
		struct received r;
		uint8_t icmp;

		assert_int_equal(ip_addr_parse(&a, addresses[i / 6]), 0);
		icmp = a.family == 4 ? IPPROTO_ICMP : IPPROTO_ICMPV6;
		p = sample(a.family, protocols[i % 3] ? protocols[i % 3] : icmp);
		if (i % 3 == 2)
			p.sport = htons(a.family == 4 ? 0x0800 : 0x8000);
		receive(&r, &p);
		memcpy(i / 3 % 2 ? r.p.src : r.p.dst, a.b, a.family == 4 ? 4 : 16);
		expect_silence(&r);
		receive(&r, &p);
		r.frame[0] |= 1; // to a group on the link
		expect_silence(&r);
	}
}

static void an_echo_reply_is_the_one_built_anew(void **state) {
	for (uint32_t i = 0; i <= 0xffff; i++) {
		uint8_t family = i % 2 ? 4 : 6;
		struct packet p = sample(family, family == 4 ? IPPROTO_ICMP : IPPROTO_ICMPV6), want;
		struct received r, expected;

		p.sport = htons(family == 4 ? 0x0800 : 0x8000);
		p.dport = htons((uint16_t)i); // each checksum once
		p.ttl = (uint8_t)(i % 255 + 1);
		p.options = i % 7 == 0 ? 2 : 0;
		p.data_len = i % 64;
		receive(&r, &p);
		want = p;
		want.sport = htons(family == 4 ? 0 : 0x8100);
		want.ttl = 64;
		memcpy(want.src, p.dst, sizeof(want.src));
		memcpy(want.dst, p.src, sizeof(want.dst));
		receive(&expected, &want);
		assert_true(rewrite_echo_reply(r.frame, &r.p));
		assert_memory_equal(r.frame, expected.frame, r.p.l3 + r.p.l3_len);
	}
}

// The sum of a reply without any bit set is the other zero of one's complement.
static void an_echo_reply_of_zeros_alone_has_a_right_checksum(void **state) {
	static const uint8_t zeros[32];

	for (uint16_t len = 0; len <= sizeof(zeros); len++) {
		struct packet p = sample(4, IPPROTO_ICMP);
		struct received r;

		p.sport = htons(0x0800);
		p.dport = 0;
		p.data = zeros;
		p.data_len = len;
		receive(&r, &p);
		assert_true(rewrite_echo_reply(r.frame, &r.p));
		assert_int_equal(get16(r.frame + r.p.l4 + 2), 0xffff);
	}
}

static void what_is_no_right_echo_request_is_left_alone(void **state) {
	for (unsigned i = 0; i < 4; i++) {
		uint8_t family = i % 2 ? 4 : 6;
		struct packet p = sample(family, family == 4 ? IPPROTO_ICMP : IPPROTO_ICMPV6);
		struct received r, before;

		p.sport = htons(family == 4 ? 0x0800 : 0x8000);
		if (i / 2 == 0)
			p.sport = htons(family == 4 ? 0x0000 : 0x8100); // a reply
		receive(&r, &p);
		if (i / 2 == 1)
			r.frame[r.p.l4 + 7] ^= 1;
		before = r;
		assert_false(rewrite_echo_reply(r.frame, &r.p));
		assert_memory_equal(r.frame, before.frame, r.p.l3 + r.p.l3_len);
	}
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_rst_is_acceptable_to_its_receiver),
		cmocka_unit_test(a_rst_counts_neither_tcp_options_nor_padding),
		cmocka_unit_test(a_rst_answers_tcp_only_and_never_a_rst),
		cmocka_unit_test(an_icmp_error_says_what_and_quotes_what_fits),
		cmocka_unit_test(only_queries_of_icmp_are_answered_by_errors),
		cmocka_unit_test(nothing_is_answered_from_the_other_family),
		cmocka_unit_test(groups_broadcasts_and_martians_get_no_answer),
		cmocka_unit_test(an_echo_reply_is_the_one_built_anew),
		cmocka_unit_test(an_echo_reply_of_zeros_alone_has_a_right_checksum),
		cmocka_unit_test(what_is_no_right_echo_request_is_left_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
