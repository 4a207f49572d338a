// SPDX-License-Identifier: Apache-2.0
// Any bytes as a list and as a stream, cut where the first bytes say: pieces and one piece give the same.
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "api/splitter.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct seen {
	uint64_t hash;
	size_t n;
};

static int note(void *arg, const char *text, size_t len) {
	struct seen *s = arg;

	if (len < 2 || text[0] != '{') // how it ends only JSON has a word on
		abort();
	for (size_t i = 0; i < len; i++)
		s->hash = (s->hash ^ (uint8_t)text[i]) * UINT64_C(1099511628211);
	s->n++;
	return 0;
}

static const struct splitter_handlers handlers = {note, note};
static const char *const drop[] = {"\"managedFields\":[", "\"a\":{", "\"b\":\"", NULL};

static int feed(struct splitter *s, const uint8_t *data, size_t size, size_t step) {
	int ret = 0;

	for (size_t at = 0; at < size && ret == 0; at += step)
		ret = splitter_feed(s, (const char *)data + at, size - at < step ? size - at : step,
				    NULL);
	return ret;
}

static void check(enum splitter_form form, const uint8_t *data, size_t size, size_t step) {
	struct seen whole = {0}, cut = {0};
	struct splitter *a = splitter_create(form, 4096, drop, &handlers, &whole);
	struct splitter *b = splitter_create(form, 4096, drop, &handlers, &cut);
	int x = feed(a, data, size, size + 1), y = feed(b, data, size, step);

	if (x != y || whole.n != cut.n || whole.hash != cut.hash ||
	    splitter_is_whole(a) != splitter_is_whole(b))
		abort();
	splitter_destroy(a);
	splitter_destroy(b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
	size_t step;

	if (size == 0)
		return 0;
	step = data[0] % 150 + 1u;
	check(SPLITTER_LIST, data + 1, size - 1, step);
	check(SPLITTER_STREAM, data + 1, size - 1, step);
	return 0;
}
