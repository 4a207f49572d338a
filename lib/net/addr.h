// SPDX-License-Identifier: Apache-2.0
// IP addresses, prefixes, ranges and MAC addresses as plain values: parse, print, compare.
//
// An address is 16 bytes and a family. IPv4 uses the first four bytes, the other twelve are zero,
// so two addresses are equal exactly when memcmp() says so and a struct is usable as a hash key.
// All bytes are in network order. Nothing here allocates; every function is pure.
#ifndef SLUICE_NET_ADDR_H
#define SLUICE_NET_ADDR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct ip_addr {
	uint8_t b[16];
	uint8_t family; // 4, 6, or 0: none
	uint8_t zero[3];
};
_Static_assert(sizeof(struct ip_addr) == 20, "no padding: compared and hashed as bytes");

struct ip_prefix {
	struct ip_addr addr; // as written: host bits are kept (a port's "192.0.2.2/24")
	uint8_t len;
	uint8_t zero[3];
};

struct ip_range {
	struct ip_addr first, last; // one family, first <= last, both included
};

struct mac_addr {
	uint8_t b[6];
};

#define IP_ADDR_STR 46 // longest text of an address with its final NUL
#define IP_PREFIX_STR 50
#define MAC_STR 18

// Parse "192.0.2.1" or "2001:db8::1". No zone, no port, no blanks, no leading zeros in IPv4.
// Errors: -EINVAL; out is then untouched.
int ip_addr_parse(struct ip_addr *out, const char *text);
// Parse "ADDR/LEN"; host bits are kept. Errors as above.
int ip_prefix_parse(struct ip_prefix *out, const char *text);
// Parse "FIRST-LAST", a prefix (its whole block) or one address. Errors as above, also when FIRST >
// LAST.
int ip_range_parse(struct ip_range *out, const char *text);
int mac_parse(struct mac_addr *out, const char *text);

// Print into buf (of at least IP_ADDR_STR, IP_PREFIX_STR, MAC_STR bytes); return buf. IPv6 after
// RFC 5952.
const char *ip_addr_format(const struct ip_addr *a, char *buf);
const char *ip_prefix_format(const struct ip_prefix *p, char *buf);
const char *mac_format(const struct mac_addr *m, char *buf);
// "192.0.2.1:80" or "[2001:db8::1]:80"; buf holds at least IP_ADDR_STR + 8 bytes.
const char *ip_port_format(const struct ip_addr *a, uint16_t port, char *buf);

// Order: IPv4 before IPv6, then by bytes. For qsort and for "lowest free address".
int ip_addr_cmp(const struct ip_addr *a, const struct ip_addr *b);
bool ip_prefix_contains(const struct ip_prefix *p, const struct ip_addr *a);
// The block of a prefix as a range.
struct ip_range ip_prefix_range(const struct ip_prefix *p);
bool ip_range_contains(const struct ip_range *r, const struct ip_addr *a);
// a + 1; false when it wraps around (out is then untouched).
bool ip_addr_next(struct ip_addr *out, const struct ip_addr *a);
// A host may own it: not unspecified, loopback, multicast, broadcast or IPv6 link-local.
bool ip_addr_is_usable(const struct ip_addr *a);

static inline bool ip_addr_eq(const struct ip_addr *a, const struct ip_addr *b) {
	return memcmp(a, b, sizeof(*a)) == 0;
}

static inline uint32_t ip_addr_v4(const struct ip_addr *a) { // network order
	uint32_t v;

	memcpy(&v, a->b, sizeof(v));
	return v;
}

static inline struct ip_addr ip_addr_from_v4(uint32_t be) {
	struct ip_addr a = {.family = 4};

	memcpy(a.b, &be, sizeof(be));
	return a;
}

static inline struct ip_addr ip_addr_from_v6(const void *bytes) {
	struct ip_addr a = {.family = 6};

	memcpy(a.b, bytes, sizeof(a.b));
	return a;
}

#endif
