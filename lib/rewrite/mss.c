// SPDX-License-Identifier: Apache-2.0
// Lowers the MSS that a SYN announces, so that segments fit the way they will take.
#include <arpa/inet.h>
#include <stddef.h>

#include "net/checksum.h"
#include "rewrite/rewrite.h"

#define TCP_OPTION_END 0
#define TCP_OPTION_NOP 1
#define TCP_OPTION_MSS 2
#define TCP_OPTION_MSS_LEN 4

// The checksum adds words at even offsets; behind an odd number of NOPs the value's bytes stand in
// the other halves of two words, where they weigh as their swapped value does in one.
static void set_mss(uint8_t *l4, uint16_t at, uint16_t mss) {
	uint16_t was = bytes_get16(l4 + at), is = htons(mss);

	bytes_put16(l4 + at, is);
	if (at % 2 != 0) {
		was = __builtin_bswap16(was);
		is = __builtin_bswap16(is);
	}
	bytes_put16(l4 + 16, checksum_apply(bytes_get16(l4 + 16), checksum_change16(0, was, is)));
}

bool rewrite_clamp_mss(uint8_t *l4, uint16_t l4_len, uint16_t mss) {
	uint16_t end = (l4[12] >> 4) * 4, at = 20;
	bool changed = false;

	end = end < l4_len ? end : l4_len;
	// A repeated option is lowered each time: hosts differ in which one they believe.
	while (at < end && l4[at] != TCP_OPTION_END) {
		if (l4[at] == TCP_OPTION_NOP) {
			at++;
			continue;
		}
		if (at + 1 >= end || l4[at + 1] < 2 || at + l4[at + 1] > end)
			break;
		if (l4[at] == TCP_OPTION_MSS && l4[at + 1] == TCP_OPTION_MSS_LEN &&
		    ntohs(bytes_get16(l4 + at + 2)) > mss) {
			set_mss(l4, at + 2, mss);
			changed = true;
		}
		at += l4[at + 1];
	}
	return changed;
}
