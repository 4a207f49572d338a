// SPDX-License-Identifier: Apache-2.0
// Matching hosts with a no_proxy list.
#include "api/no_proxy.h"

#include <arpa/inet.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define SEPARATORS ", \t"

// Bytes of the address, 0: it is none.
static size_t parse_address(const char *text, uint8_t out[16]) {
	if (inet_pton(AF_INET, text, out) == 1)
		return 4;
	return inet_pton(AF_INET6, text, out) == 1 ? 16 : 0;
}

static bool same_bits(const uint8_t *a, const uint8_t *b, unsigned bits) {
	if (memcmp(a, b, bits / 8) != 0)
		return false;
	return bits % 8 == 0 || ((a[bits / 8] ^ b[bits / 8]) & (0xff00 >> bits % 8) & 0xff) == 0;
}

// "192.0.2.0/24"; an address alone is a block of one.
static bool block_covers(char *entry, const char *host) {
	char *slash = strchr(entry, '/'), *end = NULL;
	uint8_t block[16], address[16];
	size_t n = parse_address(host, address);
	unsigned long bits;

	if (slash != NULL)
		*slash = '\0';
	if (n == 0 || parse_address(entry, block) != n)
		return false;
	bits = slash != NULL ? strtoul(slash + 1, &end, 10) : 8 * n;
	return (end == NULL || *end == '\0') && bits <= 8 * n &&
	       same_bits(block, address, (unsigned)bits);
}

// "example.com" and ".example.com" are the same here, as for curl.
static bool name_covers(const char *entry, const char *host) {
	size_t n, h = strlen(host);

	entry += *entry == '.';
	n = strlen(entry);
	return n > 0 && h >= n && strcasecmp(host + h - n, entry) == 0 &&
	       (h == n || host[h - n - 1] == '.');
}

bool no_proxy_covers(const char *list, const char *host) {
	size_t n;

	for (; list != NULL && *(list += strspn(list, SEPARATORS)) != '\0'; list += n) {
		char entry[256];

		n = strcspn(list, SEPARATORS);
		if (n >= sizeof(entry))
			continue;
		memcpy(entry, list, n);
		entry[n] = '\0';
		if (strcmp(entry, "*") == 0 || name_covers(entry, host) ||
		    block_covers(entry, host))
			return true;
	}
	return false;
}
