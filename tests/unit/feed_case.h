// SPDX-License-Identifier: Apache-2.0
// Shared by the tests of what lies between an API server and the store: objects by name, and what the feed tells.
#ifndef TESTS_FEED_CASE_H
#define TESTS_FEED_CASE_H

#include "kube/feed.h"
#include "kube_case.h"

struct feed_case {
	struct kube_settings settings;
	struct ipam_memory *memory;
	struct kube *kube;
	struct feed *feed;
	unsigned told[4]; // by enum feed_news
	struct error last;
};

static inline void feed_case_report(void *arg, enum feed_news news, const struct error *what) {
	struct feed_case *c = arg;

	c->told[news]++;
	c->last = *what;
}

static inline void feed_case_init(struct feed_case *c, unsigned needed) {
	*c = (struct feed_case){.settings = {.reject = true}};
	c->memory = ipam_memory_create();
	c->kube = kube_create(&c->settings, c->memory);
	c->feed = feed_create(c->kube, needed, feed_case_report, c);
	assert_non_null(c->feed);
}

static inline void feed_case_fini(struct feed_case *c) {
	feed_destroy(c->feed);
	kube_destroy(c->kube);
	ipam_memory_destroy(c->memory);
}

// An object's text: a Service with this port, a slice of the Service "a" with this many endpoints, a Node. Port 0: not decodable.
static inline const char *feed_case_text(enum kube_kind kind, const char *name, int n) {
	static char text[2048];
	size_t len;

	if (kind == KUBE_SERVICE) {
		snprintf(text, sizeof(text),
			 "{\"metadata\":{\"name\":\"%s\",\"namespace\":\"n\",\"uid\":\"u\"},"
			 "\"spec\":{\"type\":\"LoadBalancer\",\"ports\":[{\"port\":%d}]}}",
			 name, n);
	} else if (kind == KUBE_NODE) {
		snprintf(text, sizeof(text), "{\"metadata\":{\"name\":\"%s\"}}", name);
	} else {
		len = (size_t)snprintf(text, sizeof(text),
				       "{\"metadata\":{\"name\":\"%s\",\"namespace\":\"n\","
				       "\"labels\":{\"kubernetes.io/service-name\":\"a\"}},"
				       "\"addressType\":\"IPv4\",\"ports\":[{\"port\":80}],"
				       "\"endpoints\":[",
				       name);
		for (int i = 0; i < n; i++)
			len += (size_t)snprintf(text + len, sizeof(text) - len,
						"%s{\"addresses\":[\"10.0.0.%d\"]}",
						i > 0 ? "," : "", i + 1);
		snprintf(text + len, sizeof(text) - len, "]}");
	}
	return text;
}

static inline int feed_case_say(struct feed_case *c, bool put, enum kube_kind kind,
				const char *text) {
	json_t *json = json_loads(text, JSON_ALLOW_NUL, NULL);
	struct doc_node n = doc_root_json(json);
	int ret;

	assert_non_null(json);
	ret = put ? feed_put(c->feed, kind, &n, text, strlen(text))
		  : feed_remove(c->feed, kind, &n);
	json_decref(json);
	return ret;
}

static inline void feed_case_put(struct feed_case *c, enum kube_kind kind, const char *name,
				 int n) {
	assert_int_equal(feed_case_say(c, true, kind, feed_case_text(kind, name, n)), 0);
}

// A whole set: names separated by blanks, each with n.
static inline void feed_case_set(struct feed_case *c, enum kube_kind kind, const char *names, int n,
				 int64_t now) {
	char copy[2048], *at = copy, *name;

	snprintf(copy, sizeof(copy), "%s", names);
	assert_int_equal(feed_begin(c->feed, kind), 0);
	while ((name = strsep(&at, " ")) != NULL)
		if (name[0] != '\0')
			feed_case_put(c, kind, name, n);
	assert_int_equal(feed_end(c->feed, kind, now), 0);
}

#endif
