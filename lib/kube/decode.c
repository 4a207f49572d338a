// SPDX-License-Identifier: Apache-2.0
// From a document to objects: lists, kinds, metadata, and the helpers that the kinds' decoders share.
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "kube/memory.h"
#include "model/model.h"

#define NAME_MAX_LEN 253
#define LABEL_MAX 63

int kube_text(struct kube_object *o, const char **out, const struct doc_node *n, const char *key,
	      size_t max, struct error *err) {
	struct doc_node m;
	const char *text = NULL;
	int ret = doc_member(&m, n, key, err);

	if (ret == 0)
		ret = doc_string(&m, &text, err);
	if (ret < 0 || text == NULL)
		return ret;
	if (strlen(text) > max)
		return doc_fault(&m, err, -EINVAL, "longer than %zu bytes", max);
	text = kube_strdup(o, text);
	if (text == NULL)
		return error_set(err, -ENOMEM, "out of memory");
	*out = text;
	return 0;
}

int kube_map_text(struct kube_object *o, const char **out, const struct doc_node *n,
		  const char *map, const char *key, struct error *err) {
	struct doc_node meta, m;
	int ret = doc_member(&meta, n, "metadata", err);

	if (ret == 0)
		ret = doc_member(&m, &meta, map, err);
	return ret == 0 ? kube_text(o, out, &m, key, 262144, err) : ret;
}

int kube_protocol(uint8_t *out, const struct doc_node *n, struct error *err) {
	static const char *const names[] = {"TCP", "UDP", "SCTP"};
	static const uint8_t numbers[] = {MODEL_TCP, MODEL_UDP, MODEL_SCTP};
	struct doc_node m;
	int i = 0, ret = doc_member(&m, n, "protocol", err);

	if (ret == 0)
		ret = doc_enum(&m, &i, names, 3, err);
	if (ret == 0)
		*out = numbers[i];
	return ret;
}

int kube_addr(struct ip_addr *out, const struct doc_node *n, struct error *err) {
	const char *text = NULL;
	int ret = doc_string(n, &text, err);

	if (ret == 0 && (text == NULL || ip_addr_parse(out, text) < 0))
		ret = doc_fault(n, err, -EINVAL, "not an IP address");
	return ret;
}

// A Kubernetes name: lower-case letters, digits, '-' and '.'.
static int check_name(const struct doc_node *meta, const char *key, const char *text, size_t max,
		      struct error *err) {
	size_t len = strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789-.");

	if (text[0] == 0 || text[len] != 0 || len > max)
		return doc_fault(meta, err, -EINVAL,
				 "%s: not a name of at most %zu of a-z, 0-9, '-', '.'", key, max);
	return 0;
}

// Seconds and a fraction after RFC 3339, with Z or an offset.
static bool parse_time(int64_t *out, const char *text) {
	struct tm tm = {0};
	int64_t nanos = 0, offset = 0, scale = 100000000;
	const char *p = strptime(text, "%Y-%m-%dT%H:%M:%S", &tm);
	int hours, minutes, used = 0;

	if (p == NULL || tm.tm_year < 0 || tm.tm_year > 360) // nanoseconds fit 64 bits until 2262
		return false;
	if (*p == '.')
		for (p++; *p >= '0' && *p <= '9'; p++, scale /= 10)
			nanos += (*p - '0') * scale;
	if (*p == '+' || *p == '-') {
		if (sscanf(p + 1, "%2d:%2d%n", &hours, &minutes, &used) != 2 || used != 5 ||
		    p[6] != 0)
			return false;
		offset = (hours * 3600 + minutes * 60) * (*p == '+' ? 1 : -1);
	} else if (strcmp(p, "Z") != 0) {
		return false;
	}
	*out = (timegm(&tm) - offset) * INT64_C(1000000000) + nanos;
	return true;
}

static int decode_time(int64_t *out, const struct doc_node *meta, const char *key,
		       struct error *err) {
	struct doc_node n;
	const char *text = NULL;
	int ret = doc_member(&n, meta, key, err);

	if (ret == 0)
		ret = doc_string(&n, &text, err);
	if (ret == 0 && text != NULL && !parse_time(out, text))
		ret = doc_fault(&n, err, -EINVAL, "not a time such as 2026-01-02T03:04:05Z");
	return ret;
}

static int decode_names(struct kube_object *o, const struct doc_node *n, struct error *err) {
	struct kube_meta *m = &o->meta;
	bool cluster_wide = m->kind == KUBE_NODE;
	size_t max = m->kind == KUBE_SERVICE ? LABEL_MAX : NAME_MAX_LEN;
	int ret;

	m->ns = cluster_wide ? "" : "default";
	m->name = m->uid = m->resource_version = "";
	ret = kube_text(o, &m->name, n, "name", NAME_MAX_LEN, err);
	if (ret == 0)
		ret = kube_text(o, &m->uid, n, "uid", LABEL_MAX, err);
	if (ret == 0 && !cluster_wide)
		ret = kube_text(o, &m->ns, n, "namespace", LABEL_MAX, err);
	if (ret == 0)
		ret = check_name(n, "name", m->name, max, err);
	if (ret == 0 && !cluster_wide)
		ret = check_name(n, "namespace", m->ns, LABEL_MAX, err);
	return ret;
}

static int decode_meta(struct kube_object *o, const struct doc_node *n, struct error *err) {
	struct doc_node meta;
	int64_t deleted = INT64_MIN;
	int ret = doc_member(&meta, n, "metadata", err);

	o->meta.created = INT64_MIN;
	if (ret == 0)
		ret = decode_names(o, &meta, err);
	if (ret == 0)
		ret = decode_time(&o->meta.created, &meta, "creationTimestamp", err);
	if (ret == 0)
		ret = decode_time(&deleted, &meta, "deletionTimestamp", err);
	o->meta.deleting = deleted != INT64_MIN;
	if (ret == 0)
		ret = kube_text(o, &o->meta.resource_version, &meta, "resourceVersion", 128, err);
	if (ret == 0)
		ret = doc_get_int(&meta, "generation", &o->meta.generation, 0, INT64_MAX, err);
	return ret;
}

struct kind {
	const char *api, *kind, *list;
	int (*decode)(struct kube_object *o, const struct doc_node *n, struct error *err);
};

static const struct kind kinds[KUBE_KINDS] = {
	[KUBE_SERVICE] = {"v1", "Service", "ServiceList", kube_decode_service},
	[KUBE_SLICE] = {"discovery.k8s.io/v1", "EndpointSlice", "EndpointSliceList",
			kube_decode_slice},
	[KUBE_ENDPOINTS] = {"v1", "Endpoints", "EndpointsList", kube_decode_endpoints},
	[KUBE_NODE] = {"v1", "Node", "NodeList", kube_decode_node},
};

struct decoder {
	kube_object_fn fn;
	kube_skip_fn skip;
	void *arg;
};

static int decode_object(struct kube_object **out, const struct doc_node *n, enum kube_kind kind,
			 struct error *err) {
	struct kube_object *o = kube_object_create(kind);
	int ret;

	if (o == NULL)
		return error_set(err, -ENOMEM, "out of memory");
	ret = decode_meta(o, n, err);
	if (ret == 0)
		ret = kinds[kind].decode(o, n, err);
	if (ret < 0)
		kube_object_put(o);
	else
		*out = o;
	return ret;
}

static void skip(const struct decoder *d, const struct doc_node *n, const char *api,
		 const char *kind) {
	struct error what;

	if (d->skip == NULL)
		return;
	doc_fault(n, &what, 0, "kind %.100s of %.100s is not used here, skipped", kind, api);
	d->skip(d->arg, &what);
}

// The texts of apiVersion and kind; an item of a typed list may leave both out.
static int type_of(const struct doc_node *n, const struct kind *list, const char **api,
		   const char **kind, struct error *err) {
	int ret;

	*api = list != NULL ? list->api : NULL;
	*kind = list != NULL ? list->kind : NULL;
	if (!json_is_object(n->json))
		return doc_fault(n, err, -EINVAL, "not an object");
	ret = doc_get_string(n, "apiVersion", api, err);
	if (ret == 0)
		ret = doc_get_string(n, "kind", kind, err);
	if (ret == 0 && (*api == NULL || *kind == NULL))
		ret = doc_fault(n, err, -EINVAL, "no apiVersion or no kind");
	return ret;
}

static int decode_item(const struct decoder *d, const struct doc_node *n, const struct kind *list,
		       struct error *err) {
	const char *api, *kind;
	struct kube_object *o = NULL;
	int ret = type_of(n, list, &api, &kind, err);

	for (int k = 0; k < KUBE_KINDS && ret == 0; k++)
		if (strcmp(api, kinds[k].api) == 0 && strcmp(kind, kinds[k].kind) == 0) {
			ret = decode_object(&o, n, k, err);
			return ret < 0 ? ret : d->fn(d->arg, o);
		}
	if (ret == 0)
		skip(d, n, api, kind);
	return ret;
}

static int decode_items(const struct decoder *d, const struct doc_node *n, const struct kind *list,
			struct error *err) {
	struct doc_node items;
	size_t size = 0;
	int ret = doc_member(&items, n, "items", err);

	if (ret == 0)
		ret = doc_array_size(&items, &size, err);
	for (size_t i = 0; ret >= 0 && i < size; i++) {
		struct doc_node item = doc_element(&items, i);

		ret = decode_item(d, &item, list, err);
	}
	return ret;
}

int kube_decode(const struct doc_node *n, kube_object_fn fn, kube_skip_fn skip_fn, void *arg,
		struct error *err) {
	const struct decoder d = {fn, skip_fn, arg};
	const char *api, *kind;
	int ret = type_of(n, NULL, &api, &kind, err);

	if (ret < 0)
		return ret;
	if (strcmp(api, "v1") == 0 && strcmp(kind, "List") == 0)
		return decode_items(&d, n, NULL, err);
	for (int k = 0; k < KUBE_KINDS; k++)
		if (strcmp(api, kinds[k].api) == 0 && strcmp(kind, kinds[k].list) == 0)
			return decode_items(&d, n, &kinds[k], err);
	return decode_item(&d, n, NULL, err);
}

int kube_decode_one(struct kube_object **out, enum kube_kind kind, const struct doc_node *n,
		    struct error *err) {
	const char *api, *name;
	int ret = type_of(n, &kinds[kind], &api, &name, err);

	if (ret < 0)
		return ret;
	if (strcmp(api, kinds[kind].api) != 0 || strcmp(name, kinds[kind].kind) != 0)
		return doc_fault(n, err, -EINVAL, "kind %.100s of %.100s, not %s", name, api,
				 kinds[kind].kind);
	return decode_object(out, n, kind, err);
}
