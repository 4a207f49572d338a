// SPDX-License-Identifier: Apache-2.0
// What reading and writing a snapshot agree on.
#ifndef SLUICE_KUBE_SNAPSHOT_PRIVATE_H
#define SLUICE_KUBE_SNAPSHOT_PRIVATE_H

#include <stdio.h>

#include "kube/snapshot.h"

#define SNAPSHOT_VERSION 1
#define SNAPSHOT_SEED UINT64_C(0xcbf29ce484222325)
#define SNAPSHOT_FOOTER 33 // bytes of the last line

// FNV-1a: each step is a bijection of the sum, so that one changed byte is always found.
static inline uint64_t snapshot_sum(uint64_t sum, const char *text, size_t len) {
	for (size_t i = 0; i < len; i++)
		sum = (sum ^ (uint8_t)text[i]) * UINT64_C(0x100000001b3);
	return sum;
}

static inline void snapshot_footer(char out[SNAPSHOT_FOOTER + 1], uint64_t sum) {
	snprintf(out, SNAPSHOT_FOOTER + 1, "{\"checksum\": \"%016llx\"}\n",
		 (unsigned long long)sum);
}

#endif
