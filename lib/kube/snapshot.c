// SPDX-License-Identifier: Apache-2.0
// The writer: marked -> collected -> copied a slice at a time -> written by a thread -> reaped.
#include "kube/snapshot.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "kube/snapshot_private.h"

#define FIRST_MS 1000    // after the first change: more come with it
#define INTERVAL_MS 5000 // between two writes
#define RETRY_MS 30000   // after one that failed
#define SLICE (1u << 19) // bytes copied in a step: half a millisecond
#define POLL_MS 20       // while the thread writes
#define HEAD_ROOM 1024   // of the first and the last line
#define LINE_ROOM 64     // of an object's line

enum phase { IDLE, COPYING, WRITING };

struct snapshot {
	char *path, *source;
	enum phase phase;
	bool marked;
	int64_t due_ms; // of the next write; of the next look at the thread
	struct kube_record **records;
	size_t n, at;
	char *text;
	size_t len;
	uint64_t sum;
	pthread_t thread;
	int result; // of the thread
	bool done;  // set by the thread, last
};

struct snapshot *snapshot_create(const char *path, const char *source) {
	struct snapshot *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return NULL;
	s->path = strdup(path);
	s->source = strdup(source);
	s->due_ms = INT64_MIN;
	if (s->path != NULL && s->source != NULL)
		return s;
	snapshot_destroy(s);
	return NULL;
}

// What is left of a write.
static void forget(struct snapshot *s) {
	for (; s->at < s->n; s->at++)
		kube_record_put(s->records[s->at]);
	free(s->records);
	free(s->text);
	s->records = NULL;
	s->text = NULL;
	s->n = s->at = s->len = 0;
	s->phase = IDLE;
}

void snapshot_destroy(struct snapshot *s) {
	if (s == NULL)
		return;
	if (s->phase == WRITING)
		pthread_join(s->thread, NULL);
	forget(s);
	free(s->path);
	free(s->source);
	free(s);
}

void snapshot_mark(struct snapshot *s, int64_t now_ms) {
	if (s->marked)
		return;
	s->marked = true;
	if (s->phase == IDLE && s->due_ms < now_ms + FIRST_MS)
		s->due_ms = now_ms + FIRST_MS;
}

bool snapshot_is_dirty(const struct snapshot *s) {
	return s->marked || s->phase != IDLE;
}

int64_t snapshot_due(const struct snapshot *s, int64_t now_ms) {
	if (s->phase == COPYING)
		return 0;
	if (s->phase == IDLE && !s->marked)
		return -1;
	return s->due_ms <= now_ms ? 0 : s->due_ms - now_ms;
}

static void append(struct snapshot *s, const char *text, size_t len) {
	memcpy(s->text + s->len, text, len);
	s->len += len;
}

// The source is a URL; what JSON would escape in it has no place there.
static void append_head(struct snapshot *s, int64_t wall_s) {
	json_t *head = json_pack("{s:i, s:I, s:I, s:s}", "snapshot", SNAPSHOT_VERSION, "savedAt",
				 (json_int_t)wall_s, "objects", (json_int_t)s->n, "source",
				 s->source);
	size_t n = json_dumpb(head, s->text, HEAD_ROOM - SNAPSHOT_FOOTER - 1, 0);

	json_decref(head);
	s->len = n < HEAD_ROOM - SNAPSHOT_FOOTER - 1 ? n : 0; // a longer one makes it unreadable
	append(s, "\n", 1);
}

// All that is live now, and room for its text.
static int collect(struct snapshot *s, const struct feed *f, int64_t wall_s) {
	int n = feed_live(f, &s->records);
	size_t room = HEAD_ROOM;

	if (n < 0)
		return n;
	s->n = (size_t)n;
	for (size_t i = 0; i < s->n; i++)
		room += s->records[i]->len + LINE_ROOM;
	s->text = malloc(room);
	if (s->text == NULL) {
		forget(s);
		return -ENOMEM;
	}
	append_head(s, wall_s);
	s->sum = snapshot_sum(SNAPSHOT_SEED, s->text, s->len);
	s->marked = false;
	s->phase = COPYING;
	return 0;
}

// True when nothing is left.
static bool copy(struct snapshot *s, size_t bytes) {
	size_t from = s->len;

	while (s->at < s->n && s->len - from < bytes) {
		struct kube_record *r = s->records[s->at++];
		char line[LINE_ROOM];

		append(s, line,
		       (size_t)snprintf(line, sizeof(line), "{\"kind\": \"%s\", \"bytes\": %zu}\n",
					kube_kind_name(r->object->meta.kind), r->len));
		append(s, r->text, r->len);
		append(s, "\n", 1);
		kube_record_put(r);
	}
	s->sum = snapshot_sum(s->sum, s->text + from, s->len - from);
	if (s->at < s->n)
		return false;
	snapshot_footer(s->text + s->len, s->sum);
	s->len += SNAPSHOT_FOOTER;
	return true;
}

static void *write_it(void *arg) {
	struct snapshot *s = arg;

	s->result = file_replace(s->path, s->text, s->len);
	__atomic_store_n(&s->done, true, __ATOMIC_RELEASE);
	return NULL;
}

// Signals are the control thread's.
static int start_thread(struct snapshot *s) {
	sigset_t all, before;
	int ret;

	s->done = false;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	ret = pthread_create(&s->thread, NULL, write_it, s);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (ret == 0)
		s->phase = WRITING;
	return -ret;
}

static int failed(struct snapshot *s, int code, struct error *err) {
	s->marked = true;
	return error_set(err, code, "%s: can't be written: %s", s->path, strerror(-code));
}

// The thread is done, or is waited for.
static int reap(struct snapshot *s, struct error *err) {
	int result;

	pthread_join(s->thread, NULL);
	result = s->result;
	forget(s);
	return result < 0 ? failed(s, result, err) : 1;
}

static int begin_or_go_on(struct snapshot *s, const struct feed *f, int64_t wall_s,
			  struct error *err) {
	int ret = 0;

	if (s->phase == IDLE)
		ret = collect(s, f, wall_s);
	else if (s->phase == COPYING && copy(s, SLICE))
		ret = start_thread(s);
	else if (s->phase == WRITING && __atomic_load_n(&s->done, __ATOMIC_ACQUIRE))
		return reap(s, err);
	if (ret == 0)
		return 0;
	forget(s);
	return failed(s, ret, err);
}

int snapshot_step(struct snapshot *s, const struct feed *f, int64_t now_ms, int64_t wall_s,
		  struct error *err) {
	int ret;

	if (snapshot_due(s, now_ms) != 0)
		return 0;
	ret = begin_or_go_on(s, f, wall_s, err);
	if (s->phase == WRITING)
		s->due_ms = now_ms + POLL_MS;
	else if (s->phase == IDLE)
		s->due_ms = now_ms + (ret < 0 ? RETRY_MS : INTERVAL_MS);
	return ret;
}

int snapshot_finish(struct snapshot *s, const struct feed *f, int64_t wall_s, struct error *err) {
	int ret = 0;

	if (s->phase == WRITING)
		ret = reap(s, err);
	if (!s->marked && s->phase == IDLE)
		return ret < 0 ? ret : 0;
	forget(s);
	ret = collect(s, f, wall_s);
	if (ret == 0) {
		copy(s, SIZE_MAX);
		ret = file_replace(s->path, s->text, s->len);
	}
	forget(s);
	return ret < 0 ? failed(s, ret, err) : 0;
}
