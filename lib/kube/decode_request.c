// SPDX-License-Identifier: Apache-2.0
// What a Service's owner asks of its addresses: under our own names, under Kubernetes' field, and under the names of others.
//
// A cluster that moves here brings annotations of MetalLB, Cilium or kube-vip along; they mean here what they meant there. Our own annotation
// wins over those. Two other sources that contradict each other are nobody's will: the Service waits, with a reason that names both.
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "kube/memory.h"

#define FIELD "spec.loadBalancerIP"
#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static const char *const address_sources[] = {"sluice.dev/load-balancer-ips", // ours is first
					      FIELD,
					      "metallb.io/loadBalancerIPs",
					      "metallb.universe.tf/loadBalancerIPs",
					      "lbipam.cilium.io/ips",
					      "io.cilium/lb-ipam-ips",
					      "kube-vip.io/loadbalancerIPs"};
static const char *const pool_sources[] = {"sluice.dev/address-pool", "metallb.io/address-pool",
					   "metallb.universe.tf/address-pool"};
static const char *const key_sources[] = {"sluice.dev/allow-shared-ip",
					  "metallb.io/allow-shared-ip",
					  "metallb.universe.tf/allow-shared-ip",
					  "lbipam.cilium.io/sharing-key",
					  "io.cilium/lb-ipam-sharing-key"};

struct request { // from one source
	const char *source;
	struct ip_addr *addrs;
	uint32_t n;
};

static int out_of_memory(struct error *err) {
	return error_set(err, -ENOMEM, "out of memory");
}

// Note the first contradiction. Errors: -ENOMEM.
static int contradict(struct kube_object *o, const char *a, const char *b, struct error *err) {
	char text[160];

	if (o->service.conflict != NULL)
		return 0;
	snprintf(text, sizeof(text), "%s%s and %s%s differ", strcmp(a, FIELD) ? "annotation " : "",
		 a, strcmp(b, FIELD) ? "annotation " : "", b);
	o->service.conflict = kube_strdup(o, text);
	return o->service.conflict != NULL ? 0 : out_of_memory(err);
}

// A text that several annotations may give. NULL: none does.
static int decode_text(struct kube_object *o, const char **out, const struct doc_node *root,
		       const char *const *sources, size_t n, struct error *err) {
	size_t from = 0;

	for (size_t i = 0; i < n; i++) {
		const char *text = NULL;
		int ret = kube_map_text(o, &text, root, "annotations", sources[i], err);

		if (ret == 0 && text != NULL && *out != NULL && strcmp(text, *out) != 0)
			ret = contradict(o, sources[from], sources[i], err);
		if (ret < 0)
			return ret;
		if (text == NULL || *out != NULL)
			continue;
		*out = text;
		from = i;
		if (i == 0)
			return 0;
	}
	return 0;
}

// Errors: -ENOMEM. What is no address is kept as bad_request.
static int parse(struct kube_object *o, struct request *r, const char *text) {
	const char *piece;

	r->addrs = kube_alloc(o, kube_count_pieces(text), sizeof(*r->addrs));
	while (r->addrs != NULL && (piece = kube_next_piece(o, &text)) != NULL) {
		if (piece[0] == 0)
			continue;
		if (ip_addr_parse(&r->addrs[r->n], piece) < 0)
			o->service.bad_request = piece;
		else
			r->n++;
	}
	return r->addrs != NULL ? 0 : -ENOMEM;
}

static bool has(const struct request *r, const struct ip_addr *a) {
	for (uint32_t i = 0; i < r->n; i++)
		if (ip_addr_eq(&r->addrs[i], a))
			return true;
	return false;
}

static bool is_part(const struct request *part, const struct request *whole) {
	for (uint32_t i = 0; i < part->n; i++)
		if (!has(whole, &part->addrs[i]))
			return false;
	return true;
}

// Let one more source join what is asked so far. One that names only a part of the other doesn't contradict it.
static int join(struct kube_object *o, struct request *asked, const struct request *more,
		struct error *err) {
	if (more->n == 0)
		return 0;
	if (asked->n == 0 || (is_part(asked, more) && asked->source != address_sources[0])) {
		*asked = *more;
		return 0;
	}
	return is_part(more, asked) ? 0 : contradict(o, asked->source, more->source, err);
}

static int source_text(struct kube_object *o, const char **text, const struct doc_node *root,
		       const char *source, struct error *err) {
	struct doc_node spec;
	int ret;

	if (strcmp(source, FIELD) != 0)
		return kube_map_text(o, text, root, "annotations", source, err);
	ret = doc_member(&spec, root, "spec", err);
	return ret == 0 ? doc_get_string(&spec, "loadBalancerIP", text, err) : ret;
}

static int decode_addresses(struct kube_object *o, const struct doc_node *root, struct error *err) {
	struct request asked = {.source = NULL};

	for (size_t i = 0; i < COUNT(address_sources); i++) {
		struct request r = {.source = address_sources[i]};
		const char *text = NULL;
		int ret;

		if (i > 1 && asked.source == address_sources[0])
			break; // ours is held against Kubernetes' own field only
		ret = source_text(o, &text, root, address_sources[i], err);
		if (ret == 0 && text != NULL && parse(o, &r, text) < 0)
			return out_of_memory(err);
		if (ret == 0)
			ret = join(o, &asked, &r, err);
		if (ret < 0)
			return ret;
	}
	o->service.requested = asked.addrs;
	o->service.n_requested = asked.n;
	return 0;
}

// Whether the sharing key means those of other namespaces, too.
static int decode_wide(struct kube_object *o, const struct doc_node *root, struct error *err) {
	const char *ours = "", *cilium = "";
	int ret = kube_map_text(o, &ours, root, "annotations", "sluice.dev/share-across-namespaces",
				err);

	if (ret == 0)
		ret = kube_map_text(o, &cilium, root, "annotations",
				    "lbipam.cilium.io/sharing-cross-namespace", err);
	o->service.shares_widely = strcmp(ours, "true") == 0 || strcmp(cilium, "*") == 0;
	return ret;
}

int kube_decode_request(struct kube_object *o, const struct doc_node *root, struct error *err) {
	struct kube_service *s = &o->service;
	int ret = decode_addresses(o, root, err);

	if (ret == 0)
		ret = decode_text(o, &s->pool, root, pool_sources, COUNT(pool_sources), err);
	if (ret == 0)
		ret = decode_text(o, &s->sharing_key, root, key_sources, COUNT(key_sources), err);
	return ret == 0 ? decode_wide(o, root, err) : ret;
}
