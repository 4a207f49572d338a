// SPDX-License-Identifier: Apache-2.0
// Answers to a packet that can't be forwarded: RST, ICMP errors and echo replies.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

#include "net/checksum.h"
#include "rewrite/header.h"
#include "rewrite/rewrite.h"

#define QUOTE_MAX_V4 548              // RFC 1812 4.3.2.3: 576 bytes with IP and ICMP headers
#define QUOTE_MAX_V6 (1280 - 40 - 8)  // RFC 4443 2.4 (c): the minimum MTU
#define TOS_INTERNETWORK_CONTROL 0xc0 // RFC 1812 4.3.2.5: precedence 6
#define TCP_HEADER_LEN 20
#define ICMP_HEADER_LEN 8

// One host has it: not unspecified, loopback, a group or broadcast.
static bool is_unicast(const uint32_t *addr, uint8_t family) {
	const uint8_t *b = (const uint8_t *)addr;

	if (family == 4)
		return b[0] != 0 && b[0] != 127 && b[0] < 224;
	return b[0] != 0xff && (addr[0] != 0 || addr[1] != 0 || addr[2] != 0 || ntohl(addr[3]) > 1);
}

// RFC 1122 3.2.2 and RFC 4443 2.4 (e): one sender is to be told and the packet was meant for one
// receiver, on the link as well. parse_frame() lets no fragment through.
static bool may_answer(const uint8_t *frame, const struct parsed *p) {
	return (frame[0] & 1) == 0 && is_unicast(p->src, p->family) &&
	       is_unicast(p->dst, p->family);
}

// A query or reply that is known as one; what is unknown may be an error.
static bool is_icmp_query(const struct parsed *p) {
	if (p->family == 4)
		return p->icmp_type == 0 || p->icmp_type == 8 ||
		       (p->icmp_type >= 13 && p->icmp_type <= 18);
	return p->icmp_type >= 128 && p->icmp_type != 137; // 137: redirect
}

// Bytes of sequence space that a segment takes (RFC 9293 3.4).
static uint32_t sequence_length(const uint8_t *tcp, const struct parsed *p) {
	return p->l4_len - (tcp[12] >> 4) * 4 + ((p->tcp_flags & PARSE_TCP_SYN) != 0) +
	       ((p->tcp_flags & PARSE_TCP_FIN) != 0);
}

static void put_rst(uint8_t *rst, const uint8_t *tcp, const struct parsed *p) {
	memset(rst, 0, TCP_HEADER_LEN);
	bytes_put16(rst, p->dst_port);
	bytes_put16(rst + 2, p->src_port);
	rst[12] = TCP_HEADER_LEN / 4 << 4;
	rst[13] = PARSE_TCP_RST;
	if (p->tcp_flags & PARSE_TCP_ACK) {
		memcpy(rst + 4, tcp + 8, 4);
	} else {
		rst[13] |= PARSE_TCP_ACK;
		bytes_put32(rst + 8, htonl(ntohl(bytes_get32(tcp + 4)) + sequence_length(tcp, p)));
	}
}

uint16_t rewrite_build_rst(uint8_t *out, const uint8_t *frame, const struct parsed *p) {
	const struct header h = {.src = p->dst,
				 .dst = p->src,
				 .family = p->family,
				 .protocol = IPPROTO_TCP,
				 .ttl = HEADER_TTL};
	uint8_t *rst;

	if (p->kind != PARSE_FLOW || p->protocol != IPPROTO_TCP || (p->tcp_flags & PARSE_TCP_RST) ||
	    !may_answer(frame, p))
		return 0;
	rst = out + header_put(out, &h, TCP_HEADER_LEN);
	put_rst(rst, frame + p->l4, p);
	bytes_put16(rst + 16, header_l4_checksum(&h, rst, TCP_HEADER_LEN));
	return (uint16_t)(rst - out) + TCP_HEADER_LEN;
}

static void put_error(uint8_t *icmp, uint8_t family, enum rewrite_error what, uint16_t mtu) {
	static const struct {
		uint8_t type4, code4, type6, code6;
	} is[] = {
		[REWRITE_PORT_UNREACHABLE] = {3, 3, 1, 4},
		[REWRITE_TIME_EXCEEDED] = {11, 0, 3, 0},
		[REWRITE_TOO_BIG] = {3, 4, 2, 0},
	};

	memset(icmp, 0, ICMP_HEADER_LEN);
	icmp[0] = family == 4 ? is[what].type4 : is[what].type6;
	icmp[1] = family == 4 ? is[what].code4 : is[what].code6;
	if (what == REWRITE_TOO_BIG) // 16 bits in IPv4 (RFC 1191), 32 in IPv6: the same place
		bytes_put16(icmp + 6, htons(mtu));
}

uint16_t rewrite_build_icmp_error(uint8_t *out, const uint8_t *frame, const struct parsed *p,
				  enum rewrite_error what, uint16_t mtu,
				  const struct ip_addr *from) {
	const struct header h = {.src = from->b,
				 .dst = p->src,
				 .family = p->family,
				 .protocol = p->family == 4 ? IPPROTO_ICMP : IPPROTO_ICMPV6,
				 .ttl = HEADER_TTL,
				 .tos = p->family == 4 ? TOS_INTERNETWORK_CONTROL : 0};
	uint16_t max = p->family == 4 ? QUOTE_MAX_V4 : QUOTE_MAX_V6;
	uint16_t quote = p->l3_len < max ? p->l3_len : max;
	uint8_t *icmp;

	if (p->kind == PARSE_ARP || (p->kind == PARSE_ICMP && !is_icmp_query(p)) ||
	    from->family != p->family || !may_answer(frame, p))
		return 0;
	icmp = out + header_put(out, &h, ICMP_HEADER_LEN + quote);
	put_error(icmp, p->family, what, mtu);
	memcpy(icmp + ICMP_HEADER_LEN, frame + p->l3, quote);
	bytes_put16(icmp + 2, header_l4_checksum(&h, icmp, ICMP_HEADER_LEN + quote));
	return (uint16_t)(icmp - out) + ICMP_HEADER_LEN + quote;
}

static void swap_addresses(uint8_t *l3, const struct parsed *p) {
	size_t len = p->family == 4 ? 4 : 16;
	uint8_t *src = l3 + (p->family == 4 ? 12 : 8);

	memcpy(src, p->dst, len);
	memcpy(src + len, p->src, len);
}

static uint16_t icmp_checksum(const uint8_t *icmp, const struct parsed *p) {
	if (p->family == 4)
		return checksum_ipv4_header(icmp, p->l4_len);
	return checksum_l4(6, p->dst, p->src, IPPROTO_ICMPV6, icmp, p->l4_len);
}

static void set_ttl(uint8_t *l3, uint8_t family, uint8_t ttl) {
	uint16_t was = bytes_get16(l3 + 8);

	if (family == 6) {
		l3[7] = ttl;
		return;
	}
	l3[8] = ttl;
	bytes_put16(l3 + 10, checksum_apply(bytes_get16(l3 + 10),
					    checksum_change16(0, was, bytes_get16(l3 + 8))));
}

// The ICMP checksum was found right and is computed anew: a reply of zeros alone, whose checksum is
// 0xffff, is the one message for which the incremental sum gives the other zero. Exchanged
// addresses leave the IPv4 header's sum as it was.
bool rewrite_echo_reply(uint8_t *frame, const struct parsed *p) {
	uint8_t *l3 = frame + p->l3, *icmp = frame + p->l4;

	if (p->kind != PARSE_ICMP || p->icmp_type != (p->family == 4 ? 8 : 128) ||
	    !may_answer(frame, p) || !rewrite_icmp_is_valid(frame, p))
		return false;
	swap_addresses(l3, p);
	set_ttl(l3, p->family, HEADER_TTL);
	icmp[0] = p->family == 4 ? 0 : 129;
	bytes_put16(icmp + 2, 0);
	bytes_put16(icmp + 2, icmp_checksum(icmp, p));
	return true;
}
