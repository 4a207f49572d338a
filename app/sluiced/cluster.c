// SPDX-License-Identifier: Apache-2.0
// Follow an API server: the wiring.
#include "cluster.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

#include "access.h"
#include "base/log.h"
#include "sluiced.h"

#define GATHER_US 2000
#define MISSING_TRIES 2 // a server that says so twice has no discovery.k8s.io/v1

#define NEEDED(endpoints) (1u << KUBE_SERVICE | 1u << (endpoints) | 1u << KUBE_NODE)

#define NOT_HEADLESS "labelSelector=%21service.kubernetes.io%2Fheadless"

// What nobody here reads, as text.
#define MANAGED_FIELDS "\"managedFields\":["
#define LAST_APPLIED "\"kubectl.kubernetes.io/last-applied-configuration\":\""

static const char *const drop_service[] = {MANAGED_FIELDS, LAST_APPLIED, NULL};
static const char *const drop_slice[] = {MANAGED_FIELDS, "\"targetRef\":{", NULL};
static const char *const drop_node[] = {MANAGED_FIELDS, "\"images\":[", NULL};

static const struct resource {
	const char *path, *selector;
	const char *const *drop;
} resources[KUBE_KINDS] = {
	[KUBE_SERVICE] = {"/api/v1/services",
			  "labelSelector=%21service.kubernetes.io%2Fservice-proxy-name",
			  drop_service},
	[KUBE_SLICE] = {"/apis/discovery.k8s.io/v1/endpointslices", NOT_HEADLESS, drop_slice},
	[KUBE_ENDPOINTS] = {"/api/v1/endpoints", NOT_HEADLESS, drop_slice},
	[KUBE_NODE] = {"/api/v1/nodes", "", drop_node},
};

// --- what the reflectors say ---

// Remember when the first change of those that are not in the tables yet came.
static int note(struct cluster *c, int ret) {
	if (feed_take_changed(c->feed) && c->changed_us == 0) {
		c->changed_us = latency_now();
		control_hurry(c->sluiced);
	}
	return ret;
}

static enum kube_kind kind_of(const struct cluster_stream *st) {
	return (enum kube_kind)(st - st->cluster->streams);
}

static int on_begin(void *arg) {
	struct cluster_stream *st = arg;

	return feed_begin(st->cluster->feed, kind_of(st));
}

static int on_object(void *arg, const struct reflector_object *o) {
	struct cluster_stream *st = arg;
	struct cluster *c = st->cluster;

	return note(c, feed_put(c->feed, kind_of(st), &o->node, o->text, o->len));
}

static int on_remove(void *arg, const struct reflector_object *o) {
	struct cluster_stream *st = arg;
	struct cluster *c = st->cluster;

	return note(c, feed_remove(c->feed, kind_of(st), &o->node));
}

static int on_end(void *arg) {
	struct cluster_stream *st = arg;
	struct cluster *c = st->cluster;

	return note(c, feed_end(c->feed, kind_of(st), (int64_t)control_now()));
}

static void on_broken(void *arg, const struct error *what) {
	struct cluster_stream *st = arg;

	feed_broken(st->cluster->feed, kind_of(st), what);
}

static int64_t clock_ms(void *arg) {
	(void)arg;
	return (int64_t)control_now();
}

// --- connecting ---

static int follow(struct cluster *c, enum kube_kind kind) {
	static const struct reflector_sink sink = {on_begin, on_object, on_remove, on_end,
						   on_broken};
	struct cluster_stream *st = &c->streams[kind];
	const struct reflector_settings settings = {
		.path = resources[kind].path,
		.selector = resources[kind].selector,
		.kind = kube_kind_name(kind),
		.drop = resources[kind].drop,
		.transport = api_client_transport(c->client),
		.server = &c->server,
		.sink = &sink,
		.sink_arg = st,
		.clock = clock_ms,
		.seed = c->sluiced->appliance.settings.secret + kind,
	};

	st->reflector = reflector_create(&settings);
	return st->reflector != NULL ? 0 : -ENOMEM;
}

static void unfollow(struct cluster *c, enum kube_kind kind) {
	reflector_destroy(c->streams[kind].reflector);
	c->streams[kind].reflector = NULL;
}

static void disconnect(struct cluster *c) {
	writer_detach(c->sluiced);
	for (int kind = 0; kind < KUBE_KINDS; kind++)
		unfollow(c, (enum kube_kind)kind);
	api_client_destroy(c->client);
	kubeconfig_destroy(c->access);
	free(c->access_text);
	c->client = NULL;
	c->access = NULL;
	c->access_text = NULL;
}

// In place of what was before, if it can be; takes access over either way. Everything that speaks with the server starts here.
static int connect_as(struct cluster *c, struct kubeconfig *access, struct error *err) {
	char *text = access_describe(access);
	struct api_client *client = NULL;
	int ret = text == NULL ? error_set(err, -ENOMEM, "out of memory")
			       : api_client_create(&client, c->http, access, err);

	if (ret < 0) {
		free(text);
		kubeconfig_destroy(access);
		return ret;
	}
	disconnect(c);
	c->access = access;
	c->access_text = text;
	c->client = client;
	c->server = (struct reflector_server){0};
	if (follow(c, KUBE_SERVICE) < 0 || follow(c, KUBE_SLICE) < 0 || follow(c, KUBE_NODE) < 0 ||
	    (c->endpoints && follow(c, KUBE_ENDPOINTS) < 0))
		return error_set(err, -ENOMEM, "out of memory");
	log_info("kubernetes: following %s", access->server);
	if (access->insecure)
		log_warn(
			"kubernetes: the certificate of %s is NOT verified: %s says "
			"insecure-skip-tls-verify, so whoever is on the way can play the API server",
			access->server, access->source);
	return writer_attach(c->sluiced, api_client_transport(client), kubeconfig_namespace(access),
			     err);
}

static struct http *create_http(struct event_base *base) {
	char agent[128];
	struct utsname u;

	if (uname(&u) < 0)
		strcpy(u.machine, "unknown");
	snprintf(agent, sizeof(agent), "sluiced/" SLUICE_VERSION " (linux/%.32s)", u.machine);
	return http_create(base, agent);
}

// --- start and stop ---

static void stop(struct sluiced *s) {
	struct cluster *c = &s->cluster;

	if (c->feed != NULL)
		cluster_close_snapshot(c);
	disconnect(c);
	http_destroy(c->http);
	feed_destroy(c->feed);
	*c = (struct cluster){.sluiced = NULL};
}

static int start(struct sluiced *s, struct error *err) {
	struct cluster *c = &s->cluster;
	struct kubeconfig *access;
	int ret = access_load(&access, &s->config->services, err);

	*c = (struct cluster){.sluiced = s};
	if (ret < 0)
		return ret;
	for (int kind = 0; kind < KUBE_KINDS; kind++)
		c->streams[kind].cluster = c;
	c->http = create_http(s->base);
	c->feed = feed_create(s->appliance.kube, NEEDED(KUBE_SLICE), cluster_news, c);
	if (c->http == NULL || c->feed == NULL) {
		kubeconfig_destroy(access);
		return error_set(err, -ENOMEM, "out of memory");
	}
	ret = connect_as(c, access, err);
	if (ret == 0)
		ret = cluster_open_snapshot(c, s->config->services.snapshot_file, err);
	feed_take_changed(c->feed); // control_apply() follows
	s->appliance.is_incomplete = true;
	return ret;
}

// --- the loop ---

// Which of the two tells about endpoints. Once synced nothing but slices that appear changes that: a proxy that says 404 for a while must not empty Services.
static void choose_endpoints(struct cluster *c, int64_t now) {
	struct reflector_stats slices = {0};
	int ret = 0;

	if (c->streams[KUBE_SLICE].reflector == NULL) // no memory for it
		return;
	reflector_stats(c->streams[KUBE_SLICE].reflector, &slices);
	if (!c->endpoints && !feed_is_synced(c->feed) && slices.missing &&
	    slices.errors[REFLECTOR_MISSING] >= MISSING_TRIES) {
		log_warn("kubernetes: %s has no discovery.k8s.io/v1: v1 Endpoints are followed",
			 c->access->server);
		c->endpoints = true;
		ret = follow(c, KUBE_ENDPOINTS);
		if (ret == 0)
			ret = feed_need(c->feed, NEEDED(KUBE_ENDPOINTS), now);
	} else if (c->endpoints && slices.synced) {
		log_info("kubernetes: EndpointSlices are there: they are followed");
		c->endpoints = false;
		unfollow(c, KUBE_ENDPOINTS);
		ret = feed_need(c->feed, NEEDED(KUBE_SLICE), now);
	}
	note(c, ret);
}

static void note_applied(struct cluster *c) {
	for (int kind = 0; kind < KUBE_KINDS; kind++) {
		struct cluster_stream *st = &c->streams[kind];
		struct reflector_stats stats;

		if (st->reflector == NULL)
			continue;
		reflector_stats(st->reflector, &stats);
		snprintf(st->applied, sizeof(st->applied), "%s", stats.resource_version);
	}
}

static void apply(struct cluster *c, int64_t now) {
	struct sluiced *s = c->sluiced;
	int ret;

	s->appliance.is_incomplete = !feed_is_complete(c->feed);
	ret = control_apply(s);
	if (ret < 0) // control tries again; so does this, to know when it worked
		return;
	if (ret > 0)
		latency_begin(&c->latency, compile_tables(s->appliance.compile)->generation,
			      c->changed_us);
	c->changed_us = 0;
	if (c->snapshot != NULL && feed_is_synced(c->feed))
		snapshot_mark(c->snapshot, now);
}

static void step(struct sluiced *s, uint64_t now) {
	struct cluster *c = &s->cluster;

	for (int kind = 0; kind < KUBE_KINDS; kind++)
		if (c->streams[kind].reflector != NULL)
			reflector_step(c->streams[kind].reflector, (int64_t)now);
	choose_endpoints(c, (int64_t)now);
	if (feed_due(c->feed, (int64_t)now) == 0)
		note(c, feed_step(c->feed, (int64_t)now));
	if (c->changed_us != 0 && latency_now() - c->changed_us >= GATHER_US)
		apply(c, (int64_t)now);
	if (c->changed_us == 0)
		note_applied(c);
	latency_reached(&c->latency, appliance_served(&s->appliance), latency_now());
	cluster_step_snapshot(c, (int64_t)now);
	cluster_tell_away(c, (int64_t)now);
	if (writer_step(s))
		control_hurry(s);
}

static bool is_ready(const struct sluiced *s) {
	return feed_is_synced(s->cluster.feed) || s->cluster.warm;
}

// What the configuration or the kubeconfig says now, when it differs from what is in use. Where it can't be read, everything stays.
static void reload_cluster(struct sluiced *s, const struct config_services *before) {
	struct cluster *c = &s->cluster;
	struct kubeconfig *access;
	struct error err;
	bool same = false;
	char *text;
	int ret;

	(void)before;
	if (s->latest->services.manifests != NULL)
		return; // told by reload()
	ret = access_load(&access, &s->latest->services, &err);
	if (ret == 0) {
		text = access_describe(access);
		same = text != NULL && c->access_text != NULL && strcmp(text, c->access_text) == 0;
		free(text);
	}
	if (same) {
		kubeconfig_destroy(access);
		return;
	}
	if (ret == 0)
		ret = connect_as(c, access, &err);
	if (ret == 0)
		cluster_renew_snapshot(c, s->config->services.snapshot_file);
	else
		log_error("reload: %s; the API server is followed as before", err.text);
}

const struct source source_cluster = {start, step, reload_cluster, is_ready, cluster_describe,
				      stop};
