// SPDX-License-Identifier: Apache-2.0
// YAML -> tree, from libyaml's events.
//
// A value's weight is the number of values in it with all aliases expanded, its height how deep it is. An alias shares its anchor's
// value, so it costs no memory, but a decoder would walk all of it: the weights behind a file's aliases are added up and bounded.
// An anchor inside of which we still are has no value yet; an alias to it would be endless and is a fault.
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#include "doc/tree.h"

#define YAML_TAG "tag:yaml.org,2002:"

struct value {
	json_t *json; // owned
	size_t weight;
	unsigned height; // 0: a scalar
};

struct anchor {
	UT_hash_handle hh;
	struct value value; // json NULL: not complete
	char name[];
};

struct reader {
	yaml_parser_t parser;
	struct doc *doc;
	struct error *err;
	struct anchor *anchors; // of the present document, by name
	size_t expanded;        // weight behind aliases so far
};

// A container being read.
struct frame {
	struct value value;
	struct line_list lines;
	json_t *merges; // values of its << keys, or NULL
	unsigned merge_line;
};

static unsigned event_line(const yaml_event_t *e) {
	return (unsigned)e->start_mark.line + 1;
}

#define fault(r, e, ...) tree_fault((r)->doc, event_line(e), (r)->err, -EINVAL, __VA_ARGS__)

// The next event, which the caller deletes.
static int next_event(struct reader *r, yaml_event_t *e) {
	const yaml_parser_t *p = &r->parser;

	if (yaml_parser_parse(&r->parser, e))
		return 0;
	if (p->error == YAML_MEMORY_ERROR)
		return -ENOMEM;
	// What the reader can't decode has no problem mark.
	return tree_fault(r->doc,
			  (unsigned)(p->error == YAML_READER_ERROR ? p->mark.line
								   : p->problem_mark.line) +
				  1,
			  r->err, -EINVAL, "%s", p->problem != NULL ? p->problem : "not YAML");
}

static void forget_anchors(struct reader *r) {
	struct anchor *a, *next;

	HASH_ITER(hh, r->anchors, a, next) {
		HASH_DEL(r->anchors, a);
		json_decref(a->value.json);
		free(a);
	}
}

// Name the node that begins; a later anchor of the same name replaces an earlier one. *out is NULL for a node without one.
static int open_anchor(struct reader *r, struct anchor **out, const yaml_char_t *name) {
	size_t len = name != NULL ? strlen((const char *)name) : 0;
	struct anchor *a;

	*out = NULL;
	if (name == NULL)
		return 0;
	HASH_FIND(hh, r->anchors, name, len, a);
	if (a != NULL) {
		json_decref(a->value.json);
		a->value.json = NULL;
		*out = a;
		return 0;
	}
	a = calloc(1, sizeof(*a) + len + 1);
	if (a == NULL)
		return -ENOMEM;
	memcpy(a->name, name, len);
	HASH_ADD_KEYPTR(hh, r->anchors, a->name, len, a);
	if (a->hh.tbl == NULL) { // no memory for the table
		free(a);
		return -ENOMEM;
	}
	*out = a;
	return 0;
}

// Does nothing when a node inside of this one took the same name: the latest one counts.
static void close_anchor(struct anchor *a, const struct value *v) {
	if (a == NULL || a->value.json != NULL)
		return;
	a->value = *v;
	json_incref(v->json);
}

static int read_alias(struct reader *r, const yaml_event_t *e, unsigned depth, struct value *out) {
	const char *name = (const char *)e->data.alias.anchor;
	struct anchor *a;

	HASH_FIND(hh, r->anchors, name, strlen(name), a);
	if (a == NULL)
		return fault(r, e, "unknown alias *%.60s", name);
	if (a->value.json == NULL)
		return fault(r, e, "alias *%.60s inside of its own anchor", name);
	if (depth + a->value.height > DOC_MAX_DEPTH)
		return fault(r, e, "nested deeper than %d", DOC_MAX_DEPTH);
	r->expanded += a->value.weight;
	if (r->expanded > DOC_MAX_EXPANDED)
		return fault(r, e, "aliases stand for more than %d values", DOC_MAX_EXPANDED);
	*out = a->value;
	json_incref(out->json);
	return 0;
}

static json_t *scalar_json(struct reader *r, const struct scalar *s, const char *text) {
	json_t *real;

	switch (s->kind) {
	case SCALAR_NULL:
		return json_null();
	case SCALAR_BOOL:
		return json_boolean(s->b);
	case SCALAR_INT:
		return json_integer(s->i);
	case SCALAR_REAL:
		return json_real(s->r);
	case SCALAR_UINT:
		real = json_real((double)s->u);
		if (real != NULL && tree_add_big(r->doc, real, s->u) < 0) {
			json_decref(real);
			return NULL;
		}
		return real;
	default:
		return json_string(text);
	}
}

// An explicit tag demands a kind; no tag takes what the text looks like, "!" and quotes mean a string.
static int resolve_tagged(struct reader *r, const yaml_event_t *e, struct scalar *s) {
	static const struct {
		const char *tag;
		enum scalar_kind kind[2];
	} tags[] = {
		{YAML_NULL_TAG, {SCALAR_NULL, SCALAR_NULL}},
		{YAML_BOOL_TAG, {SCALAR_BOOL, SCALAR_BOOL}},
		{YAML_INT_TAG, {SCALAR_INT, SCALAR_UINT}},
		{YAML_FLOAT_TAG, {SCALAR_REAL, SCALAR_INT}},
	};
	const char *text = (const char *)e->data.scalar.value,
		   *tag = (const char *)e->data.scalar.tag;

	*s = (struct scalar){.kind = SCALAR_STRING};
	if (tag == NULL) {
		if (e->data.scalar.plain_implicit &&
		    e->data.scalar.style == YAML_PLAIN_SCALAR_STYLE)
			*s = scalar_resolve(text);
		return s->kind == SCALAR_ERROR ? fault(r, e, "%s", s->problem) : 0;
	}
	if (strcmp(tag, "!") == 0 || strcmp(tag, YAML_STR_TAG) == 0)
		return 0;
	for (size_t i = 0; i < sizeof(tags) / sizeof(tags[0]); i++) {
		if (strcmp(tag, tags[i].tag) != 0)
			continue;
		*s = scalar_resolve(text);
		if (s->kind == tags[i].kind[0] || s->kind == tags[i].kind[1])
			return 0;
		return fault(r, e, "not what its tag says (%s)", tag + sizeof(YAML_TAG) - 1);
	}
	return fault(r, e, "unknown tag %.80s", tag);
}

// The text of a string scalar: UTF-8 (libyaml has checked), without NUL.
static int check_text(struct reader *r, const yaml_event_t *e) {
	if (memchr(e->data.scalar.value, 0, e->data.scalar.length) != NULL)
		return fault(r, e, "NUL in a string");
	return 0;
}

static int read_scalar(struct reader *r, const yaml_event_t *e, struct value *out) {
	struct anchor *anchor = NULL;
	struct scalar s = {0};
	int ret = check_text(r, e);

	if (ret == 0)
		ret = resolve_tagged(r, e, &s);
	if (ret == 0)
		ret = open_anchor(r, &anchor, e->data.scalar.anchor);
	if (ret < 0)
		return ret;
	*out = (struct value){.json = scalar_json(r, &s, (const char *)e->data.scalar.value),
			      .weight = 1};
	if (out->json == NULL)
		return -ENOMEM;
	close_anchor(anchor, out);
	return 0;
}

static int read_value(struct reader *r, yaml_event_t *e, unsigned depth, struct value *out);

static void take_measure(struct value *container, const struct value *child) {
	container->weight += child->weight;
	if (container->height < child->height + 1)
		container->height = child->height + 1;
}

// Add the members of one << source that are not there yet.
static int merge_object(struct frame *f, json_t *source) {
	const char *key;
	json_t *value;

	json_object_foreach(source, key, value) {
		if (json_object_get(f->value.json, key) != NULL)
			continue;
		if (json_object_set(f->value.json, key, value) < 0 ||
		    line_list_add(&f->lines, f->merge_line) < 0)
			return -ENOMEM;
	}
	return 0;
}

// Members of the mapping itself win over merged ones, earlier sources over later ones.
static int apply_merges(struct frame *f) {
	json_t *source, *element;
	size_t i, j;
	int ret = 0;

	json_array_foreach(f->merges, i, source) {
		if (json_is_object(source))
			ret = ret < 0 ? ret : merge_object(f, source);
		json_array_foreach(source, j, element)
			ret = ret < 0 ? ret : merge_object(f, element);
	}
	return ret;
}

static bool is_mergeable(const json_t *v) {
	json_t *element;
	size_t i;

	json_array_foreach(v, i, element)
		if (!json_is_object(element))
			return false;
	return json_is_object(v) || json_is_array(v);
}

static int put_merge(struct reader *r, const yaml_event_t *key, struct frame *f, struct value *v) {
	if (!is_mergeable(v->json)) {
		json_decref(v->json);
		return fault(r, key, "<<: not an object or an array of objects");
	}
	f->merge_line = event_line(key);
	if (f->merges == NULL)
		f->merges = json_array();
	return json_array_append_new(f->merges, v->json) < 0 ? -ENOMEM : 0;
}

// Takes v over.
static int put_member(struct reader *r, const yaml_event_t *key, struct frame *f, struct value *v) {
	const char *name = (const char *)key->data.scalar.value;

	take_measure(&f->value, v);
	if (strcmp(name, "<<") == 0 && key->data.scalar.style == YAML_PLAIN_SCALAR_STYLE)
		return put_merge(r, key, f, v);
	if (json_object_set_new(f->value.json, name, v->json) < 0)
		return -ENOMEM;
	return line_list_add(&f->lines, event_line(key));
}

static int read_member(struct reader *r, yaml_event_t *key, struct frame *f, unsigned depth) {
	struct anchor *anchor = NULL;
	struct value v, name;
	yaml_event_t e;
	int ret;

	if (key->type != YAML_SCALAR_EVENT)
		return fault(r, key, "a key must be a scalar");
	ret = check_text(r, key);
	if (ret == 0 &&
	    json_object_get(f->value.json, (const char *)key->data.scalar.value) != NULL)
		ret = fault(r, key, "duplicate key \"%.80s\"",
			    (const char *)key->data.scalar.value);
	if (ret == 0)
		ret = open_anchor(r, &anchor, key->data.scalar.anchor);
	if (ret < 0)
		return ret;
	if (anchor != NULL) {
		name = (struct value){.json = json_string((const char *)key->data.scalar.value),
				      .weight = 1};
		if (name.json == NULL)
			return -ENOMEM;
		close_anchor(anchor, &name);
		json_decref(name.json);
	}
	ret = next_event(r, &e);
	if (ret < 0)
		return ret;
	ret = read_value(r, &e, depth, &v);
	yaml_event_delete(&e);
	return ret < 0 ? ret : put_member(r, key, f, &v);
}

static int read_element(struct reader *r, yaml_event_t *e, struct frame *f, unsigned depth) {
	unsigned line = event_line(e);
	struct value v;
	int ret = read_value(r, e, depth, &v);

	if (ret < 0)
		return ret;
	take_measure(&f->value, &v);
	if (json_array_append_new(f->value.json, v.json) < 0)
		return -ENOMEM;
	return line_list_add(&f->lines, line);
}

static int read_children(struct reader *r, struct frame *f, unsigned depth) {
	bool keyed = json_is_object(f->value.json);
	yaml_event_t e;
	int ret;

	for (;;) {
		ret = next_event(r, &e);
		if (ret < 0)
			return ret;
		if (e.type == YAML_SEQUENCE_END_EVENT || e.type == YAML_MAPPING_END_EVENT)
			break;
		ret = keyed ? read_member(r, &e, f, depth) : read_element(r, &e, f, depth);
		yaml_event_delete(&e);
		if (ret < 0)
			return ret;
	}
	yaml_event_delete(&e);
	return apply_merges(f);
}

static int read_container(struct reader *r, const yaml_event_t *e, unsigned depth,
			  struct value *out) {
	bool keyed = e->type == YAML_MAPPING_START_EVENT;
	const yaml_char_t *name = keyed ? e->data.mapping_start.anchor
					: e->data.sequence_start.anchor;
	const char *tag = (const char *)(keyed ? e->data.mapping_start.tag
					       : e->data.sequence_start.tag);
	struct frame f = {.value = {.weight = 1, .height = 1}};
	struct anchor *anchor = NULL;
	int ret;

	if (depth >= DOC_MAX_DEPTH)
		return fault(r, e, "nested deeper than %d", DOC_MAX_DEPTH);
	if (tag != NULL && strcmp(tag, "!") != 0 &&
	    strcmp(tag, keyed ? YAML_MAP_TAG : YAML_SEQ_TAG) != 0)
		return fault(r, e, "unknown tag %.80s", tag);
	ret = open_anchor(r, &anchor, name);
	if (ret < 0)
		return ret;
	f.value.json = keyed ? json_object() : json_array();
	if (f.value.json == NULL)
		return -ENOMEM;
	ret = read_children(r, &f, depth + 1);
	if (ret == 0)
		ret = tree_add_lines(r->doc, f.value.json, &f.lines);
	free(f.lines.line);
	json_decref(f.merges);
	if (ret < 0) {
		json_decref(f.value.json);
		return ret;
	}
	close_anchor(anchor, &f.value);
	*out = f.value;
	return 0;
}

static int read_value(struct reader *r, yaml_event_t *e, unsigned depth, struct value *out) {
	switch (e->type) {
	case YAML_ALIAS_EVENT:
		return read_alias(r, e, depth, out);
	case YAML_SCALAR_EVENT:
		return read_scalar(r, e, out);
	default:
		return read_container(r, e, depth, out);
	}
}

// One document, up to and with its end.
static int read_document(struct reader *r) {
	struct value v = {0};
	yaml_event_t e;
	unsigned line;
	int ret = next_event(r, &e);

	if (ret < 0)
		return ret;
	line = event_line(&e);
	ret = read_value(r, &e, 0, &v);
	yaml_event_delete(&e);
	forget_anchors(r);
	if (ret < 0)
		return ret;
	if (json_is_null(v.json)) // an empty document
		return 0;
	ret = tree_add_root(r->doc, v.json, line);
	if (ret < 0)
		json_decref(v.json);
	return ret;
}

static int read_stream(struct reader *r) {
	yaml_event_type_t type;
	yaml_event_t e;
	int ret;

	do {
		ret = next_event(r, &e);
		if (ret < 0)
			return ret;
		type = e.type;
		yaml_event_delete(&e);
		if (type == YAML_DOCUMENT_START_EVENT)
			ret = read_document(r);
	} while (ret == 0 && type != YAML_STREAM_END_EVENT);
	return ret;
}

int tree_read_yaml(struct doc *d, const char *text, size_t len, struct error *err) {
	struct reader r = {.doc = d, .err = err};
	int ret;

	if (!yaml_parser_initialize(&r.parser))
		return -ENOMEM;
	yaml_parser_set_input_string(&r.parser, (const unsigned char *)text, len);
	yaml_parser_set_encoding(&r.parser, YAML_UTF8_ENCODING);
	ret = read_stream(&r);
	forget_anchors(&r);
	yaml_parser_delete(&r.parser);
	return ret;
}
