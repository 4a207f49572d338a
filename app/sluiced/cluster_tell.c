// SPDX-License-Identifier: Apache-2.0
// What the log says of an API server: alarms, objects that can't be decoded, its absence. Each of them in bounds.
#include <inttypes.h>

#include "base/log.h"
#include "sluiced.h"

#define AWAY_MS 10000 // a stream may fail for so long before it is worth a line
#define AWAY_AGAIN_MS 600000
#define BROKEN_A_MINUTE 10 // lines on objects that can't be decoded

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

void cluster_news(void *arg, enum feed_news news, const struct error *what) {
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

// The stream that has been failing for the longest time; NULL: all is well.
static struct cluster_stream *worst(struct cluster *c, struct reflector_stats *out) {
	struct cluster_stream *found = NULL;

	for (int kind = 0; kind < KUBE_KINDS; kind++) {
		struct cluster_stream *st = &c->streams[kind];
		struct reflector_stats stats;

		if (st->reflector == NULL)
			continue;
		if (kind == KUBE_SLICE && c->endpoints)
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

void cluster_tell_away(struct cluster *c, int64_t now) {
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
		 kube_kind_name((enum kube_kind)(st - c->streams)), c->access->server,
		 (now - stats.failing_since_ms) / 1000, stats.last_error);
	c->told_away = true;
	c->tell_at = now + AWAY_AGAIN_MS;
}
