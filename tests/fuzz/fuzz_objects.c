// SPDX-License-Identifier: Apache-2.0
// Any bytes as a manifest: decode, put into a store, translate. The model's own check must accept all that comes out.
#include <stdlib.h>

#include "kube/kube.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int put(void *arg, struct kube_object *o) {
	int ret = kube_put(arg, o);

	kube_object_put(o);
	return ret < 0 ? ret : 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
	const struct ip_range range = {{.b = {203, 0, 113, 0}, .family = 4},
				       {.b = {203, 0, 113, 3}, .family = 4}};
	const struct ipam_pool pool = {.name = "public",
				       .auto_assign = true,
				       .n_ranges = 1,
				       .ranges = &range};
	const struct ip_addr node_port = {.b = {203, 0, 113, 250}, .family = 4};
	const struct ip_prefix external = {.addr = {.family = 4}, .len = 0};
	const struct kube_settings settings = {.cluster_ips = true,
					       .n_pools = 1,
					       .pools = &pool,
					       .n_node_port_addresses = 1,
					       .node_port_addresses = &node_port,
					       .n_external_ips = 1,
					       .external_ips = &external};
	struct ipam_memory *memory = ipam_memory_create();
	struct kube *k = kube_create(&settings, memory);
	struct model *m = model_create();
	struct doc *d = NULL;
	struct error err;

	if (doc_parse(&d, "fuzz", (const char *)data, size, &err) == 0)
		for (size_t i = 0; i < doc_count(d); i++) {
			struct doc_node root = doc_root(d, i);

			kube_decode(&root, put, NULL, k, &err);
		}
	doc_destroy(d);
	if (kube_apply(k, m, true) < 0)
		abort();
	kube_destroy(k);
	model_destroy(m);
	ipam_memory_destroy(memory);
	return 0;
}
