// SPDX-License-Identifier: Apache-2.0
// Events to actions, all on one thread.
#include "control.h"

#include <errno.h>
#include <event2/event.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/log.h"
#include "notify.h"
#include "reload.h"
#include "sluiced.h"
#include "state.h"

#define QUICK_MS 1
#define SLOW_MS 5
#define QUICK_FOR_MS 20 // after the last report of a worker
#define SAVE_MS 1000    // between two writes of the state file
#define RETRY_MS 500    // after a lack of memory
#define LOOK_MS 1000    // between two looks at neighbours
#define TELL_AT_ONCE 5  // lines on neighbours in a look
#define TELL_MS 1000    // between two lines on Services
#define EXTEND_MS 20000 // between two requests for patience
#define WAITING "EXTEND_TIMEOUT_USEC=60000000\nSTATUS=waiting for the API server"

uint64_t control_now(void) {
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

// --- objects ---

static void tell_services(struct sluiced *s) {
	const struct model_service **list;
	int n = model_list(s->appliance.model, &list), unserved = 0;

	if (n < 0)
		return;
	for (int i = 0; i < n; i++)
		unserved += list[i]->n_frontends == 0 ||
			    compile_reason(s->appliance.compile, &list[i]->key)[0] != '\0';
	free(list);
	log_info("services: %d service ports served, %d not; generation %" PRIu64, n - unserved,
		 unserved, compile_tables(s->appliance.compile)->generation);
}

// At most once a second: with an API server behind it, Services change all the time.
static void look_at_services(struct sluiced *s, uint64_t now) {
	struct control *c = &s->control;

	if (!c->services_changed || now < c->tell_at)
		return;
	tell_services(s);
	c->services_changed = false;
	c->tell_at = now + TELL_MS;
}

int control_apply(struct sluiced *s) {
	uint64_t now = control_now();
	int ret = appliance_apply(&s->appliance, now);

	s->control.retry_at = ret < 0 ? now + RETRY_MS : 0;
	if (ret < 0)
		log_error("services: the change waits for memory: %s", strerror(-ret));
	else
		writer_take(s);
	s->control.services_changed |= ret > 0;
	look_at_services(s, now);
	if (s->control.save_at == 0)
		s->control.save_at = now;
	return ret;
}

int control_load(struct sluiced *s, struct error *err) {
	int ret = state_load(s->appliance.addresses, s->config->services.state_file, err);

	if (ret == 0)
		ret = s->source->start(s, err);
	if (ret < 0)
		return ret;
	return control_apply(s) < 0 ? error_set(err, -ENOMEM, "out of memory for look-up tables")
				    : 0;
}

static void save(struct sluiced *s, uint64_t now) {
	struct control *c = &s->control;

	if (c->save_at == 0 || now < c->save_at)
		return;
	if (state_save(s->appliance.addresses, s->config->services.state_file) > 0)
		c->save_at = now + SAVE_MS; // and again, in case it failed or more comes
	else
		c->save_at = 0;
}

// --- neighbours ---

static void tell_neighbor(const struct sluiced *s, uint32_t id, bool failed) {
	const struct neighbor_table *t = s->appliance.neighbors;
	char text[IP_ADDR_STR];

	ip_addr_format(neighbor_addr(t, id), text);
	if (failed)
		log_warn("port %s: %s does not answer %s",
			 s->config->site.ports[neighbor_port(t, id)].name, text,
			 neighbor_addr(t, id)->family == 4 ? "ARP" : "neighbour solicitations");
	else
		log_info("port %s: %s answers again",
			 s->config->site.ports[neighbor_port(t, id)].name, text);
}

// Tell who stopped to answer and who began again, a few a second.
static void look_at_neighbors(struct sluiced *s, uint64_t now) {
	const struct neighbor_table *t = s->appliance.neighbors;
	struct control *c = &s->control;
	unsigned told = 0;

	if (now < c->look_at || neighbor_changes(t) == c->neighbor_changes)
		return;
	c->look_at = now + LOOK_MS;
	c->neighbor_changes = neighbor_changes(t);
	for (uint32_t id = 0; id < neighbor_ids(t); id++) {
		uint64_t word = neighbor_peek(t, id);
		bool failed = word & NEIGHBOR_FAILED;

		if (failed == c->failed[id])
			continue;
		// An entry that was given up says nothing about its address.
		if (++told <= TELL_AT_ONCE && (failed || word & NEIGHBOR_KNOWN))
			tell_neighbor(s, id, failed);
		c->failed[id] = failed;
	}
	if (told > TELL_AT_ONCE)
		log_warn("neighbours: %u more began or ceased to answer", told - TELL_AT_ONCE);
}

// --- the loop ---

static void arm(struct sluiced *s, unsigned ms) {
	struct timeval in = {.tv_usec = (suseconds_t)ms * 1000};

	event_add(s->control.timer, &in);
}

void control_hurry(struct sluiced *s) {
	struct control *c = &s->control;
	uint64_t now = control_now();

	if (now >= c->quick_until)
		arm(s, QUICK_MS);
	c->quick_until = now + QUICK_FOR_MS;
}

// Without an API server and a snapshot there is nothing to serve; systemd must not give up for that.
static void look_whether_ready(struct sluiced *s, uint64_t now) {
	struct control *c = &s->control;

	if (c->is_ready)
		return;
	if (!s->source->is_ready(s)) {
		if (now >= c->extend_at) {
			notify_systemd(WAITING);
			c->extend_at = now + EXTEND_MS;
		}
		return;
	}
	c->is_ready = true;
	notify_systemd("READY=1\nSTATUS=");
	log_info("ready");
}

static void on_timer(evutil_socket_t fd, short what, void *arg) {
	struct sluiced *s = arg;
	struct control *c = &s->control;
	uint64_t now = control_now();

	(void)fd;
	(void)what;
	if (appliance_step(&s->appliance, now) > 0 || verbs_poll(s))
		c->quick_until = now + QUICK_FOR_MS;
	s->source->step(s, now);
	if (c->retry_at != 0 && now >= c->retry_at)
		control_apply(s);
	probes_step(s, now);
	look_whether_ready(s, now);
	save(s, now);
	look_at_services(s, now);
	look_at_neighbors(s, now);
	arm(s, now < c->quick_until ? QUICK_MS : SLOW_MS);
}

static void on_signal(evutil_socket_t number, short what, void *arg) {
	struct sluiced *s = arg;

	(void)what;
	if (number == SIGHUP) {
		reload(s);
		return;
	}
	log_info("signal %s: stopping", number == SIGTERM ? "TERM" : "INT");
	event_base_loopbreak(s->base);
}

int control_init(struct sluiced *s, struct error *err) {
	static const int numbers[CONTROL_SIGNALS] = {SIGTERM, SIGINT, SIGHUP};
	struct control *c = &s->control;

	s->base = event_base_new();
	c->failed = calloc(APPLIANCE_NEIGHBORS, 1);
	if (s->base == NULL || c->failed == NULL)
		goto fail;
	c->timer = evtimer_new(s->base, on_timer, s);
	if (c->timer == NULL)
		goto fail;
	for (int i = 0; i < CONTROL_SIGNALS; i++) {
		c->signals[i] = evsignal_new(s->base, numbers[i], on_signal, s);
		if (c->signals[i] == NULL || evsignal_add(c->signals[i], NULL) < 0)
			goto fail;
	}
	return 0;
fail:
	control_fini(s);
	return error_set(err, -ENOMEM, "out of memory for the event loop");
}

void control_fini(struct sluiced *s) {
	struct control *c = &s->control;

	for (int i = 0; i < CONTROL_SIGNALS; i++)
		if (c->signals[i] != NULL)
			event_free(c->signals[i]);
	if (c->timer != NULL)
		event_free(c->timer);
	free(c->failed);
	if (s->base != NULL)
		event_base_free(s->base);
	s->control = (struct control){.timer = NULL};
	s->base = NULL;
}

int control_run(struct sluiced *s, struct error *err) {
	int ret;

	look_whether_ready(s, control_now());
	arm(s, QUICK_MS);
	ret = event_base_dispatch(s->base);
	s->control.save_at = 1;
	save(s, control_now());
	return ret == 0 ? 0 : error_set(err, -EIO, "the event loop failed");
}
