// SPDX-License-Identifier: Apache-2.0
// Sets that are gathered, wait, and become live.
#include "kube/feed.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct stream { // one kind
	struct kube_records live, gathered, pending;
	bool gathering;
	bool partial;       // of gathered: something in it could not even be named
	bool waiting;       // pending has an ended set
	bool synced;        // ended once
	int64_t held_until; // waiting for this; INT64_MIN: not held
	uint64_t broken;
};

struct feed {
	struct kube *kube;
	unsigned needed;
	feed_report_fn report;
	void *arg;
	bool synced; // the gate has opened
	bool changed;
	unsigned
		unwritten; // kinds that the store has not got as they are in live, for lack of memory
	struct stream streams[KUBE_KINDS];
};

struct feed *feed_create(struct kube *k, unsigned needed, feed_report_fn report, void *arg) {
	struct feed *f = calloc(1, sizeof(*f));

	if (f == NULL)
		return NULL;
	f->kube = k;
	f->needed = needed;
	f->report = report;
	f->arg = arg;
	for (int kind = 0; kind < KUBE_KINDS; kind++)
		f->streams[kind].held_until = INT64_MIN;
	return f;
}

static void forget_pending(struct stream *s) {
	kube_records_clear(&s->pending);
	s->waiting = false;
	s->held_until = INT64_MIN;
}

static void forget_gathered(struct stream *s) {
	kube_records_clear(&s->gathered);
	s->gathering = s->partial = false;
}

void feed_destroy(struct feed *f) {
	if (f == NULL)
		return;
	for (int kind = 0; kind < KUBE_KINDS; kind++) {
		forget_pending(&f->streams[kind]);
		forget_gathered(&f->streams[kind]);
		kube_records_clear(&f->streams[kind].live);
	}
	free(f);
}

static void report(const struct feed *f, enum feed_news news, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static void report(const struct feed *f, enum feed_news news, const char *format, ...) {
	struct error what;
	va_list args;

	if (f->report == NULL)
		return;
	va_start(args, format);
	vsnprintf(what.text, sizeof(what.text), format, args);
	va_end(args);
	f->report(f->arg, news, &what);
}

// --- live objects ---

static int put_live(struct feed *f, struct stream *s, struct kube_record *r) {
	int ret = kube_records_put(&s->live, r);

	if (ret == 0)
		ret = kube_put(f->kube, r->object);
	f->changed |= ret > 0;
	return ret < 0 ? ret : 0;
}

static int remove_live(struct feed *f, enum kube_kind kind, const char *ns, const char *name) {
	int ret = kube_remove(f->kube, kind, ns, name);

	if (ret < 0)
		return ret;
	f->changed |= ret > 0;
	kube_records_remove(&f->streams[kind].live, ns, name);
	return 0;
}

int feed_seed(struct feed *f, struct kube_record *r) {
	return put_live(f, &f->streams[r->object->meta.kind], r);
}

// The store gets the live sets of the kinds.
static int replace(struct feed *f, unsigned kinds) {
	size_t n = 0, at = 0;
	struct kube_object **list;
	int ret;

	f->unwritten |= kinds;
	for (int kind = 0; kind < KUBE_KINDS; kind++)
		n += kinds & 1u << kind ? kube_records_count(&f->streams[kind].live) : 0;
	list = malloc((n + 1) * sizeof(struct kube_object *));
	if (list == NULL)
		return -ENOMEM;
	for (int kind = 0; kind < KUBE_KINDS; kind++) {
		struct kube_records_entry *e = NULL;
		struct kube_record *r;

		while (kinds & 1u << kind &&
		       (r = kube_records_next(&f->streams[kind].live, &e)) != NULL)
			list[at++] = r->object;
	}
	ret = kube_replace(f->kube, kinds, list, n);
	free(list);
	f->changed |= ret != 0;
	if (ret < 0)
		return ret;
	f->unwritten &= ~kinds;
	return 0;
}

// --- what is believed ---

static size_t count_missing(const struct stream *s) {
	struct kube_records_entry *e = NULL;
	const struct kube_record *r;
	size_t n = 0;

	while ((r = kube_records_next(&s->live, &e)) != NULL)
		n += kube_records_find(&s->pending, r->object->meta.ns, r->object->meta.name) ==
		     NULL;
	return n;
}

static bool is_suspicious(const struct stream *s, size_t missing) {
	return missing >= FEED_HOLD_MIN && 2 * missing > kube_records_count(&s->live);
}

// What is new in pending counts although the rest waits.
static int merge(struct feed *f, struct stream *s) {
	struct kube_records_entry *e = NULL;
	struct kube_record *r;
	int ret = 0;

	while (ret == 0 && (r = kube_records_next(&s->pending, &e)) != NULL)
		ret = put_live(f, s, r);
	return ret;
}

static void take_pending(struct stream *s) {
	struct kube_records before = s->live;

	s->live = s->pending;
	s->pending = before;
	forget_pending(s);
}

static int hold(struct feed *f, enum kube_kind kind, size_t missing, int64_t now_ms) {
	struct stream *s = &f->streams[kind];

	if (s->held_until == INT64_MIN) {
		s->held_until = now_ms + FEED_HOLD_MS;
		report(f, FEED_HELD,
		       "%zu of %zu %s objects are gone from the API server's list: they are served for another %d s before that is believed",
		       missing, kube_records_count(&s->live), kube_kind_name(kind),
		       FEED_HOLD_MS / 1000);
	}
	return merge(f, s);
}

// Pending sets become live, or are held. Errors: -ENOMEM; a later call goes on.
static int believe(struct feed *f, unsigned kinds, int64_t now_ms) {
	unsigned replaced = 0;
	int ret = 0;

	for (int kind = 0; kind < KUBE_KINDS && ret == 0; kind++) {
		struct stream *s = &f->streams[kind];
		size_t missing = kinds & 1u << kind ? count_missing(s) : 0;

		if ((kinds & 1u << kind) == 0)
			continue;
		if (is_suspicious(s, missing)) {
			ret = hold(f, kind, missing, now_ms);
			continue;
		}
		if (s->held_until != INT64_MIN)
			report(f, FEED_RELEASED, "the %s objects are back in the API server's list",
			       kube_kind_name(kind));
		take_pending(s);
		replaced |= 1u << kind;
	}
	return ret == 0 && replaced != 0 ? replace(f, replaced) : ret;
}

// The gate opens when the last needed kind is there.
static int open_gate(struct feed *f, int64_t now_ms) {
	unsigned waiting = 0;
	int ret;

	for (int kind = 0; kind < KUBE_KINDS; kind++)
		waiting |= f->streams[kind].synced ? 1u << kind : 0;
	if ((waiting & f->needed) != f->needed)
		return 0;
	for (int kind = 0; kind < KUBE_KINDS; kind++) // what a snapshot had of other kinds
		if ((f->needed & 1u << kind) == 0)
			kube_records_clear(&f->streams[kind].live);
	ret = replace(f, KUBE_ALL_KINDS & ~f->needed);
	if (ret == 0)
		ret = believe(f, f->needed, now_ms);
	if (ret < 0)
		return ret;
	f->synced = f->changed = true;
	report(f, FEED_SYNCED, "%zu Services, %zu EndpointSlices, %zu Endpoints, %zu Nodes",
	       kube_records_count(&f->streams[KUBE_SERVICE].live),
	       kube_records_count(&f->streams[KUBE_SLICE].live),
	       kube_records_count(&f->streams[KUBE_ENDPOINTS].live),
	       kube_records_count(&f->streams[KUBE_NODE].live));
	return 0;
}

// Before the gate has opened a snapshot's objects of the kind stay: it is not known yet who follows them.
int feed_need(struct feed *f, unsigned needed, int64_t now_ms) {
	unsigned left = f->needed & ~needed;

	for (int kind = 0; kind < KUBE_KINDS; kind++) {
		struct stream *s = &f->streams[kind];

		if ((left & 1u << kind) == 0)
			continue;
		forget_pending(s);
		forget_gathered(s);
		s->synced = false;
		if (f->synced)
			kube_records_clear(&s->live);
	}
	f->needed = needed;
	return f->synced ? replace(f, left) : open_gate(f, now_ms);
}

// --- what a reflector says ---

int feed_begin(struct feed *f, enum kube_kind kind) {
	struct stream *s = &f->streams[kind];

	forget_gathered(s);
	s->gathering = true;
	return 0;
}

// All sets that an event is for: the one that is being gathered, else what is pending, and what is live once the gate is open.
static int put(struct feed *f, struct stream *s, struct kube_record *r) {
	int ret = 0;

	if (s->gathering)
		return kube_records_put(&s->gathered, r);
	if (s->waiting)
		ret = kube_records_put(&s->pending, r);
	return ret == 0 && f->synced ? put_live(f, s, r) : ret;
}

struct name {
	const char *ns, *name; // name NULL: it has none
};

// Of an object that need not be decodable.
static struct name name_of(const struct doc_node *n, enum kube_kind kind) {
	const json_t *meta = json_object_get(n->json, "metadata");
	const char *ns = json_string_value(json_object_get(meta, "namespace"));

	if (ns == NULL)
		ns = "default";
	return (struct name){kind == KUBE_NODE ? "" : ns,
			     json_string_value(json_object_get(meta, "name"))};
}

// The last good content of what can't be decoded now.
static struct kube_record *last_good(const struct stream *s, const struct name *name) {
	struct kube_record *r = NULL;

	if (name->name == NULL)
		return NULL;
	if (s->waiting)
		r = kube_records_find(&s->pending, name->ns, name->name);
	return r != NULL ? r : kube_records_find(&s->live, name->ns, name->name);
}

static void report_broken(struct feed *f, enum kube_kind kind, const struct name *name,
			  const struct error *why, bool known) {
	report(f, FEED_BROKEN, "%s %.100s%s%.253s: %.500s%s", kube_kind_name(kind), name->ns,
	       kind == KUBE_NODE ? "" : "/", name->name != NULL ? name->name : "(without a name)",
	       why->text, known ? "; its last good content stays" : "");
}

// A relist mostly repeats what is known: the record there is then has a second owner, and nothing is decoded or copied.
static int record_of(struct kube_record **out, const struct stream *s, const struct name *name,
		     enum kube_kind kind, const struct doc_node *n, const char *text, size_t len,
		     struct error *err) {
	struct kube_record *known = last_good(s, name);

	if (known == NULL || known->len != len || memcmp(known->text, text, len) != 0)
		return kube_record_create(out, kind, n, text, len, err);
	*out = kube_record_get(known);
	return 0;
}

int feed_put(struct feed *f, enum kube_kind kind, const struct doc_node *n, const char *text,
	     size_t len) {
	struct stream *s = &f->streams[kind];
	const struct name name = name_of(n, kind);
	struct kube_record *r = NULL;
	struct error err;
	int ret = record_of(&r, s, &name, kind, n, text, len, &err);

	if (ret == -ENOMEM)
		return ret;
	if (ret == 0) {
		ret = put(f, s, r);
		kube_record_put(r);
		return ret;
	}
	s->broken++;
	r = last_good(s, &name);
	report_broken(f, kind, &name, &err, r != NULL);
	s->partial |= s->gathering && name.name == NULL;
	return s->gathering && r != NULL ? kube_records_put(&s->gathered, r) : 0;
}

void feed_broken(struct feed *f, enum kube_kind kind, const struct error *what) {
	struct stream *s = &f->streams[kind];

	s->broken++;
	s->partial |= s->gathering;
	report(f, FEED_BROKEN, "%s: a text that is no JSON: %.500s", kube_kind_name(kind),
	       what->text);
}

int feed_remove(struct feed *f, enum kube_kind kind, const struct doc_node *n) {
	struct stream *s = &f->streams[kind];
	const struct name name = name_of(n, kind);

	if (name.name == NULL)
		return 0;
	if (s->gathering) {
		kube_records_remove(&s->gathered, name.ns, name.name);
		return 0;
	}
	if (s->waiting)
		kube_records_remove(&s->pending, name.ns, name.name);
	return f->synced ? remove_live(f, kind, name.ns, name.name) : 0;
}

// What a set that can't be read whole leaves out is not known to be gone.
static int keep_missing(struct stream *s) {
	struct kube_records_entry *e = NULL;
	struct kube_record *r;
	int ret = 0;

	while (ret == 0 && (r = kube_records_next(&s->live, &e)) != NULL)
		if (kube_records_find(&s->gathered, r->object->meta.ns, r->object->meta.name) ==
		    NULL)
			ret = kube_records_put(&s->gathered, r);
	return ret;
}

int feed_end(struct feed *f, enum kube_kind kind, int64_t now_ms) {
	struct stream *s = &f->streams[kind];

	if (s->partial && keep_missing(s) < 0)
		return -ENOMEM;
	kube_records_clear(&s->pending);
	s->pending = s->gathered;
	s->gathered = (struct kube_records){NULL};
	s->gathering = s->partial = false;
	s->waiting = s->synced = true;
	return f->synced ? believe(f, 1u << kind, now_ms) : open_gate(f, now_ms);
}

// --- holds ---

int64_t feed_due(const struct feed *f, int64_t now_ms) {
	int64_t due = f->unwritten != 0 ? 0 : -1;

	for (int kind = 0; kind < KUBE_KINDS; kind++) {
		int64_t until = f->streams[kind].held_until, left;

		if (until == INT64_MIN)
			continue;
		left = until > now_ms ? until - now_ms : 0;
		due = due < 0 || left < due ? left : due;
	}
	return due;
}

int feed_step(struct feed *f, int64_t now_ms) {
	unsigned replaced = f->unwritten;

	for (int kind = 0; kind < KUBE_KINDS; kind++) {
		struct stream *s = &f->streams[kind];

		if (s->held_until == INT64_MIN || s->held_until > now_ms)
			continue;
		report(f, FEED_RELEASED, "%zu %s objects stayed away and are let go",
		       count_missing(s), kube_kind_name(kind));
		take_pending(s);
		replaced |= 1u << kind;
	}
	return replaced != 0 ? replace(f, replaced) : 0;
}

// --- for others ---

bool feed_take_changed(struct feed *f) {
	bool changed = f->changed;

	f->changed = false;
	return changed;
}

bool feed_is_synced(const struct feed *f) {
	return f->synced;
}

bool feed_is_complete(const struct feed *f) {
	return f->synced && f->streams[KUBE_SERVICE].held_until == INT64_MIN;
}

void feed_stats(const struct feed *f, enum kube_kind kind, int64_t now_ms, struct feed_stats *out) {
	const struct stream *s = &f->streams[kind];
	bool held = s->held_until != INT64_MIN;

	*out = (struct feed_stats){.synced = s->synced,
				   .objects = kube_records_count(&s->live),
				   .held = held ? count_missing(s) : 0,
				   .broken = s->broken};
	if (held && s->held_until > now_ms)
		out->hold_left_ms = s->held_until - now_ms;
}

int feed_live(const struct feed *f, struct kube_record ***out) {
	size_t n = 0, at = 0;

	for (int kind = 0; kind < KUBE_KINDS; kind++)
		n += kube_records_count(&f->streams[kind].live);
	*out = malloc((n + 1) * sizeof(struct kube_record *));
	if (*out == NULL)
		return -ENOMEM;
	for (int kind = 0; kind < KUBE_KINDS; kind++) {
		struct kube_records_entry *e = NULL;
		struct kube_record *r;

		while ((r = kube_records_next(&f->streams[kind].live, &e)) != NULL)
			(*out)[at++] = kube_record_get(r);
	}
	return (int)n;
}
