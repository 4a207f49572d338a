// SPDX-License-Identifier: Apache-2.0
// Any bytes as a document: read them, then ask every value for its line and path, as a decoder's fault would.
#include <stdlib.h>

#include "doc/doc.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void visit(const struct doc_node *n, size_t *budget) {
	struct doc_node child = {0};
	struct error err;
	int64_t i = 0;
	uint64_t u = 0;
	size_t count = 0;

	if ((*budget)-- == 0)
		return;
	if (doc_line(n) == 0 || doc_fault(n, &err, -1, "x") != -1)
		abort();
	if (doc_int(n, &i, -5, 5, &err) == 0 && (i < -5 || i > 5))
		abort();
	doc_uint64(n, &u, &err);
	while (*budget > 0 && doc_next(&child, n))
		visit(&child, budget);
	if (doc_array_size(n, &count, &err) < 0)
		return;
	for (size_t k = 0; k<count && * budget> 0; k++) {
		child = doc_element(n, k);
		visit(&child, budget);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
	struct error err;
	struct doc *d;

	if (doc_parse(&d, "f", (const char *)data, size, &err) < 0)
		return 0;
	for (size_t i = 0; i < doc_count(d); i++) {
		struct doc_node root = doc_root(d, i);
		size_t budget = 2000;

		visit(&root, &budget);
	}
	doc_destroy(d);
	return 0;
}
