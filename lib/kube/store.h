// SPDX-License-Identifier: Apache-2.0
// The inside of the store, for the files that work on it: objects by name, and for each Service what belongs to it.
#ifndef SLUICE_KUBE_STORE_H
#define SLUICE_KUBE_STORE_H

#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#include "kube/holder.h"
#include "kube/kube.h"
#include "kube/resolve.h"
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
	struct holder holder;   // its addresses
	struct model_key *rows; // in the model now
	uint32_t n_rows;
	// Set by unit_mark() and unit_judge(), which put it into the list of what is to be translated.
	bool is_dirty;
	bool is_judged;    // a verdict on one of its nodes changed
	bool is_listed;    // in kube.todo
	bool is_told;      // in kube.told: kube_take_dirty() is to name it
	bool doubted;      // all its nodes are down by their probes
	bool in_node_mode; // as written to the model
	TAILQ_ENTRY(unit) todo_link, told_link;
	UT_hash_handle hh;
	char key[]; // "ns/name"
};

TAILQ_HEAD(unit_list, unit);

struct kube {
	const struct kube_settings *settings;
	struct resolver *resolver;
	struct resolver_events events;
	struct unit_list todo, told;
	int64_t now_ms; // as kube_set_time() said
	struct item *items[KUBE_KINDS];
	struct unit *units;
	const struct kube_object **nodes; // sorted by name
	struct health_node *health;
	uint64_t targets_version; // of what kube_probe_targets() reads
	uint32_t n_doubted;       // units
	bool nodes_changed;
	uint32_t round;
};

// It is to be translated again.
void unit_mark(struct kube *k, struct unit *u);
// The same, only because of a verdict.
void unit_judge(struct kube *k, struct unit *u);
// The writer of status should look at it.
void unit_tell(struct kube *k, struct unit *u);
struct unit *unit_find(const struct kube *k, const char *ns, const char *name); // NULL: none
// Free it when nothing belongs to it any more and nobody waits to hear of it.
void unit_drop_if_empty(struct kube *k, struct unit *u);
// As in struct kube_grant.
bool unit_awaits_endpoints(const struct unit *u);
// Served, and by nodes.
bool unit_in_node_mode(const struct unit *u);
// What translation sees of a unit with a Service.
struct kube_view unit_view(const struct kube *k, const struct unit *u);

#endif
