// SPDX-License-Identifier: Apache-2.0
// Kubernetes objects as plain C values: only the fields that Sluice uses, decoded in strict types.
//
//     v1 Service, discovery.k8s.io/v1 EndpointSlice, v1 Endpoints, v1 Node    one struct kube_object each
//     v1 List, ServiceList, EndpointSliceList, EndpointsList, NodeList        flattened
//     anything else                                                           skipped, and named to the caller
//
// EndpointSlice and Endpoints become one shape: groups of endpoints that share a list of ports (a slice is one group, an Endpoints object has two
// for each subset: ready and not ready). What the API server would reject is a fault that names the place: "web.yaml:14: spec.ports[2].port:
// not within 1..65535". Exceptions, after Kubernetes' own readers: unparsable source ranges are skipped (and stay restrictive), slice ports
// without a number are skipped, addresses of type FQDN are left out. Unknown fields are ignored; null is the same as absent.
//
// An object is immutable after decoding and counted: kube_object_get() and kube_object_put(). One block of memory holds all of it.
// Control thread only (the count is not atomic).
#ifndef SLUICE_KUBE_OBJECTS_H
#define SLUICE_KUBE_OBJECTS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "doc/doc.h"
#include "net/addr.h"

enum kube_kind { KUBE_SERVICE, KUBE_SLICE, KUBE_ENDPOINTS, KUBE_NODE };
#define KUBE_KINDS 4

struct kube_meta {
	enum kube_kind kind;
	const char *ns;   // "" for Nodes; "default" where a manifest has none
	const char *name; // at most 253 bytes
	const char *uid;  // ""; at most 63 bytes
	int64_t created; // nanoseconds since 1970; INT64_MIN without creationTimestamp: sorts as the oldest, as Kubernetes' zero time does
	bool deleting;   // deletionTimestamp is set
	// For those who write back. They say nothing about traffic: kube_object_same_traffic() leaves them out.
	const char *resource_version; // ""
	int64_t generation;           // 0: none
	bool finalizer;               // a Service with service.kubernetes.io/load-balancer-cleanup
};

enum kube_service_type { KUBE_CLUSTER_IP, KUBE_NODE_PORT, KUBE_LOAD_BALANCER, KUBE_EXTERNAL_NAME };
enum kube_family_policy { KUBE_SINGLE_STACK, KUBE_PREFER_DUAL_STACK, KUBE_REQUIRE_DUAL_STACK };

enum kube_ip_mode { KUBE_IP_MODE_NONE, KUBE_IP_MODE_VIP, KUBE_IP_MODE_PROXY };

struct kube_label {
	const char *key, *value;
};

struct kube_condition { // texts are "" where absent
	const char *type, *status, *reason, *message;
	const char *since; // lastTransitionTime as written
	int64_t observed;  // observedGeneration
};

struct kube_service_port {
	const char *name;         // "" unnamed
	uint16_t port, node_port; // node_port 0: none
	uint8_t protocol;         // enum model_protocol
};

struct kube_service {
	enum kube_service_type type;
	enum kube_family_policy family_policy;
	bool headless;    // clusterIP None, or the label service.kubernetes.io/headless
	bool other_proxy; // label service.kubernetes.io/service-proxy-name
	bool local;       // externalTrafficPolicy: Local
	bool restricted;  // source ranges were given, parsable or not
	uint16_t health_check_node_port; // 0: none
	uint32_t affinity_timeout;       // seconds; 0: none
	uint8_t families[2];             // ipFamilies in order: 4, 6, or 0 for none
	const char *lb_class;            // NULL: none
	const char *target, *forwarding, *scheduler, *pool,
		*sharing_key;    // annotations; NULL: absent
	const char *bad_request; // a requested address that is none, or NULL
	const char *
		conflict; // sources of a request, a pool or a sharing key that contradict each other: "A and B differ", or NULL
	bool shares_widely; // annotation: addresses may be shared with Services of other namespaces
	const char *selector; // "k=v,k=v" in order of keys; "" without one
	uint32_t n_ports, n_cluster_ips, n_external_ips, n_ranges, n_status, n_requested;
	const struct kube_service_port *ports; // (port, protocol) unique
	const struct ip_addr *cluster_ips, *external_ips, *status, *requested;
	const struct ip_prefix *ranges; // host bits zero
	uint32_t n_labels;
	const struct kube_label *labels; // in order of keys
	// As found in the object, for those who write it; not part of the traffic.
	const uint8_t *status_modes; // enum kube_ip_mode of each status[]
	bool status_alien; // there are ingress entries or parts of them that status[] and status_modes[] don't say
	const char *ingress; // then: the whole list as JSON; else NULL
	uint32_t n_conditions;
	const struct kube_condition *
		conditions; // ours alone: types that begin with sluice.dev/, and LoadBalancerPortsError
};

struct kube_endpoint_port {
	const char *name;
	uint16_t port;
	uint8_t protocol;
};

struct kube_endpoint {
	const char *node; // "" unknown
	struct ip_addr addr;
	bool ready, serving,
		terminating; // nil already has its meaning: ready and serving true, terminating false
};

struct kube_group {
	uint32_t n_ports, n_endpoints;
	const struct kube_endpoint_port *ports;
	const struct kube_endpoint *endpoints;
};

struct kube_endpoints { // of an EndpointSlice or of a v1 Endpoints object
	const char *
		service; // the name of the Service it belongs to, in the same namespace; "" for none
	uint8_t family;  // a slice's addressType: 4 or 6; 0: FQDN, or not a slice
	uint32_t n_groups;
	const struct kube_group *groups;
};

struct kube_node {
	bool labelled; // node.kubernetes.io/exclude-from-external-load-balancers is there
	bool excluded; // and reads otherwise than false
	bool draining; // being deleted, or tainted out of service
	// The first InternalIP and ExternalIP: [0] IPv4, [1] IPv6; family 0: none. primary: the family of the very first one, as an index.
	struct ip_addr internal[2], external[2];
	uint8_t primary_internal, primary_external;
};

struct kube_object {
	struct kube_meta meta;
	union {
		struct kube_service service;
		struct kube_endpoints endpoints;
		struct kube_node node;
	};
	uint32_t refs;
	struct kube_block *memory;
};

// Called for each object; takes over the reference. A value below 0 ends the decoding with that value.
typedef int (*kube_object_fn)(void *arg, struct kube_object *o);
// Called for what is skipped; the text says what and where.
typedef void (*kube_skip_fn)(void *arg, const struct error *what);

// Decode one document: an object or a list. skip may be NULL.
// Errors: -EINVAL with place (objects before it were delivered), -ENOMEM, what fn returned.
int kube_decode(const struct doc_node *n, kube_object_fn fn, kube_skip_fn skip, void *arg,
		struct error *err);

// Decode one object whose kind the caller knows, as items of a typed list and of a watch come: kind and apiVersion may be absent,
// but not be those of another. *out holds one reference. Errors: -EINVAL with place, -ENOMEM; *out is then untouched.
int kube_decode_one(struct kube_object **out, enum kube_kind kind, const struct doc_node *n,
		    struct error *err);

struct kube_object *kube_object_get(struct kube_object *o);
void kube_object_put(struct kube_object *o); // NULL is fine
// Equal in every field that is kept, identity included.
bool kube_object_equal(const struct kube_object *a, const struct kube_object *b);
// Equal in all that addresses and tables are made of; what differs is of interest to those who write status at most. Addresses in status count
// as traffic: they are where an address comes from.
bool kube_object_same_traffic(const struct kube_object *a, const struct kube_object *b);
// Order of precedence among Services: older first, then namespace, name, uid.
int kube_object_age_cmp(const struct kube_object *a, const struct kube_object *b);
const char *kube_kind_name(enum kube_kind k);

#endif
