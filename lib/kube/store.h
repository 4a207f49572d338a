// SPDX-License-Identifier: Apache-2.0
// The inside of the store, for the files that work on it: objects by name, and for each Service what belongs to it.
#ifndef SLUICE_KUBE_STORE_H
#define SLUICE_KUBE_STORE_H

#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#include "kube/kube.h"
#include "kube/translate.h"

#define KEY_SIZE 320 // 63 + 1 + 253 + 1, and some

static inline void make_key(char key[KEY_SIZE], const char *ns, const char *name) {
	snprintf(key, KEY_SIZE, "%s/%s", ns, name);
}

struct item { // one object of the store
	struct kube_object *o;
	uint32_t seen; // the last kube_replace() that had it
	UT_hash_handle hh;
	char key[]; // "ns/name"
};

struct unit {                                   // one Service name and all that belongs to it
	struct kube_object *service, *fallback; // fallback: v1 Endpoints
	struct kube_object **slices;            // sorted by nothing: translation doesn't care
	uint32_t n_slices;
	struct kube_plan plan;
	struct model_key *rows; // in the model now
	uint32_t n_rows;
	bool dirty;
	bool judged;       // a verdict on one of its nodes changed
	bool doubted;      // all its nodes are down by their probes
	bool in_node_mode; // as written to the model
	UT_hash_handle hh;
	char key[]; // "ns/name"
};

struct kube {
	const struct kube_settings *settings;
	struct ipam_memory *memory;
	struct item *items[KUBE_KINDS];
	struct unit *units;
	const struct kube_object **nodes; // sorted by name
	struct health_node *health;
	uint64_t targets_version; // of what kube_probe_targets() reads
	uint32_t n_doubted;       // units
	bool resolve, nodes_changed, was_complete;
	uint32_t round;
};

// Served, and by nodes.
bool unit_in_node_mode(const struct unit *u);
// What translation sees of a unit with a Service.
struct kube_view unit_view(const struct kube *k, const struct unit *u);

#endif
