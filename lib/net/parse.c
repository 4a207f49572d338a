// SPDX-License-Identifier: Apache-2.0
// Parsing off the common path: tags, ARP, ICMP, options, extension headers, quotes, and the reason
// of every refusal.
#include "net/parse.h"

enum {
	TYPE_IPV4 = 0x0800,
	TYPE_ARP = 0x0806,
	TYPE_VLAN = 0x8100,
	TYPE_IPV6 = 0x86dd,
	VLAN_TAG_LEN = 4,
	ARP_LEN = 28,
	ICMP_LEN = 8,
	OPTION_END = 0,
	OPTION_NOP = 1,
	OPTION_LSRR = 131,
	OPTION_SSRR = 137,
};

// RFC 791, 3.1: a list of one-byte options and of type, length, data; the list may end early.
static enum reason walk_options(const uint8_t *opt, uint32_t len) {
	while (len > 0 && opt[0] != OPTION_END) {
		uint32_t step = 1;

		if (opt[0] != OPTION_NOP) {
			if (len < 2 || opt[1] < 2 || opt[1] > len)
				return REASON_IP_OPTIONS;
			step = opt[1];
		}
		if (opt[0] == OPTION_LSRR || opt[0] == OPTION_SSRR)
			return REASON_SOURCE_ROUTE;
		opt += step;
		len -= step;
	}
	return REASON_NONE;
}

// Walk the extension headers of out's packet, of which `room` bytes are there, up to the L4 header:
// sets protocol and l4.
static enum reason walk_extensions(struct parsed *out, const uint8_t *frame, uint32_t room) {
	const uint8_t *ip = frame + out->l3;
	uint32_t at = PARSE_IPV6_LEN, step;

	for (unsigned count = 0;; count++, at += step) {
		out->l4 = (uint16_t)(out->l3 + at);
		if (out->protocol == IPPROTO_FRAGMENT)
			return REASON_FRAGMENT;
		if (out->protocol != IPPROTO_HOPOPTS && out->protocol != IPPROTO_ROUTING &&
		    out->protocol != IPPROTO_DSTOPTS)
			return REASON_NONE;
		if (count == PARSE_MAX_EXTENSIONS ||
		    (out->protocol == IPPROTO_HOPOPTS && count > 0))
			return REASON_EXTENSION_CHAIN;
		if (at + 8 > room)
			return REASON_TRUNCATED;
		step = (ip[at + 1] + 1u) * 8;
		if (at + step > PARSE_IPV6_LEN + PARSE_MAX_EXTENSION_BYTES)
			return REASON_EXTENSION_CHAIN;
		if (at + step > room)
			return REASON_TRUNCATED;
		if (out->protocol == IPPROTO_ROUTING && ip[at + 3] != 0)
			return REASON_ROUTING_HEADER;
		out->protocol = ip[at];
	}
}

// :: and ::1 (0 and 1 in the last byte, 15 zeros before it), ::ffff:0:0/96. Multicast is the
// callers' matter.
static bool is_martian6(const uint8_t *addr) {
	static const uint8_t zero[15], mapped[12] = {[10] = 0xff, [11] = 0xff};

	return (memcmp(addr, zero, sizeof(zero)) == 0 && addr[15] <= 1) ||
	       memcmp(addr, mapped, sizeof(mapped)) == 0;
}

// What a host without an address may send from ::. RFC 4861 4.1 and 4.3, RFC 3590 (MLD reports and
// dones).
static bool may_be_unspecified(const struct parsed *p, const uint8_t *frame) {
	static const uint8_t zero[16];
	uint8_t type;

	if (p->protocol != IPPROTO_ICMPV6 || p->l4_len == 0 ||
	    memcmp(p->src, zero, sizeof(zero)) != 0)
		return false;
	type = frame[p->l4];
	return type == 131 || type == 132 || type == 133 || type == 135 || type == 143;
}

static enum reason check_addresses6(const struct parsed *p, const uint8_t *frame) {
	const uint8_t *src = (const uint8_t *)p->src, *dst = (const uint8_t *)p->dst;

	if (src[0] == 0xff || (is_martian6(src) && !may_be_unspecified(p, frame)))
		return REASON_MARTIAN_SOURCE;
	if (is_martian6(dst) || (dst[0] == 0xff && p->protocol != IPPROTO_ICMPV6))
		return REASON_MARTIAN_DESTINATION;
	return REASON_NONE;
}

static bool is_icmp(const struct parsed *p) {
	return p->protocol == (p->family == 4 ? IPPROTO_ICMP : IPPROTO_ICMPV6);
}

static void fill_icmp(struct parsed *out, const uint8_t *frame) {
	out->kind = PARSE_ICMP;
	out->icmp_type = frame[out->l4];
	out->icmp_code = frame[out->l4 + 1];
}

static enum reason parse_l4(struct parsed *out, const uint8_t *frame) {
	if (!parse_is_flow(out->protocol) && !is_icmp(out))
		return REASON_NONE;
	if (out->l4_len < ICMP_LEN) // UDP's is as long; TCP's own test follows
		return REASON_L4_TRUNCATED;
	if (is_icmp(out)) {
		fill_icmp(out, frame);
		return REASON_NONE;
	}
	return parse_flow(out, frame);
}

// Version, header length and total length against the room; the header's length goes to *header.
static enum reason check_header4(uint32_t *header, const uint8_t *ip, uint32_t room) {
	uint32_t ihl, total;

	if (room < PARSE_IPV4_LEN)
		return REASON_TRUNCATED;
	ihl = (ip[0] & 15u) * 4;
	total = ntohs(parse_load16(ip + 2));
	if (ip[0] >> 4 != 4 || ihl < PARSE_IPV4_LEN || total < ihl)
		return REASON_IP_HEADER;
	*header = ihl;
	return ihl > room ? REASON_TRUNCATED : REASON_NONE;
}

static enum reason check_header6(const uint8_t *ip, uint32_t room) {
	uint32_t payload;

	if (room < PARSE_IPV6_LEN)
		return REASON_TRUNCATED;
	payload = ntohs(parse_load16(ip + 4));
	if (ip[0] >> 4 != 6 || payload == 0 || PARSE_IPV6_LEN + payload > UINT16_MAX)
		return REASON_IP_HEADER;
	return REASON_NONE;
}

static bool is_fragment4(
	const uint8_t *ip) { // more fragments, or an offset; DF and the reserved bit don't matter
	return (parse_load16(ip + 6) & htons(0x3fff)) != 0;
}

static enum reason parse_ipv4(struct parsed *out, const uint8_t *frame, uint32_t len, uint16_t l3) {
	const uint8_t *ip = frame + l3;
	uint32_t header;
	enum reason r = check_header4(&header, ip, len - l3);

	if (r != REASON_NONE)
		return r;
	if (ntohs(parse_load16(ip + 2)) > len - l3)
		return REASON_IP_HEADER;
	if (checksum_ipv4_header(ip, header) != 0)
		return REASON_IP_CHECKSUM;
	parse_fill4(out, ip, l3);
	out->l4 = (uint16_t)(l3 + header);
	out->l4_len = (uint16_t)(out->l3_len - header);
	r = walk_options(ip + PARSE_IPV4_LEN, header - PARSE_IPV4_LEN);
	if (r != REASON_NONE)
		return r;
	if (parse_is_martian4(ip[12]))
		return REASON_MARTIAN_SOURCE;
	if (parse_is_martian4(ip[16]))
		return REASON_MARTIAN_DESTINATION;
	return is_fragment4(ip) ? REASON_FRAGMENT : parse_l4(out, frame);
}

static enum reason parse_ipv6(struct parsed *out, const uint8_t *frame, uint32_t len, uint16_t l3) {
	const uint8_t *ip = frame + l3;
	enum reason r = check_header6(ip, len - l3);

	if (r != REASON_NONE)
		return r;
	if (PARSE_IPV6_LEN + (uint32_t)ntohs(parse_load16(ip + 4)) > len - l3)
		return REASON_IP_HEADER;
	parse_fill6(out, ip, l3);
	r = walk_extensions(out, frame, out->l3_len);
	out->l4_len = (uint16_t)(l3 + out->l3_len - out->l4);
	if (r != REASON_NONE)
		return r;
	r = check_addresses6(out, frame);
	return r != REASON_NONE ? r : parse_l4(out, frame);
}

// Ethernet and IPv4 addresses, a request or a reply.
static enum reason parse_arp(struct parsed *out, const uint8_t *frame, uint32_t len, uint16_t l3) {
	static const uint8_t fixed[7] = {0, 1, 8, 0, 6, 4, 0};
	const uint8_t *arp = frame + l3;

	if (len - l3 < ARP_LEN || memcmp(arp, fixed, sizeof(fixed)) != 0 ||
	    (arp[7] != 1 && arp[7] != 2))
		return REASON_ARP_MALFORMED;
	out->kind = PARSE_ARP;
	out->l3 = out->l4 = l3;
	out->l3_len = ARP_LEN;
	return REASON_NONE;
}

enum reason parse_frame_slow(struct parsed *out, const uint8_t *frame, uint32_t len) {
	uint16_t l3 = PARSE_ETHER_LEN, ethertype, vlan;

	parse_clear(out);
	if (len < PARSE_ETHER_LEN)
		return REASON_TRUNCATED;
	ethertype = ntohs(parse_load16(frame + 12));
	if (ethertype == TYPE_VLAN) {
		l3 += VLAN_TAG_LEN;
		if (len < l3)
			return REASON_TRUNCATED;
		vlan = ntohs(parse_load16(frame + 14)) & 0xfff;
		out->vlan = vlan == 0 ? PARSE_UNTAGGED : vlan;
		ethertype = ntohs(parse_load16(frame + 16));
	}
	switch (ethertype) {
	case TYPE_IPV4:
		return parse_ipv4(out, frame, len, l3);
	case TYPE_IPV6:
		return parse_ipv6(out, frame, len, l3);
	case TYPE_ARP:
		return parse_arp(out, frame, len, l3);
	default:
		return REASON_ETHERTYPE;
	}
}

// Headers of a quote: what parse_ipv4() and parse_ipv6() do, without checksum and martians, for a
// packet that may be cut.
static enum reason quoted_headers(struct parsed *out, const uint8_t *frame, uint32_t room,
				  uint16_t at, uint8_t family) {
	const uint8_t *ip = frame + at;
	uint32_t header = 0;
	enum reason r = family == 4 ? check_header4(&header, ip, room) : check_header6(ip, room);

	if (r != REASON_NONE)
		return r;
	if (family == 4) {
		parse_fill4(out, ip, at);
		out->l4 = (uint16_t)(at + header);
		return is_fragment4(ip) ? REASON_FRAGMENT : REASON_NONE;
	}
	parse_fill6(out, ip, at);
	return walk_extensions(out, frame, room < out->l3_len ? room : out->l3_len);
}

static enum reason quoted_l4(struct parsed *out, const uint8_t *frame) {
	const uint8_t *l4 = frame + out->l4;

	if (out->l4_len < ICMP_LEN)
		return REASON_ICMP_MALFORMED;
	if (is_icmp(out)) {
		fill_icmp(out, frame);
	} else if (parse_is_flow(out->protocol)) {
		out->kind = PARSE_FLOW;
		out->src_port = parse_load16(l4);
		out->dst_port = parse_load16(l4 + 2);
		if (out->protocol == IPPROTO_TCP && out->l4_len > 13)
			out->tcp_flags = l4[13];
	}
	return REASON_NONE;
}

enum reason parse_quoted(struct parsed *out, bool *whole, const uint8_t *frame, uint32_t len,
			 uint16_t at, uint8_t family) {
	uint32_t room = len > at ? len - at : 0;
	bool is_whole;
	enum reason r;

	parse_clear(out);
	r = quoted_headers(out, frame, room, at, family);
	is_whole = out->l3_len <= room;
	if (!is_whole)
		out->l3_len = (uint16_t)room;
	if (r == REASON_TRUNCATED || r == REASON_IP_HEADER)
		return REASON_ICMP_MALFORMED;
	if (r != REASON_NONE)
		return r;
	out->l4_len = (uint16_t)(at + out->l3_len - out->l4);
	r = quoted_l4(out, frame);
	if (r == REASON_NONE)
		*whole = is_whole;
	return r;
}
