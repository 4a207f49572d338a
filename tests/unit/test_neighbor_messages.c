// SPDX-License-Identifier: Apache-2.0
// ARP and neighbour discovery: messages as other stacks write them, and what RFC 4861 refuses.
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "rewrite/rewrite.h"
#include "rewrite_packet.h"

static const struct mac_addr mac = {{0x02, 0, 0, 0, 0, 0xaa}};

// Written by scapy 2.5 for 192.0.2.2 or 2001:db8:2::2 at `mac`, about 192.0.2.254 or
// 2001:db8:2::fe.
static const char arp_request[] = "00010800060400010200000000aac0000202000000000000c00002fe";
static const char solicitation[] =
	"6000000000203aff20010db8000200000000000000000002ff0200000000000000000001ff0000fe"
	"870019810000000020010db80002000000000000000000fe01010200000000aa";
static const char detection[] =
	"6000000000183aff00000000000000000000000000000000ff0200000000000000000001ff0000fe"
	"87004af10000000020010db80002000000000000000000fe";
static const char advertisement[] =
	"6000000000203aff20010db800020000000000000000000220010db80002000000000000000000fe"
	"880088c66000000020010db800020000000000000000000202010200000000aa";
static const char unsolicited[] =
	"6000000000203aff20010db8000200000000000000000002ff020000000000000000000000000001"
	"8800f87b2000000020010db800020000000000000000000202010200000000aa";

static uint16_t from_hex(uint8_t *out, const char *hex) {
	uint16_t len = (uint16_t)(strlen(hex) / 2);

	for (uint16_t i = 0; i < len; i++) {
		char byte[3] = {hex[2 * i], hex[2 * i + 1], 0};

		out[i] = (uint8_t)strtoul(byte, NULL, 16);
	}
	return len;
}

static struct ip_addr address(const char *text) {
	struct ip_addr a = {0};

	assert_int_equal(ip_addr_parse(&a, text), 0);
	return a;
}

static void arp_is_written_and_read_as_on_the_wire(void **state) {
	struct arp_info a = {.op = 1,
			     .sender_mac = mac,
			     .sender = htonl(0xc0000202),
			     .target = htonl(0xc00002fe)},
			b;
	uint8_t want[28], got[28];

	assert_int_equal(from_hex(want, arp_request), sizeof(want));
	assert_int_equal(arp_build(got, &a), sizeof(got));
	assert_memory_equal(got, want, sizeof(want));
	assert_true(arp_read(&b, want));
	assert_int_equal(b.op, 1);
	assert_memory_equal(&b.sender_mac, &mac, sizeof(mac));
	assert_int_equal(b.sender, a.sender);
	assert_int_equal(b.target, a.target);
}

// One change to the request each; the message counts or it doesn't.
static void arp_that_no_station_sends_is_refused(void **state) {
	static const struct {
		uint8_t at, bytes[6], len;
		bool is_fine;
	} cases[] = {
		{6, {0, 1}, 2, true},
		{6, {0, 2}, 2, true},
		{6, {0, 3}, 2, false},
		{6, {1, 1}, 2, false},
		{0, {0, 6}, 2, false},       // not Ethernet
		{2, {0x86, 0xdd}, 2, false}, // not IPv4
		{4, {8}, 1, false},
		{5, {16}, 1, false},
		{8, {0x01}, 1, false}, // a group's MAC
		{8, {0, 0, 0, 0, 0, 0}, 6, false},
		{8, {0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, 6, false},
		{14, {0, 0, 0, 0}, 4, true}, // a probe
		{14, {0, 0, 0, 1}, 4, false},
		{14, {127, 0, 0, 1}, 4, false},
		{14, {224, 0, 0, 1}, 4, false},
		{14, {255, 255, 255, 255}, 4, false},
		{24, {0, 0, 0, 0}, 4, false},
		{24, {224, 0, 0, 5}, 4, false},
		{18, {1, 2, 3, 4, 5, 6}, 6, true}, // whatever it is, RFC 826 has no meaning for it
	};

	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct arp_info a = {.op = 99};
		uint8_t arp[28];

		from_hex(arp, arp_request);
		memcpy(arp + cases[i].at, cases[i].bytes, cases[i].len);
		assert_int_equal(arp_read(&a, arp), cases[i].is_fine);
		if (!cases[i].is_fine)
			assert_int_equal(a.op, 99);
	}
}

static void a_reply_needs_a_sender(void **state) {
	struct arp_info a;
	uint8_t arp[28];

	from_hex(arp, arp_request);
	arp[7] = 2;
	memset(arp + 14, 0, 4);
	assert_false(arp_read(&a, arp));
}

static void neighbour_messages_are_written_as_on_the_wire(void **state) {
	const struct ip_addr us = address("2001:db8:2::2"), them = address("2001:db8:2::fe"),
			     none = address("::");
	uint8_t want[80], got[REWRITE_MAX];

	assert_int_equal(nd_build_solicitation(got, &us, &mac, &them, NULL),
			 from_hex(want, solicitation));
	assert_memory_equal(got, want, 72);
	assert_int_equal(nd_build_solicitation(got, &none, &mac, &them, NULL),
			 from_hex(want, detection));
	assert_memory_equal(got, want, 64);
	assert_int_equal(nd_build_advertisement(got, &us, &mac, &them, true, true),
			 from_hex(want, advertisement));
	assert_memory_equal(got, want, 72);
	assert_int_equal(nd_build_advertisement(got, &us, &mac, NULL, false, true),
			 from_hex(want, unsolicited));
	assert_memory_equal(got, want, 72);
}

static void a_solicitation_can_go_to_one_host(void **state) {
	const struct ip_addr us = address("2001:db8:2::2"), them = address("2001:db8:2::fe");
	uint8_t got[REWRITE_MAX];

	assert_int_equal(nd_build_solicitation(got, &us, &mac, &them, &them), 72);
	assert_memory_equal(got + 24, them.b, 16);
}

struct message {
	uint8_t frame[256];
	uint16_t len; // of the IP packet
};

static void load(struct message *m, const char *hex) {
	static const uint8_t ethernet[ETHER_LEN] = {0x33, 0x33, [12] = 0x86, 0xdd};

	memcpy(m->frame, ethernet, sizeof(ethernet));
	m->len = from_hex(m->frame + ETHER_LEN, hex);
}

// After a change: the payload's length and the checksum right again.
static void seal(struct message *m) {
	uint8_t *l3 = m->frame + ETHER_LEN, *l4 = l3 + 40;

	put16(l3 + 4, m->len - 40);
	put16(l4 + 2, slow_l4_checksum(l3, l4, m->len - 40, IPPROTO_ICMPV6, 2));
}

static bool read_message(struct nd_info *nd, const struct message *m) {
	struct parsed p;

	return parse_frame(&p, m->frame, ETHER_LEN + m->len) == REASON_NONE &&
	       nd_read(nd, m->frame, &p);
}

static void neighbour_messages_are_read(void **state) {
	const struct ip_addr us = address("2001:db8:2::2"), them = address("2001:db8:2::fe"),
			     none = address("::");
	struct message m;
	struct nd_info nd;

	load(&m, solicitation);
	assert_true(read_message(&nd, &m));
	assert_int_equal(nd.type, 135);
	assert_true(nd.has_mac && ip_addr_eq(&nd.source, &us) && ip_addr_eq(&nd.target, &them));
	assert_memory_equal(&nd.mac, &mac, sizeof(mac));
	load(&m, detection);
	assert_true(read_message(&nd, &m));
	assert_true(!nd.has_mac && ip_addr_eq(&nd.source, &none));
	load(&m, advertisement);
	assert_true(read_message(&nd, &m));
	assert_int_equal(nd.type, 136);
	assert_true(nd.has_mac && nd.solicited && nd.override && !nd.router);
	assert_true(ip_addr_eq(&nd.target, &us));
	load(&m, unsolicited);
	assert_true(read_message(&nd, &m));
	assert_true(!nd.solicited && nd.override);
}

// One change each, lengths and checksum made right. Offsets from the IP header: 40 is ICMPv6, 48
// the target, 64 the option.
static void what_rfc_4861_forbids_is_refused(void **state) {
	static const struct {
		const char *message, *bytes;
		uint8_t at, n;
		int8_t grow;
		bool is_fine;
	} cases[] = {
		{solicitation, "\xff", 7, 1, 0, true},
		{solicitation, "\xfe", 7, 1, 0, false},             // came through a router
		{solicitation, "\1", 41, 1, 0, false},              // code
		{solicitation, "\x85", 40, 1, 0, false},            // a router solicitation
		{solicitation, "\xff\x02", 48, 2, 0, false},        // target is a group
		{solicitation, "\1\0", 64, 2, 0, false},            // option of length 0
		{solicitation, "\1\2", 64, 2, 0, false},            // longer than the message
		{solicitation, "\1\2", 64, 2, 8, false},            // no Ethernet address
		{solicitation, "\1\1\1", 64, 3, 0, false},          // a group's MAC
		{solicitation, "\x0e\1", 64, 2, 0, true},           // an option to skip (nonce)
		{solicitation, "", 0, 0, -7, false},                // a cut option
		{solicitation, "", 0, 0, -8, true},                 // none
		{solicitation, "", 0, 0, -9, false},                // a cut target
		{detection, "\x20\1\x0d\xb8\0\2", 24, 6, 0, false}, // DAD to a host
		{detection, "\1\1\2\0\0\0\0\1", 64, 8, 8, false},   // DAD that tells a MAC
		{advertisement, "\xfe", 7, 1, 0, false},
		{advertisement, "\xa0", 44, 1, 0, true},
		{advertisement, "\xff\x02", 48, 2, 0, false},
		{advertisement, "\2\0", 64, 2, 0, false},
		{advertisement, "\1\1", 64, 2, 0, true}, // another option: no MAC
		{unsolicited, "\x60", 44, 1, 0, false},  // solicited, yet to a group
	};

	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct message m = {0};
		struct nd_info nd = {.type = 99};

		load(&m, cases[i].message);
		memcpy(m.frame + ETHER_LEN + cases[i].at, cases[i].bytes, cases[i].n);
		m.len = (uint16_t)(m.len + cases[i].grow);
		seal(&m);
		assert_int_equal(read_message(&nd, &m), cases[i].is_fine);
		if (!cases[i].is_fine)
			assert_int_equal(nd.type, 99);
	}
}

static void a_wrong_checksum_is_refused(void **state) {
	struct message m;
	struct nd_info nd;

	load(&m, advertisement);
	m.frame[ETHER_LEN + 71] ^= 1;
	assert_false(read_message(&nd, &m));
}

static void of_two_addresses_the_first_counts(void **state) {
	struct message m;
	struct nd_info nd;

	load(&m, solicitation);
	memcpy(m.frame + ETHER_LEN + m.len, "\1\1\2\0\0\0\0\1", 8);
	m.len += 8;
	seal(&m);
	assert_true(read_message(&nd, &m));
	assert_memory_equal(&nd.mac, &mac, sizeof(mac));
}

static void groups_have_their_macs(void **state) {
	static const struct mac_addr want = {{0x33, 0x33, 0xff, 0x12, 0x34, 0x56}};
	const struct ip_addr target = address("2001:db8::ab12:3456");
	struct ip_addr group = nd_solicited_node(&target), expected = address("ff02::1:ff12:3456");
	struct mac_addr m = nd_group_mac(&group);

	assert_true(ip_addr_eq(&group, &expected));
	assert_memory_equal(&m, &want, sizeof(m));
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(arp_is_written_and_read_as_on_the_wire),
		cmocka_unit_test(arp_that_no_station_sends_is_refused),
		cmocka_unit_test(a_reply_needs_a_sender),
		cmocka_unit_test(neighbour_messages_are_written_as_on_the_wire),
		cmocka_unit_test(a_solicitation_can_go_to_one_host),
		cmocka_unit_test(neighbour_messages_are_read),
		cmocka_unit_test(what_rfc_4861_forbids_is_refused),
		cmocka_unit_test(a_wrong_checksum_is_refused),
		cmocka_unit_test(of_two_addresses_the_first_counts),
		cmocka_unit_test(groups_have_their_macs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
