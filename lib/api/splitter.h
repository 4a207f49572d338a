// SPDX-License-Identifier: Apache-2.0
// JSON documents out of bytes cut anywhere: the elements of a list one by one, or the documents of a watch.
//
//     SPLITTER_LIST     {"kind": "ServiceList", "metadata": {...}, "items": [ {..}, {..}, ... ]}
//                       item() for each element, then rest() once with the document as it is without them: {..., "items": []}
//     SPLITTER_STREAM   {"type": "ADDED", ...} {"type": ...}      item() for each document; blanks between them are not needed
//
// Only one element is in memory at a time, however long the list is. The splitter finds where elements end and no more: it follows strings,
// escapes and brackets, 64 bytes at a step, and leaves the judgement of what is inside to the JSON reader. What it does judge: brackets match, nothing but
// blanks lies between documents and nothing but one comma between elements, an element is an object, no NUL, size and depth have bounds. Everything else
// is an error that names the offset, and nothing more comes out of that splitter.
//
// What nobody here reads, such as managedFields (up to 60 % of an object), is given out empty: a pattern is a member's name, colon and the first character of
// its value, "\"managedFields\":[". It must stand in the text like that, without blanks, as API servers write it; members of that name at any depth count.
// Pure; one splitter belongs to one thread.
#ifndef SLUICE_API_SPLITTER_H
#define SLUICE_API_SPLITTER_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

#define SPLITTER_MAX_ITEM (16u << 20) // what client-go takes
#define SPLITTER_MAX_REST (256u << 10)
#define SPLITTER_MAX_DEPTH 128

enum splitter_form { SPLITTER_LIST, SPLITTER_STREAM };

struct splitter_handlers {
	// The text lives until the call returns. A value below 0 ends the feeding with it.
	int (*item)(void *arg, const char *text, size_t len);
	int (*rest)(void *arg, const char *text, size_t len); // SPLITTER_LIST only
};

struct splitter;

// NULL: out of memory. handlers and drop stay the caller's. max_item 0: SPLITTER_MAX_ITEM. drop: patterns, then NULL; or NULL.
struct splitter *splitter_create(enum splitter_form form, size_t max_item, const char *const *drop,
				 const struct splitter_handlers *handlers, void *arg);
void splitter_destroy(struct splitter *s);
// Errors: -EPROTO not such a document, -E2BIG too large or too deep (err says where), -ENOMEM, what a handler returned.
int splitter_feed(struct splitter *s, const char *data, size_t n, struct error *err);
// True where the bytes may end: between documents of a stream, after the document of a list.
bool splitter_is_whole(const struct splitter *s);

#endif
