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

uint64_t control_now(void) {
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

// --- objects ---

static void on_report(void *arg, enum manifests_severity severity, const struct error *what) {
	(void)arg;
	if (severity == MANIFESTS_BROKEN)
		log_error("manifests: %s", what->text);
	else
		log_info("manifests: %s", what->text);
}

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

void control_apply(struct sluiced *s) {
	uint64_t now = control_now();
	int ret = appliance_apply(&s->appliance, now);

	s->control.retry_at = ret < 0 ? now + RETRY_MS : 0;
	if (ret < 0)
		log_error("services: the change waits for memory: %s", strerror(-ret));
	else if (ret > 0)
		tell_services(s);
	if (s->control.save_at == 0)
		s->control.save_at = now;
}

static void load(struct sluiced *s, uint64_t now) {
	struct appliance *a = &s->appliance;
	int ret = a->manifests == NULL ? 0 : manifests_load(a->manifests, a->kube, (int64_t)now);

	if (ret == -ENOMEM)
		s->control.retry_at = now + RETRY_MS;
	if (ret >= 0) // no change of objects may still be a file that became readable
		control_apply(s);
}

static void on_watch(evutil_socket_t fd, short what, void *arg) {
	struct sluiced *s = arg;

	(void)fd;
	(void)what;
	manifests_handle(s->appliance.manifests, (int64_t)control_now());
}

static int watch(struct sluiced *s, struct error *err) {
	struct manifests *m = s->appliance.manifests;
	int ret = manifests_watch(m, err);

	if (ret < 0)
		return ret;
	s->control.watch = event_new(s->base, manifests_fd(m), EV_READ | EV_PERSIST, on_watch, s);
	if (s->control.watch == NULL || event_add(s->control.watch, NULL) < 0)
		return error_set(err, -ENOMEM, "out of memory");
	// What changed between reading and watching.
	ret = manifests_load(m, s->appliance.kube, (int64_t)control_now());
	return ret < 0 ? error_set(err, ret, "%s: %s", s->latest->services.manifests,
				   strerror(-ret))
		       : 0;
}

void control_unwatch(struct sluiced *s) {
	if (s->control.watch != NULL)
		event_free(s->control.watch);
	s->control.watch = NULL;
}

int control_watch(struct sluiced *s, const char *path) {
	struct error err;
	int ret;

	control_unwatch(s);
	ret = appliance_load(&s->appliance, path, on_report, s, control_now());
	if (ret < 0) // the watch comes back to it
		log_error("manifests: %s: %s", path, strerror(-ret));
	if (s->appliance.manifests == NULL)
		return ret;
	ret = watch(s, &err);
	if (ret < 0)
		log_error("manifests: %s", err.text);
	return ret;
}

static int load_manifests(struct sluiced *s, const char *path, struct error *err) {
	int ret = appliance_load(&s->appliance, path, on_report, s, control_now());

	return ret < 0 ? error_set(err, ret, "services.manifests: %s: %s", path, strerror(-ret))
		       : watch(s, err);
}

int control_load(struct sluiced *s, struct error *err) {
	const struct config_services *c = &s->config->services;
	int ret = state_load(s->appliance.addresses, c->state_file, err);

	if (ret == 0 && c->manifests != NULL)
		ret = load_manifests(s, c->manifests, err);
	if (ret < 0)
		return ret;
	control_apply(s);
	return s->control.retry_at == 0
		       ? 0
		       : error_set(err, -ENOMEM, "out of memory for look-up tables");
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

static void on_timer(evutil_socket_t fd, short what, void *arg) {
	struct sluiced *s = arg;
	struct control *c = &s->control;
	uint64_t now = control_now();

	(void)fd;
	(void)what;
	if (appliance_step(&s->appliance, now) > 0 || verbs_poll(s))
		c->quick_until = now + QUICK_FOR_MS;
	if (s->appliance.manifests != NULL &&
	    manifests_due(s->appliance.manifests, (int64_t)now) == 0)
		load(s, now);
	if (c->retry_at != 0 && now >= c->retry_at)
		load(s, now);
	probes_step(s, now);
	save(s, now);
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

	control_unwatch(s);
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

	arm(s, QUICK_MS);
	ret = event_base_dispatch(s->base);
	s->control.save_at = 1;
	save(s, control_now());
	return ret == 0 ? 0 : error_set(err, -EIO, "the event loop failed");
}
