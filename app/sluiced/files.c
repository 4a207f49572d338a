// SPDX-License-Identifier: Apache-2.0
// Manifests on the control loop: inotify says when, lib/kube/manifests reads.
#include "files.h"

#include <errno.h>
#include <event2/event.h>
#include <string.h>

#include "base/log.h"
#include "sluiced.h"

#define RETRY_MS 500

static void on_report(void *arg, enum manifests_severity severity, const struct error *what) {
	(void)arg;
	if (severity == MANIFESTS_BROKEN)
		log_error("manifests: %s", what->text);
	else
		log_info("manifests: %s", what->text);
}

static void load(struct sluiced *s, uint64_t now) {
	int ret = manifests_load(s->appliance.manifests, s->appliance.kube, (int64_t)now);

	s->files.retry_at = ret == -ENOMEM ? now + RETRY_MS : 0;
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
	s->files.watch = event_new(s->base, manifests_fd(m), EV_READ | EV_PERSIST, on_watch, s);
	if (s->files.watch == NULL || event_add(s->files.watch, NULL) < 0)
		return error_set(err, -ENOMEM, "out of memory");
	// What changed between reading and watching.
	ret = manifests_load(m, s->appliance.kube, (int64_t)control_now());
	return ret < 0 ? error_set(err, ret, "%s: %s", s->latest->services.manifests,
				   strerror(-ret))
		       : 0;
}

static void stop(struct sluiced *s) {
	if (s->files.watch != NULL)
		event_free(s->files.watch);
	s->files.watch = NULL;
}

static int start(struct sluiced *s, struct error *err) {
	const char *path = s->config->services.manifests;
	int ret = appliance_load(&s->appliance, path, on_report, s, control_now());

	return ret < 0 ? error_set(err, ret, "services.manifests: %s: %s", path, strerror(-ret))
		       : watch(s, err);
}

static void step(struct sluiced *s, uint64_t now) {
	if (manifests_due(s->appliance.manifests, (int64_t)now) == 0 ||
	    (s->files.retry_at != 0 && now >= s->files.retry_at))
		load(s, now);
}

// Another path is read and watched instead.
static void move(struct sluiced *s, const char *path) {
	struct error err;
	int ret;

	stop(s);
	ret = appliance_load(&s->appliance, path, on_report, s, control_now());
	if (ret < 0) // the watch comes back to it
		log_error("manifests: %s: %s", path, strerror(-ret));
	if (watch(s, &err) < 0)
		log_error("manifests: %s", err.text);
}

static void reload_files(struct sluiced *s, const struct config_services *before) {
	const char *path = s->latest->services.manifests;

	if (path != NULL && strcmp(path, before->manifests) != 0)
		move(s, path);
	if (manifests_load(s->appliance.manifests, s->appliance.kube, (int64_t)control_now()) < 0)
		log_error("reload: the manifests can't be read; Services stay as they were");
	control_apply(s);
}

static bool is_ready(const struct sluiced *s) {
	(void)s;
	return true;
}

static json_t *describe(struct sluiced *s) {
	return json_pack("{s:s, s:b, s:b, s:[]}", "source", "manifests", "synced",
			 manifests_is_complete(s->appliance.manifests), "stale", 0, "items");
}

const struct source source_files = {start, step, reload_files, is_ready, describe, stop};
