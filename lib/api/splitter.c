// SPDX-License-Identifier: Apache-2.0
// Four states, each a function that eats bytes until the state changes:
//
//     GAP ---{---> ITEM ---}---> GAP                      a stream
//     GAP ---{---> REST ---}---> GAP (over)               a list's document outside of items
//                   | ^
//            items:[| |]
//                   v |
//                ITEMS ---{---> ITEM ---}---> ITEMS       between its elements
#include "api/splitter.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "api/masks.h"

#define KEEP (1u << 20) // an item buffer that grew beyond is not kept for the next item

enum state { GAP, REST, ITEMS, ITEM };

struct buffer {
	char *text;
	size_t len, room;
};

struct splitter {
	enum splitter_form form;
	enum state state;
	const struct splitter_handlers *handlers;
	void *arg;
	const char *const *drop;
	size_t max_item;
	uint64_t offset; // of the next byte, since the beginning
	int failed;
	bool over;             // the list's document has ended
	bool in_string;        // of REST and ITEM
	bool escaped;          // the next byte is
	bool comma, any;       // ITEMS: one was seen since the last element; there was an element
	unsigned depth, floor; // brackets open; depth at which the item ends
	char closing[SPLITTER_MAX_DEPTH];
	struct buffer item, rest;
};

struct splitter *splitter_create(enum splitter_form form, size_t max_item, const char *const *drop,
				 const struct splitter_handlers *handlers, void *arg) {
	struct splitter *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return NULL;
	s->form = form;
	s->handlers = handlers;
	s->arg = arg;
	s->drop = drop;
	s->max_item = max_item > 0 ? max_item : SPLITTER_MAX_ITEM;
	return s;
}

void splitter_destroy(struct splitter *s) {
	if (s == NULL)
		return;
	free(s->item.text);
	free(s->rest.text);
	free(s);
}

bool splitter_is_whole(const struct splitter *s) {
	return s->failed == 0 && s->state == GAP && (s->form == SPLITTER_STREAM || s->over);
}

static int fault(const struct splitter *s, struct error *err, size_t at, int code,
		 const char *what) {
	return error_set(err, code, "%s at byte %llu", what, (unsigned long long)(s->offset + at));
}

static int append(struct splitter *s, struct buffer *b, size_t max, const char *data, size_t n,
		  struct error *err) {
	size_t room = b->room > 0 ? b->room : 4096;
	char *grown;

	if (n > max || b->len > max - n)
		return fault(s, err, 0, -E2BIG,
			     b == &s->item ? "an object is too large"
					   : "a list's head is too large");
	while (room < b->len + n)
		room *= 2;
	if (room != b->room) {
		grown = realloc(b->text, room);
		if (grown == NULL)
			return error_set(err, -ENOMEM, "out of memory");
		b->text = grown;
		b->room = room;
	}
	memcpy(b->text + b->len, data, n);
	b->len += n;
	return 0;
}

static int opened(struct splitter *s, char bracket, size_t at, struct error *err) {
	if (s->depth == SPLITTER_MAX_DEPTH)
		return fault(s, err, at, -E2BIG, "nested too deep");
	s->closing[s->depth++] = bracket == '{' ? '}' : ']';
	return 0;
}

static int closed(struct splitter *s, char bracket, size_t at, struct error *err) {
	if (s->depth == 0 || s->closing[s->depth - 1] != bracket)
		return fault(s, err, at, -EPROTO, "unbalanced brackets");
	s->depth--;
	return 0;
}

static bool is_blank(char c) {
	return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

// --- what an item holds that nobody reads ---

// Past the array, object or string that begins at text; NULL when it does not end.
static const char *value_end(const char *text, const char *end) {
	bool in_string = false;
	unsigned depth = 0;

	for (const char *p = text; p < end; p++) {
		if (in_string && *p == '\\') {
			p++;
			continue;
		}
		if (*p == '"')
			in_string = !in_string;
		else if (!in_string && (*p == '{' || *p == '['))
			depth++;
		else if (!in_string && (*p == '}' || *p == ']'))
			depth--;
		if (!in_string && depth == 0)
			return p + 1;
	}
	return NULL;
}

// A quote without a backslash before it, a name, a quote and a colon can only be a member's name: after a string that begins or ends there, JSON has no
// place for that. Returns the new length.
static size_t without(char *text, size_t len, const char *pattern) {
	size_t n = strlen(pattern);
	const char *from = text, *end = text + len, *found;
	char *to = text, bracket = pattern[n - 1];

	while ((found = memmem(from, (size_t)(end - from), pattern, n)) != NULL) {
		size_t keep = (size_t)(found - from) + n;
		bool is_name = found > text && found[-1] != '\\';
		const char *behind = is_name ? value_end(from + keep - 1, end) : NULL;

		memmove(to, from, keep);
		to += keep;
		from += keep;
		if (behind == NULL)
			continue;
		*to++ = bracket == '{' ? '}' : bracket == '[' ? ']' : bracket;
		from = behind;
	}
	memmove(to, from, (size_t)(end - from));
	return (size_t)(to - text) + (size_t)(end - from);
}

// --- the states; each returns how many bytes it took, or an error ---

static ptrdiff_t in_gap(struct splitter *s, const char *p, size_t n, struct error *err) {
	size_t i = 0;

	while (i < n && is_blank(p[i]))
		i++;
	if (i == n)
		return (ptrdiff_t)n;
	if (p[i] != '{' || s->over)
		return fault(s, err, i, -EPROTO,
			     s->over ? "something follows the document" : "no JSON object");
	s->state = s->form == SPLITTER_LIST ? REST : ITEM;
	s->floor = 0;
	return (ptrdiff_t)i; // the bracket is the next state's
}

// Does the text so far end with "items": ?
static bool ends_with_items(const struct buffer *b) {
	static const char name[] = "\"items\"";
	size_t n = b->len;

	while (n > 0 && is_blank(b->text[n - 1]))
		n--;
	if (n == 0 || b->text[--n] != ':')
		return false;
	while (n > 0 && is_blank(b->text[n - 1]))
		n--;
	return n > sizeof(name) - 1 && b->text[n - sizeof(name)] != '\\' &&
	       memcmp(b->text + n - (sizeof(name) - 1), name, sizeof(name) - 1) == 0;
}

static int end_rest(struct splitter *s) {
	s->state = GAP;
	s->over = true;
	return s->handlers->rest != NULL ? s->handlers->rest(s->arg, s->rest.text, s->rest.len) : 0;
}

// One byte outside of a string. Returns 1 when the state changed.
static int rest_byte(struct splitter *s, char c, size_t at, struct error *err) {
	int ret = 0;

	if (c == '"') {
		s->in_string = true;
	} else if (c == '{' || c == '[') {
		bool items = c == '[' && s->depth == 1 && ends_with_items(&s->rest);

		ret = opened(s, c, at, err);
		if (ret == 0 && items) {
			s->state = ITEMS;
			s->comma = s->any = false;
			ret = 1;
		}
	} else if (c == '}' || c == ']') {
		ret = closed(s, c, at, err);
		if (ret == 0 && s->depth == 0)
			ret = 1;
	}
	return ret;
}

// A few hundred bytes of a list, so one at a time will do.
static ptrdiff_t in_rest(struct splitter *s, const char *p, size_t n, struct error *err) {
	for (size_t i = 0; i < n; i++) {
		int ret = 0, changed = 0;

		if (p[i] == '\0')
			return fault(s, err, i, -EPROTO, "a NUL");
		if (!s->in_string)
			changed = rest_byte(s, p[i], i, err);
		else if (s->escaped)
			s->escaped = false;
		else if (p[i] == '\\')
			s->escaped = true;
		else if (p[i] == '"')
			s->in_string = false;
		if (changed < 0)
			return changed;
		ret = append(s, &s->rest, SPLITTER_MAX_REST, p + i, 1, err);
		if (ret == 0 && s->depth == 0)
			ret = end_rest(s);
		if (ret < 0)
			return ret;
		if (changed)
			return (ptrdiff_t)i + 1;
	}
	return (ptrdiff_t)n;
}

static ptrdiff_t in_items(struct splitter *s, const char *p, size_t n, struct error *err) {
	for (size_t i = 0; i < n; i++) {
		if (is_blank(p[i]))
			continue;
		if (p[i] == '{' && s->comma == s->any) {
			s->state = ITEM;
			s->floor = s->depth;
			s->any = true;
			s->comma = false;
			return (ptrdiff_t)i;
		}
		if (p[i] == ']' && !s->comma) {
			s->state = REST; // which sees the bracket
			return (ptrdiff_t)i;
		}
		if (p[i] != ',' || s->comma || !s->any)
			return fault(s, err, i, -EPROTO, "not the items of a list");
		s->comma = true;
	}
	return (ptrdiff_t)n;
}

static int end_item(struct splitter *s, struct error *err) {
	struct buffer *b = &s->item;
	const char *nul = memchr(b->text, 0, b->len);
	int ret;

	if (nul != NULL)
		return error_set(err, -EPROTO, "a NUL at byte %zu of an object",
				 (size_t)(nul - b->text));
	for (const char *const *drop = s->drop; drop != NULL && *drop != NULL; drop++)
		b->len = without(b->text, b->len, *drop);
	s->state = s->form == SPLITTER_LIST ? ITEMS : GAP;
	ret = s->handlers->item(s->arg, b->text, b->len);
	b->len = 0;
	if (b->room > KEEP) {
		free(b->text);
		*b = (struct buffer){0};
	}
	return ret;
}

// The brackets of one block, outside of strings. Returns the number of bytes up to the item's end, 0 when it does not end here.
static int follow_brackets(struct splitter *s, const char *block, uint64_t open, uint64_t close,
			   size_t at, struct error *err) {
	for (uint64_t both = open | close; both != 0; both &= both - 1) {
		int i = __builtin_ctzll(both);
		bool opens = open >> i & 1;
		int ret = opens ? opened(s, block[i], at + (size_t)i, err)
				: closed(s, block[i], at + (size_t)i, err);

		if (ret < 0)
			return ret;
		if (!opens && s->depth == s->floor)
			return i + 1;
	}
	return 0;
}

// n bytes count; what pads a shorter block means nothing.
static int scan_block(struct splitter *s, const char *block, size_t n, size_t at,
		      struct error *err) {
	struct masks m;
	uint64_t escaped, inside;

	masks_of(&m, block);
	escaped = masks_escaped(m.backslash, &s->escaped);
	if (n < MASKS_BLOCK)
		s->escaped = escaped >> n & 1;
	inside = masks_parity(m.quote & ~escaped) ^ (s->in_string ? UINT64_MAX : 0);
	s->in_string = inside >> 63;
	return follow_brackets(s, block, m.open & ~inside, m.close & ~inside, at, err);
}

static int scan_part(struct splitter *s, const char *p, size_t n, size_t at, struct error *err) {
	char block[MASKS_BLOCK];

	memset(block, ' ', sizeof(block));
	memcpy(block, p, n);
	return scan_block(s, block, n, at, err);
}

// How many bytes belong to the item, and whether it ends with them.
static ptrdiff_t scan_item(struct splitter *s, const char *p, size_t n, bool *ends,
			   struct error *err) {
	size_t i = 0;
	int ret = 0;

	for (; ret == 0 && n - i >= MASKS_BLOCK; i += MASKS_BLOCK)
		ret = scan_block(s, p + i, MASKS_BLOCK, i, err);
	if (ret > 0)
		i -= MASKS_BLOCK;
	if (ret == 0 && i < n) {
		ret = scan_part(s, p + i, n - i, i, err);
		if (ret == 0)
			i = n;
	}
	if (ret < 0)
		return ret;
	*ends = ret > 0;
	return (ptrdiff_t)i + ret;
}

static ptrdiff_t in_item(struct splitter *s, const char *p, size_t n, struct error *err) {
	bool ends = false;
	ptrdiff_t used = scan_item(s, p, n, &ends, err);
	int ret;

	if (used < 0)
		return used;
	ret = append(s, &s->item, s->max_item, p, (size_t)used, err);
	if (ret == 0 && ends) {
		s->in_string = s->escaped = false; // what follows in the block is not the item's
		ret = end_item(s, err);
	}
	return ret < 0 ? ret : used;
}

int splitter_feed(struct splitter *s, const char *data, size_t n, struct error *err) {
	static ptrdiff_t (*const states[])(struct splitter * s, const char *p, size_t n,
					   struct error *err) = {in_gap, in_rest, in_items,
								 in_item};

	if (s->failed != 0)
		return error_set(err, s->failed, "an earlier part was faulty");
	while (n > 0) {
		ptrdiff_t used = states[s->state](s, data, n, err);

		if (used < 0) {
			s->failed = (int)used;
			return s->failed;
		}
		data += used;
		n -= (size_t)used;
		s->offset += (uint64_t)used;
	}
	return 0;
}
