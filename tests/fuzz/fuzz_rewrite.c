// SPDX-License-Identifier: Apache-2.0
// Any frame -> parse -> each rewrite and builder that applies; what comes out must parse again with
// right checksums.
//
// The first byte of the input chooses variants, the rest is the frame. It is copied to memory of
// exactly its size, so that one byte too far is found.
#include <assert.h>
#include <stdlib.h>

#include "rewrite/rewrite.h"

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size);

static const struct rewrite_end ends4[2] = {{{0x0501000a}, 0x5000}, {{0x060200c0}, 0x409c}};
static const struct rewrite_end ends6[2] = {{{0xb80d0120, 1, 2, 3}, 0x5000},
					    {{0xb80d0120, 9, 8, 7}, 0x409c}};

static uint8_t *copy_of(const uint8_t *frame, size_t len) {
	uint8_t *copy = malloc(len ? len : 1);

	if (len)
		memcpy(copy, frame, len);
	return copy;
}

static bool l4_is_right(const uint8_t *frame, const struct parsed *p) {
	const uint8_t *l4 = frame + p->l4;
	uint16_t len = p->l4_len;

	if (p->kind == PARSE_ICMP)
		return rewrite_icmp_is_valid(frame, p);
	if (p->protocol == IPPROTO_UDP) {
		if (bytes_get16(l4 + 6) == 0)
			return false;
		len = ntohs(bytes_get16(l4 + 4));
	}
	return checksum_l4(p->family, p->src, p->dst, p->protocol, l4, len) == 0;
}

static const struct rewrite_end *ends(const struct parsed *p) {
	return p->family == 4 ? ends4 : ends6;
}

static void try_nat(const uint8_t *original, size_t len, const struct parsed *p, uint8_t choice) {
	const struct rewrite_end *src = choice & 1 ? &ends(p)[0] : NULL;
	const struct rewrite_end *dst = choice & 2 ? &ends(p)[1] : NULL;
	uint8_t *frame = copy_of(original, len);
	bool was_right = l4_is_right(frame, p);
	struct parsed q;

	rewrite_nat(frame + p->l3, p->l4 - p->l3, p->family, p->protocol, src, dst);
	assert(parse_frame(&q, frame, (uint32_t)len) == REASON_NONE);
	assert(q.ttl == p->ttl - 1 && q.l4 == p->l4 && q.l4_len == p->l4_len);
	assert(memcmp(q.src, src ? src->addr : p->src, p->family == 4 ? 4 : 16) == 0);
	assert(memcmp(q.dst, dst ? dst->addr : p->dst, p->family == 4 ? 4 : 16) == 0);
	assert(q.src_port == (src ? src->port : p->src_port));
	assert(q.dst_port == (dst ? dst->port : p->dst_port));
	assert(l4_is_right(frame, &q) == was_right);
	free(frame);
}

static void try_mss(const uint8_t *original, size_t len, const struct parsed *p) {
	uint8_t *frame = copy_of(original, len);
	bool was_right = l4_is_right(frame, p);
	struct parsed q;

	if (!rewrite_clamp_mss(frame + p->l4, p->l4_len, 1220))
		assert(memcmp(frame, original, len) == 0);
	assert(!rewrite_clamp_mss(frame + p->l4, p->l4_len, 1220));
	assert(parse_frame(&q, frame, (uint32_t)len) == REASON_NONE);
	assert(l4_is_right(frame, &q) == was_right);
	free(frame);
}

// Answers are made in room of their bound and taken in behind an Ethernet header.
static void check_answer(const uint8_t *out, uint16_t len, const struct parsed *to) {
	uint8_t frame[14 + REWRITE_MAX] = {2, [6] = 2};
	struct parsed p;

	assert(len <= REWRITE_MAX);
	bytes_put16(frame + 12, htons(to->family == 4 ? 0x0800 : 0x86dd));
	memcpy(frame + 14, out, len);
	assert(parse_frame(&p, frame, 14u + len) == REASON_NONE);
	assert(p.l3_len == len && l4_is_right(frame, &p));
	assert(memcmp(p.dst, to->src, to->family == 4 ? 4 : 16) == 0);
}

static void try_answers(const uint8_t *frame, const struct parsed *p, uint8_t choice) {
	static const struct ip_addr from[2] = {{.b = {192, 0, 2, 1}, .family = 4},
					       {.b = {0x20, 1, [15] = 1}, .family = 6}};
	uint8_t *out = malloc(REWRITE_MAX);
	uint16_t len = rewrite_build_rst(out, frame, p);

	if (len != 0)
		check_answer(out, len, p);
	len = rewrite_build_icmp_error(out, frame, p, choice % 3, 1400, &from[p->family == 6]);
	if (len != 0)
		check_answer(out, len, p);
	free(out);
}

static void try_echo(const uint8_t *original, size_t len, const struct parsed *p) {
	uint8_t *frame = copy_of(original, len);
	struct parsed q;

	if (rewrite_echo_reply(frame, p)) {
		assert(parse_frame(&q, frame, (uint32_t)len) == REASON_NONE);
		assert(q.ttl == 64 && rewrite_icmp_is_valid(frame, &q));
	} else {
		assert(memcmp(frame, original, len) == 0);
	}
	free(frame);
}

static void try_icmp_error(const uint8_t *original, size_t len, const struct parsed *p,
			   uint8_t choice) {
	uint8_t *frame = copy_of(original, len);
	const struct rewrite_end *e = ends(p);
	bool whole, was_valid = rewrite_icmp_is_valid(frame, p);
	struct parsed inner, q;

	if (parse_quoted(&inner, &whole, frame, p->l3 + p->l3_len, p->l4 + 8, p->family) ==
	    REASON_NONE) {
		rewrite_icmp_error(frame, p, &inner, choice & 1 ? &e[0] : NULL,
				   choice & 2 ? &e[1] : NULL, choice & 4 ? &e[1] : NULL,
				   choice & 8 ? &e[0] : NULL);
		assert(parse_frame(&q, frame, (uint32_t)len) == REASON_NONE);
		assert(rewrite_icmp_is_valid(frame, &q) == was_valid);
		assert(p->family == 6 ||
		       checksum_ipv4_header(frame + inner.l3, (frame[inner.l3] & 15) * 4) == 0);
	}
	free(frame);
}

static void try_neighbor(const uint8_t *frame, const struct parsed *p) {
	struct arp_info arp, arp_again;
	struct nd_info nd;
	uint8_t out[REWRITE_MAX];

	if (p->kind == PARSE_ARP && arp_read(&arp, frame + p->l3)) {
		assert(arp_build(out, &arp) == 28 && memcmp(out, frame + p->l3, 28) == 0);
		assert(arp_read(&arp_again, out));
	}
	if (p->kind == PARSE_ICMP && nd_read(&nd, frame, p)) {
		uint16_t len = nd_build_advertisement(out, &nd.target, &nd.mac, &nd.source, true,
						      true);

		assert(len == 72);
		assert(nd_build_solicitation(out, &nd.source, &nd.mac, &nd.target, NULL) <= 72);
	}
}

// Mutations seldom hit a checksum: two bits of the choice make those right that parse_frame() and
// the readers of ICMP demand.
static enum reason repair_and_parse(struct parsed *p, uint8_t *frame, size_t size, uint8_t choice) {
	enum reason r;

	if ((choice & 0x40) && size >= 34 && bytes_get16(frame + 12) == htons(0x0800) &&
	    14u + (frame[14] & 15) * 4 <= size && (frame[14] & 15) >= 5) {
		bytes_put16(frame + 24, 0);
		bytes_put16(frame + 24, checksum_ipv4_header(frame + 14, (frame[14] & 15) * 4));
	}
	r = parse_frame(p, frame, (uint32_t)size);
	if ((choice & 0x80) && r == REASON_NONE && p->kind == PARSE_ICMP) {
		uint8_t *icmp = frame + p->l4;

		bytes_put16(icmp + 2, 0);
		bytes_put16(icmp + 2, p->family == 4
					      ? checksum_ipv4_header(icmp, p->l4_len)
					      : checksum_l4(6, p->src, p->dst, IPPROTO_ICMPV6, icmp,
							    p->l4_len));
	}
	return r;
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t size) {
	struct parsed p;
	uint8_t *frame;
	uint8_t choice;

	if (size == 0 || size > 9000)
		return 0;
	choice = input[0];
	size--;
	frame = copy_of(input + 1, size);
	if (repair_and_parse(&p, frame, size, choice) == REASON_NONE) {
		try_neighbor(frame, &p);
		if (p.kind == PARSE_FLOW && p.ttl > 0)
			try_nat(frame, size, &p, choice);
		if (p.kind == PARSE_FLOW && p.protocol == IPPROTO_TCP)
			try_mss(frame, size, &p);
		if (p.kind != PARSE_ARP)
			try_answers(frame, &p, choice);
		if (p.kind == PARSE_ICMP) {
			try_echo(frame, size, &p);
			if (p.ttl > 0)
				try_icmp_error(frame, size, &p, choice);
		}
	}
	free(frame);
	return 0;
}
