// SPDX-License-Identifier: Apache-2.0
// The snapshot of an API server's objects: read before the server is asked, written while it is followed.
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "base/file.h"
#include "base/log.h"
#include "sluiced.h"

#define REWRITE_MS 3600000 // so that a snapshot's age says how old it is

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

int cluster_open_snapshot(struct cluster *c, const char *path, struct error *err) {
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

void cluster_step_snapshot(struct cluster *c, int64_t now) {
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

void cluster_close_snapshot(struct cluster *c) {
	struct error err;

	if (c->snapshot != NULL && feed_is_synced(c->feed) &&
	    snapshot_finish(c->snapshot, c->feed, time(NULL), &err) < 0)
		log_error("services.kubernetes.snapshotFile: %s", err.text);
	snapshot_destroy(c->snapshot);
	c->snapshot = NULL;
}

// Another server's objects are another server's snapshot.
void cluster_renew_snapshot(struct cluster *c, const char *path) {
	if (c->snapshot == NULL)
		return;
	snapshot_destroy(c->snapshot);
	c->snapshot = snapshot_create(path, c->access->server);
	c->mark_at = 0;
}
