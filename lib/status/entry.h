// SPDX-License-Identifier: Apache-2.0
// Inside the writer: a Service's entry, and where it stands. For status.c (what the caller says) and write.c (what is done about it).
#ifndef SLUICE_STATUS_ENTRY_H
#define SLUICE_STATUS_ENTRY_H

#include <sys/queue.h>

#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#include "status/pace.h"
#include "status/status.h"

enum entry_place {
	ENTRY_IDLE,    // in no list: nothing to do until something changes
	ENTRY_QUEUED,  // to be looked at, in order of arrival
	ENTRY_WAITING, // to be looked at when wake_at has come
	ENTRY_BUSY,    // an exchange is under way
};

struct flight { // an exchange under way
	struct exchange exchange;
	bool reads; // a GET
	bool again; // something changed meanwhile
	enum aim_step step;
	struct view_marks sent, before; // of a PATCH: what it writes, and what was there
	char uid[64], version[64];      // of the view that it was worked out from
};

struct entry {
	UT_hash_handle hh;
	TAILQ_ENTRY(entry) link, unserved_link;
	enum entry_place place;

	// What the caller said.
	struct view view; // or what an answer said since
	struct aim_grant grant;
	uint64_t generation;
	bool is_unserved; // in the list of those whose generation workers have not reached
	bool gone;        // removed while busy
	bool orphan;      // out of the watch's sight, with marks of ours on it

	struct flight *flight; // while busy; else NULL

	// What was learnt.
	bool refetch;      // the view is doubtful: GET before anything else
	bool stuck;        // nothing more until the object or the grant changes
	bool told_leaving; // DeletingLoadBalancer has been told
	bool firm;         // a change does not end the waiting
	char doubted
		[64]; // the version whose patch the server called invalid: a GET tells whether it was for the uid
	uint32_t failures, contests;
	int64_t wake_at, wrote_at, contested_at, held_until, verify_at; // ms; 0: never
	char trouble[160];
	char key[]; // "ns/name"
};
TAILQ_HEAD(entry_list, entry);

struct status {
	const struct api_transport *transport;
	struct status_config config;
	struct entry *entries;
	struct entry_list queue, waiting, busy, unserved;
	uint32_t n_queue, n_waiting, n_busy, n_unserved;
	uint64_t served;
	bool leads;
	struct moment now; // of the step
	struct pace pace;
	bool is_paced; // pace has been started
	uint64_t chance;
	uint32_t failures;    // of the server as a whole, in a row
	int64_t paused_until; // ms
	struct status_stats stats;
};

// Take out of whichever list it is in, and put into another one.
void entry_move(struct status *s, struct entry *e, enum entry_place place);
// Have it looked at: now, or when what keeps it waiting is over.
void entry_touch(struct status *s, struct entry *e);
// firm: not even a change of the object or the grant ends it.
void entry_wait(struct status *s, struct entry *e, int64_t until, bool firm);
void entry_set_unserved(struct status *s, struct entry *e, bool unserved);
void entry_land(struct entry *e); // no exchange any more
void entry_free(struct status *s, struct entry *e);
// Another writer undid what we wrote.
void entry_contest(struct entry *e, int64_t now_ms);
// A newer view of the same object; v is taken over. Notes whether another writer undid what we wrote.
void entry_see(struct status *s, struct entry *e, struct view *v, const struct moment *now);
// ns is not terminated: *ns_len bytes of key.
const char *entry_name(const struct entry *e, int *ns_len);

#endif
