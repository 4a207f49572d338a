// SPDX-License-Identifier: Apache-2.0
// The memory of addresses as a file: {"version": 1, "addresses": [{"namespace", "name", "address", "pool"}], "released":
// [{the same, "secondsAgo"}]}.
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "doc/doc.h"
#include "ipam/memory.h"

#define FILE_VERSION 1
#define FILE_MAX (64u << 20)

static int text_field(char *out, size_t size, const struct doc_node *n, const char *key,
		      struct error *err) {
	const char *text = NULL;
	int ret = doc_get_string(n, key, &text, err);

	if (ret < 0)
		return ret;
	if (text == NULL || text[0] == 0 || strlen(text) >= size)
		return doc_fault(n, err, -EINVAL, "%s: missing or too long", key);
	strcpy(out, text);
	return 0;
}

// Of a status, a pool may be unknown: "".
static int pool_field(struct ipam_entry *e, const struct doc_node *n, struct error *err) {
	const char *text = NULL;
	int ret = doc_get_string(n, "pool", &text, err);

	return ret == 0 && text != NULL && text[0] == 0
		       ? 0
		       : text_field(e->pool, sizeof(e->pool), n, "pool", err);
}

static int read_entry(struct ipam_entry *e, const struct doc_node *n, struct error *err) {
	char text[IP_ADDR_STR + 1];
	int ret = text_field(e->ns, sizeof(e->ns), n, "namespace", err);

	if (ret == 0)
		ret = text_field(e->name, sizeof(e->name), n, "name", err);
	if (ret == 0)
		ret = pool_field(e, n, err);
	if (ret == 0)
		ret = text_field(text, sizeof(text), n, "address", err);
	if (ret == 0 && ip_addr_parse(&e->addr, text) < 0)
		ret = doc_fault(n, err, -EINVAL, "address: not an IP address");
	return ret;
}

static int read_entries(struct ipam_memory *m, const struct doc_node *list, struct error *err) {
	size_t n;
	int ret = doc_array_size(list, &n, err);

	for (size_t i = 0; ret == 0 && i < n; i++) {
		struct doc_node node = doc_element(list, i);
		struct ipam_entry e = {0};

		ret = read_entry(&e, &node, err);
		if (ret == 0)
			ret = ipam_memory_put(m, &e) < 0 ? -ENOMEM : 0;
	}
	return ret;
}

// Oldest first, so that they keep their order.
static int read_released(struct ipam_memory *m, const struct doc_node *list, struct error *err) {
	size_t n;
	int ret = doc_array_size(list, &n, err);

	for (size_t i = 0; ret == 0 && i < n; i++) {
		struct doc_node node = doc_element(list, i);
		struct ipam_entry e = {0};
		int64_t age = 0;

		ret = read_entry(&e, &node, err);
		if (ret == 0)
			ret = doc_get_int(&node, "secondsAgo", &age, 0, INT32_MAX, err);
		if (ret == 0)
			ret = ipam_memory_load_released(m, &e, age * 1000);
	}
	return ret;
}

static int read_document(struct ipam_memory *m, const struct doc *d, struct error *err) {
	struct doc_node root, list;
	int64_t version = 0;
	int ret;

	if (doc_count(d) != 1)
		return error_set(err, -EINVAL, "not one JSON document");
	root = doc_root(d, 0);
	ret = doc_get_int(&root, "version", &version, 1, INT32_MAX, err);
	if (ret == 0 && version != FILE_VERSION)
		ret = doc_fault(&root, err, -EINVAL, "version: not %d", FILE_VERSION);
	if (ret == 0)
		ret = doc_member(&list, &root, "addresses", err);
	if (ret == 0)
		ret = read_entries(m, &list, err);
	if (ret == 0)
		ret = doc_member(&list, &root, "released", err);
	return ret == 0 ? read_released(m, &list, err) : ret;
}

static void forget_all(struct ipam_memory *m) {
	const struct ipam_entry **list;
	int n = ipam_memory_list(m, &list);

	for (int i = 0; i < n; i++)
		ipam_memory_remove(m, list[i]->ns, list[i]->name, list[i]->addr.family);
	if (n >= 0)
		free(list);
}

static int set_aside(const char *path, struct error *err) {
	char aside[PATH_MAX];
	struct error why = *err;
	int ret = file_set_aside(path, aside);

	if (ret < 0)
		return error_set(err, ret, "%s: %.200s; it can't be set aside: %s", path, why.text,
				 strerror(-ret));
	return error_set(err, 1, "%.700s; kept as %.255s, starting without remembered addresses",
			 why.text, aside);
}

int ipam_memory_load(struct ipam_memory *m, const char *path, struct error *err) {
	struct error local;
	struct doc *d = NULL;
	int ret;

	if (err == NULL)
		err = &local;
	ret = doc_load(&d, path, FILE_MAX, err);
	if (ret == -ENOENT)
		return 0;
	if (ret == 0)
		ret = read_document(m, d, err);
	doc_destroy(d);
	if (ret == -EINVAL || ret == -EFBIG) {
		forget_all(m);
		ret = set_aside(path, err);
	}
	if (ret == 0)
		ipam_memory_set_saved(m);
	return ret;
}

static json_t *entry_json(const struct ipam_entry *e) {
	char text[IP_ADDR_STR];

	return json_pack("{s:s, s:s, s:s, s:s}", "namespace", e->ns, "name", e->name, "address",
			 ip_addr_format(&e->addr, text), "pool", e->pool);
}

struct release_list {
	json_t *array;
	int64_t now;
};

static int add_released(void *arg, const struct ipam_entry *e, int64_t at) {
	struct release_list *l = arg;
	json_t *json = entry_json(e);

	if (json == NULL ||
	    json_object_set_new(json, "secondsAgo", json_integer((l->now - at) / 1000)) < 0) {
		json_decref(json);
		return -ENOMEM;
	}
	return json_array_append_new(l->array, json) < 0 ? -ENOMEM : 0;
}

static int set_released(json_t *root, const struct ipam_memory *m) {
	struct release_list l = {json_array(), ipam_memory_time(m)};
	int ret = ipam_memory_each_released(m, add_released, &l);

	if (ret == 0 && json_array_size(l.array) > 0)
		ret = json_object_set(root, "released", l.array);
	json_decref(l.array);
	return ret;
}

// NULL: out of memory.
static char *to_text(const struct ipam_memory *m) {
	const struct ipam_entry **list;
	int n = ipam_memory_list(m, &list);
	json_t *array, *root;
	char *text = NULL;

	if (n < 0)
		return NULL;
	array = json_array();
	root = json_pack("{s:i, s:O?}", "version", FILE_VERSION, "addresses", array);
	for (int i = 0; i < n && root != NULL; i++)
		if (json_array_append_new(array, entry_json(list[i])) < 0) {
			json_decref(root);
			root = NULL;
		}
	if (root != NULL && set_released(root, m) == 0)
		text = json_dumps(root, JSON_INDENT(1) | JSON_SORT_KEYS);
	json_decref(root);
	json_decref(array);
	free(list);
	return text;
}

int ipam_memory_save(struct ipam_memory *m, const char *path, struct error *err) {
	char *text = to_text(m);
	int ret;

	if (text == NULL)
		return error_set(err, -ENOMEM, "%s: out of memory", path);
	ret = file_replace(path, text, strlen(text));
	free(text);
	if (ret < 0)
		return error_set(err, ret, "%s: can't be written: %s", path, strerror(-ret));
	ipam_memory_set_saved(m);
	return 0;
}
