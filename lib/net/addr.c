// SPDX-License-Identifier: Apache-2.0
// Addresses, prefixes, ranges and MACs: text to bytes and back, and their
// order.
#include "net/addr.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

static unsigned addr_len(uint8_t family) {
	return family == 4 ? 4 : 16;
}

int ip_addr_parse(struct ip_addr *out, const char *text) {
	struct ip_addr a = {0};
	bool is_v6 = strchr(text, ':') != NULL;

	if (inet_pton(is_v6 ? AF_INET6 : AF_INET, text, a.b) != 1)
		return -EINVAL;
	a.family = is_v6 ? 6 : 4;
	*out = a;
	return 0;
}

// The address before a separator at `end`.
static int addr_parse_until(struct ip_addr *out, const char *text, const char *end) {
	char buf[IP_ADDR_STR];
	size_t n = (size_t)(end - text);

	if (n >= sizeof(buf))
		return -EINVAL;
	memcpy(buf, text, n);
	buf[n] = '\0';
	return ip_addr_parse(out, buf);
}

// Up to three digits without sign, blanks or leading zeros.
static int length_parse(uint8_t *out, const char *text, unsigned max) {
	size_t digits = strspn(text, "0123456789");
	unsigned long v;

	if (digits == 0 || digits > 3 || text[digits] != '\0' || (text[0] == '0' && digits > 1))
		return -EINVAL;
	v = strtoul(text, NULL, 10);
	if (v > max)
		return -EINVAL;
	*out = (uint8_t)v;
	return 0;
}

int ip_prefix_parse(struct ip_prefix *out, const char *text) {
	struct ip_prefix p = {0};
	const char *slash = strchr(text, '/');

	if (slash == NULL || addr_parse_until(&p.addr, text, slash) < 0)
		return -EINVAL;
	if (length_parse(&p.len, slash + 1, addr_len(p.addr.family) * 8) < 0)
		return -EINVAL;
	*out = p;
	return 0;
}

int ip_range_parse(struct ip_range *out, const char *text) {
	const char *dash = strchr(text, '-');
	struct ip_prefix p;
	struct ip_range r;

	if (dash != NULL) {
		if (addr_parse_until(&r.first, text, dash) < 0 ||
		    ip_addr_parse(&r.last, dash + 1) < 0)
			return -EINVAL;
		if (r.first.family != r.last.family || ip_addr_cmp(&r.first, &r.last) > 0)
			return -EINVAL;
	} else if (strchr(text, '/') != NULL) {
		if (ip_prefix_parse(&p, text) < 0)
			return -EINVAL;
		r = ip_prefix_range(&p);
	} else {
		if (ip_addr_parse(&r.first, text) < 0)
			return -EINVAL;
		r.last = r.first;
	}
	*out = r;
	return 0;
}

static int hex_digit(char c) {
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

int mac_parse(struct mac_addr *out, const char *text) {
	struct mac_addr m;

	if (strlen(text) != MAC_STR - 1)
		return -EINVAL;
	for (unsigned i = 0; i < 6; i++) {
		int high = hex_digit(text[3 * i]), low = hex_digit(text[3 * i + 1]);

		if (high < 0 || low < 0 || text[3 * i + 2] != (i < 5 ? ':' : '\0'))
			return -EINVAL;
		m.b[i] = (uint8_t)(high << 4 | low);
	}
	*out = m;
	return 0;
}

const char *ip_addr_format(const struct ip_addr *a, char *buf) {
	if (a->family == 0 ||
	    inet_ntop(a->family == 4 ? AF_INET : AF_INET6, a->b, buf, IP_ADDR_STR) == NULL)
		buf[0] = '\0';
	return buf;
}

const char *ip_prefix_format(const struct ip_prefix *p, char *buf) {
	char addr[IP_ADDR_STR];

	snprintf(buf, IP_PREFIX_STR, "%s/%u", ip_addr_format(&p->addr, addr), p->len);
	return buf;
}

const char *mac_format(const struct mac_addr *m, char *buf) {
	const uint8_t *b = m->b;

	snprintf(buf, MAC_STR, "%02x:%02x:%02x:%02x:%02x:%02x", b[0], b[1], b[2], b[3], b[4], b[5]);
	return buf;
}

const char *ip_port_format(const struct ip_addr *a, uint16_t port, char *buf) {
	char addr[IP_ADDR_STR];

	ip_addr_format(a, addr);
	snprintf(buf, IP_ADDR_STR + 8, a->family == 6 ? "[%s]:%u" : "%s:%u", addr, port);
	return buf;
}

int ip_addr_cmp(const struct ip_addr *a, const struct ip_addr *b) {
	if (a->family != b->family)
		return a->family < b->family ? -1 : 1;
	return memcmp(a->b, b->b, sizeof(a->b));
}

// The first or last address of p's block: host bits cleared or set.
static struct ip_addr prefix_edge(const struct ip_prefix *p, uint8_t fill) {
	struct ip_addr a = p->addr;
	unsigned i = p->len / 8, bytes = addr_len(a.family);
	uint8_t host = (uint8_t)(0xff >> (p->len % 8));

	if (i < bytes) {
		a.b[i] = (uint8_t)((a.b[i] & ~host) | (fill & host));
		memset(a.b + i + 1, fill, bytes - i - 1);
	}
	return a;
}

struct ip_range ip_prefix_range(const struct ip_prefix *p) {
	return (struct ip_range){prefix_edge(p, 0), prefix_edge(p, 0xff)};
}

bool ip_prefix_contains(const struct ip_prefix *p, const struct ip_addr *a) {
	struct ip_range r = ip_prefix_range(p);

	return ip_range_contains(&r, a);
}

bool ip_range_contains(const struct ip_range *r, const struct ip_addr *a) {
	return ip_addr_cmp(&r->first, a) <= 0 && ip_addr_cmp(a, &r->last) <= 0;
}

bool ip_addr_next(struct ip_addr *out, const struct ip_addr *a) {
	struct ip_addr next = *a;

	for (unsigned i = addr_len(a->family); i-- > 0;) {
		if (++next.b[i] != 0) {
			*out = next;
			return true;
		}
	}
	return false;
}

static bool is_usable_v6(const uint8_t *b) {
	static const uint8_t zero[15], mapped[12] = {[10] = 0xff, [11] = 0xff};

	if (memcmp(b, zero, 15) == 0 && b[15] <= 1) // unspecified, loopback
		return false;
	if (memcmp(b, mapped, 12) == 0)
		return false;
	return b[0] != 0xff && !(b[0] == 0xfe && (b[1] & 0xc0) == 0x80);
}

bool ip_addr_is_usable(const struct ip_addr *a) {
	if (a->family == 4)
		return a->b[0] != 0 && a->b[0] != 127 && a->b[0] < 224;
	return a->family == 6 && is_usable_v6(a->b);
}
