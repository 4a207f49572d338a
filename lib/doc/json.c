// SPDX-License-Identifier: Apache-2.0
// JSON -> tree. jansson reads the values; a scanner then walks text and tree side by side (jansson keeps the order of members) and notes the
// lines. The text is valid by then, so the scanner only has to find where values begin.
//
// jansson has no integer above INT64_MAX: such tokens are handed to it as reals, and the scanner, which sees the original, keeps the exact value.
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "doc/tree.h"

struct scan {
	struct doc *doc;
	const char *at, *end;
	unsigned line;
	struct error *err;
};

static bool is_token(char c) {
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || c == '-' || c == '+' ||
	       c == '.' || c == 'E';
}

static const char *token_end(const char *at, const char *end) {
	while (at < end && is_token(*at))
		at++;
	return at;
}

// at is on the opening quote; the result is past the closing one, or end.
static const char *string_end(const char *at, const char *end) {
	for (at++; at < end && *at != '"'; at++)
		if (*at == '\\')
			at++;
	return at < end ? at + 1 : end;
}

// Is the token an integer that jansson refuses? 18 digits always fit.
static bool is_oversized(const char *token, size_t len) {
	char text[32];

	for (size_t i = token[0] == '-'; i < len; i++)
		if (token[i] < '0' || token[i] > '9')
			return false;
	if (len <= 18)
		return false;
	if (len >= sizeof(text))
		return true;
	memcpy(text, token, len);
	text[len] = 0;
	errno = 0;
	strtoll(text, NULL, 10);
	return errno == ERANGE;
}

// A copy of text in which each oversized integer has become a real ("...615" -> "...615.0"). NULL: out of memory.
static char *with_reals(const char *text, size_t len, size_t *out_len) {
	// At most one insertion of two bytes for each 19 bytes of token.
	char *copy = malloc(len + len / 8 + 16), *to = copy;
	const char *at = text, *end = text + len, *stop;

	if (copy == NULL)
		return NULL;
	while (at < end) {
		if (*at == '"')
			stop = string_end(at, end);
		else if (is_token(*at))
			stop = token_end(at, end);
		else
			stop = at + 1;
		memcpy(to, at, (size_t)(stop - at));
		to += stop - at;
		if (*at != '"' && is_oversized(at, (size_t)(stop - at))) {
			memcpy(to, ".0", 2);
			to += 2;
		}
		at = stop;
	}
	*out_len = (size_t)(to - copy);
	return copy;
}

static char skip_blanks(struct scan *s) {
	for (; s->at < s->end && memchr(" \t\r\n", *s->at, 4) != NULL; s->at++)
		s->line += *s->at == '\n';
	return s->at < s->end ? *s->at : 0;
}

static int scan_value(struct scan *s, json_t *json, unsigned depth);

// One member or element: [key ':'] value [','].
static int scan_child(struct scan *s, json_t *child, bool keyed, unsigned depth,
		      struct line_list *lines) {
	int ret;

	skip_blanks(s);
	if (line_list_add(lines, s->line) < 0)
		return -ENOMEM;
	if (keyed) {
		s->at = string_end(s->at, s->end);
		skip_blanks(s);
		s->at++; // the colon
	}
	ret = scan_value(s, child, depth);
	if (ret == 0 && skip_blanks(s) == ',')
		s->at++;
	return ret;
}

static int scan_container(struct scan *s, json_t *json, unsigned depth) {
	struct line_list lines = {0};
	const char *key;
	json_t *child;
	size_t i;
	int ret = 0;

	if (depth >= DOC_MAX_DEPTH)
		return tree_fault(s->doc, s->line, s->err, -EINVAL, "nested deeper than %d",
				  DOC_MAX_DEPTH);
	s->at++;
	if (json_is_object(json)) {
		json_object_foreach(json, key, child)
			if ((ret = scan_child(s, child, true, depth + 1, &lines)) < 0)
				break;
	} else {
		json_array_foreach(json, i, child)
			if ((ret = scan_child(s, child, false, depth + 1, &lines)) < 0)
				break;
	}
	skip_blanks(s);
	s->at++;
	if (ret == 0)
		ret = tree_add_lines(s->doc, json, &lines);
	free(lines.line);
	return ret;
}

static int scan_number(struct scan *s, const json_t *json, const char *token) {
	uint64_t value;

	if (!is_oversized(token, (size_t)(s->at - token)))
		return 0;
	errno = 0;
	value = strtoull(token, NULL, 10); // ends where the token does
	if (errno == ERANGE || *token == '-')
		return tree_fault(s->doc, s->line, s->err, -EINVAL, "integer too large");
	return tree_add_big(s->doc, json, value);
}

static int scan_value(struct scan *s, json_t *json, unsigned depth) {
	const char *token;

	skip_blanks(s);
	if (json_is_object(json) || json_is_array(json))
		return scan_container(s, json, depth);
	if (json_is_string(json)) {
		s->at = string_end(s->at, s->end);
		return 0;
	}
	token = s->at;
	s->at = token_end(s->at, s->end);
	return json_is_real(json) ? scan_number(s, json, token) : 0;
}

int tree_read_json(struct doc *d, const char *text, size_t len, struct error *err) {
	struct scan s = {.doc = d, .at = text, .end = text + len, .line = 1, .err = err};
	size_t copy_len = 0;
	char *copy = with_reals(text, len, &copy_len);
	json_error_t fault;
	json_t *root;

	if (copy == NULL)
		return -ENOMEM;
	root = json_loadb(copy, copy_len, JSON_REJECT_DUPLICATES, &fault);
	free(copy);
	if (root == NULL) {
		if (json_error_code(&fault) == json_error_out_of_memory)
			return -ENOMEM;
		return tree_fault(d, fault.line > 0 ? (unsigned)fault.line : 1, err, -EINVAL, "%s",
				  fault.text);
	}
	skip_blanks(&s);
	if (tree_add_root(d, root, s.line) < 0) {
		json_decref(root);
		return -ENOMEM;
	}
	return scan_value(&s, root, 0);
}
