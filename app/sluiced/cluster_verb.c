// SPDX-License-Identifier: Apache-2.0
// The verb kube of an API server: each stream, the gate, the snapshot, how long changes take.
#include <time.h>

#include "sluiced.h"

static json_t *errors_of(const struct reflector_stats *stats) {
	json_t *errors = json_object();

	for (int cause = 0; cause < REFLECTOR_CAUSES; cause++)
		if (stats->errors[cause] > 0)
			json_object_set_new(errors, reflector_cause_name(cause),
					    json_integer((json_int_t)stats->errors[cause]));
	return errors;
}

static json_t *seconds(int64_t ms) {
	return ms < 0 ? json_null() : json_integer(ms / 1000);
}

static json_t *stream_row(const struct cluster *c, enum kube_kind kind, int64_t now) {
	static const char *const names[] = {[KUBE_SERVICE] = "services",
					    [KUBE_SLICE] = "endpointslices",
					    [KUBE_ENDPOINTS] = "endpoints",
					    [KUBE_NODE] = "nodes"};
	const struct cluster_stream *st = &c->streams[kind];
	struct reflector_stats r;
	struct feed_stats f;
	json_t *row;

	reflector_stats(st->reflector, &r);
	feed_stats(c->feed, kind, now, &f);
	row = json_pack("{s:s, s:s, s:o, s:s, s:s, s:b, s:I, s:I, s:I}", "resource", names[kind],
			"state", reflector_state_name(r.state), "age",
			seconds(r.last_byte_ms == INT64_MIN ? -1 : now - r.last_byte_ms),
			"resourceVersion", r.resource_version, "appliedVersion", st->applied,
			"synced", f.synced, "objects", (json_int_t)f.objects, "held",
			(json_int_t)f.held, "relists", (json_int_t)r.relists);
	json_object_update_new(
		row,
		json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:o, s:o, s:s}", "lists",
			  (json_int_t)(r.lists + r.streams), "watches", (json_int_t)r.watches,
			  "events", (json_int_t)r.events, "bookmarks", (json_int_t)r.bookmarks,
			  "skipped", (json_int_t)r.skipped, "undecodable", (json_int_t)(f.broken),
			  "noJson", (json_int_t)r.broken, "errors", errors_of(&r), "failing",
			  seconds(r.failing_since_ms == INT64_MIN ? -1 : now - r.failing_since_ms),
			  "lastError", r.last_error));
	return row;
}

// null, or what is withheld and for how long still.
static json_t *held(const struct cluster *c, int64_t now) {
	json_int_t objects = 0, left = 0;

	for (int kind = 0; kind < KUBE_KINDS; kind++) {
		struct feed_stats f;

		feed_stats(c->feed, (enum kube_kind)kind, now, &f);
		objects += (json_int_t)f.held;
		if (f.hold_left_ms > left)
			left = f.hold_left_ms;
	}
	return objects == 0 ? json_null()
			    : json_pack("{s:I, s:I}", "objects", objects, "msLeft", left);
}

// null: off. dirty: what is known is not in the file yet. serving: the file's content is all there is.
static json_t *snapshot_of(const struct cluster *c, const char *file) {
	if (c->snapshot == NULL)
		return json_null();
	return json_pack("{s:s, s:b, s:b}", "file", file, "dirty",
			 !feed_is_synced(c->feed) || c->changed_us != 0 ||
				 snapshot_is_dirty(c->snapshot),
			 "serving", c->warm);
}

static json_t *workers_at(const struct sluiced *s) {
	json_t *at = json_array();

	for (uint16_t i = 0; i < s->appliance.dp.n_workers; i++)
		json_array_append_new(at, json_integer((json_int_t)__atomic_load_n(
						  &s->appliance.workers[i]->generation,
						  __ATOMIC_RELAXED)));
	return at;
}

// How old what is served may be: null when it is the server's present state.
static json_t *stale_for(const struct cluster *c, int64_t now) {
	int64_t age = time(NULL) - c->saved_at;

	if (c->warm)
		return json_integer(age > 0 ? age : 0);
	return c->away_since > 0 ? json_integer((now - c->away_since) / 1000) : json_null();
}

json_t *cluster_describe(struct sluiced *s) {
	const struct cluster *c = &s->cluster;
	int64_t now = (int64_t)control_now();
	bool synced = feed_is_synced(c->feed);
	json_t *items = json_array();

	for (int kind = 0; kind < KUBE_KINDS; kind++)
		if (c->streams[kind].reflector != NULL)
			json_array_append_new(items, stream_row(c, (enum kube_kind)kind, now));
	return json_pack("{s:s, s:s, s:b, s:b, s:o, s:o, s:o, s:I, s:o, s:o, s:o, s:o}", "source",
			 "kubernetes", "server", c->access != NULL ? c->access->server : "",
			 "synced", synced, "stale", !synced || c->away_since > 0, "staleFor",
			 stale_for(c, now), "snapshot",
			 snapshot_of(c, s->config->services.snapshot_file), "held", held(c, now),
			 "generation", (json_int_t)compile_tables(s->appliance.compile)->generation,
			 "workersAt", workers_at(s), "latency", latency_describe(&c->latency),
			 "writer", writer_describe(s), "items", items);
}
