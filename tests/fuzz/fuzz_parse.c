// SPDX-License-Identifier: Apache-2.0
// Any bytes as a frame: nothing is read beyond it, both paths agree, what is reported lies inside.
#include <assert.h>
#include <stddef.h>
#include <stdlib.h>

#include "net/parse.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_quoted(const struct parsed *outer, const uint8_t *frame) {
	uint32_t end = (uint32_t)outer->l3 + outer->l3_len;
	uint16_t at = (uint16_t)(outer->l4 + 8);
	struct parsed in;
	bool whole;

	if (parse_quoted(&in, &whole, frame, end, at, outer->family) != REASON_NONE)
		return;
	assert(in.l3 == at && in.l4 >= in.l3 && in.l4 + in.l4_len == in.l3 + in.l3_len);
	assert(in.l3 + in.l3_len <= (int)end && in.l4_len >= 8);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
	uint8_t *frame = malloc(size); // exactly as large, so that a byte too far is seen
	struct parsed fast, slow;
	enum reason r;

	if (size > UINT16_MAX || frame == NULL) {
		free(frame);
		return 0;
	}
	memcpy(frame, data, size);
	memset(&fast, 0xa5, sizeof(fast));
	memset(&slow, 0xa5, sizeof(slow));
	r = parse_frame(&fast, frame, (uint32_t)size);
	assert(r == parse_frame_slow(&slow, frame, (uint32_t)size) && r < REASON_DROPS);
	assert(memcmp(&fast, &slow, sizeof(fast)) == 0);
	if (r == REASON_NONE) {
		assert(fast.l3 + fast.l3_len <= (int)size && fast.l4 >= fast.l3);
		assert(fast.family == 0 || fast.l4 + fast.l4_len == fast.l3 + fast.l3_len);
	}
	if (r == REASON_NONE && fast.kind == PARSE_ICMP)
		check_quoted(&fast, frame);
	free(frame);
	return 0;
}
