// SPDX-License-Identifier: Apache-2.0
// How the writing goes, for the verb kube.
#include "sluiced.h"
#include "writer.h"

static json_t *answers_of(const struct status_stats *stats) {
	json_t *answers = json_object();

	for (int r = 0; r < EXCHANGE_RESULTS; r++)
		if (stats->results[r] > 0)
			json_object_set_new(answers, exchange_result_name((enum exchange_result)r),
					    json_integer((json_int_t)stats->results[r]));
	return answers;
}

static json_t *events_of(const struct writer *w) {
	struct events_stats e;

	events_stats(w->events, &e);
	return json_pack("{s:I, s:I, s:I, s:I}", "sent", (json_int_t)e.sent, "failed",
			 (json_int_t)e.failed, "limited", (json_int_t)e.spam, "dropped",
			 (json_int_t)e.dropped);
}

static json_t *lease_of(const struct writer *w, const struct moment *now) {
	struct lease_stats l;

	if (w->lease == NULL)
		return json_null();
	lease_stats(w->lease, &l, now);
	return json_pack("{s:s, s:s, s:s, s:s, s:f, s:I, s:s}", "namespace", w->ns, "name",
			 w->lease_name, "identity", w->identity, "holder", l.holder, "renewedFor",
			 l.renewed_ms < 0 ? -1.0 : (double)l.renewed_ms / 1000, "errors",
			 (json_int_t)l.errors, "lastError", l.error);
}

static void add_trouble(void *arg, const char *ns, const char *name, const char *why) {
	json_array_append_new(arg, json_pack("{s:s, s:s, s:s}", "namespace", ns, "name", name,
					     "reason", why));
}

json_t *writer_describe(struct sluiced *s) {
	struct writer *w = &s->writer;
	struct moment now = {.ms = (int64_t)control_now()};
	struct status_stats t;
	json_t *troubles;

	if (w->status == NULL)
		return json_null();
	status_stats(w->status, &t, &now);
	troubles = json_array();
	status_troubles(w->status, add_trouble, troubles);
	return json_pack(
		"{s:b, s:o, s:i, s:i, s:i, s:i, s:i, s:I, s:I, s:I, s:I, s:I, s:o, s:s, s:o, s:o}",
		"leads", w->leads, "lease", lease_of(w, &now), "services", (int)t.services,
		"pending", (int)t.pending, "unserved", (int)t.unserved, "inFlight",
		(int)t.in_flight, "held", (int)t.held, "pausedMs", (json_int_t)t.paused_ms,
		"writes", (json_int_t)t.writes, "reads", (json_int_t)t.reads, "contested",
		(json_int_t)t.contested, "invalid", (json_int_t)t.invalid, "answers",
		answers_of(&t), "lastError", t.error, "events", events_of(w), "troubles", troubles);
}
