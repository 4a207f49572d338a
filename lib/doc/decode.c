// SPDX-License-Identifier: Apache-2.0
// Strict values: one node in, one C value out, or a fault that says what was expected.
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "doc/tree.h"

int doc_member(struct doc_node *out, const struct doc_node *n, const char *key, struct error *err) {
	json_t *value = NULL;

	if (doc_present(n)) {
		if (!json_is_object(n->json))
			return doc_fault(n, err, -EINVAL, "not an object");
		value = json_object_get(n->json, key);
		if (json_is_null(value))
			value = NULL;
	}
	*out = (struct doc_node){.doc = n->doc, .json = value, .parent = n, .key = key};
	return 0;
}

int doc_array_size(const struct doc_node *n, size_t *size, struct error *err) {
	if (doc_present(n) && !json_is_array(n->json))
		return doc_fault(n, err, -EINVAL, "not an array");
	*size = doc_present(n) ? json_array_size(n->json) : 0;
	return 0;
}

struct doc_node doc_element(const struct doc_node *n, size_t i) {
	return (struct doc_node){.doc = n->doc,
				 .json = json_array_get(n->json, i),
				 .parent = n,
				 .index = i};
}

int doc_string(const struct doc_node *n, const char **out, struct error *err) {
	if (!doc_present(n))
		return 0;
	if (!json_is_string(n->json) ||
	    strlen(json_string_value(n->json)) != json_string_length(n->json))
		return doc_fault(n, err, -EINVAL, "not a string");
	*out = json_string_value(n->json);
	return 0;
}

int doc_int(const struct doc_node *n, int64_t *out, int64_t min, int64_t max, struct error *err) {
	uint64_t big;
	int64_t v;

	if (!doc_present(n))
		return 0;
	if (!json_is_integer(n->json) && !doc_big(n, &big))
		return doc_fault(n, err, -EINVAL, "not an integer");
	v = json_integer_value(n->json);
	if (!json_is_integer(n->json) || v < min || v > max)
		return doc_fault(n, err, -EINVAL, "not within %" PRId64 "..%" PRId64, min, max);
	*out = v;
	return 0;
}

int doc_uint64(const struct doc_node *n, uint64_t *out, struct error *err) {
	if (!doc_present(n) || doc_big(n, out))
		return 0;
	if (!json_is_integer(n->json))
		return doc_fault(n, err, -EINVAL, "not an integer");
	if (json_integer_value(n->json) < 0)
		return doc_fault(n, err, -EINVAL, "not within 0..%" PRIu64, UINT64_MAX);
	*out = (uint64_t)json_integer_value(n->json);
	return 0;
}

int doc_bool(const struct doc_node *n, bool *out, struct error *err) {
	if (!doc_present(n))
		return 0;
	if (!json_is_boolean(n->json))
		return doc_fault(n, err, -EINVAL, "not a boolean");
	*out = json_is_true(n->json);
	return 0;
}

// "a, b, c"; cut where the space ends.
static const char *join(char *buf, size_t size, const char *const *names, size_t n) {
	size_t at = 0;

	buf[0] = 0;
	for (size_t i = 0; i < n && at < size; i++)
		at += (size_t)snprintf(buf + at, size - at, "%s%s", i > 0 ? ", " : "", names[i]);
	return buf;
}

int doc_enum(const struct doc_node *n, int *out, const char *const *names, size_t n_names,
	     struct error *err) {
	const char *text = NULL;
	char list[400];
	int ret = doc_string(n, &text, err);

	if (ret < 0 || text == NULL)
		return ret;
	for (size_t i = 0; i < n_names; i++) {
		if (strcmp(text, names[i]) == 0) {
			*out = (int)i;
			return 0;
		}
	}
	return doc_fault(n, err, -EINVAL, "not one of %s",
			 join(list, sizeof(list), names, n_names));
}

bool doc_next(struct doc_node *member, const struct doc_node *n) {
	void *iter;

	if (member->key == NULL)
		iter = json_object_iter(n->json);
	else
		iter = json_object_iter_next(n->json, json_object_key_to_iter(member->key));
	if (iter == NULL)
		return false;
	*member = (struct doc_node){
		.doc = n->doc,
		.json = json_object_iter_value(iter),
		.parent = n,
		.key = json_object_iter_key(iter),
	};
	return true;
}

int doc_known(const struct doc_node *member, const char *const *keys, size_t n_keys,
	      struct error *err) {
	char list[500];

	for (size_t i = 0; i < n_keys; i++)
		if (strcmp(member->key, keys[i]) == 0)
			return 0;
	return doc_fault(member, err, -EINVAL, "unknown key; known here: %s",
			 join(list, sizeof(list), keys, n_keys));
}

int doc_only(const struct doc_node *n, const char *const *keys, size_t n_keys, struct error *err) {
	struct doc_node member = {0};

	if (!doc_present(n))
		return 0;
	if (!json_is_object(n->json))
		return doc_fault(n, err, -EINVAL, "not an object");
	while (doc_next(&member, n))
		if (doc_known(&member, keys, n_keys, err) < 0)
			return -EINVAL;
	return 0;
}

int doc_get_string(const struct doc_node *n, const char *key, const char **out, struct error *err) {
	struct doc_node m;
	int ret = doc_member(&m, n, key, err);

	return ret < 0 ? ret : doc_string(&m, out, err);
}

int doc_get_int(const struct doc_node *n, const char *key, int64_t *out, int64_t min, int64_t max,
		struct error *err) {
	struct doc_node m;
	int ret = doc_member(&m, n, key, err);

	return ret < 0 ? ret : doc_int(&m, out, min, max, err);
}

int doc_get_bool(const struct doc_node *n, const char *key, bool *out, struct error *err) {
	struct doc_node m;
	int ret = doc_member(&m, n, key, err);

	return ret < 0 ? ret : doc_bool(&m, out, err);
}
