// SPDX-License-Identifier: Apache-2.0
// The Lease: looked at, taken, renewed, given back.
#include "status/lease.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "status/exchange.h"
#include "status/pace.h"

#define DURATION_S 15
#define DEADLINE_MS 10000
#define RETRY_MS 2000
#define JITTER_PERCENT 120 // on top of RETRY_MS, for those who wait
#define TIMEOUT_MS 5000    // of one request: two fit before the deadline
#define RELEASE_S 1        // duration of a Lease that is given back

enum doing { LEASE_NOTHING, LEASE_READS, LEASE_CREATES, LEASE_UPDATES };

struct lease {
	const struct api_transport *transport;
	char ns[256], name[256], identity[256];
	uint64_t chance;

	struct exchange exchange;
	enum doing doing;
	int64_t began; // ms; the request under way

	json_t *object;      // as last seen; NULL: not known, or absent
	bool absent;         // the server said so
	bool doubtful;       // look before the next update
	int64_t observed_at; // ms; when the spec last changed under our eyes
	int64_t renewed_at;  // ms; the start of our last successful update
	int64_t next_at;     // ms
	bool leads, releases, released;
	uint64_t errors;
	char error[200];
};

struct lease *lease_create(const struct api_transport *t, const struct lease_config *c) {
	struct lease *l = calloc(1, sizeof(*l));

	if (l == NULL)
		return NULL;
	l->transport = t;
	l->chance = c->seed;
	l->doubtful = true;
	snprintf(l->ns, sizeof(l->ns), "%s", c->ns);
	snprintf(l->name, sizeof(l->name), "%s", c->name);
	snprintf(l->identity, sizeof(l->identity), "%s", c->identity);
	return l;
}

void lease_destroy(struct lease *l) {
	if (l == NULL)
		return;
	exchange_reset(&l->exchange);
	json_decref(l->object);
	free(l);
}

// --- what is known ---

static json_t *spec_of(const struct lease *l) {
	return json_object_get(l->object, "spec");
}

static const char *holder_of(const struct lease *l) {
	const char *holder = json_string_value(json_object_get(spec_of(l), "holderIdentity"));

	return holder != NULL ? holder : "";
}

static bool is_ours(const struct lease *l) {
	return strcmp(holder_of(l), l->identity) == 0;
}

static bool is_expired(const struct lease *l, int64_t now) {
	int64_t s = json_integer_value(json_object_get(spec_of(l), "leaseDurationSeconds"));

	return now - l->observed_at >= (s > 0 ? s : DURATION_S) * 1000;
}

static bool is_takeable(const struct lease *l, int64_t now) {
	return l->absent ||
	       (l->object != NULL && (is_ours(l) || holder_of(l)[0] == '\0' || is_expired(l, now)));
}

// --- requests ---

static json_t *next_spec(const struct lease *l, const struct moment *now) {
	char text[MOMENT_TEXT];
	json_t *spec = l->object == NULL ? json_object() : json_deep_copy(spec_of(l));
	json_int_t transitions = json_integer_value(json_object_get(spec, "leaseTransitions"));

	if (spec == NULL) // an object without a spec
		spec = json_object();
	moment_micro_time(now, text);
	if (!is_ours(l) || l->absent) {
		json_object_set_new(spec, "acquireTime", json_string(text));
		json_object_set_new(spec, "leaseTransitions",
				    json_integer(l->absent ? 0 : transitions + 1));
	}
	json_object_set_new(spec, "holderIdentity", json_string(l->releases ? "" : l->identity));
	json_object_set_new(spec, "leaseDurationSeconds",
			    json_integer(l->releases ? RELEASE_S : DURATION_S));
	json_object_set_new(spec, "renewTime", json_string(text));
	return spec;
}

static json_t *next_object(const struct lease *l, const struct moment *now) {
	json_t *spec = next_spec(l, now), *object;

	if (l->absent)
		return json_pack("{s:s, s:s, s:{s:s, s:s}, s:o}", "apiVersion",
				 "coordination.k8s.io/v1", "kind", "Lease", "metadata", "name",
				 l->name, "namespace", l->ns, "spec", spec);
	object = json_copy(l->object);
	json_object_set_new(object, "spec", spec);
	return object;
}

static int start(struct lease *l, enum doing doing, const struct moment *now) {
	static const char *const methods[] = {
		[LEASE_READS] = "GET", [LEASE_CREATES] = "POST", [LEASE_UPDATES] = "PUT"};
	json_t *body = doing == LEASE_READS ? NULL : next_object(l, now);
	char path[600];
	struct exchange_request r = {.method = methods[doing],
				     .path = path,
				     .body = body,
				     .timeout_ms = TIMEOUT_MS};
	int ret;

	snprintf(path, sizeof(path), "/apis/coordination.k8s.io/v1/namespaces/%s/leases%s%s", l->ns,
		 doing == LEASE_CREATES ? "" : "/", doing == LEASE_CREATES ? "" : l->name);
	ret = body == NULL && doing != LEASE_READS ? -ENOMEM
						   : exchange_start(&l->exchange, l->transport, &r);
	json_decref(body);
	l->began = now->ms;
	if (ret == 0)
		l->doing = doing;
	return ret;
}

// --- answers ---

static void see(struct lease *l, json_t *object, const struct moment *now) {
	json_t *spec = json_object_get(object, "spec");

	if (l->object == NULL || !json_equal(spec, spec_of(l)))
		l->observed_at = now->ms;
	json_decref(l->object);
	l->object = object;
	l->absent = l->doubtful = false;
}

static void forget(struct lease *l) {
	json_decref(l->object);
	l->object = NULL;
	l->absent = false;
	l->doubtful = true;
}

static void note_error(struct lease *l) {
	l->errors++;
	exchange_text(&l->exchange, l->error, sizeof(l->error));
	l->doubtful = true;
}

static void take_ok(struct lease *l, const struct moment *now) {
	json_t *object = exchange_json(&l->exchange);

	if (object == NULL) {
		note_error(l);
		return;
	}
	see(l, object, now);
	l->error[0] = '\0';
	if (l->doing == LEASE_READS) {
		l->next_at = is_takeable(l, now->ms) && (!l->releases || is_ours(l)) ? now->ms
										     : l->next_at;
		l->released |= l->releases && !is_ours(l);
		return;
	}
	if (l->releases) {
		l->released = true;
		return;
	}
	l->renewed_at = l->began;
	l->leads = true;
}

static void take_answer(struct lease *l, const struct moment *now) {
	enum exchange_result result = exchange_result(&l->exchange);

	l->next_at = l->began +
		     (l->leads ? RETRY_MS : pace_jitter(RETRY_MS, JITTER_PERCENT, &l->chance));
	switch (result) {
	case EXCHANGE_OK:
		take_ok(l, now);
		break;
	case EXCHANGE_MISSING:
		forget(l);
		// Only the object is missing where a look says so: else its namespace is, and it can't be made either.
		l->absent = l->doing == LEASE_READS;
		l->doubtful = !l->absent;
		l->released |= l->releases;
		if (l->absent)
			l->next_at = now->ms;
		else
			note_error(l);
		break;
	case EXCHANGE_CONFLICT: // somebody was quicker: look who
		forget(l);
		l->next_at = l->leads || l->releases ? now->ms : l->next_at;
		break;
	default:
		note_error(l);
		if (l->exchange.end.retry_after_ms > 0 &&
		    now->ms + l->exchange.end.retry_after_ms > l->next_at)
			l->next_at = now->ms + l->exchange.end.retry_after_ms;
	}
}

// --- the step ---

static void act(struct lease *l, const struct moment *now) {
	int ret;

	if (l->doubtful)
		ret = start(l, LEASE_READS, now);
	else if (l->absent)
		ret = start(l, LEASE_CREATES, now);
	else if (is_takeable(l, now->ms))
		ret = start(l, LEASE_UPDATES, now);
	else
		ret = start(l, LEASE_READS, now);
	if (ret < 0)
		l->next_at = now->ms + RETRY_MS;
}

bool lease_step(struct lease *l, const struct moment *now) {
	if (exchange_is_done(&l->exchange)) {
		take_answer(l, now);
		exchange_reset(&l->exchange);
		l->doing = LEASE_NOTHING;
	}
	if (l->leads &&
	    (now->ms - l->renewed_at >= DEADLINE_MS || (l->object != NULL && !is_ours(l))))
		l->leads = false;
	if (!l->released && !exchange_is_busy(&l->exchange) && now->ms >= l->next_at)
		act(l, now);
	return l->leads && !l->releases;
}

int64_t lease_due(const struct lease *l, const struct moment *now) {
	int64_t at = l->next_at;

	if (exchange_is_done(&l->exchange))
		return 0;
	if (l->released)
		return INT64_MAX;
	if (exchange_is_busy(&l->exchange))
		at = INT64_MAX;
	if (l->leads && l->renewed_at + DEADLINE_MS < at)
		at = l->renewed_at + DEADLINE_MS;
	return at > now->ms ? at - now->ms : 0;
}

void lease_release(struct lease *l, const struct moment *now) {
	bool renews = l->doing == LEASE_UPDATES || l->doing == LEASE_CREATES;

	exchange_reset(&l->exchange);
	l->doing = LEASE_NOTHING;
	l->released = !l->leads && !renews;
	l->releases = true;
	l->doubtful |= renews; // whether the server has it is not known
	l->next_at = now->ms;
}

bool lease_is_released(const struct lease *l) {
	return l->released;
}

void lease_stats(const struct lease *l, struct lease_stats *out, const struct moment *now) {
	*out = (struct lease_stats){.leads = l->leads && !l->releases,
				    .holder = holder_of(l),
				    .renewed_ms = l->leads ? now->ms - l->renewed_at : -1,
				    .errors = l->errors};
	memcpy(out->error, l->error, sizeof(out->error));
}
