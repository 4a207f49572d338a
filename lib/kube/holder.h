// SPDX-License-Identifier: Apache-2.0
// One Service as the resolver sees it: what it holds, what it waits for, where it wants to accept traffic.
//
// Lives inside of its owner (the store's unit), zeroed before the first use. All fields but the first group are written by the resolver and
// its helpers (pick, frontends) only.
#ifndef SLUICE_KUBE_HOLDER_H
#define SLUICE_KUBE_HOLDER_H

#include <sys/queue.h>

#include "kube/objects.h"

struct kube_plan;
struct place;

enum held_origin { HELD_GIVEN, HELD_STATUS, HELD_REQUESTED };

struct held {
	struct ip_addr addr;
	enum held_origin origin;
	char pool[64]; // that it came from, or lay in when it was found in status; "": none
};

struct holder {
	// The owner's, before resolver_put().
	void *owner;
	struct kube_plan *plan;

	struct kube_object *o; // a reference; NULL: there is no such Service (any more)
	char ns[64], name[64]; // also when the object is gone
	char uid[64];          // of the object that the addresses were given to
	bool asks;             // type LoadBalancer, of our class, there to stay
	bool served;           // can be carried at all
	bool forfeits;         // RequireDualStack without both families: holds, but isn't served
	bool lost[2]; // an address of that family is named but can't be had: no automatic one
	uint8_t families[2]; // wanted in this order; 0: none, or whatever is named
	uint32_t n_held, room;
	struct held *held;
	uint32_t n_named; // kept from automatic choice on behalf of this Service
	struct ip_addr *named;
	uint32_t n_places; // wanted
	struct place *places;

	const char *code; // why it lacks an address, in one word; NULL: it lacks none
	char why[160];    // the same in words

	// What kube_grant() shows: held addresses that are served, in order of families.
	uint32_t n_addrs, addrs_room;
	struct ip_addr *addrs;
	uint8_t *modes; // enum kube_ip_mode

	uint64_t shown; // a hash of what kube_grant() shows, as last told

	bool known;   // in the list of all
	bool pending; // its object or something else changed since the last run
	bool changed; // its object did
	bool waiting; // in the queue of those that lack an address
	uint8_t work; // what is left to do in this run
	TAILQ_ENTRY(holder) all_link, pending_link, waiting_link;
};

TAILQ_HEAD(holder_list, holder);

#endif
