// SPDX-License-Identifier: Apache-2.0
// Feeds the writer of status, runs the election, and says how it goes.
#include "writer.h"

#include <errno.h>
#include <event2/event.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "grants.h"
#include "sluiced.h"

#define STOP_MS 1000
#define NAMESPACE "kube-system"

static struct moment now_of(void) {
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (struct moment){.ms = (int64_t)control_now(),
			       .wall_us = (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000};
}

// --- grants ---

static int take(struct sluiced *s, const struct kube_grant *g, const struct moment *now) {
	uint64_t generation = compile_tables(s->appliance.compile)->generation;
	const struct kube_meta *m = &g->service->meta;
	struct aim_grant a;
	struct view v;

	if (grants_view(&v, g->service) < 0)
		return -ENOMEM;
	if (grants_aim(&a, s, g) < 0) {
		view_fini(&v);
		return -ENOMEM;
	}
	return status_put(s->writer.status, m->ns, m->name, &v, &a, generation, now);
}

struct taking {
	struct sluiced *s;
	struct moment now;
};

static int on_grant(void *arg, const struct kube_grant *g) {
	struct taking *t = arg;

	return take(t->s, g, &t->now);
}

static void take_all(struct sluiced *s) {
	struct taking t = {s, now_of()};

	s->writer.retake = kube_grants(s->appliance.kube, on_grant, &t) < 0;
}

static int take_name(struct sluiced *s, const struct kube_name *n, const struct moment *now) {
	struct kube_grant g;

	if (kube_grant(&g, s->appliance.kube, n->ns, n->name) == 0)
		return take(s, &g, now);
	status_remove(s->writer.status, n->ns, n->name,
		      compile_tables(s->appliance.compile)->generation);
	return 0;
}

void writer_take(struct sluiced *s) {
	struct writer *w = &s->writer;
	struct moment now = now_of();
	struct kube_name *names;
	int n = kube_take_dirty(s->appliance.kube, &names);

	for (int i = 0; i < n && w->status != NULL; i++)
		w->retake |= take_name(s, &names[i], &now) < 0;
	if (n >= 0)
		free(names);
	w->retake |= n < 0;
}

// --- election ---

// From the next control_apply() on. No table is made anew for it: addresses in use stay.
static void lead(struct sluiced *s, bool leads) {
	s->writer.leads = leads;
	if (s->writer.status != NULL)
		status_lead(s->writer.status, leads);
	appliance_follow(&s->appliance, !leads);
}

static void tell_leader(struct sluiced *s, bool leads, const struct moment *now) {
	struct lease_stats stats;

	lease_stats(s->writer.lease, &stats, now);
	if (leads)
		log_info("lease %s/%s: held; this appliance gives addresses and writes status",
			 s->writer.ns, s->writer.lease_name);
	else
		log_warn("lease %s/%s: lost (%s); traffic goes on, another one writes status",
			 s->writer.ns, s->writer.lease_name,
			 stats.error[0] != '\0' ? stats.error : stats.holder);
}

static void elect(struct sluiced *s, const struct moment *now) {
	struct writer *w = &s->writer;
	bool leads = lease_step(w->lease, now);

	if (w->stops || leads == w->leads)
		return;
	tell_leader(s, leads, now);
	lead(s, leads);
	control_apply(s);
}

// --- start, change, stop ---

static void on_report(void *arg, const char *text) {
	(void)arg;
	log_warn("status of %s", text);
}

static bool start_status(struct sluiced *s, uint64_t seed) {
	struct writer *w = &s->writer;
	struct events_config events = {.host = w->identity, .seed = seed};
	struct status_config status = {.finalizer = s->latest->services.finalizer,
				       .seed = seed,
				       .report = on_report};

	w->events = events_create(w->transport, &events);
	status.events = w->events;
	w->status = status_create(w->transport, &status);
	return w->events != NULL && w->status != NULL;
}

static bool start_lease(struct sluiced *s, uint64_t seed) {
	struct writer *w = &s->writer;
	struct lease_config c = {.ns = w->ns,
				 .name = w->lease_name,
				 .identity = w->identity,
				 .seed = seed};

	if (w->lease_name[0] == '\0')
		return true;
	w->lease = lease_create(w->transport, &c);
	return w->lease != NULL;
}

static void read_names(struct writer *w, const struct config_services *c, const char *ns) {
	if (c->lease_namespace[0] != '\0')
		ns = c->lease_namespace;
	snprintf(w->ns, sizeof(w->ns), "%s", ns[0] != '\0' ? ns : NAMESPACE);
	snprintf(w->lease_name, sizeof(w->lease_name), "%s", c->lease_name);
	snprintf(w->identity, sizeof(w->identity), "%s", c->identity);
	if (w->identity[0] == '\0' && gethostname(w->identity, sizeof(w->identity) - 1) < 0)
		snprintf(w->identity, sizeof(w->identity), "sluice");
}

int writer_attach(struct sluiced *s, const struct api_transport *t, const char *ns,
		  struct error *err) {
	const struct config_services *c = &s->latest->services;
	struct writer *w = &s->writer;
	uint64_t seed = (uint64_t)now_of().wall_us;

	writer_detach(s);
	w->transport = t;
	read_names(w, c, ns);
	getrandom(&seed, sizeof(seed), 0);
	if (c->write_status && (!start_status(s, seed) || !start_lease(s, seed + 1))) {
		writer_detach(s);
		return error_set(err, -ENOMEM, "out of memory");
	}
	w->retake = w->status != NULL;
	// Who may not write gives no addresses either: nobody would learn of them.
	lead(s, w->status != NULL && w->lease == NULL);
	return 0;
}

void writer_detach(struct sluiced *s) {
	struct writer *w = &s->writer;

	status_destroy(w->status);
	events_destroy(w->events);
	lease_destroy(w->lease);
	w->status = NULL;
	w->events = NULL;
	w->lease = NULL;
	w->transport = NULL;
}

bool writer_step(struct sluiced *s) {
	struct writer *w = &s->writer;
	struct moment now = now_of();

	if (w->lease != NULL && lease_due(w->lease, &now) == 0)
		elect(s, &now);
	if (w->status == NULL)
		return false;
	if (w->retake)
		take_all(s);
	if (s->appliance.n_announcements == 0) // they are on their way
		status_served(w->status, appliance_served(&s->appliance));
	if (status_due(w->status, &now) == 0)
		status_step(w->status, &now);
	if (events_due(w->events, &now) == 0)
		events_step(w->events, &now);
	return status_is_busy(w->status);
}

void writer_stop(struct sluiced *s) {
	struct writer *w = &s->writer;
	uint64_t end = control_now() + STOP_MS;
	struct moment now = now_of();

	if (w->lease == NULL)
		return;
	w->stops = true;
	status_lead(w->status, false);
	lease_release(w->lease, &now);
	while (!lease_is_released(w->lease) && control_now() < end)
		event_base_loop(s->base, EVLOOP_ONCE); // its timer calls writer_step()
	if (!lease_is_released(w->lease))
		log_warn("lease %s/%s: not given back; another appliance takes over in 15 s", w->ns,
			 w->lease_name);
}
