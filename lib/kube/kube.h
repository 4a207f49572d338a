// SPDX-License-Identifier: Apache-2.0
// Kubernetes objects in, desired state out: the store of objects and the incremental engine on top of it.
//
//     manifests, or an API server's watch                    kube_apply()
//     kube_put / kube_remove / kube_replace  ->  store  ->  resolve (addresses)  ->  translate  ->  struct model
//
// The source of objects only puts and removes; it may be noisy, repeat itself, and send in any order: an equal object is no change. Each change
// marks the Services that it touches (a slice: the one its label names, and the one it named before; a Node: all with target node). kube_apply()
// does the rest: addresses of the Services that changed and of those that this concerns (kube/resolve.h), then marked Services are
// translated and written to the model.
// Control thread only.
#ifndef SLUICE_KUBE_KUBE_H
#define SLUICE_KUBE_KUBE_H

#include <stddef.h>

#include "kube/health.h"
#include "kube/objects.h"
#include "kube/settings.h"

struct kube;
struct kube_plan;

// Both stay the caller's and must outlive the kube; the memory is read and kept up to date by kube_apply().
struct kube *kube_create(const struct kube_settings *settings,
			 struct ipam_memory *memory); // NULL: out of memory
void kube_destroy(struct kube *k);
// Other settings from the next kube_apply() on.
void kube_configure(struct kube *k, const struct kube_settings *settings);
// Only settings->follower is another one: addresses are looked at again, no table is made anew for that alone.
void kube_reconsider(struct kube *k);
// The clock of kube_apply(), of any start: it dates what Services give back.
void kube_set_time(struct kube *k, int64_t now_ms);

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

// --- addresses, for who writes status and who asks why ---

struct kube_grant { // borrowed from the store until its next change
	const struct kube_object *service;
	bool ours; // type LoadBalancer, of our class, and not being deleted where settings->durable
	bool awaits_endpoints; // it selects pods, and nobody has said yet which: no slice of a family of its addresses is there
	uint32_t n;
	const struct ip_addr *addrs;  // in order of ipFamilies
	const uint8_t *ip_modes;      // enum kube_ip_mode, by the pool
	const char *reason;           // why it has none, or fewer than it asked for; ""
	const char *code;             // the same in one word of a condition: "OutOfAddresses"; ""
	const struct kube_plan *plan; // each port's frontends, or why it has none
};

// As of the last kube_apply(). Errors: -ENOENT, there is no such Service.
int kube_grant(struct kube_grant *out, const struct kube *k, const char *ns, const char *name);
// Call fn for every Service, in no order; a value other than 0 ends it and is returned.
int kube_grants(const struct kube *k, int (*fn)(void *arg, const struct kube_grant *g), void *arg);
// The name of the pool that holds the address; "" for none.
const char *kube_pool_of(const struct kube *k, const struct ip_addr *a);

struct kube_name {
	char ns[64], name[64];
};

// Services whose object or grant changed since the last call, each once, sorted; a name without a Service: it is gone. Only with
// settings->durable, and then somebody has to ask from time to time. *names is freed by the caller. Returns their number; -ENOMEM, nothing is lost.
int kube_take_dirty(struct kube *k, struct kube_name **names);

struct kube_pool_use {
	const struct ipam_pool *pool;
	uint8_t family;
	uint64_t size, in_use; // addresses; a size of UINT64_MAX: that many or more
	uint32_t
		waiting; // Services that lack an address of the family and may have one of this pool
};

// The pools in order of choice, each once for each of its families. *list is freed by the caller. Returns their number, -ENOMEM.
int kube_pools(const struct kube *k, struct kube_pool_use **list);

struct kube_pool_try { // of one Service, for one family that it wants
	const struct ipam_pool *pool;
	uint8_t family;
	const char *why; // it gives none; "" if it would give one
};

// What each pool has to say to a Service, whether it has an address or not. As kube_pools(); also -ENOENT.
int kube_pool_tries(const struct kube *k, const char *ns, const char *name,
		    struct kube_pool_try **list);

// --- node mode: probes ---

struct kube_probe_target {
	const char *node;
	const char *ns,
		*name; // the Service whose healthCheckNodePort it is; NULL: kube-proxy's /healthz
	struct ip_addr addr; // the node's first one of the kind that traffic goes to
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
