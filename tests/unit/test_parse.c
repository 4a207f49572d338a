// SPDX-License-Identifier: Apache-2.0
// Parsing: each refusal by its name, what must be carried, quotes, and the inline path against the
// slow one.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "net/parse.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define MAX_FRAME 1024

// A frame is a base, edits at offsets of its bytes, and a length; IPv4 header checksums are put
// right unless told.
enum base { TCP4, UDP4, ICMP4, TCP6, UDP6, ICMP6, ARP };
struct edit {
	uint16_t at;
	uint8_t len;
	uint8_t bytes[16];
};
struct frame {
	uint8_t b[MAX_FRAME];
	uint32_t len;
};

static void append(struct frame *f, const void *bytes, uint32_t len) {
	memcpy(f->b + f->len, bytes, len);
	f->len += len;
}

static const uint8_t tcp[20] = {0x12, 0x34, 0, 80, 0, 0, 0, 1, 0, 0, 0, 2, 0x50, 0x10, 1, 0};
static const uint8_t udp[8] = {0x12, 0x34, 0, 53, 0, 8, 0xab, 0xcd};
static const uint8_t echo[8] = {8, 0};

static void fix_checksum(struct frame *f, uint32_t l3) {
	uint32_t ihl = (f->b[l3] & 15u) * 4;
	uint16_t sum;

	memset(f->b + l3 + 10, 0, 2);
	sum = checksum_ipv4_header(f->b + l3, ihl);
	memcpy(f->b + l3 + 10, &sum, 2);
}

static void append_ip4(struct frame *f, uint8_t protocol, const void *l4, uint8_t len) {
	uint8_t ip[20] = {0x45, 0x28,     0,    (uint8_t)(20 + len),
			  0,    1,        0x40, 0,
			  64,   protocol, 0,    0,
			  192,  0,        2,    1,
			  203,  0,        113,  1};

	append(f, ip, 20);
	fix_checksum(f, f->len - 20);
	append(f, l4, len);
}

static void append_ip6(struct frame *f, uint8_t protocol, const void *l4, uint8_t len) {
	uint8_t ip[40] = {0x62, 0x80, 0,    0,        0,           len,  protocol, 61,   0x20,
			  0x01, 0x0d, 0xb8, [23] = 1, [24] = 0x20, 0x01, 0x0d,     0xb8, [39] = 2};

	append(f, ip, 40);
	append(f, l4, len);
}

static struct frame make(enum base base) {
	static const uint8_t arp[28] = {0, 1, 8, 0, 6, 4, 0, 1};
	struct frame f = {.b = {2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0}, .len = 14};

	if (base >= TCP6 && base <= ICMP6)
		memcpy(f.b + 12, "\x86\xdd", 2);
	switch (base) {
	case TCP4:
		append_ip4(&f, 6, tcp, sizeof(tcp));
		break;
	case UDP4:
		append_ip4(&f, 17, udp, sizeof(udp));
		break;
	case ICMP4:
		append_ip4(&f, 1, echo, sizeof(echo));
		break;
	case TCP6:
		append_ip6(&f, 6, tcp, sizeof(tcp));
		break;
	case UDP6:
		append_ip6(&f, 17, udp, sizeof(udp));
		break;
	case ICMP6:
		append_ip6(&f, 58, echo, sizeof(echo));
		break;
	case ARP:
		f.b[13] = 6;
		append(&f, arp, sizeof(arp));
	}
	return f;
}

static enum reason parse_both(struct parsed *out, const struct frame *f) {
	uint8_t *exact = malloc(f->len + 1); // ASan sees a byte too far
	struct parsed slow;
	enum reason r;

	memcpy(exact + 1, f->b, f->len);
	memset(out, 0xa5, sizeof(*out));
	memset(&slow, 0xa5, sizeof(slow));
	r = parse_frame(out, exact + 1, f->len);
	assert_int_equal(parse_frame_slow(&slow, exact + 1, f->len), r);
	assert_memory_equal(out, &slow, sizeof(slow));
	free(exact);
	return r;
}

// Grow the IP header (options) or the chain (extension headers) by n bytes before L4.
static void insert(struct frame *f, const void *bytes, uint8_t n) {
	uint32_t at = f->b[12] == 8 ? 34 : 54;

	memmove(f->b + at + n, f->b + at, f->len - at);
	memcpy(f->b + at, bytes, n);
	f->len += n;
	if (f->b[12] == 8) {
		f->b[14] = (uint8_t)(f->b[14] + n / 4);
		f->b[17] = (uint8_t)(f->b[17] + n);
		fix_checksum(f, 14);
	} else {
		uint16_t payload = htons((uint16_t)(ntohs(parse_load16(f->b + 18)) + n));

		memcpy(f->b + 18, &payload, 2);
	}
}

static const struct {
	enum base base;
	struct edit edit;
	enum reason reason;
} edited[] = {
	{TCP4, {0, 0, ""}, REASON_NONE},
	{TCP6, {0, 0, ""}, REASON_NONE},
	{UDP6, {0, 0, ""}, REASON_NONE},
	{ICMP6, {0, 0, ""}, REASON_NONE},
	{TCP4, {12, 2, "\x05\xdc"}, REASON_ETHERTYPE},
	{TCP4, {12, 2, "\x88\xa8"}, REASON_ETHERTYPE},
	{TCP4, {12, 6, "\x81\x00\x00\x01\x81\x00"}, REASON_ETHERTYPE},
	{TCP4, {14, 1, "\x65"}, REASON_IP_HEADER},
	{TCP4, {14, 1, "\x44"}, REASON_IP_HEADER},
	{TCP4, {16, 2, "\x00\x13"}, REASON_IP_HEADER},
	{TCP4, {16, 2, "\x00\x29"}, REASON_IP_HEADER}, // one byte more than there is
	{TCP4, {16, 2, "\x00\x27"}, REASON_L4_TRUNCATED},
	{TCP4, {20, 2, "\x20\x00"}, REASON_FRAGMENT},
	{TCP4, {20, 2, "\x00\x01"}, REASON_FRAGMENT},
	{TCP4, {20, 2, "\x80\x00"}, REASON_NONE},
	{TCP4, {23, 1, "\x84"}, REASON_NONE},
	{TCP4, {26, 1, "\x00"}, REASON_MARTIAN_SOURCE},
	{TCP4, {26, 1, "\x7f"}, REASON_MARTIAN_SOURCE},
	{TCP4, {26, 1, "\xe0"}, REASON_MARTIAN_SOURCE},
	{TCP4, {26, 4, "\xff\xff\xff\xff"}, REASON_MARTIAN_SOURCE},
	{TCP4, {26, 1, "\x01"}, REASON_NONE},
	{TCP4, {26, 1, "\xdf"}, REASON_NONE},
	{TCP4, {30, 1, "\x00"}, REASON_MARTIAN_DESTINATION},
	{UDP4, {30, 1, "\x7f"}, REASON_MARTIAN_DESTINATION},
	{ICMP4, {30, 1, "\xef"}, REASON_MARTIAN_DESTINATION},
	{TCP4, {34, 2, "\x00\x00"}, REASON_PORT_ZERO},
	{TCP6, {56, 2, "\x00\x00"}, REASON_PORT_ZERO},
	{UDP4, {34, 2, "\x00\x00"}, REASON_PORT_ZERO},
	{TCP4, {46, 1, "\x40"}, REASON_TCP_HEADER},
	{TCP4, {46, 1, "\x60"}, REASON_TCP_HEADER},
	{TCP4, {47, 1, "\x00"}, REASON_TCP_HEADER},
	{TCP4, {47, 1, "\x03"}, REASON_TCP_HEADER},
	{TCP4, {47, 1, "\x16"}, REASON_TCP_HEADER},
	{TCP4, {47, 1, "\xc2"}, REASON_NONE}, // SYN with ECN
	{UDP4, {38, 2, "\x00\x07"}, REASON_UDP_HEADER},
	{UDP4, {38, 2, "\x00\x09"}, REASON_UDP_HEADER},
	{UDP4, {40, 2, "\x00\x00"}, REASON_NONE},
	{UDP6, {60, 2, "\x00\x00"}, REASON_UDP_ZERO_CHECKSUM},
	{TCP6, {14, 1, "\x40"}, REASON_IP_HEADER},
	{TCP6, {18, 2, "\x00\x00"}, REASON_IP_HEADER},
	{TCP6, {18, 2, "\xff\xff"}, REASON_IP_HEADER},
	{TCP6, {20, 1, "\x2c"}, REASON_FRAGMENT},
	{TCP6, {20, 1, "\x33"}, REASON_NONE}, // AH, ESP, no next header
	{TCP6, {20, 1, "\x32"}, REASON_NONE},
	{TCP6, {20, 1, "\x3b"}, REASON_NONE},
	{TCP6, {22, 1, "\xff"}, REASON_MARTIAN_SOURCE},
	{TCP6, {22, 16, ""}, REASON_MARTIAN_SOURCE},
	{TCP6, {22, 16, {[15] = 1}}, REASON_MARTIAN_SOURCE},
	{TCP6, {22, 16, {[10] = 0xff, 0xff, 1, 2, 3, 4}}, REASON_MARTIAN_SOURCE},
	{TCP6, {38, 16, {[10] = 0xff, 0xff, 1, 2, 3, 4}}, REASON_MARTIAN_DESTINATION},
	{UDP6, {38, 16, ""}, REASON_MARTIAN_DESTINATION},
	{ICMP6, {38, 16, {[15] = 1}}, REASON_MARTIAN_DESTINATION},
	{UDP6, {38, 1, "\xff"}, REASON_MARTIAN_DESTINATION},
	{ICMP6, {38, 1, "\xff"}, REASON_NONE},
	{ARP, {0, 0, ""}, REASON_NONE},
	{ARP, {14, 2, "\x00\x06"}, REASON_ARP_MALFORMED},
	{ARP, {18, 1, "\x08"}, REASON_ARP_MALFORMED},
	{ARP, {20, 2, "\x00\x02"}, REASON_NONE},
	{ARP, {20, 2, "\x00\x03"}, REASON_ARP_MALFORMED},
};

static void each_refusal_has_its_name(void **state) {
	for (size_t i = 0; i < COUNT(edited); i++) {
		struct frame f = make(edited[i].base);
		struct parsed p;

		memcpy(f.b + edited[i].edit.at, edited[i].edit.bytes, edited[i].edit.len);
		if (edited[i].base <= ICMP4 && (f.b[14] & 15) == 5)
			fix_checksum(&f, 14);
		if (parse_both(&p, &f) != edited[i].reason)
			fail_msg("case %zu: %s", i, reason_name(parse_both(&p, &f)));
	}
}

static void a_flow_is_read_whole(void **state) {
	struct frame f = make(TCP4);
	struct parsed p;

	f.len += 6; // padding
	assert_int_equal(parse_both(&p, &f), REASON_NONE);
	assert_true(p.family == 4 && p.kind == PARSE_FLOW && p.protocol == 6 &&
		    p.tcp_flags == PARSE_TCP_ACK);
	assert_true(p.src[0] == htonl(0xc0000201) && p.dst[0] == htonl(0xcb007101));
	assert_true(p.src_port == htons(0x1234) && p.dst_port == htons(80) && p.ttl == 64 &&
		    p.dscp_ecn == 0x28);
	assert_true(p.l3 == 14 && p.l4 == 34 && p.l3_len == 40 && p.l4_len == 20 &&
		    p.vlan == PARSE_UNTAGGED);
	f = make(UDP6);
	assert_int_equal(parse_both(&p, &f), REASON_NONE);
	assert_true(p.family == 6 && p.kind == PARSE_FLOW && p.protocol == 17 && p.ttl == 61 &&
		    p.dscp_ecn == 0x28);
	assert_true(p.l4 == 54 && p.l3_len == 48 && p.l4_len == 8 && p.dst[3] == htonl(2));
}

static void a_tag_is_skipped_and_priority_tags_are_none(void **state) {
	static const uint8_t tags[][4] = {{0x81, 0, 0x20, 7}, {0x81, 0, 0xe0, 0}};

	for (unsigned i = 0; i < 2; i++) {
		struct frame f = make(TCP4);
		struct parsed p;

		memmove(f.b + 16, f.b + 12, f.len - 12);
		memcpy(f.b + 12, tags[i], 4);
		f.len += 4;
		assert_int_equal(parse_both(&p, &f), REASON_NONE);
		assert_true(p.l3 == 18 && p.vlan == (i == 0 ? 7 : PARSE_UNTAGGED));
	}
}

static void a_wrong_header_checksum_is_refused(void **state) {
	struct frame f = make(UDP4);
	struct parsed p;

	f.b[24] ^= 1;
	assert_int_equal(parse_both(&p, &f), REASON_IP_CHECKSUM);
	assert_int_equal(p.family, 0);
}

static void cut_frames_are_never_flows(void **state) {
	for (enum base base = TCP4; base <= ARP; base++) {
		struct frame f = make(base);
		struct parsed p;

		while (f.len-- > 0)
			assert_in_range(parse_both(&p, &f), 1, REASON_DROPS - 1);
	}
}

static void options_are_walked(void **state) {
	static const struct {
		uint8_t bytes[8];
		enum reason reason;
	} cases[] = {
		{{1, 1, 1, 1, 1, 1, 1, 1}, REASON_NONE},
		{{7, 7, 4, 0, 0, 0, 0, 0}, REASON_NONE},
		{{148, 4, 0, 0, 0, 131, 3, 4}, REASON_NONE},
		{{131, 7, 4, 0, 0, 0, 0, 0}, REASON_SOURCE_ROUTE},
		{{1, 137, 7, 4, 0, 0, 0, 0}, REASON_SOURCE_ROUTE},
		{{7, 1, 0, 0, 0, 0, 0, 0}, REASON_IP_OPTIONS},
		{{7, 0, 0, 0, 0, 0, 0, 0}, REASON_IP_OPTIONS},
		{{7, 9, 4, 0, 0, 0, 0, 0}, REASON_IP_OPTIONS},
		{{1, 1, 1, 1, 1, 1, 1, 7}, REASON_IP_OPTIONS},
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		struct frame f = make(TCP4);
		struct parsed p;

		insert(&f, cases[i].bytes, 8);
		assert_int_equal(parse_both(&p, &f), cases[i].reason);
		assert_int_equal(p.family, 4);
	}
}

// Put headers of the given types, 8 bytes each, before the TCP header.
static enum reason chain(struct parsed *p, const uint8_t *types, unsigned n,
			 uint8_t segments_left) {
	struct frame f = make(TCP6);

	f.b[20] = n > 0 ? types[0] : 6;
	for (unsigned i = n; i-- > 0;) {
		uint8_t header[8] = {i + 1 < n ? types[i + 1] : 6, 0, 1, segments_left};

		insert(&f, header, 8);
	}
	return parse_both(p, &f);
}

static void extension_headers_are_walked_within_bounds(void **state) {
	static const uint8_t eight[9] = {0, 60, 43, 60, 60, 60, 60, 60, 60}, late[2] = {60, 0},
			     frag[2] = {60, 44};
	struct parsed p;

	assert_int_equal(chain(&p, eight, 8, 0), REASON_NONE);
	assert_true(p.kind == PARSE_FLOW && p.l4 == 54 + 64 && p.protocol == 6 && p.l4_len == 20);
	assert_int_equal(chain(&p, eight, 9, 0), REASON_EXTENSION_CHAIN);
	assert_int_equal(chain(&p, eight, 3, 1), REASON_ROUTING_HEADER);
	assert_int_equal(chain(&p, late, 2, 0), REASON_EXTENSION_CHAIN);
	assert_int_equal(chain(&p, frag, 2, 0), REASON_FRAGMENT);
	assert_int_equal(p.family, 6);
}

static void long_extension_headers_are_bounded(void **state) {
	uint8_t header[248] = {60, 30}, last[248] = {6, 30};
	struct frame f = make(TCP6);
	struct parsed p;

	f.b[20] = 60;
	insert(&f, last, sizeof(last));
	insert(&f, header, sizeof(header));
	assert_int_equal(parse_both(&p, &f), REASON_NONE);
	insert(&f, header, sizeof(header));
	assert_int_equal(parse_both(&p, &f), REASON_EXTENSION_CHAIN);
}

static void hosts_without_an_address_may_ask_for_neighbours(void **state) {
	static const uint8_t good[] = {131, 132, 133, 135, 143}, bad[] = {128, 130, 134, 136};

	for (unsigned i = 0; i < COUNT(good) + COUNT(bad); i++) {
		struct frame f = make(ICMP6);
		struct parsed p;

		memset(f.b + 22, 0, 16);
		f.b[54] = i < COUNT(good) ? good[i] : bad[i - COUNT(good)];
		assert_int_equal(parse_both(&p, &f),
				 i < COUNT(good) ? REASON_NONE : REASON_MARTIAN_SOURCE);
	}
}

static void quotes_may_end_after_eight_bytes_of_l4(void **state) {
	for (uint8_t family = 4; family <= 6; family += 2) {
		struct frame f = make(family == 4 ? TCP4 : TCP6);
		uint16_t l4 = family == 4 ? 34 : 54;
		struct parsed p;
		bool whole = true;

		for (uint32_t len = 0; len <= f.len; len++) {
			enum reason r = parse_quoted(&p, &whole, f.b, len, 14, family);

			assert_int_equal(r, len < l4 + 8u ? REASON_ICMP_MALFORMED : REASON_NONE);
			if (r != REASON_NONE)
				continue;
			assert_int_equal(whole, len == f.len);
			assert_true(p.l3 == 14 && p.l4 == l4 && p.l4_len == len - l4 &&
				    p.dst_port == htons(80));
			assert_int_equal(p.tcp_flags, len > l4 + 13u ? PARSE_TCP_ACK : 0);
		}
		assert_int_equal(parse_quoted(&p, &whole, f.b, f.len, 14, 10 - family),
				 REASON_ICMP_MALFORMED);
	}
}

static void quoted_checksums_are_not_judged_but_fragments_are(void **state) {
	struct frame f = make(UDP4);
	struct parsed p;
	bool whole;

	f.b[24] ^= 1;
	assert_int_equal(parse_quoted(&p, &whole, f.b, f.len, 14, 4), REASON_NONE);
	f.b[21] = 1;
	assert_int_equal(parse_quoted(&p, &whole, f.b, f.len, 14, 4), REASON_FRAGMENT);
}

static void both_paths_agree_on_damaged_frames(void **state) {
	srand(11);
	for (unsigned i = 0; i < 200000; i++) {
		struct frame f = make((enum base)(rand() % 7));
		struct parsed p;

		for (unsigned k = (unsigned)rand() % 3; k > 0; k--)
			f.b[12 + (unsigned)rand() % (f.len - 12)] = (uint8_t)(rand() % 2
										      ? rand()
										      : rand() % 8);
		if (f.b[14] == 0x45 && rand() % 4 != 0)
			fix_checksum(&f, 14);
		f.len += (unsigned)rand() % 3;
		parse_both(&p, &f);
	}
}

static void the_brief_look_is_the_plain_one_less_what_a_flow_vouches_for(void **state) {
	static const enum base bases[] = {TCP4, UDP4, TCP6, UDP6};
	unsigned good = 0;

	srand(12);
	for (unsigned i = 0; i < 400000; i++) {
		enum base base = bases[rand() % 4];
		uint8_t family = base <= UDP4 ? 4 : 6;
		struct frame f = make(base);
		struct parse_brief brief;
		struct parsed p;
		bool plain, seen, hosts;

		for (unsigned k = (unsigned)rand() % 3; k > 0; k--)
			f.b[14 + (unsigned)rand() % (f.len - 14)] = (uint8_t)(rand() % 2
										      ? rand()
										      : rand() % 8);
		if (f.b[14] == 0x45 && rand() % 8 != 0)
			fix_checksum(&f, 14);
		if (rand() % 8 == 0)
			f.len -= (unsigned)rand() % 4;
		if (f.len < 14 + (family == 4 ? 28u : 48u))
			continue;
		plain = family == 4 ? parse_plain4(&p, f.b, f.len, 14)
				    : parse_plain6(&p, f.b, f.len, 14);
		seen = family == 4 ? parse_brief4(&brief, f.b + 14, f.len - 14)
				   : parse_brief6(&brief, f.b + 14, f.len - 14);
		hosts = family == 4 ? parse_has_hosts4(f.b + 14) : parse_has_hosts6(f.b + 14);
		assert_int_equal(seen && hosts, plain);
		if (!plain)
			continue;
		good++;
		assert_int_equal(brief.l3_len, p.l3_len);
		assert_int_equal(brief.protocol, p.protocol);
		assert_int_equal(brief.tcp_flags, p.tcp_flags);
	}
	assert_in_range(good, 100000, 400000);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_refusal_has_its_name),
		cmocka_unit_test(a_flow_is_read_whole),
		cmocka_unit_test(a_tag_is_skipped_and_priority_tags_are_none),
		cmocka_unit_test(a_wrong_header_checksum_is_refused),
		cmocka_unit_test(cut_frames_are_never_flows),
		cmocka_unit_test(options_are_walked),
		cmocka_unit_test(extension_headers_are_walked_within_bounds),
		cmocka_unit_test(long_extension_headers_are_bounded),
		cmocka_unit_test(hosts_without_an_address_may_ask_for_neighbours),
		cmocka_unit_test(quotes_may_end_after_eight_bytes_of_l4),
		cmocka_unit_test(quoted_checksums_are_not_judged_but_fragments_are),
		cmocka_unit_test(both_paths_agree_on_damaged_frames),
		cmocka_unit_test(the_brief_look_is_the_plain_one_less_what_a_flow_vouches_for),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
