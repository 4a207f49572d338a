// SPDX-License-Identifier: Apache-2.0
// Desired state -> tables: stable ids, one look-up table for each service and family that changed, a new snapshot.
//
// compile_update() takes the model's dirty services and makes the next snapshot. A service port keeps its id while it exists, a
// frontend (address, port, protocol) and a backend (service, address, port) theirs; freed ids rest in a queue for at least the
// longest flow timeout, and come back with another generation. Only what changed is made anew:
//
//     backends of one service    -> its blob (Maglev table, usable list), a copied array of pointers
//     frontends appeared or left -> the frontend map and the local address map
//     endpoints appeared or left -> the endpoint map (unique or ambiguous: see tables.h)
//
// What the snapshot before needs and the new one doesn't is put on its list of things to free; publish frees it after the grace period.
// Pure: no DPDK library, no time of its own. Control thread only.
#ifndef SLUICE_COMPILE_COMPILE_H
#define SLUICE_COMPILE_COMPILE_H

#include <stdint.h>

#include "base/error.h"
#include "model/model.h"
#include "model/site.h"
#include "neighbor/neighbor.h"
#include "tables/tables.h"

struct compile;

struct compile_settings {
	const struct site *site;          // kept
	const struct mac_addr *port_macs; // of site->n_ports ports, as the devices have them
	struct neighbor_table *neighbors; // next hops are held here
	uint64_t secret;                  // of the tuple maps
};

// A snapshot with no services is made at once (compile_tables). Errors: -ENOMEM, -EINVAL with text.
int compile_create(struct compile **out, const struct compile_settings *s, struct error *err);
void compile_destroy(
	struct compile *c); // frees the current snapshot as well: no reader may be left

// Make the next snapshot out of what changed in m. now: seconds, for the rest of freed ids. Returns 1 and sets *next when there is one (publish it,
// then hand *garbage to compile_free() after the grace period), 0 when nothing changed for the workers. Errors: -ENOMEM; nothing is lost, call again.
// A service that does not fit the limits is left out with a reason (compile_reason).
struct compile_garbage;
int compile_update(struct compile *c, struct model *m, uint64_t now, const struct tables **next,
		   struct compile_garbage **garbage);
void compile_free(struct compile_garbage *g);
const struct tables *compile_tables(const struct compile *c); // the newest snapshot
// What is known of the RSS of each of the site's ports (NULL: nothing), once the devices run and before the workers do. The next compile_update()
// makes a snapshot with it.
void compile_set_rss(struct compile *c, const struct rss *const *by_port);

// --- for people ---

// Virtual addresses that appeared in the newest snapshot (gratuitous ARP): malloc'd list, freed by the caller; returns their number or -ENOMEM.
int compile_new_addresses(const struct compile *c, struct ip_addr **list);
// The generation in which a service last changed; 0: unknown.
uint64_t compile_generation(const struct compile *c, const struct model_key *key);
// The model's key behind a service id; NULL: no service of the newest snapshot.
const struct model_key *compile_service_key(const struct compile *c, uint32_t service);
// The backend id of a service's backend, or TABLES_NO_ID; state and reason as the workers see it ("dsr-next-hop", "no-route"), "" when as the model says.
uint32_t compile_backend_id(const struct compile *c, const struct model_key *key,
			    const struct ip_addr *addr, uint16_t port);
const char *compile_backend_reason(const struct compile *c, uint32_t backend);
// Maglev tables built since the start: a measure of what changes cost.
uint64_t compile_tables_built(const struct compile *c);
// Why a service is not (wholly) in the tables; "" when it is.
const char *compile_reason(const struct compile *c, const struct model_key *key);

#endif
