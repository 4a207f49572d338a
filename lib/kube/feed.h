// SPDX-License-Identifier: Apache-2.0
// The gate between an API server's lists and watches and the store: nothing is taken away before it is certain.
//
//     reflector --begin, put, remove, end--> feed --kube_put, kube_remove, kube_replace--> store
//     snapshot -------seed-----------------> feed
//
// Three sets of each kind:
//
//     live      what the store holds, and what a snapshot would keep
//     gathered  the set under way, between begin and end
//     pending   what the server says, not believed yet
//
// - Until each needed kind has ended once, ended sets wait in pending: the lists are not of one moment, and a Service whose slices are still on their way has
//   unknown endpoints, not none. Then all of them replace the store's content at once. What a snapshot gave is content until then.
// - A set in which more than half of what is live is missing (and at least FEED_HOLD_MIN objects) is held for a minute: what it adds and changes counts, what it
//   leaves out stays, and an alarm is raised. A restored etcd, a wrong server behind the right name or an empty cache look like that. It ends when
//   another set shows the objects again, or when the minute is over; what a watch says is removed is gone at once.
// - An object that can't be decoded keeps its last good content and is reported. Where even its name can't be read, nothing that is missing from that set
//   is taken away.
//
// Control thread only; time is passed in.
#ifndef SLUICE_KUBE_FEED_H
#define SLUICE_KUBE_FEED_H

#include "kube/kube.h"
#include "kube/record.h"

#define FEED_HOLD_MS 60000
#define FEED_HOLD_MIN 5

enum feed_news {
	FEED_BROKEN,   // an object can't be decoded
	FEED_SYNCED,   // all needed kinds are there
	FEED_HELD,     // alarm
	FEED_RELEASED, // the alarm is over
};

typedef void (*feed_report_fn)(void *arg, enum feed_news news, const struct error *what);

struct feed;

// k stays the caller's. needed: a mask of kinds, 1 << kind. NULL: out of memory.
struct feed *feed_create(struct kube *k, unsigned needed, feed_report_fn report, void *arg);
void feed_destroy(struct feed *f);
// Other kinds are needed. One that no longer is loses its objects.
int feed_need(struct feed *f, unsigned needed, int64_t now_ms);

// An object of a snapshot, before anything else. Errors: -ENOMEM.
int feed_seed(struct feed *f, struct kube_record *r);

// What a reflector hears of its kind. Errors: -ENOMEM.
int feed_begin(struct feed *f, enum kube_kind kind);
int feed_put(struct feed *f, enum kube_kind kind, const struct doc_node *n, const char *text,
	     size_t len);
int feed_remove(struct feed *f, enum kube_kind kind, const struct doc_node *n);
int feed_end(struct feed *f, enum kube_kind kind, int64_t now_ms);
void feed_broken(struct feed *f, enum kube_kind kind, const struct error *what);

// Milliseconds until feed_step() should run; 0: now; -1: nothing is due.
int64_t feed_due(const struct feed *f, int64_t now_ms);
int feed_step(struct feed *f,
	      int64_t now_ms); // holds that are over. Errors: -ENOMEM, then it stays due

// The store changed since the last call.
bool feed_take_changed(struct feed *f);
bool feed_is_synced(const struct feed *f);
// Nothing that the server has is missing here: synced, and no Service is held. What kube_apply() calls complete.
bool feed_is_complete(const struct feed *f);

struct feed_stats {
	bool synced;          // this kind has ended once
	size_t objects;       // live
	size_t held;          // live, although the server says they are gone
	int64_t hold_left_ms; // 0: nothing is held
	uint64_t broken;      // objects that could not be decoded, since the start
};

void feed_stats(const struct feed *f, enum kube_kind kind, int64_t now_ms, struct feed_stats *out);

// All live records, each with a reference of the caller's, in an array of the caller's. Returns their number, -ENOMEM.
int feed_live(const struct feed *f, struct kube_record ***out);

#endif
