// SPDX-License-Identifier: Apache-2.0
// Items of lists and events of watches -> the sink.
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "api/reflector_private.h"

// A text as a node that lives until text_fini(). Integers beyond 64 bits, which jansson refuses, are what lib/doc is for.
struct text {
	struct doc_node node;
	json_t *json;
	struct doc *doc;
};

static int text_init(struct text *t, const char *text, size_t len, struct error *err) {
	json_error_t fault;
	int ret;

	*t = (struct text){.json = json_loadb(text, len, JSON_ALLOW_NUL, &fault)};
	if (t->json != NULL) {
		t->node = doc_root_json(t->json);
		return 0;
	}
	if (json_error_code(&fault) == json_error_out_of_memory)
		return error_set(err, -ENOMEM, "out of memory");
	ret = error_set(err, -EPROTO, "%s at byte %d", fault.text, fault.position);
	if (json_error_code(&fault) != json_error_numeric_overflow ||
	    doc_parse(&t->doc, "object", text, len, NULL) < 0)
		return ret;
	t->node = doc_root(t->doc, 0);
	return 0;
}

static void text_fini(struct text *t) {
	json_decref(t->json);
	doc_destroy(t->doc);
}

static const char *member_text(const json_t *object, const char *key) {
	const char *text = json_string_value(json_object_get(object, key));

	return text != NULL ? text : "";
}

// The text is no JSON: the sink hears of it, and life goes on.
static int broken(struct reflector *r, int code, const struct error *why) {
	if (code == -ENOMEM)
		return code;
	r->stats.broken++;
	r->settings.sink->broken(r->settings.sink_arg, why);
	return 0;
}

// --- lists ---

static int on_list_item(void *arg, const char *text, size_t len) {
	struct reflector *r = arg;
	struct error err;
	struct text t;
	int ret = text_init(&t, text, len, &err);

	if (ret < 0)
		return broken(r, ret, &err);
	r->now.progress = true;
	ret = r->settings.sink->object(r->settings.sink_arg,
				       &(struct reflector_object){t.node, text, len});
	text_fini(&t);
	return ret < 0 ? ret : 0;
}

static int malformed(struct reflector *r, const char *what) {
	r->now.cause = REFLECTOR_MALFORMED;
	return error_set(&r->now.err, -ECANCELED, "%s", what);
}

static bool is_list_of(const char *list, const char *kind) {
	size_t n = strlen(kind);

	return list[0] == '\0' || (strncmp(list, kind, n) == 0 && strcmp(list + n, "List") == 0);
}

// What a list says of itself. One without a resourceVersion is none: an empty answer must never look like an empty cluster.
static int take_head(struct reflector *r, const json_t *list) {
	const json_t *meta = json_object_get(list, "metadata");
	const char *version = member_text(meta, "resourceVersion");
	const char *page = member_text(meta, "continue");

	if (!is_list_of(member_text(list, "kind"), r->settings.kind))
		return malformed(r, "another kind of list than was asked for");
	if (version[0] == '\0' || strlen(version) >= VERSION_SIZE)
		return malformed(r, "a list without resourceVersion");
	strcpy(r->now.version, version);
	if (page[0] == '\0')
		return 0;
	r->now.next_page = strdup(page);
	return r->now.next_page != NULL ? 0 : -ENOMEM;
}

static int on_list_rest(void *arg, const char *text, size_t len) {
	struct reflector *r = arg;
	struct error err;
	struct text t;
	int ret = text_init(&t, text, len, &err);

	if (ret == -ENOMEM)
		return ret;
	if (ret < 0)
		return malformed(r, "a list whose head is no JSON");
	ret = take_head(r, t.node.json);
	text_fini(&t);
	return ret;
}

const struct splitter_handlers reflector_list_handlers = {on_list_item, on_list_rest};

// --- watches ---

static void skip(struct reflector *r, const char *what, const char *name) {
	r->stats.skipped++;
	snprintf(r->last_error, sizeof(r->last_error), "skipped an event of %s \"%.60s\"", what,
		 name);
}

// Of the events between the beginning and the end of a set the versions are in no order: only the bookmark at its end counts.
static void take_version(struct reflector *r, const json_t *object) {
	const char *version = member_text(json_object_get(object, "metadata"), "resourceVersion");

	r->now.progress = true;
	if (r->ask == ASK_STREAM || version[0] == '\0' || strlen(version) >= VERSION_SIZE)
		return;
	strcpy(r->version, version);
}

static int take_bookmark(struct reflector *r, const json_t *object) {
	const json_t *meta = json_object_get(object, "metadata");
	const char *version = member_text(meta, "resourceVersion");
	const char *ends = member_text(json_object_get(meta, "annotations"),
				       "k8s.io/initial-events-end");

	r->stats.bookmarks++;
	if (r->ask != ASK_STREAM || strcmp(ends, "true") != 0) {
		take_version(r, object);
		return 0;
	}
	if (version[0] == '\0' || strlen(version) >= VERSION_SIZE)
		return malformed(r, "a bookmark without resourceVersion");
	r->now.progress = true;
	return reflector_finish(r, version);
}

static int take_error(struct reflector *r, const struct doc_node *status) {
	api_fault_decode(&r->now.fault, status);
	if (r->now.fault.code == 0)
		r->now.fault.code = 500;
	return error_set(&r->now.err, -ECANCELED, "%s", r->now.fault.text);
}

static int take_event(struct reflector *r, const char *type,
		      const struct reflector_object *object) {
	const struct reflector_sink *sink = r->settings.sink;
	const char *kind = member_text(object->node.json, "kind");
	int ret;

	if (strcmp(type, "ERROR") == 0)
		return take_error(r, &object->node);
	if (strcmp(kind, r->settings.kind) != 0 && kind[0] != '\0') {
		skip(r, "kind", kind);
		return 0;
	}
	if (strcmp(type, "BOOKMARK") == 0)
		return take_bookmark(r, object->node.json);
	if (strcmp(type, "ADDED") == 0 || strcmp(type, "MODIFIED") == 0) {
		ret = sink->object(r->settings.sink_arg, object);
	} else if (strcmp(type, "DELETED") == 0) {
		ret = sink->remove(r->settings.sink_arg, object);
	} else {
		skip(r, "type", type);
		return 0;
	}
	if (ret < 0)
		return ret;
	r->stats.events++;
	take_version(r, object->node.json);
	return 0;
}

// Past the string that begins at p, a quote.
static const char *string_end(const char *p, const char *end) {
	for (p++; p < end && *p != '"'; p++)
		p += *p == '\\';
	return p < end ? p + 1 : end;
}

// Where the value of an event's member "object" stands in its text, which is JSON. Of several the last one counts, as it does for the reader.
static void find_object(struct reflector_object *o, const char *text, size_t len) {
	static const char name[] = "\"object\"";
	const char *end = text + len, *value = NULL, *next;
	bool named =
		false; // since the last comma; a value of that text has none behind it but a bracket
	unsigned depth = 0;

	for (const char *p = text; p < end; p = next) {
		next = p + 1;
		if (*p == '"') {
			next = string_end(p, end);
			named |= depth == 1 && next - p == sizeof(name) - 1 &&
				 memcmp(p, name, sizeof(name) - 1) == 0;
		} else if (*p == '{' || *p == '[') {
			value = depth++ == 1 && named ? p : value;
		} else if (*p == '}' || *p == ']') {
			if (--depth == 1 && value != NULL) {
				o->text = value;
				o->len = (size_t)(next - value);
				value = NULL;
			}
		} else if (*p == ',' && depth == 1) {
			named = false;
		}
	}
}

static int on_event(void *arg, const char *text, size_t len) {
	struct reflector_object object = {.text = "", .len = 0};
	struct reflector *r = arg;
	struct error err;
	struct text t;
	int ret = text_init(&t, text, len, &err);

	if (ret < 0)
		return broken(r, ret, &err);
	ret = doc_member(&object.node, &t.node, "object", &err);
	if (ret == 0 && json_is_object(object.node.json)) {
		find_object(&object, text, len);
		ret = take_event(r, member_text(t.node.json, "type"), &object);
	} else {
		skip(r, "type", member_text(t.node.json, "type"));
	}
	text_fini(&t);
	return ret;
}

const struct splitter_handlers reflector_watch_handlers = {on_event, NULL};
