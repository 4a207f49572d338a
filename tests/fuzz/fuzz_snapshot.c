// SPDX-License-Identifier: Apache-2.0
// Any bytes as a snapshot. The checksum would keep everything out, so it is made right: what is behind it must stand on its own.
#include <stdlib.h>
#include <string.h>

#include "kube/snapshot_private.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int count(void *arg, struct kube_record *r) {
	size_t *n = arg;

	if (r->object == NULL || r->len == 0)
		abort();
	++*n;
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
	char *text = malloc(size + SNAPSHOT_FOOTER + 1);
	struct snapshot_info info;
	struct error err;
	size_t n = 0;
	int ret;

	memcpy(text, data, size);
	snapshot_parse(&info, text, size, "https://x", count, &n, &err); // as it is
	snapshot_footer(text + size, snapshot_sum(SNAPSHOT_SEED, text, size));
	n = 0;
	ret = snapshot_parse(&info, text, size + SNAPSHOT_FOOTER, "https://x", count, &n, &err);
	if (ret == 0 ? n != info.objects : n != 0)
		abort();
	free(text);
	return 0;
}
