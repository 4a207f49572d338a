// SPDX-License-Identifier: Apache-2.0
// What stands in a Service's status and metadata because a load balancer wrote it: ingress, our conditions, our finalizer; and the labels.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kube/memory.h"

#define FINALIZER "service.kubernetes.io/load-balancer-cleanup"
#define CONDITION_PREFIX "sluice.dev/"
#define PORTS_ERROR "LoadBalancerPortsError"

static int out_of_memory(struct error *err) {
	return error_set(err, -ENOMEM, "out of memory");
}

static int decode_ingress(struct kube_service *s, struct ip_addr *addrs, uint8_t *modes,
			  const struct doc_node *n, struct error *err) {
	static const char *const names[] = {"", "VIP", "Proxy"}; // enum kube_ip_mode
	struct doc_node ip, m;
	int mode = KUBE_IP_MODE_NONE, ret = doc_member(&ip, n, "ip", err);

	if (ret < 0)
		return ret;
	doc_member(&m, n, "hostname", NULL);
	s->status_alien |= doc_present(&m) && json_string_length(m.json) > 0;
	doc_member(&m, n, "ports", NULL);
	s->status_alien |= json_array_size(m.json) > 0;
	if (!doc_present(&ip) || (json_is_string(ip.json) && json_string_length(ip.json) == 0)) {
		s->status_alien = true;
		return 0;
	}
	doc_member(&m, n, "ipMode", NULL);
	if (doc_enum(&m, &mode, names, 3, NULL) < 0)
		s->status_alien = true; // a mode of later times: not ours
	ret = kube_addr(&addrs[s->n_status], &ip, err);
	modes[s->n_status++] = (uint8_t)mode;
	return ret;
}

static int keep_ingress(struct kube_object *o, const struct doc_node *list, struct error *err) {
	char *text = json_dumps(list->json, JSON_COMPACT | JSON_SORT_KEYS);

	o->service.ingress = text == NULL ? NULL : kube_strdup(o, text);
	free(text);
	return o->service.ingress == NULL ? out_of_memory(err) : 0;
}

static int decode_load_balancer(struct kube_object *o, const struct doc_node *status,
				struct error *err) {
	struct kube_service *s = &o->service;
	struct doc_node lb, list;
	struct ip_addr *addrs;
	uint8_t *modes;
	size_t size = 0;
	int ret = doc_member(&lb, status, "loadBalancer", err);

	if (ret == 0)
		ret = kube_get_array(&list, &size, &lb, "ingress", err);
	if (ret < 0)
		return ret;
	addrs = kube_alloc(o, size, sizeof(*addrs));
	modes = kube_alloc(o, size, sizeof(*modes));
	if (addrs == NULL || modes == NULL)
		return out_of_memory(err);
	for (size_t i = 0; ret == 0 && i < size; i++) {
		struct doc_node item = doc_element(&list, i);

		ret = decode_ingress(s, addrs, modes, &item, err);
	}
	s->status = addrs;
	s->status_modes = modes;
	return ret == 0 && s->status_alien ? keep_ingress(o, &list, err) : ret;
}

static bool is_ours(const char *type) {
	return strncmp(type, CONDITION_PREFIX, strlen(CONDITION_PREFIX)) == 0 ||
	       strcmp(type, PORTS_ERROR) == 0;
}

// A condition of a type that we write; others are left out.
static int decode_condition(struct kube_object *o, struct kube_condition *list,
			    const struct doc_node *n, struct error *err) {
	struct kube_condition c = {"", "", "", "", "", 0};
	int ret = kube_text(o, &c.type, n, "type", 316, err);

	if (ret < 0 || !is_ours(c.type))
		return ret;
	ret = kube_text(o, &c.status, n, "status", 32, err);
	if (ret == 0)
		ret = kube_text(o, &c.reason, n, "reason", 1024, err);
	if (ret == 0)
		ret = kube_text(o, &c.message, n, "message", 32768, err);
	if (ret == 0)
		ret = kube_text(o, &c.since, n, "lastTransitionTime", 64, err);
	if (ret == 0)
		ret = doc_get_int(n, "observedGeneration", &c.observed, 0, INT64_MAX, err);
	list[o->service.n_conditions++] = c;
	return ret;
}

static int decode_conditions(struct kube_object *o, const struct doc_node *status,
			     struct error *err) {
	struct kube_condition *conditions;
	struct doc_node list;
	size_t size = 0;
	int ret = kube_get_array(&list, &size, status, "conditions", err);

	if (ret < 0)
		return ret;
	conditions = kube_alloc(o, size, sizeof(*conditions));
	if (conditions == NULL)
		return out_of_memory(err);
	for (size_t i = 0; ret == 0 && i < size; i++) {
		struct doc_node item = doc_element(&list, i);

		ret = decode_condition(o, conditions, &item, err);
	}
	o->service.conditions = conditions;
	return ret;
}

static int decode_finalizers(struct kube_object *o, const struct doc_node *meta,
			     struct error *err) {
	struct doc_node list;
	size_t size = 0;
	int ret = kube_get_array(&list, &size, meta, "finalizers", err);

	for (size_t i = 0; ret == 0 && i < size; i++) {
		struct doc_node item = doc_element(&list, i);
		const char *text = NULL;

		ret = doc_string(&item, &text, err);
		o->meta.finalizer |= ret == 0 && text != NULL && strcmp(text, FINALIZER) == 0;
	}
	return ret;
}

static int label_cmp(const void *x, const void *y) {
	const struct kube_label *a = x, *b = y;

	return strcmp(a->key, b->key);
}

// A map of texts, in order of keys; null values are left out.
static int decode_map(struct kube_object *o, const struct kube_label **out, uint32_t *n,
		      const struct doc_node *map, struct error *err) {
	struct kube_label *labels = kube_alloc(o, json_object_size(map->json), sizeof(*labels));
	struct doc_node member = {0};

	*n = 0;
	if (labels == NULL)
		return out_of_memory(err);
	while (doc_next(&member, map)) {
		const char *value = NULL;
		int ret = doc_string(&member, &value, err);

		if (ret < 0)
			return ret;
		if (value == NULL)
			continue;
		labels[*n].key = kube_strdup(o, member.key);
		labels[*n].value = kube_strdup(o, value);
		if (labels[*n].key == NULL || labels[*n].value == NULL)
			return out_of_memory(err);
		++*n;
	}
	qsort(labels, *n, sizeof(*labels), label_cmp);
	*out = labels;
	return 0;
}

// The selector as one text, so that two can be held against each other: "app=web,tier=front" in order of keys.
static int decode_selector(struct kube_object *o, const struct doc_node *spec, struct error *err) {
	const struct kube_label *labels;
	struct doc_node map;
	size_t len = 1;
	uint32_t n = 0;
	char *text, *at;
	int ret = doc_member(&map, spec, "selector", err);

	if (ret == 0)
		ret = decode_map(o, &labels, &n, &map, err);
	if (ret < 0)
		return ret;
	for (uint32_t i = 0; i < n; i++)
		len += strlen(labels[i].key) + strlen(labels[i].value) + 2;
	text = at = kube_alloc(o, len, 1);
	if (text == NULL)
		return out_of_memory(err);
	for (uint32_t i = 0; i < n; i++)
		at += sprintf(at, "%s%s=%s", i > 0 ? "," : "", labels[i].key, labels[i].value);
	o->service.selector = text;
	return 0;
}

int kube_decode_status(struct kube_object *o, const struct doc_node *root, struct error *err) {
	struct doc_node meta, labels, spec, status;
	int ret = doc_member(&meta, root, "metadata", err);

	if (ret == 0)
		ret = doc_member(&spec, root, "spec", err);
	if (ret == 0)
		ret = doc_member(&status, root, "status", err);
	if (ret == 0)
		ret = doc_member(&labels, &meta, "labels", err);
	if (ret == 0)
		ret = decode_map(o, &o->service.labels, &o->service.n_labels, &labels, err);
	if (ret == 0)
		ret = decode_finalizers(o, &meta, err);
	if (ret == 0)
		ret = decode_selector(o, &spec, err);
	if (ret == 0)
		ret = decode_conditions(o, &status, err);
	return ret == 0 ? decode_load_balancer(o, &status, err) : ret;
}
