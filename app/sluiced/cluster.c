// SPDX-License-Identifier: Apache-2.0
// Follow an API server: wiring, and what is told of it.
#include "cluster.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <time.h>

#include "access.h"
#include "base/file.h"
#include "base/log.h"
#include "sluiced.h"

#define GATHER_US 2000
#define REWRITE_MS 3600000 // so that a snapshot's age says how old it is
#define AWAY_MS 10000      // a stream may fail for so long before it is worth a line
#define AWAY_AGAIN_MS 600000
#define BROKEN_A_MINUTE 10 // lines on objects that can't be decoded
#define MISSING_TRIES 2    // a server that says so twice has no discovery.k8s.io/v1

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

const struct api_transport *cluster_transport(struct cluster *c) {
	return c->client != NULL ? api_client_transport(c->client) : NULL;
}

// --- what the feed and the reflectors say ---

static void tell_broken(struct cluster *c, const struct error *what) {
	int64_t minute = (int64_t)control_now() / 60000;

	if (minute != c->broken_minute && c->broken_untold > 0)
		log_warn("kubernetes: %u more objects that can't be decoded", c->broken_untold);
	if (minute != c->broken_minute)
		c->broken_told = c->broken_untold = 0;
	c->broken_minute = minute;
	if (c->broken_told++ < BROKEN_A_MINUTE)
		log_warn("kubernetes: %s", what->text);
	else
		c->broken_untold++;
}

static void on_news(void *arg, enum feed_news news, const struct error *what) {
	struct cluster *c = arg;

	switch (news) {
	case FEED_BROKEN:
		tell_broken(c, what);
		break;
	case FEED_SYNCED:
		log_info("kubernetes: synced with %s: %s", c->access->server, what->text);
		c->warm = false;
		break;
	case FEED_HELD:
		log_error("kubernetes: ALARM: %s", what->text);
		break;
	case FEED_RELEASED:
		log_warn("kubernetes: alarm over: %s", what->text);
		break;
	}
}

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
	if (follow(c, KUBE_SERVICE) < 0 || follow(c, KUBE_SLICE) < 0 || follow(c, KUBE_NODE) < 0)
		return error_set(err, -ENOMEM, "out of memory");
	log_info("kubernetes: following %s%s", access->server,
		 access->insecure ? ", whose certificate is NOT verified" : "");
	return 0;
}

static struct http *create_http(struct event_base *base) {
	char agent[128];
	struct utsname u;

	if (uname(&u) < 0)
		strcpy(u.machine, "unknown");
	snprintf(agent, sizeof(agent), "sluiced/" SLUICE_VERSION " (linux/%.32s)", u.machine);
	return http_create(base, agent);
}

// --- the snapshot ---

static int on_record(void *arg, struct kube_record *r) {
	struct cluster *c = arg;

	return feed_seed(c->feed, r);
}

static void load_snapshot(struct cluster *c, const char *path) {
	struct snapshot_info info;
	struct error err;
	int ret = snapshot_load(&info, path, c->access->server, on_record, c, &err);

	if (ret == -ENOENT)
		return;
	if (ret != 0) {
		log_warn("services.kubernetes.snapshotFile: %s; waiting for the API server",
			 err.text);
		return;
	}
	c->warm = true;
	c->saved_at = info.saved_at;
	log_info("kubernetes: %zu objects from %s, %" PRId64 " s old: stale until synced",
		 info.objects, path, (int64_t)time(NULL) - info.saved_at);
	if (info.skipped > 0)
		log_warn("kubernetes: %zu objects of %s can't be decoded by this version",
			 info.skipped, path);
}

// After connect_as(): a snapshot is one server's.
static int open_snapshot(struct cluster *c, const char *path, struct error *err) {
	int ret;

	if (path[0] == '\0')
		return 0;
	ret = file_make_directories(path);
	if (ret < 0)
		return error_set(
			err, ret,
			"services.kubernetes.snapshotFile: the directory of %s can't be made: %s",
			path, strerror(-ret));
	load_snapshot(c, path);
	c->snapshot = snapshot_create(path, c->access->server);
	return c->snapshot != NULL ? 0 : error_set(err, -ENOMEM, "out of memory");
}

static void step_snapshot(struct cluster *c, int64_t now) {
	struct error err;

	if (c->snapshot == NULL || !feed_is_synced(c->feed))
		return;
	if (now >= c->mark_at && c->away_since == 0) {
		snapshot_mark(c->snapshot, now);
		c->mark_at = now + REWRITE_MS;
	}
	if (snapshot_step(c->snapshot, c->feed, now, time(NULL), &err) < 0)
		log_error("services.kubernetes.snapshotFile: %s", err.text);
}

static void close_snapshot(struct cluster *c) {
	struct error err;

	if (c->snapshot != NULL && feed_is_synced(c->feed) &&
	    snapshot_finish(c->snapshot, c->feed, time(NULL), &err) < 0)
		log_error("services.kubernetes.snapshotFile: %s", err.text);
	snapshot_destroy(c->snapshot);
	c->snapshot = NULL;
}

// --- start and stop ---

static void stop(struct sluiced *s) {
	struct cluster *c = &s->cluster;

	if (c->feed != NULL)
		close_snapshot(c);
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
	c->feed = feed_create(s->appliance.kube, NEEDED(KUBE_SLICE), on_news, c);
	if (c->http == NULL || c->feed == NULL) {
		kubeconfig_destroy(access);
		return error_set(err, -ENOMEM, "out of memory");
	}
	ret = connect_as(c, access, err);
	if (ret == 0)
		ret = open_snapshot(c, s->config->services.snapshot_file, err);
	feed_take_changed(c->feed); // control_apply() follows
	s->appliance.is_incomplete = true;
	return ret;
}

// --- the loop ---

// Which of the two tells about endpoints. Once synced nothing but slices that appear changes that: a proxy that says 404 for a while must not empty Services.
static void choose_endpoints(struct cluster *c, int64_t now) {
	struct reflector_stats slices = {0};
	bool fallback = c->streams[KUBE_ENDPOINTS].reflector != NULL;
	int ret = 0;

	if (c->streams[KUBE_SLICE].reflector == NULL) // no memory for it
		return;
	reflector_stats(c->streams[KUBE_SLICE].reflector, &slices);
	if (!fallback && !feed_is_synced(c->feed) && slices.missing &&
	    slices.errors[REFLECTOR_MISSING] >= MISSING_TRIES) {
		log_warn("kubernetes: %s has no discovery.k8s.io/v1: v1 Endpoints are followed",
			 c->access->server);
		ret = follow(c, KUBE_ENDPOINTS);
		if (ret == 0)
			ret = feed_need(c->feed, NEEDED(KUBE_ENDPOINTS), now);
	} else if (fallback && slices.synced) {
		log_info("kubernetes: EndpointSlices are there: they are followed");
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

static uint64_t served_generation(const struct sluiced *s) {
	uint64_t least = UINT64_MAX;

	for (uint16_t i = 0; i < s->appliance.dp.n_workers; i++) {
		uint64_t at = __atomic_load_n(&s->appliance.workers[i]->generation,
					      __ATOMIC_RELAXED);

		least = at < least ? at : least;
	}
	return least;
}

// The stream that has been failing for the longest time; NULL: all is well.
static struct cluster_stream *worst(struct cluster *c, struct reflector_stats *out) {
	struct cluster_stream *found = NULL;

	for (int kind = 0; kind < KUBE_KINDS; kind++) {
		struct cluster_stream *st = &c->streams[kind];
		struct reflector_stats stats;

		if (st->reflector == NULL)
			continue;
		if (kind == KUBE_SLICE && c->streams[KUBE_ENDPOINTS].reflector != NULL)
			continue; // it is known to be missing
		reflector_stats(st->reflector, &stats);
		if (stats.failing_since_ms == INT64_MIN ||
		    (found != NULL && stats.failing_since_ms >= out->failing_since_ms))
			continue;
		found = st;
		*out = stats;
	}
	return found;
}

static void tell_away(struct cluster *c, int64_t now) {
	struct reflector_stats stats;
	struct cluster_stream *st = worst(c, &stats);

	c->away_since = st != NULL ? stats.failing_since_ms : 0;
	if (st == NULL && c->told_away)
		log_info("kubernetes: %s answers again", c->access->server);
	if (st == NULL)
		c->told_away = false;
	if (st == NULL || (c->told_away && now < c->tell_at) ||
	    (feed_is_synced(c->feed) && now - stats.failing_since_ms < AWAY_MS))
		return;
	log_warn("kubernetes: %s of %s can't be followed for %" PRId64
		 " s: %s; Services stay as they are",
		 kube_kind_name(kind_of(st)), c->access->server,
		 (now - stats.failing_since_ms) / 1000, stats.last_error);
	c->told_away = true;
	c->tell_at = now + AWAY_AGAIN_MS;
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
	latency_reached(&c->latency, served_generation(s), latency_now());
	step_snapshot(c, (int64_t)now);
	tell_away(c, (int64_t)now);
}

static bool is_ready(const struct sluiced *s) {
	return feed_is_synced(s->cluster.feed) || s->cluster.warm;
}

// Another server's objects are another server's snapshot.
static void renew_snapshot(struct cluster *c, const char *path) {
	if (c->snapshot == NULL)
		return;
	snapshot_destroy(c->snapshot);
	c->snapshot = snapshot_create(path, c->access->server);
	c->mark_at = 0;
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
		renew_snapshot(c, s->config->services.snapshot_file);
	else
		log_error("reload: %s; the API server is followed as before", err.text);
}

const struct source source_cluster = {start, step, reload_cluster, is_ready, cluster_describe,
				      stop};
