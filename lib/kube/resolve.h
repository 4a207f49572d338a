// SPDX-License-Identifier: Apache-2.0
// All Services together: who gets which address, and on which addresses each port accepts traffic.
//
// Endpoints play no part, so it runs only when a Service, the settings or a node's address changed; and then only over those Services that
// changed, that wait for something that came free, or whose place somebody else took or left. Ten thousand others cost nothing.
//
// The law: no Service is renumbered unless its owner asks (for another address, another pool, other families) or its address turns out to be
// somebody else's. A pool that shrinks or goes keeps what is in use. Who asks for what can't be had keeps what he has, and a reason says so.
//
//     let go     what its Service has no right to any more, of all that changed, youngest first
//     grant      in passes over those that lack an address, waiting ones first (in order of arrival), then the new ones (oldest first):
//                    1  status.loadBalancer.ingress      3  requested (annotations, spec.loadBalancerIP)
//                    2  remembered automatic ones        4  the next address of the first fitting pool
//     places     each (address, port, protocol) goes to the oldest Service that wants it
//     plan       of all whose addresses or places changed
//
// At the start, without memory, all are new: that is the rule of manifests, "in order of creationTimestamp, namespace, name, uid, the lowest free
// address of the first fitting pool". Where status is ours to write (settings->durable), a grant in force stands against what status says, and
// a request against a grant. Before all Services were seen once (a snapshot on disk is all there is), nothing but what status names or
// the memory holds is granted, and status binds: others may have given addresses since.
#ifndef SLUICE_KUBE_RESOLVE_H
#define SLUICE_KUBE_RESOLVE_H

#include "kube/holder.h"
#include "kube/plan.h"

struct resolver;

struct resolver_events {
	void *arg;
	// The plan of a Service is another one now.
	void (*planned)(void *arg, struct holder *h);
	// What kube_grant() shows of it is something else now.
	void (*granted)(void *arg, struct holder *h);
	// Who is there under that name; NULL: nobody.
	struct holder *(*find)(void *arg, const char *ns, const char *name);
};

// All are the caller's and outlive the resolver. NULL: out of memory.
struct resolver *resolver_create(const struct kube_settings *settings, struct ipam_memory *memory,
				 const struct resolver_events *events);
void resolver_destroy(struct resolver *r);
// Other settings, or the same in another state: all is looked at again in the next run.
void resolver_configure(struct resolver *r, const struct kube_settings *settings);

// A new object of a Service, or NULL: it is gone. Keeps a reference. The holder must stay until it was let go in a run, or forgotten.
void resolver_put(struct resolver *r, struct holder *h, struct kube_object *o);
// The same Service in another object of the same traffic.
void resolver_swap(struct holder *h, struct kube_object *o);
// The holder's memory goes. It holds nothing any more, or the resolver goes as well.
void resolver_forget(struct resolver *r, struct holder *h);
// Addresses of nodes, which no Service may have. Errors: -ENOMEM, nothing changed.
int resolver_set_nodes(struct resolver *r, const struct kube_object *const *nodes, uint32_t n);

// complete: what is not there is gone; false: the remembered addresses of Services that are missing stay theirs. now_ms: a clock of any start.
// Errors: -ENOMEM; call again, nothing is lost.
int resolver_run(struct resolver *r, bool complete, int64_t now_ms);

// What the pools are and who waits, for those who show it.
const struct pools *resolver_pools(const struct resolver *r);
const struct claims *resolver_claims(const struct resolver *r);
const struct holder *resolver_first_waiting(const struct resolver *r); // next: waiting_link

void kube_plan_fini(struct kube_plan *p);
bool kube_plan_equal(const struct kube_plan *a, const struct kube_plan *b);

#endif
