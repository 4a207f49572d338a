// SPDX-License-Identifier: Apache-2.0
// Decisions are many and their texts few: texts are interned, the JSON is written as a stream.
#include "decisions.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <uthash.h>

struct interned {
	UT_hash_handle hh;
	char text[];
};

int decisions_add(struct decisions *d) {
	if (d->n == d->capacity) {
		uint64_t capacity = d->capacity == 0 ? 1024 : 2 * d->capacity;
		struct decision *items = realloc(d->items, capacity * sizeof(*items));

		if (items == NULL)
			return -ENOMEM;
		d->items = items;
		d->capacity = capacity;
	}
	d->items[d->n++] = (struct decision){.out = -1, .reason = ""};
	return 0;
}

const char *decisions_intern(struct decisions *d, const char *text) {
	size_t len = strlen(text);
	struct interned *i;

	HASH_FIND(hh, d->texts, text, len, i);
	if (i != NULL)
		return i->text;
	i = malloc(sizeof(*i) + len + 1);
	if (i == NULL)
		return NULL;
	memcpy(i->text, text, len + 1);
	HASH_ADD(hh, d->texts, text, len, i);
	return i->text;
}

void decisions_fini(struct decisions *d) {
	struct interned *i, *next;

	HASH_ITER(hh, d->texts, i, next) {
		HASH_DEL(d->texts, i);
		free(i);
	}
	free(d->items);
	*d = (struct decisions){0};
}

static void write_text(FILE *f, const char *text) {
	json_t *s = text == NULL ? json_null() : json_string(text);

	json_dumpf(s, f, JSON_ENCODE_ANY);
	json_decref(s);
}

static void write_decision(FILE *f, uint64_t i, const struct decision *d) {
	fprintf(f, "%s\n  {\"in\": %" PRIu64 ", \"out\": ", i == 0 ? "" : ",", i);
	if (d->out < 0)
		fputs("null", f);
	else
		fprintf(f, "%" PRId64, d->out);
	fputs(", \"service\": ", f);
	write_text(f, d->service);
	fputs(", \"backend\": ", f);
	write_text(f, d->backend);
	fputs(", \"reason\": ", f);
	write_text(f, d->reason);
	fputc('}', f);
}

int report_write(const struct report *r, const struct decisions *d, const char *path) {
	FILE *f = fopen(path, "w");
	const char *separator = "";
	int ret;

	if (f == NULL)
		return -errno;
	fprintf(f,
		"{\"packets_in\": %" PRIu64 ", \"packets_out\": %" PRIu64
		", \"punted\": 0, \"flows\": %" PRIu64 ",\n \"drops\": {",
		r->packets_in, r->packets_out, r->flows);
	for (int i = 1; i < REASON_DROPS; i++) {
		if (r->drops[i] == 0)
			continue;
		fprintf(f, "%s\"%s\": %" PRIu64, separator, reason_name((enum reason)i),
			r->drops[i]);
		separator = ", ";
	}
	fputs("},\n \"decisions\": [", f);
	for (uint64_t i = 0; i < d->n; i++)
		write_decision(f, i, &d->items[i]);
	fputs("]}\n", f);
	ret = ferror(f) ? -EIO : 0;
	if (fclose(f) != 0 && ret == 0)
		ret = -errno;
	return ret;
}
