// SPDX-License-Identifier: Apache-2.0
// Bytes of a frame -> what the stages need to know, every access checked against the length.
// Nothing is guessed: what is not understood has a reason.
//
// parse_frame() reads Ethernet, one optional 802.1Q tag, IPv4 with options or IPv6 with its
// extension headers, and the first words of TCP, UDP or ICMP. It checks what a router and a host of
// that address must check: versions, lengths (the frame may be padded beyond the IP packet, never
// shorter), the IPv4 header checksum, martian addresses, source routes, routing headers with
// segments left. It doesn't look at L4 checksums and knows nothing of frontends; frame addresses
// and VLAN are judged by the caller, who knows the port. Decisions where standards leave room:
//
//     - any port 0 is port-zero: UDP may have source port 0, but nothing can be answered or
//       translated to it
//     - a second tag and 802.1ad are ethertype-unsupported; a priority tag (VLAN 0) is no tag
//     - every IPv6 fragment header is `fragment`, an atomic fragment (RFC 6946) too
//     - AH, ESP and "no next header" end the walk of extension headers: they are PARSE_OTHER_L4
//     - IPv6 payload length 0 (a jumbogram, or nothing at all) is ip-header
//     - a UDP length below the IP payload's is fine, the rest is padding
//     - the unspecified IPv6 source is fine in what RFC 4861 and 3590 let a host without an address
//       send: RS, NS, MLD reports
//     - an IPv6 multicast destination is fine for ICMPv6 only (ND), never for IPv4
//
// The common packet (untagged, TCP or UDP, no options, no extension header) takes an inline path of
// a few branches without loops; whatever fails one of its tests goes to parse_frame_slow(), which
// finds out why. Both give equal results for every input.
//
// parse_quoted() reads the packet quoted inside an ICMP error, of which perhaps only 8 bytes of L4
// are there.
//
// Pure, any thread, no allocation.
#ifndef SLUICE_NET_PARSE_H
#define SLUICE_NET_PARSE_H

#include <arpa/inet.h>
#include <endian.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "net/checksum.h"
#include "net/reason.h"

// Order after RFC 8200 is not demanded, but hop-by-hop must be first.
#define PARSE_MAX_EXTENSIONS 8
#define PARSE_MAX_EXTENSION_BYTES 512

enum parse_kind {
	PARSE_FLOW,     // TCP, UDP: addresses and ports are valid
	PARSE_ICMP,     // ICMP or ICMPv6: icmp_type, icmp_code are valid, l4 points at its header
	PARSE_ARP,      // l3 points at the ARP header, complete
	PARSE_OTHER_L4, // a valid IP packet of another protocol; addresses are valid
};

enum parse_flag {
	PARSE_TCP_FIN = 0x01, // the TCP flags are the low bits, as in the header
	PARSE_TCP_SYN = 0x02,
	PARSE_TCP_RST = 0x04,
	PARSE_TCP_ACK = 0x10,
};

// Addresses and ports in network order, in place of the header's. IPv4: src[0], dst[0] only, the
// others are not written.
struct parsed {
	uint32_t src[4], dst[4];
	uint16_t src_port, dst_port; // network order
	uint8_t family;              // 4, 6; 0 for ARP
	uint8_t kind;                // enum parse_kind
	uint8_t protocol;            // of L4, after the extension headers
	uint8_t tcp_flags;           // TCP: flag byte; else 0
	uint8_t icmp_type, icmp_code;
	uint8_t ttl;      // TTL or hop limit
	uint8_t dscp_ecn; // TOS or traffic class
	// VLAN id, PARSE_UNTAGGED without a tag (a priority tag, id 0, is none; l3 is past it).
	uint16_t vlan;
	uint16_t l3, l4; // offsets from the frame's first byte
	uint16_t l3_len; // whole IP packet: total length, or 40 + payload length; padding excluded
	uint16_t l4_len; // of the L4 header and payload: l3 + l3_len - l4
};

#define PARSE_UNTAGGED 0xffff

// Parse len contiguous bytes. Returns REASON_NONE, or the drop's reason. vlan is always valid.
// After a drop family is 0 unless the addresses are valid (l3, l3_len, ttl and dscp_ecn then are,
// too).
static inline enum reason parse_frame(struct parsed *out, const uint8_t *frame, uint32_t len);

// The same without the inline path.
enum reason parse_frame_slow(struct parsed *out, const uint8_t *frame, uint32_t len);

// Parse an IP packet of that family quoted at offset `at` of the frame (in->l4 + 8), which may be
// cut after 8 bytes of its L4 header. len is where the quote ends at most: the end of the outer IP
// packet (not of a padded frame), less what RFC 4884 appends. l3, l4 are offsets from the frame's
// first byte; l3_len and l4_len are what is really there. tcp_flags is 0 where the quote ends
// before it. whole tells whether the quoted packet is complete. The quoted header's checksum and
// addresses are not judged: whoever translates compares them with a flow's. Returns REASON_NONE,
// icmp-malformed (too short, or an impossible header), fragment, extension-chain; out is as above,
// whole untouched after a drop.
enum reason parse_quoted(struct parsed *out, bool *whole, const uint8_t *frame, uint32_t len,
			 uint16_t at, uint8_t family);

// From here on: the inline path.

#define PARSE_ETHER_LEN 14
#define PARSE_IPV4_LEN 20
#define PARSE_IPV6_LEN 40
#define PARSE_TCP_LEN 20
#define PARSE_UDP_LEN 8

static inline uint16_t parse_load16(const uint8_t *p) { // as it lies in memory
	uint16_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static inline uint64_t parse_load64(const uint8_t *p) {
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

static inline uint32_t parse_load32(const uint8_t *p) {
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return v;
}

// No single host's address: 0/8, 127/8, 224/4 and 240/4 with the broadcast address.
static inline bool parse_is_martian4(uint8_t first) { // by its first byte
	return (uint8_t)(first - 1) >= 223 || first == 127;
}

// TCP's and UDP's own tests, with l4, l4_len, protocol and family filled in. At least 8 bytes are
// there.
static inline enum reason parse_tcp(struct parsed *out, const uint8_t *l4) {
	// Bit f tells that flags f (FIN 1, SYN 2, RST 4, PSH 8, ACK 16, URG 32) are never sent:
	// none, or SYN beside FIN or RST.
	const uint64_t impossible = 0xc8c8c8c8c8c8c8c9;
	uint32_t header;

	if (out->l4_len < PARSE_TCP_LEN)
		return REASON_L4_TRUNCATED;
	header = (l4[12] >> 4) * 4u;
	out->tcp_flags = l4[13];
	if (header < PARSE_TCP_LEN || header > out->l4_len ||
	    (impossible >> (l4[13] & 63) & 1) != 0)
		return REASON_TCP_HEADER;
	return out->src_port == 0 || out->dst_port == 0 ? REASON_PORT_ZERO : REASON_NONE;
}

static inline enum reason parse_udp(struct parsed *out, const uint8_t *l4) {
	uint16_t udp_len = ntohs(parse_load16(l4 + 4));

	if (udp_len < PARSE_UDP_LEN || udp_len > out->l4_len)
		return REASON_UDP_HEADER;
	if (out->src_port == 0 || out->dst_port == 0)
		return REASON_PORT_ZERO;
	return out->family == 6 && parse_load16(l4 + 6) == 0 ? REASON_UDP_ZERO_CHECKSUM
							     : REASON_NONE;
}

static inline enum reason parse_flow(struct parsed *out, const uint8_t *frame) {
	const uint8_t *l4 = frame + out->l4;

	out->kind = PARSE_FLOW;
	out->src_port = parse_load16(l4);
	out->dst_port = parse_load16(l4 + 2);
	return out->protocol == IPPROTO_TCP ? parse_tcp(out, l4) : parse_udp(out, l4);
}

static inline bool parse_is_flow(uint8_t protocol) {
	return protocol == IPPROTO_TCP || protocol == IPPROTO_UDP;
}

// The fields of an IPv4 header whose 20 bytes are there; l4 is left to the caller.
static inline void parse_fill4(struct parsed *out, const uint8_t *ip, uint16_t l3) {
	out->src[0] = parse_load32(ip + 12);
	out->dst[0] = parse_load32(ip + 16);
	out->family = 4;
	out->protocol = ip[9];
	out->ttl = ip[8];
	out->dscp_ecn = ip[1];
	out->l3 = l3;
	out->l3_len = ntohs(parse_load16(ip + 2));
}

// The same of an IPv6 header; protocol is the next header's, l3_len fits 16 bits by the caller's
// test.
static inline void parse_fill6(struct parsed *out, const uint8_t *ip, uint16_t l3) {
	memcpy(out->src, ip + 8, sizeof(out->src));
	memcpy(out->dst, ip + 24, sizeof(out->dst));
	out->family = 6;
	out->protocol = ip[6];
	out->ttl = ip[7];
	out->dscp_ecn = (uint8_t)(ntohs(parse_load16(ip)) >> 4);
	out->l3 = l3;
	out->l3_len = (uint16_t)(PARSE_IPV6_LEN + ntohs(parse_load16(ip + 4)));
}

static inline void parse_clear(struct parsed *out) {
	out->src_port = out->dst_port = 0;
	out->family = 0;
	out->kind = PARSE_OTHER_L4;
	out->protocol = out->tcp_flags = out->icmp_type = out->icmp_code = 0;
	out->ttl = out->dscp_ecn = 0;
	out->vlan = PARSE_UNTAGGED;
	out->l3 = out->l4 = out->l3_len = out->l4_len = 0;
}

// A 20-byte header, a packet inside the frame, the checksum right, no fragment, addresses of hosts. Each test nearly always passes:
// branches cost less here than values gathered; and the header is read as words once, since fields that are spilled and read back
// in another width wait for the store.
static inline bool parse_is_plain4(const uint8_t *ip, uint32_t room) {
	uint64_t a = le64toh(parse_load64(ip)), b = le64toh(parse_load64(ip + 8));
	uint32_t total = ntohs(parse_load16(ip + 2)), dst = le32toh(parse_load32(ip + 16));
	uint64_t sum = (a & 0xffffffff) + (a >> 32) + (b & 0xffffffff) + (b >> 32) + dst;
	uint64_t wrong = (a & 0xff) ^ 0x45;

	wrong |= a >> 48 & 0xff3f; // more fragments, or an offset
	return wrong == 0 && checksum_is_whole(sum) && total >= PARSE_IPV4_LEN + PARSE_UDP_LEN &&
	       total <= room && !parse_is_martian4((uint8_t)(b >> 32)) &&
	       !parse_is_martian4((uint8_t)dst);
}

// Addresses that begin with neither 00 nor ff need no closer look.
static inline bool parse_is_plain6(const uint8_t *ip, uint32_t room) {
	uint32_t payload = ntohs(parse_load16(ip + 4));
	unsigned ok = ip[0] >> 4 == 6;

	ok &= payload >= PARSE_UDP_LEN;
	ok &= PARSE_IPV6_LEN + payload <= room;
	ok &= PARSE_IPV6_LEN + payload <= UINT16_MAX;
	ok &= (uint8_t)(ip[8] + 1) > 1;
	ok &= (uint8_t)(ip[24] + 1) > 1;
	ok &= parse_is_flow(ip[6]);
	return ok != 0;
}

// A whole TCP or UDP packet that begins at l3 and needs no closer look: no options, no extension headers, nothing wrong.
// Everything but vlan is then filled in; else out holds nothing of use. What the compiler can see through costs only the fields used.
static inline bool parse_plain4(struct parsed *out, const uint8_t *frame, uint32_t len,
				uint16_t l3) {
	const uint8_t *ip = frame + l3;

	if (len < (uint32_t)l3 + PARSE_IPV4_LEN + PARSE_UDP_LEN || !parse_is_plain4(ip, len - l3) ||
	    !parse_is_flow(ip[9]))
		return false;
	parse_fill4(out, ip, l3);
	out->tcp_flags = out->icmp_type = out->icmp_code = 0;
	out->l4 = (uint16_t)(l3 + PARSE_IPV4_LEN);
	out->l4_len = (uint16_t)(out->l3_len - PARSE_IPV4_LEN);
	return parse_flow(out, frame) == REASON_NONE;
}

static inline bool parse_plain6(struct parsed *out, const uint8_t *frame, uint32_t len,
				uint16_t l3) {
	const uint8_t *ip = frame + l3;

	if (len < (uint32_t)l3 + PARSE_IPV6_LEN + PARSE_UDP_LEN || !parse_is_plain6(ip, len - l3))
		return false;
	parse_fill6(out, ip, l3);
	out->tcp_flags = out->icmp_type = out->icmp_code = 0;
	out->l4 = (uint16_t)(l3 + PARSE_IPV6_LEN);
	out->l4_len = (uint16_t)(out->l3_len - PARSE_IPV6_LEN);
	return parse_flow(out, frame) == REASON_NONE;
}

// What a packet of a known flow has still to be asked. Its addresses and ports are those of a flow's key, so whoever made the flow has
// judged them: parse_plain4() and parse_plain6() less those tests.
struct parse_brief {
	uint16_t l3_len;
	uint8_t protocol, tcp_flags;
};

static inline bool parse_brief_l4(struct parse_brief *out, const uint8_t *l4, uint32_t l4_len) {
	const uint64_t impossible = 0xc8c8c8c8c8c8c8c9; // as in parse_tcp()
	uint32_t word, len;

	if (out->protocol == IPPROTO_TCP) {
		word = parse_load16(l4 + 12);
		len = le16toh((uint16_t)word) >> 2 & 0x3c;
		out->tcp_flags = (uint8_t)(le16toh((uint16_t)word) >> 8);
		return len >= PARSE_TCP_LEN && len <= l4_len &&
		       (impossible >> (out->tcp_flags & 63) & 1) == 0;
	}
	len = ntohs(parse_load16(l4 + 4));
	out->tcp_flags = 0;
	return out->protocol == IPPROTO_UDP && len >= PARSE_UDP_LEN && len <= l4_len;
}

// ip: the header; room: bytes of the frame from there on, at least 28 (IPv6: 48).
static inline bool parse_brief4(struct parse_brief *out, const uint8_t *ip, uint32_t room) {
	uint64_t a = le64toh(parse_load64(ip)), b = le64toh(parse_load64(ip + 8));
	uint64_t rest = a + le32toh(parse_load32(ip + 16)),
		 sum = b + rest; // where a is sound, rest is below 2^57
	uint32_t total = ntohs((uint16_t)(a >> 16));

	sum += sum < rest; // 2^64 is 1 modulo 0xffff
	out->l3_len = (uint16_t)total;
	out->protocol = (uint8_t)(b >> 8);
	return (a & UINT64_C(0xff3f0000000000ff)) == 0x45 && checksum_is_whole(sum) &&
	       total <= room && total >= PARSE_IPV4_LEN + PARSE_UDP_LEN &&
	       parse_brief_l4(out, ip + PARSE_IPV4_LEN, total - PARSE_IPV4_LEN);
}

static inline bool parse_brief6(struct parse_brief *out, const uint8_t *ip, uint32_t room) {
	uint64_t a = le64toh(parse_load64(ip));
	uint32_t payload = ntohs((uint16_t)(a >> 32));

	out->l3_len = (uint16_t)(PARSE_IPV6_LEN + payload);
	out->protocol = (uint8_t)(a >> 48);
	return (a & 0xf0) == 0x60 && PARSE_IPV6_LEN + payload <= UINT16_MAX &&
	       PARSE_IPV6_LEN + payload <= room && payload >= PARSE_UDP_LEN &&
	       parse_brief_l4(out, ip + PARSE_IPV6_LEN, payload) &&
	       (out->protocol == IPPROTO_TCP || parse_load16(ip + PARSE_IPV6_LEN + 6) != 0);
}

// And what the first packet of a flow is asked beside it. With both, parse_plain4() and parse_plain6() hold.
static inline bool parse_has_ports(const uint8_t *l4) {
	return parse_load16(l4) != 0 && parse_load16(l4 + 2) != 0;
}

static inline bool parse_has_hosts4(const uint8_t *ip) {
	return !parse_is_martian4(ip[12]) && !parse_is_martian4(ip[16]) &&
	       parse_has_ports(ip + PARSE_IPV4_LEN);
}

static inline bool parse_has_hosts6(const uint8_t *ip) {
	return (uint8_t)(ip[8] + 1) > 1 && (uint8_t)(ip[24] + 1) > 1 &&
	       parse_has_ports(ip + PARSE_IPV6_LEN);
}

static inline enum reason parse_frame(struct parsed *out, const uint8_t *frame, uint32_t len) {
	uint16_t ethertype;

	if (len < PARSE_ETHER_LEN)
		return parse_frame_slow(out, frame, len);
	ethertype = parse_load16(frame + 12);
	out->vlan = PARSE_UNTAGGED;
	if (ethertype == htons(0x0800) && parse_plain4(out, frame, len, PARSE_ETHER_LEN))
		return REASON_NONE;
	if (ethertype == htons(0x86dd) && parse_plain6(out, frame, len, PARSE_ETHER_LEN))
		return REASON_NONE;
	return parse_frame_slow(out, frame, len);
}

#endif
