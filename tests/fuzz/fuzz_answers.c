// SPDX-License-Identifier: Apache-2.0
// Any bytes as the answers of an API server to those who write: pieces between 0xff, each a status by its first byte and a body. Then it is away.
#include <stdlib.h>
#include <string.h>

#include "status/lease.h"
#include "status/status.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CALLS 64
#define TURNS 64

struct call {
	const struct api_handlers *handlers;
	void *arg;
};

struct server {
	struct call calls[CALLS]; // an id is the place, and 1
	bool used[CALLS];
	const uint8_t *at, *end;
};

static struct api_call *start(void *ctx, const struct api_request *r,
			      const struct api_handlers *handlers, void *arg) {
	struct server *s = ctx;

	(void)r;
	for (uintptr_t i = 0; i < CALLS; i++)
		if (!s->used[i]) {
			s->used[i] = true;
			s->calls[i] = (struct call){handlers, arg};
			return (struct api_call *)(i + 1);
		}
	return NULL;
}

static void cancel(void *ctx, struct api_call *call) {
	struct server *s = ctx;

	s->used[(uintptr_t)call - 1] = false;
}

static void answer(struct server *s, const struct call *c) {
	static const int statuses[] = {200, 200, 200, 201, 404, 409, 422, 429, 403, 500, 0};
	const uint8_t *stop = s->at == s->end ? NULL
					      : memchr(s->at, 0xff, (size_t)(s->end - s->at));
	struct api_end end = {.retry_after_ms = -1};
	size_t n;

	stop = stop != NULL ? stop : s->end;
	n = (size_t)(stop - s->at);
	end.status = n == 0 ? 0 : statuses[s->at[0] % (sizeof(statuses) / sizeof(statuses[0]))];
	end.error = end.status == 0 ? -5 : 0;
	if (n > 1)
		c->handlers->on_data(c->arg, end.status, (const char *)s->at + 1, n - 1);
	s->at = stop < s->end ? stop + 1 : s->end;
	c->handlers->on_end(c->arg, &end);
}

static void answer_all(struct server *s) {
	for (int i = 0; i < CALLS; i++)
		if (s->used[i]) {
			s->used[i] = false;
			answer(s, &s->calls[i]);
		}
}

static void feed(struct status *s, const struct moment *now) {
	struct view v = {.uid = "u", .version = "1", .load_balancer = true};
	struct aim_grant g = {.ours = true, .is_served = true, .where = "203.0.113.1"};

	v.marks.ingress = strdup("");
	g.ingress = strdup("[{\"ip\":\"203.0.113.1\",\"ipMode\":\"VIP\"}]");
	if (v.marks.ingress == NULL || g.ingress == NULL)
		abort();
	status_put(s, "shop", "web", &v, &g, 1, now);
	status_served(s, 1);
	status_lead(s, true);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
	struct server server = {.at = data, .end = data + size};
	const struct api_transport transport = {start, cancel, &server};
	const struct events_config ec = {.host = "lb-1"};
	const struct lease_config lc = {.ns = "kube-system", .name = "sluice", .identity = "lb-1"};
	struct status_config sc = {.finalizer = true};
	struct events *events = events_create(&transport, &ec);
	struct lease *lease = lease_create(&transport, &lc);
	struct moment now = {.ms = 1};
	struct status *status;

	sc.events = events;
	status = status_create(&transport, &sc);
	feed(status, &now);
	for (int i = 0; i < TURNS; i++, now.ms += 500, now.wall_us += 500000) {
		lease_step(lease, &now);
		status_step(status, &now);
		events_step(events, &now);
		answer_all(&server);
	}
	status_destroy(status);
	events_destroy(events);
	lease_destroy(lease);
	return 0;
}
