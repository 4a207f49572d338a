// SPDX-License-Identifier: Apache-2.0
// Decoder of v1 Service.
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "kube/memory.h"

#define AFFINITY_DEFAULT 10800 // seconds; Kubernetes' own default

static int out_of_memory(struct error *err) {
	return error_set(err, -ENOMEM, "out of memory");
}

static int get_enum(int *out, const struct doc_node *n, const char *key, const char *const *names,
		    size_t n_names, struct error *err) {
	struct doc_node m;
	int ret = doc_member(&m, n, key, err);

	return ret == 0 ? doc_enum(&m, out, names, n_names, err) : ret;
}

int kube_get_array(struct doc_node *list, size_t *size, const struct doc_node *n, const char *key,
		   struct error *err) {
	int ret = doc_member(list, n, key, err);

	return ret == 0 ? doc_array_size(list, size, err) : ret;
}

// targetPort is not needed (slices carry the number), but a wrong type is still a mistake worth a word.
static int check_target_port(const struct doc_node *n, struct error *err) {
	struct doc_node m;
	int64_t number;
	int ret = doc_member(&m, n, "targetPort", err);

	if (ret < 0 || !doc_present(&m) || json_is_string(m.json))
		return ret;
	return doc_int(&m, &number, 0, 65535, err);
}

static int decode_port(struct kube_object *o, struct kube_service_port *p, const struct doc_node *n,
		       struct error *err) {
	int64_t port = 0, node_port = 0;
	int ret = doc_get_int(n, "port", &port, 1, 65535, err);

	p->name = "";
	if (ret == 0 && port == 0)
		ret = doc_fault(n, err, -EINVAL, "port: missing");
	if (ret == 0)
		ret = doc_get_int(n, "nodePort", &node_port, 0, 65535, err);
	if (ret == 0)
		ret = kube_text(o, &p->name, n, "name", 63, err);
	if (ret == 0)
		ret = kube_protocol(&p->protocol, n, err);
	if (ret == 0)
		ret = check_target_port(n, err);
	p->port = (uint16_t)port;
	p->node_port = (uint16_t)node_port;
	return ret;
}

static int decode_ports(struct kube_object *o, const struct doc_node *spec, struct error *err) {
	struct kube_service *s = &o->service;
	struct kube_service_port *ports;
	struct doc_node list;
	size_t size = 0;
	int ret = kube_get_array(&list, &size, spec, "ports", err);

	if (ret == 0 && size == 0 && s->type != KUBE_EXTERNAL_NAME && !s->headless)
		ret = doc_fault(spec, err, -EINVAL, "ports: missing");
	if (ret < 0)
		return ret;
	ports = kube_alloc(o, size, sizeof(*ports));
	if (ports == NULL)
		return out_of_memory(err);
	for (size_t i = 0; i < size; i++) {
		struct doc_node item = doc_element(&list, i);

		ret = decode_port(o, &ports[i], &item, err);
		if (ret < 0)
			return ret;
		for (size_t j = 0; j < i; j++)
			if (ports[j].port == ports[i].port &&
			    ports[j].protocol == ports[i].protocol)
				return doc_fault(&item, err, -EINVAL,
						 "same port and protocol as ports[%zu]", j);
	}
	s->ports = ports;
	s->n_ports = (uint32_t)size;
	return 0;
}

static int decode_addrs(struct kube_object *o, const struct ip_addr **out, uint32_t *n_out,
			const struct doc_node *n, const char *key, struct error *err) {
	struct ip_addr *addrs;
	struct doc_node list;
	size_t size = 0;
	int ret = kube_get_array(&list, &size, n, key, err);

	if (ret < 0)
		return ret;
	addrs = kube_alloc(o, size, sizeof(*addrs));
	if (addrs == NULL)
		return out_of_memory(err);
	for (size_t i = 0; ret == 0 && i < size; i++) {
		struct doc_node item = doc_element(&list, i);

		ret = kube_addr(&addrs[i], &item, err);
	}
	*out = addrs;
	*n_out = (uint32_t)size;
	return ret;
}

// clusterIPs, or clusterIP alone; "None" is headless, "" is nothing yet.
static int decode_cluster_ips(struct kube_object *o, const struct doc_node *spec,
			      struct error *err) {
	struct kube_service *s = &o->service;
	const char *single = "", *label = NULL, *first = NULL;
	struct ip_addr *addr;
	struct doc_node node, list;
	size_t size = 0;
	int ret = doc_get_string(spec, "clusterIP", &single, err);

	if (ret == 0)
		ret = kube_map_text(o, &label, spec->parent, "labels",
				    "service.kubernetes.io/headless", err);
	if (ret == 0)
		ret = kube_get_array(&list, &size, spec, "clusterIPs", err);
	if (ret == 0 && size > 0) {
		node = doc_element(&list, 0);
		ret = doc_string(&node, &first, err);
	}
	if (ret < 0)
		return ret;
	s->headless = label != NULL || strcmp(single, "None") == 0 ||
		      (first != NULL && strcmp(first, "None") == 0);
	if (s->headless || (size == 0 && single[0] == 0))
		return 0;
	if (size > 0)
		return decode_addrs(o, &s->cluster_ips, &s->n_cluster_ips, spec, "clusterIPs", err);
	addr = kube_alloc(o, 1, sizeof(*addr));
	if (addr == NULL)
		return out_of_memory(err);
	s->cluster_ips = addr;
	s->n_cluster_ips = 1;
	ret = doc_member(&node, spec, "clusterIP", err);
	return ret == 0 ? kube_addr(addr, &node, err) : ret;
}

static int decode_families(struct kube_service *s, const struct doc_node *spec, struct error *err) {
	static const char *const policies[] = {"SingleStack", "PreferDualStack",
					       "RequireDualStack"};
	static const char *const names[] = {"IPv4", "IPv6"};
	struct doc_node list;
	size_t size = 0;
	int policy = KUBE_SINGLE_STACK, ret = kube_get_array(&list, &size, spec, "ipFamilies", err);

	if (ret == 0)
		ret = get_enum(&policy, spec, "ipFamilyPolicy", policies, 3, err);
	if (ret == 0 && size > 2)
		ret = doc_fault(&list, err, -EINVAL, "more than two families");
	for (size_t i = 0; ret == 0 && i < size; i++) {
		struct doc_node item = doc_element(&list, i);
		int f = -1;

		ret = doc_enum(&item, &f, names, 2, err);
		if (ret == 0 && (f < 0 || (i == 1 && s->families[0] == (f == 0 ? 4 : 6))))
			ret = doc_fault(&item, err, -EINVAL, "not another one of IPv4, IPv6");
		s->families[i] = f == 0 ? 4 : 6;
	}
	s->family_policy = policy;
	return ret;
}

static int decode_affinity(struct kube_service *s, const struct doc_node *spec, struct error *err) {
	static const char *const names[] = {"None", "ClientIP"};
	struct doc_node config, client;
	int64_t timeout = AFFINITY_DEFAULT;
	int affinity = 0, ret = get_enum(&affinity, spec, "sessionAffinity", names, 2, err);

	if (ret == 0)
		ret = doc_member(&config, spec, "sessionAffinityConfig", err);
	if (ret == 0)
		ret = doc_member(&client, &config, "clientIP", err);
	if (ret == 0)
		ret = doc_get_int(&client, "timeoutSeconds", &timeout, 1, 86400, err);
	if (ret == 0)
		s->affinity_timeout = affinity == 1 ? (uint32_t)timeout : 0;
	return ret;
}

const char *kube_next_piece(struct kube_object *o, const char **rest) {
	const char *begin = *rest, *end;
	char *piece;

	if (begin == NULL)
		return NULL;
	end = strchrnul(begin, ',');
	*rest = *end == ',' ? end + 1 : NULL;
	while (begin < end && strchr(" \t\r\n", *begin) != NULL)
		begin++;
	while (end > begin && strchr(" \t\r\n", end[-1]) != NULL)
		end--;
	piece = kube_alloc(o, (size_t)(end - begin) + 1, 1);
	return piece != NULL ? memcpy(piece, begin, (size_t)(end - begin)) : NULL;
}

size_t kube_count_pieces(const char *text) {
	size_t n = 1;

	for (; *text != 0; text++)
		n += *text == ',';
	return n;
}

// A range that can't be read admits nobody, but the list stays restrictive.
static void add_range(struct kube_service *s, struct ip_prefix *ranges, struct kube_object *o,
		      const char *text) {
	const char *piece = kube_next_piece(o, &text);
	struct ip_prefix p;

	s->restricted = true;
	if (piece == NULL || ip_prefix_parse(&p, piece) < 0)
		return;
	p.addr = ip_prefix_range(&p).first;
	ranges[s->n_ranges++] = p;
}

static int ranges_of_annotation(struct kube_object *o, const char *text, struct error *err) {
	struct ip_prefix *ranges = kube_alloc(o, kube_count_pieces(text), sizeof(*ranges));
	const char *piece;

	if (ranges == NULL)
		return out_of_memory(err);
	o->service.ranges = ranges;
	while ((piece = kube_next_piece(o, &text)) != NULL)
		if (piece[0] != 0)
			add_range(&o->service, ranges, o, piece);
	return 0;
}

static int decode_ranges(struct kube_object *o, const struct doc_node *spec, struct error *err) {
	const char *text = NULL;
	struct ip_prefix *ranges;
	struct doc_node list;
	size_t size = 0;
	int ret = kube_get_array(&list, &size, spec, "loadBalancerSourceRanges", err);

	if (ret == 0 && size == 0) {
		ret = kube_map_text(o, &text, spec->parent, "annotations",
				    "service.beta.kubernetes.io/load-balancer-source-ranges", err);
		return ret == 0 && text != NULL ? ranges_of_annotation(o, text, err) : ret;
	}
	ranges = kube_alloc(o, size, sizeof(*ranges));
	if (ranges == NULL)
		return out_of_memory(err);
	o->service.ranges = ranges;
	for (size_t i = 0; ret == 0 && i < size; i++) {
		struct doc_node item = doc_element(&list, i);

		ret = doc_string(&item, &text, err);
		if (ret == 0)
			add_range(&o->service, ranges, o, text != NULL ? text : "");
	}
	return ret;
}

static int decode_annotations(struct kube_object *o, const struct doc_node *root,
			      struct error *err) {
	struct kube_service *s = &o->service;
	const char *proxy = NULL;
	const struct {
		const char *key, **out;
	} known[] = {
		{"sluice.dev/target", &s->target},
		{"sluice.dev/forwarding", &s->forwarding},
		{"sluice.dev/scheduler", &s->scheduler},
	};
	int ret = kube_map_text(o, &proxy, root, "labels",
				"service.kubernetes.io/service-proxy-name", err);

	for (size_t i = 0; ret == 0 && i < sizeof(known) / sizeof(known[0]); i++)
		ret = kube_map_text(o, known[i].out, root, "annotations", known[i].key, err);
	s->other_proxy = proxy != NULL;
	return ret;
}

static int decode_spec(struct kube_object *o, const struct doc_node *spec, struct error *err) {
	static const char *const types[] = {"ClusterIP", "NodePort", "LoadBalancer",
					    "ExternalName"};
	static const char *const policies[] = {"Cluster", "Local", ""};
	struct kube_service *s = &o->service;
	int64_t health = 0;
	int type = KUBE_CLUSTER_IP, policy = 0, ret = get_enum(&type, spec, "type", types, 4, err);

	s->type = type;
	if (ret == 0)
		ret = get_enum(&policy, spec, "externalTrafficPolicy", policies, 3, err);
	s->local = policy == 1;
	if (ret == 0)
		ret = decode_cluster_ips(o, spec, err);
	if (ret == 0)
		ret = decode_ports(o, spec, err);
	if (ret == 0)
		ret = decode_addrs(o, &s->external_ips, &s->n_external_ips, spec, "externalIPs",
				   err);
	if (ret == 0)
		ret = decode_families(s, spec, err);
	if (ret == 0)
		ret = decode_affinity(s, spec, err);
	if (ret == 0)
		ret = decode_ranges(o, spec, err);
	if (ret == 0)
		ret = doc_get_int(spec, "healthCheckNodePort", &health, 0, 65535, err);
	s->health_check_node_port = (uint16_t)health;
	return ret == 0 ? kube_text(o, &s->lb_class, spec, "loadBalancerClass", 512, err) : ret;
}

int kube_decode_service(struct kube_object *o, const struct doc_node *n, struct error *err) {
	struct doc_node spec;
	int ret = doc_member(&spec, n, "spec", err);

	if (ret == 0)
		ret = decode_spec(o, &spec, err);
	if (ret == 0)
		ret = decode_annotations(o, n, err);
	if (ret == 0)
		ret = kube_decode_request(o, n, err);
	if (ret == 0)
		ret = kube_decode_status(o, n, err);
	if (ret == 0 && o->service.lb_class != NULL && o->service.lb_class[0] == 0)
		o->service.lb_class = NULL;
	return ret;
}
