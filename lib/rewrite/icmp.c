// SPDX-License-Identifier: Apache-2.0
// Carries ICMP errors through address translation: the error's own addresses and those of the
// packet it quotes.
//
//     IP(src, dst) | ICMP type code checksum | IP(src, dst) checksum | ports ... L4 checksum
//      outer_*       covers all to its right  inner_*                 inner_*   if quoted that far
//
// Each word that changes in the quote goes into one sum for the ICMP checksum, the quoted checksums
// among them. ICMPv6 has the outer addresses in its pseudo header as well.
#include <netinet/in.h>

#include "net/checksum.h"
#include "rewrite/rewrite.h"

static uint64_t set_quoted_header_checksum(uint8_t *l3) {
	uint16_t was = bytes_get16(l3 + 10), is;

	bytes_put16(l3 + 10, 0);
	is = checksum_ipv4_header(l3, (l3[0] & 0xf) * 4);
	bytes_put16(l3 + 10, is);
	return checksum_change16(0, was, is);
}

static uint64_t set_quoted_l4_checksum(uint8_t *l4, const struct parsed *inner, uint64_t delta) {
	uint16_t at = rewrite_checksum_offset(inner->protocol), was;

	if (inner->l4_len < at + sizeof(was))
		return 0;
	was = bytes_get16(l4 + at);
	rewrite_set_checksum(l4, inner->protocol, delta);
	return checksum_change16(0, was, bytes_get16(l4 + at));
}

// Translate the quoted packet; returns the sum of all that changed in it.
static uint64_t translate_quote(uint8_t *frame, const struct parsed *inner,
				const struct rewrite_end *src, const struct rewrite_end *dst) {
	uint8_t *l3 = frame + inner->l3, *l4 = frame + inner->l4;
	uint64_t delta = rewrite_set_addresses(l3, inner->family, src, dst);

	if (inner->protocol == IPPROTO_TCP || inner->protocol == IPPROTO_UDP) {
		delta += rewrite_set_ports(l4, src, dst);
		delta += set_quoted_l4_checksum(l4, inner, delta);
	}
	if (inner->family == 4)
		delta += set_quoted_header_checksum(l3);
	return delta;
}

void rewrite_icmp_error(uint8_t *frame, const struct parsed *outer, const struct parsed *inner,
			const struct rewrite_end *outer_src, const struct rewrite_end *outer_dst,
			const struct rewrite_end *inner_src, const struct rewrite_end *inner_dst) {
	uint8_t *l3 = frame + outer->l3, *icmp = frame + outer->l4;
	uint64_t quote = translate_quote(frame, inner, inner_src, inner_dst);
	uint64_t addresses = rewrite_set_addresses(l3, outer->family, outer_src, outer_dst);

	rewrite_set_header(l3, outer->family, addresses);
	if (outer->family == 6)
		quote += addresses;
	bytes_put16(icmp + 2, checksum_apply(bytes_get16(icmp + 2), quote));
}

bool rewrite_icmp_is_valid(const uint8_t *frame, const struct parsed *p) {
	const uint8_t *l4 = frame + p->l4;

	if (p->kind != PARSE_ICMP)
		return false;
	if (p->family == 4)
		return checksum_ipv4_header(l4, p->l4_len) == 0;
	return checksum_l4(6, p->src, p->dst, IPPROTO_ICMPV6, l4, p->l4_len) == 0;
}
