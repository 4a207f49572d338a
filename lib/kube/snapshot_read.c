// SPDX-License-Identifier: Apache-2.0
// A snapshot's text -> records.
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "kube/snapshot_private.h"

#define SNAPSHOT_MAX (1u << 30)

struct reader {
	const char *at, *end;
	struct error *err;
};

// The next line as a JSON object. NULL: there is none.
static json_t *next_line(struct reader *r, size_t max) {
	size_t left = (size_t)(r->end - r->at);
	const char *newline = memchr(r->at, '\n', left < max ? left : max);
	json_t *line;

	if (newline == NULL)
		return NULL;
	line = json_loadb(r->at, (size_t)(newline - r->at), 0, NULL);
	r->at = newline + 1;
	if (json_is_object(line))
		return line;
	json_decref(line);
	return NULL;
}

static int damaged(const struct reader *r, const char *what) {
	return error_set(r->err, -EINVAL, "%s", what);
}

// The last line holds, and everything before it is as it was written. Cuts it off.
static int check_sum(struct reader *r) {
	char wanted[SNAPSHOT_FOOTER + 1];
	size_t len = (size_t)(r->end - r->at);

	if (len < SNAPSHOT_FOOTER)
		return damaged(r, "too short");
	r->end -= SNAPSHOT_FOOTER;
	snapshot_footer(wanted, snapshot_sum(SNAPSHOT_SEED, r->at, len - SNAPSHOT_FOOTER));
	return memcmp(r->end, wanted, SNAPSHOT_FOOTER) == 0 ? 0 : damaged(r, "torn or damaged");
}

static int read_head(struct reader *r, struct snapshot_info *out, size_t *objects,
		     const char *source) {
	json_t *head = next_line(r, 4096);
	const char *from = json_string_value(json_object_get(head, "source"));
	json_int_t n = json_integer_value(json_object_get(head, "objects"));
	int ret = 0;

	out->saved_at = json_integer_value(json_object_get(head, "savedAt"));
	if (json_integer_value(json_object_get(head, "snapshot")) != SNAPSHOT_VERSION)
		ret = damaged(r, "of another version, or no snapshot");
	else if (from == NULL || n < 0)
		ret = damaged(r, "its first line lacks something");
	else if (strcmp(from, source) != 0)
		ret = error_set(r->err, -ESTALE, "it is of %.200s, not of %.200s", from, source);
	*objects = (size_t)n;
	json_decref(head);
	return ret;
}

static int kind_of(const char *name) {
	for (int kind = 0; name != NULL && kind < KUBE_KINDS; kind++)
		if (strcmp(name, kube_kind_name(kind)) == 0)
			return kind;
	return -1;
}

// *text and *len get the next object's. Errors: -EINVAL.
static int next_object(struct reader *r, int *kind, const char **text, size_t *len) {
	json_t *line = next_line(r, 256);
	json_int_t bytes = json_integer_value(json_object_get(line, "bytes"));

	*kind = kind_of(json_string_value(json_object_get(line, "kind")));
	json_decref(line);
	if (line == NULL || bytes < 0 || bytes >= r->end - r->at || r->at[bytes] != '\n')
		return damaged(r, "an object of it is cut");
	*text = r->at;
	*len = (size_t)bytes;
	r->at += bytes + 1;
	return 0;
}

// What this version can't decode is left out: the API server has the rest.
static int take_object(struct snapshot_info *out, int kind, const char *text, size_t len,
		       snapshot_fn fn, void *arg) {
	json_t *json = json_loadb(text, len, JSON_ALLOW_NUL, NULL);
	struct doc_node n = doc_root_json(json);
	struct kube_record *r = NULL;
	int ret = -EINVAL;

	if (json != NULL && kind >= 0)
		ret = kube_record_create(&r, (enum kube_kind)kind, &n, text, len, NULL);
	json_decref(json);
	if (ret < 0) {
		out->skipped++;
		return ret == -ENOMEM ? ret : 0;
	}
	ret = fn(arg, r);
	kube_record_put(r);
	out->objects++;
	return ret < 0 ? ret : 0;
}

// All frames first, so that nothing is taken from a text that turns out to be none.
static int check_frames(struct reader r, size_t objects) {
	const char *text;
	size_t len;
	int kind, ret = 0;

	for (size_t i = 0; ret == 0 && i < objects; i++)
		ret = next_object(&r, &kind, &text, &len);
	return ret == 0 && r.at != r.end ? damaged(&r, "more objects than it says") : ret;
}

int snapshot_parse(struct snapshot_info *out, const char *text, size_t len, const char *source,
		   snapshot_fn fn, void *arg, struct error *err) {
	struct reader r = {.at = text, .end = text + len, .err = err};
	size_t objects = 0;
	int ret = check_sum(&r);

	*out = (struct snapshot_info){0};
	if (ret == 0)
		ret = read_head(&r, out, &objects, source);
	if (ret == 0)
		ret = check_frames(r, objects);
	for (size_t i = 0; ret == 0 && i < objects; i++) {
		const char *object = NULL;
		size_t n = 0;
		int kind = -1;

		next_object(&r, &kind, &object, &n);
		ret = take_object(out, kind, object, n, fn, arg);
	}
	return ret;
}

static int set_aside(const char *path, struct error *err) {
	char aside[PATH_MAX];
	struct error why = *err;
	int ret = file_set_aside(path, aside);

	if (ret < 0)
		return error_set(err, ret, "%.300s: %.200s; it can't be set aside: %s", path,
				 why.text, strerror(-ret));
	return error_set(err, 1, "%.300s: %.200s; kept as %.300s", path, why.text, aside);
}

int snapshot_load(struct snapshot_info *out, const char *path, const char *source, snapshot_fn fn,
		  void *arg, struct error *err) {
	char *text = NULL;
	size_t len = 0;
	int ret = file_read(path, SNAPSHOT_MAX, &text, &len);

	if (ret < 0)
		return error_set(err, ret, "%s: can't be read: %s", path, strerror(-ret));
	ret = snapshot_parse(out, text, len, source, fn, arg, err);
	free(text);
	return ret == -EINVAL ? set_aside(path, err) : ret;
}
