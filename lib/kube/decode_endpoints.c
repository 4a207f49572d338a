// SPDX-License-Identifier: Apache-2.0
// Decoders of EndpointSlice, Endpoints and Node.
#include <errno.h>
#include <string.h>

#include "kube/memory.h"

static int out_of_memory(struct error *err) {
	return error_set(err, -ENOMEM, "out of memory");
}

// Ports without a number are left out: they mean nothing to a balancer.
static int decode_ports(struct kube_object *o, struct kube_group *g, const struct doc_node *n,
			struct error *err) {
	struct kube_endpoint_port *ports;
	struct doc_node list;
	size_t size = 0;
	int ret = doc_member(&list, n, "ports", err);

	if (ret == 0)
		ret = doc_array_size(&list, &size, err);
	if (ret < 0)
		return ret;
	ports = kube_alloc(o, size, sizeof(*ports));
	if (ports == NULL)
		return out_of_memory(err);
	for (size_t i = 0; i < size; i++) {
		struct doc_node item = doc_element(&list, i);
		struct kube_endpoint_port *p = &ports[g->n_ports];
		int64_t number = 0;

		p->name = "";
		ret = doc_get_int(&item, "port", &number, 0, 65535, err);
		if (ret == 0)
			ret = kube_text(o, &p->name, &item, "name", 63, err);
		if (ret == 0)
			ret = kube_protocol(&p->protocol, &item, err);
		if (ret < 0)
			return ret;
		p->port = (uint16_t)number;
		g->n_ports += number != 0;
	}
	g->ports = ports;
	return 0;
}

static int decode_conditions(struct kube_endpoint *e, const struct doc_node *n, struct error *err) {
	struct doc_node c;
	int ret = doc_member(&c, n, "conditions", err);

	e->ready = e->serving = true;
	e->terminating = false;
	if (ret == 0)
		ret = doc_get_bool(&c, "ready", &e->ready, err);
	if (ret == 0)
		ret = doc_get_bool(&c, "serving", &e->serving, err);
	return ret == 0 ? doc_get_bool(&c, "terminating", &e->terminating, err) : ret;
}

// Only the first address counts; the others are interchangeable with it by definition.
static int decode_slice_addr(struct ip_addr *out, const struct doc_node *n, uint8_t family,
			     struct error *err) {
	struct doc_node list, first;
	size_t size = 0;
	int ret = doc_member(&list, n, "addresses", err);

	if (ret == 0)
		ret = doc_array_size(&list, &size, err);
	if (ret == 0 && size == 0)
		ret = doc_fault(&list, err, -EINVAL, "no address");
	if (ret < 0)
		return ret;
	first = doc_element(&list, 0);
	ret = kube_addr(out, &first, err);
	if (ret == 0 && out->family != family)
		ret = doc_fault(&first, err, -EINVAL, "not an IPv%u address", family);
	return ret;
}

static int decode_slice_endpoints(struct kube_object *o, struct kube_group *g,
				  const struct doc_node *n, uint8_t family, struct error *err) {
	struct kube_endpoint *list;
	struct doc_node items;
	size_t size = 0;
	int ret = doc_member(&items, n, "endpoints", err);

	if (ret == 0)
		ret = doc_array_size(&items, &size, err);
	if (ret < 0)
		return ret;
	list = kube_alloc(o, size, sizeof(*list));
	if (list == NULL)
		return out_of_memory(err);
	for (size_t i = 0; i < size; i++) {
		struct doc_node item = doc_element(&items, i);

		list[i].node = "";
		ret = decode_slice_addr(&list[i].addr, &item, family, err);
		if (ret == 0)
			ret = decode_conditions(&list[i], &item, err);
		if (ret == 0)
			ret = kube_text(o, &list[i].node, &item, "nodeName", 253, err);
		if (ret < 0)
			return ret;
	}
	g->endpoints = list;
	g->n_endpoints = (uint32_t)size;
	return 0;
}

int kube_decode_slice(struct kube_object *o, const struct doc_node *n, struct error *err) {
	static const char *const types[] = {"IPv4", "IPv6", "FQDN"};
	struct kube_group *g = kube_alloc(o, 1, sizeof(*g));
	struct doc_node type;
	int t = -1, ret = doc_member(&type, n, "addressType", err);

	if (g == NULL)
		return out_of_memory(err);
	if (ret == 0)
		ret = doc_enum(&type, &t, types, 3, err);
	if (ret == 0 && t < 0)
		ret = doc_fault(n, err, -EINVAL, "addressType: missing");
	o->endpoints.service = "";
	if (ret == 0)
		ret = kube_map_text(o, &o->endpoints.service, n, "labels",
				    "kubernetes.io/service-name", err);
	o->endpoints.family = t == 0 ? 4 : t == 1 ? 6 : 0;
	if (ret < 0 || t == 2)
		return ret;
	ret = decode_ports(o, g, n, err);
	if (ret == 0)
		ret = decode_slice_endpoints(o, g, n, t == 0 ? 4 : 6, err);
	o->endpoints.groups = g;
	o->endpoints.n_groups = 1;
	return ret;
}

static int decode_subset_addrs(struct kube_object *o, struct kube_group *g,
			       const struct doc_node *n, const char *key, bool ready,
			       struct error *err) {
	struct kube_endpoint *list;
	struct doc_node items;
	size_t size = 0;
	int ret = doc_member(&items, n, key, err);

	if (ret == 0)
		ret = doc_array_size(&items, &size, err);
	if (ret < 0)
		return ret;
	list = kube_alloc(o, size, sizeof(*list));
	if (list == NULL)
		return out_of_memory(err);
	for (size_t i = 0; i < size; i++) {
		struct doc_node item = doc_element(&items, i), ip;

		list[i].node = "";
		list[i].ready = list[i].serving = ready;
		ret = doc_member(&ip, &item, "ip", err);
		if (ret == 0)
			ret = kube_addr(&list[i].addr, &ip, err);
		if (ret == 0)
			ret = kube_text(o, &list[i].node, &item, "nodeName", 253, err);
		if (ret < 0)
			return ret;
	}
	g->endpoints = list;
	g->n_endpoints = (uint32_t)size;
	return 0;
}

int kube_decode_endpoints(struct kube_object *o, const struct doc_node *n, struct error *err) {
	struct doc_node subsets;
	struct kube_group *g;
	size_t size = 0;
	int ret = doc_member(&subsets, n, "subsets", err);

	if (ret == 0)
		ret = doc_array_size(&subsets, &size, err);
	if (ret < 0)
		return ret;
	g = kube_alloc(o, 2 * size, sizeof(*g));
	if (g == NULL)
		return out_of_memory(err);
	for (size_t i = 0; ret == 0 && i < size; i++) {
		struct doc_node item = doc_element(&subsets, i);

		ret = decode_ports(o, &g[2 * i], &item, err);
		g[2 * i + 1] = g[2 * i];
		if (ret == 0)
			ret = decode_subset_addrs(o, &g[2 * i], &item, "addresses", true, err);
		if (ret == 0)
			ret = decode_subset_addrs(o, &g[2 * i + 1], &item, "notReadyAddresses",
						  false, err);
	}
	o->endpoints.service = o->meta.name;
	o->endpoints.groups = g;
	o->endpoints.n_groups = (uint32_t)(2 * size);
	return ret;
}

// strconv.ParseBool's words for false; anything else excludes, as the cloud controller does it.
static bool label_is_false(const char *text) {
	static const char *const words[] = {"0", "f", "F", "false", "FALSE", "False"};

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (strcmp(text, words[i]) == 0)
			return true;
	return false;
}

static int decode_taints(struct kube_node *node, const struct doc_node *n, struct error *err) {
	struct doc_node spec, taints;
	size_t size = 0;
	int ret = doc_member(&spec, n, "spec", err);

	if (ret == 0)
		ret = doc_member(&taints, &spec, "taints", err);
	if (ret == 0)
		ret = doc_array_size(&taints, &size, err);
	for (size_t i = 0; ret == 0 && i < size; i++) {
		struct doc_node item = doc_element(&taints, i);
		const char *key = "";

		ret = doc_get_string(&item, "key", &key, err);
		node->draining |= strcmp(key, "ToBeDeletedByClusterAutoscaler") == 0 ||
				  strcmp(key, "node.kubernetes.io/out-of-service") == 0;
	}
	return ret;
}

// The first one of its family; *primary: the family of the first one of all.
static void take_addr(struct ip_addr first[2], uint8_t *primary, const struct ip_addr *a) {
	int f = a->family == 6;

	if (first[f].family != 0)
		return;
	if (first[1 - f].family == 0)
		*primary = (uint8_t)f;
	first[f] = *a;
}

static int decode_node_addr(struct kube_node *node, const struct doc_node *n, struct error *err) {
	struct doc_node text;
	struct ip_addr a;
	const char *type = "";
	bool internal, external;
	int ret = doc_get_string(n, "type", &type, err);

	internal = strcmp(type, "InternalIP") == 0;
	external = strcmp(type, "ExternalIP") == 0;
	if (ret < 0 || !(internal || external))
		return ret;
	ret = doc_member(&text, n, "address", err);
	if (ret == 0)
		ret = kube_addr(&a, &text, err);
	if (ret == 0 && internal)
		take_addr(node->internal, &node->primary_internal, &a);
	if (ret == 0 && external)
		take_addr(node->external, &node->primary_external, &a);
	return ret;
}

int kube_decode_node(struct kube_object *o, const struct doc_node *n, struct error *err) {
	struct kube_node *node = &o->node;
	struct doc_node status, list;
	const char *label = NULL;
	size_t size = 0;
	int ret = kube_map_text(o, &label, n, "labels",
				"node.kubernetes.io/exclude-from-external-load-balancers", err);

	node->labelled = label != NULL;
	node->excluded = label != NULL && !label_is_false(label);
	node->draining = o->meta.deleting;
	if (ret == 0)
		ret = decode_taints(node, n, err);
	if (ret == 0)
		ret = doc_member(&status, n, "status", err);
	if (ret == 0)
		ret = doc_member(&list, &status, "addresses", err);
	if (ret == 0)
		ret = doc_array_size(&list, &size, err);
	for (size_t i = 0; ret == 0 && i < size; i++) {
		struct doc_node item = doc_element(&list, i);

		ret = decode_node_addr(node, &item, err);
	}
	return ret;
}
