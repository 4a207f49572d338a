// SPDX-License-Identifier: Apache-2.0
// Addresses of Services: pools to take them from, and a memory so that a Service keeps the one it got.
//
// A pool is a named list of ranges of both families, for all Services or for those that it selects. The rule of choice is the caller's
// (kube/pick.c); here are its ingredients:
//
//     ipam_lowest()         the lowest address of a pool that is not taken
//     ipam_pool_admits()    whether a pool is for a Service of this namespace and these labels
//     struct ipam_memory    (namespace, name, family) -> (address, pool): what was given automatically before
//     ipam_memory_release() what was given and came back, with the time: for its Service, should it return soon; for others as late as possible
//
// The memory is plain values: a replay runs with an empty one, the daemon loads it from services.stateFile and saves it when it has changed.
// The file is JSON, versioned, and written whole: to a temporary file, fsync, rename, fsync of the directory; a crash leaves the old one or the
// new one. A file that can't be understood is renamed to FILE.damaged (or .damaged.1, ...), never overwritten.
// Nothing here judges the age of an entry: an entry goes when its Service goes.
// Control thread only.
#ifndef SLUICE_IPAM_IPAM_H
#define SLUICE_IPAM_IPAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "net/addr.h"

enum ipam_operator { IPAM_IN, IPAM_NOT_IN, IPAM_EXISTS, IPAM_DOES_NOT_EXIST };

struct ipam_term { // of a selector: one label's demand
	enum ipam_operator op;
	char *key;
	uint32_t n_values;
	char **values; // of IN and NOT_IN
};

struct ipam_selector { // all terms must hold, as in a Kubernetes label selector; without a term it selects everything
	uint32_t n_terms;
	struct ipam_term *terms;
};

struct ipam_pool {
	char name[64];
	bool auto_assign; // gives addresses to Services that name no pool
	uint32_t n_ranges;
	const struct ip_range *ranges; // any order; may overlap
	uint32_t priority;             // a lower number goes first, 0 last
	bool avoid_buggy;              // no automatic IPv4 address that ends in .0 or .255
	bool proxy; // ipMode Proxy: in-cluster traffic to its addresses comes here, too
	// For whom: any of the namespaces and any of the selectors; none of a kind: everybody.
	uint32_t n_namespaces, n_selectors;
	char *const *namespaces;
	const struct ipam_selector *selectors;
};

// The value of a label; NULL when it is not there.
typedef const char *(*ipam_label_fn)(const void *arg, const char *key);

bool ipam_selector_matches(const struct ipam_selector *s, ipam_label_fn label, const void *arg);
// The pool is for Services of that namespace and of those labels.
bool ipam_pool_admits(const struct ipam_pool *p, const char *ns, ipam_label_fn label,
		      const void *arg);
// Ends in .0 or .255: some old equipment takes it for a network's or a broadcast address.
bool ipam_is_buggy(const struct ip_addr *a);
// Addresses of a family in all its ranges; UINT64_MAX for more than fit.
uint64_t ipam_pool_size(const struct ipam_pool *p, uint8_t family);

bool ipam_pool_contains(const struct ipam_pool *p, const struct ip_addr *a);
bool ipam_pool_has_family(const struct ipam_pool *p, uint8_t family);

typedef bool (*ipam_taken_fn)(void *arg, const struct ip_addr *a);

// The lowest address of the family in the pool that is at least *from (NULL: any) and that taken() does not claim.
// False when there is none; out is then untouched. Cost: one call of taken() for each address passed over.
bool ipam_lowest(struct ip_addr *out, const struct ipam_pool *p, uint8_t family,
		 const struct ip_addr *from, ipam_taken_fn taken, void *arg);

struct ipam_entry {
	char ns[64], name[64]; // of the Service; at most one entry for each family
	char pool[64];         // that the address came from
	struct ip_addr addr;
};

struct ipam_memory;

struct ipam_memory *ipam_memory_create(void); // NULL: out of memory
void ipam_memory_destroy(struct ipam_memory *m);
size_t ipam_memory_count(const struct ipam_memory *m);
// NULL when absent. Valid until the next change.
const struct ipam_entry *ipam_memory_find(const struct ipam_memory *m, const char *ns,
					  const char *name, uint8_t family);
// Returns 1 changed, 0 equal. Errors: -EINVAL (no name, no family), -ENOMEM.
int ipam_memory_put(struct ipam_memory *m, const struct ipam_entry *e);
// Returns 1 removed, 0 absent.
int ipam_memory_remove(struct ipam_memory *m, const char *ns, const char *name, uint8_t family);
// All entries in order of (ns, name, family); *list is the caller's to free, the entries are the memory's.
// Returns their number or -ENOMEM.
int ipam_memory_list(const struct ipam_memory *m, const struct ipam_entry ***list);

#define IPAM_SOON_MS                                                                               \
	(10 * 60 * 1000) // a Service that returns within this time gets its address back

// The clock, of any start: before the first release, and whenever time has passed.
void ipam_memory_set_time(struct ipam_memory *m, int64_t now_ms);
// Forget what was given (when it was), and note that the address came back now. The latest release of an address and of a (namespace, name,
// family) counts. Errors: -EINVAL as ipam_memory_put(), -ENOMEM.
int ipam_memory_release(struct ipam_memory *m, const struct ipam_entry *e);
// It is in use again: no longer a released one.
void ipam_memory_reuse(struct ipam_memory *m, const struct ip_addr *a);
bool ipam_memory_is_released(const struct ipam_memory *m, const struct ip_addr *a);
// What a Service gave back within IPAM_SOON_MS; NULL: nothing.
const struct ipam_entry *ipam_memory_find_released(const struct ipam_memory *m, const char *ns,
						   const char *name, uint8_t family);
// The longest released address that fits() accepts; NULL: none.
const struct ipam_entry *ipam_memory_longest_released(
	const struct ipam_memory *m, bool (*fits)(void *arg, const struct ip_addr *a), void *arg);

// Something changed since the last load or save.
bool ipam_memory_is_unsaved(const struct ipam_memory *m);

// Read the file into an empty memory. A file that does not exist is an empty memory. Returns 0; 1 when a damaged file was set aside, err then
// tells the user its new name. Errors: -errno of open, read or rename (the file stays where it is), -ENOMEM.
int ipam_memory_load(struct ipam_memory *m, const char *path, struct error *err);
// Errors: -errno of the step that failed; the old file is then whole, and the memory stays unsaved.
int ipam_memory_save(struct ipam_memory *m, const char *path, struct error *err);
// For those who have saved or loaded it by other means.
void ipam_memory_set_saved(struct ipam_memory *m);

#endif
