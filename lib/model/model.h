// SPDX-License-Identifier: Apache-2.0
// CONTRACT 1: the desired state. What the Kubernetes objects (or files) ask for, as plain values.
//
// A model is a set of services, one for each port of each Kubernetes Service:
//
//     Service default/web, ports 80/TCP and 443/TCP  ->  {default, web, TCP, 80}  {default, web, TCP, 443}
//
// A model service has frontends (where traffic is accepted) and backends (where it goes); both may mix families:
// an IPv4 frontend leads to the IPv4 backends. A service that can't be served is in the model all the same, without
// frontends and with a reason, so that a user sees why. Values only: no pointers into Kubernetes objects, no DPDK.
//
// Writers put whole services in; the model keeps a copy only when it differs from what it has, and remembers the key as
// dirty until model_take_dirty() collects it. So whoever compiles sees just what changed, however noisy the source is.
// Control thread only.
#ifndef SLUICE_MODEL_MODEL_H
#define SLUICE_MODEL_MODEL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "net/addr.h"

enum model_protocol { MODEL_TCP = 6, MODEL_UDP = 17, MODEL_SCTP = 132 };
enum model_mode { MODEL_FULLNAT, MODEL_DNAT, MODEL_DSR };
enum model_scheduler { MODEL_MAGLEV };
enum model_backend_state {
	MODEL_READY, // gets new flows
	MODEL_DRAINING, // keeps its flows, gets no new ones (unless no backend of its family is ready: see usable below)
	MODEL_UNUSABLE, // gets nothing; listed for the user, with the reason
};
enum model_frontend_kind {
	MODEL_LOAD_BALANCER,
	MODEL_NODE_PORT,
	MODEL_EXTERNAL_IP,
	MODEL_CLUSTER_IP
};

struct model_key {
	char ns[64]; // Kubernetes names: at most 63 bytes; zero-filled, so keys hash and compare as bytes
	char name[64];
	uint16_t port;     // of the Service, host order
	uint16_t protocol; // enum model_protocol
};

struct model_frontend {
	struct ip_addr addr;
	uint16_t port; // host order; the Service's port, or its nodePort for MODEL_NODE_PORT
	uint16_t kind; // enum model_frontend_kind
};

struct model_backend {
	struct ip_addr addr;
	uint16_t port; // host order; in MODEL_DSR the Service's port (VIP and port are kept)
	uint8_t state; // enum model_backend_state
	uint8_t usable; // 1: gets new flows. Ready ones; or, where its family has none ready, the serving terminating ones
	uint32_t weight; // at least 1
	char reason
		[64]; // for draining and unusable: "terminating", "not-ready", "not-serving", "node-excluded", ...
};

struct model_service {
	struct model_key key;
	char port_name[64];
	char uid[64];
	uint8_t mode;      // enum model_mode
	uint8_t scheduler; // enum model_scheduler
	bool reject; // without usable backends: true answers RST or ICMP unreachable, false is silent
	bool restricted; // loadBalancerSourceRanges given: a family without any range is closed
	uint32_t affinity_timeout; // seconds; 0: no affinity
	char reason[160]; // why it has no frontends (or fewer than asked for); "" when all is well
	char note[160];   // what a user should know of a service that is served; ""
	uint32_t n_frontends, n_backends, n_source_ranges;
	struct model_frontend *frontends; // sorted by (addr, port), unique
	struct model_backend *backends;   // sorted by (addr, port), unique
	struct ip_prefix *source_ranges;  // sorted, unique; they bind MODEL_LOAD_BALANCER frontends
};

struct model;

struct model *model_create(void); // NULL: out of memory
void model_destroy(struct model *m);

// Put a copy of s (sorted and made unique on the way); nothing happens when the model holds an equal one.
// Returns 1 changed, 0 equal. Errors: -EINVAL (model_service_check), -ENOMEM; the model is then unchanged.
int model_put(struct model *m, const struct model_service *s);
// Returns 1 removed, 0 absent, -ENOMEM (the model is then unchanged).
int model_remove(struct model *m, const struct model_key *key);
// NULL when absent. Valid until the next put or remove of that key.
const struct model_service *model_find(const struct model *m, const struct model_key *key);
// All services in order of (ns, name, port, protocol). *list is malloc'd by the callee, freed by the caller.
// Returns their number or -ENOMEM.
int model_list(const struct model *m, const struct model_service ***list);
// All keys of the services that belong to the Kubernetes Service ns/name; as model_list.
int model_list_of(const struct model *m, const char *ns, const char *name,
		  const struct model_service ***list);

// Keys that were put or removed since the last call, sorted, unique; *keys is freed by the caller.
// Returns their number or -ENOMEM (then nothing is forgotten).
int model_take_dirty(struct model *m, struct model_key **keys);

int model_key_cmp(const struct model_key *a, const struct model_key *b);
// What model_put() accepts: texts end within their arrays, names are not empty, a port of 0 has no frontends, addresses have a family and zero
// padding, ports are not 0, weights at least 1, unusable backends are not usable. Errors: -EINVAL, err (may be NULL) says which.
int model_service_check(const struct model_service *s, struct error *err);
bool model_service_equal(const struct model_service *a, const struct model_service *b);
// Free the arrays of a service built by hand (not one that the model owns).
void model_service_fini(struct model_service *s);

const char *model_mode_name(enum model_mode m);           // "fullnat", "dnat", "dsr"
const char *model_protocol_name(enum model_protocol p);   // "TCP", "UDP", "SCTP"
const char *model_state_name(enum model_backend_state s); // "ready", "draining", "unusable"

#endif
