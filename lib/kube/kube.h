// SPDX-License-Identifier: Apache-2.0
// Kubernetes objects in, desired state out: the store of objects and the incremental engine on top of it.
//
//     manifests, or an API server's watch                    kube_apply()
//     kube_put / kube_remove / kube_replace  ->  store  ->  resolve (addresses)  ->  translate  ->  struct model
//
// The source of objects only puts and removes; it may be noisy, repeat itself, and send in any order: an equal object is no change. Each change
// marks the Services that it touches (a slice: the one its label names, and the one it named before; a Node: all with target node). kube_apply()
// does the rest: addresses are resolved again over all Services when a Service or the settings changed, then only marked Services are
// translated and written to the model. The result equals a translation of everything from scratch.
// Control thread only.
#ifndef SLUICE_KUBE_KUBE_H
#define SLUICE_KUBE_KUBE_H

#include <stddef.h>

#include "kube/health.h"
#include "kube/objects.h"
#include "kube/settings.h"

struct kube;

// Both stay the caller's and must outlive the kube; the memory is read and kept up to date by kube_apply().
struct kube *kube_create(const struct kube_settings *settings,
			 struct ipam_memory *memory); // NULL: out of memory
void kube_destroy(struct kube *k);
// Other settings from the next kube_apply() on.
void kube_configure(struct kube *k, const struct kube_settings *settings);

// Put an object; the store takes its own reference. Returns 1 changed, 0 equal to what is there, -ENOMEM (nothing changed).
int kube_put(struct kube *k, struct kube_object *o);
// Returns 1 removed, 0 absent, -ENOMEM (nothing changed).
int kube_remove(struct kube *k, enum kube_kind kind, const char *ns, const char *name);
// Make the store hold exactly these objects of the kinds in the mask (bit 1 << kind): the diff of a relist. Of two with one name the first counts.
// Returns the number of changes, or -ENOMEM (part of the diff may be in; call again).
#define KUBE_ALL_KINDS ((1u << KUBE_KINDS) - 1)
int kube_replace(struct kube *k, unsigned kinds, struct kube_object *const *objects, size_t n);
size_t kube_count(const struct kube *k, enum kube_kind kind);

// Bring the model up to date. complete: the source has shown all its objects; false (a file can't be read yet): the remembered addresses of
// Services that are missing stay theirs. Returns the number of model services put or removed, or -ENOMEM; then call again, nothing is lost.
int kube_apply(struct kube *k, struct model *m, bool complete);

// --- node mode: probes ---

struct kube_probe_target {
	const char *node;
	const char *ns,
		*name; // the Service whose healthCheckNodePort it is; NULL: kube-proxy's /healthz
	struct ip_addr addr; // the node's first InternalIP
	uint16_t port;
};

// What is worth probing: kube-proxy on every eligible node while a served Service with target node goes by it; the healthCheckNodePort of each served Service
// with externalTrafficPolicy Local on the nodes where it has usable endpoints. *list is freed by the caller, its texts live until the next change of the store.
// Returns their number, each once; -EAGAIN while nodes wait for kube_apply(); -ENOMEM.
int kube_probe_targets(const struct kube *k, uint16_t kube_proxy_port,
		       struct kube_probe_target **list);
// Another number means that the targets may be others.
uint64_t kube_probe_version(const struct kube *k);
// Remember a verdict; ns and name are those of the target. Returns 1 when kube_apply() has something to do for it, 0, -ENOMEM (nothing changed).
int kube_set_node_health(struct kube *k, const char *node, const char *ns, const char *name,
			 const struct kube_health *h);
// Services whose every node is down by its probes: not believed, all get traffic.
uint32_t kube_disbelieved(const struct kube *k);

#endif
