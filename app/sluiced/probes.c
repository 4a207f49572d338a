// SPDX-License-Identifier: Apache-2.0
// Between lib/probe, which decides, lib/api's HTTP, which asks, and the store, which is told.
#include "probes.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "api/http.h"
#include "base/log.h"
#include "kube/kube.h"
#include "mgmt/mgmt.h"
#include "probe/probe.h"
#include "sluiced.h"

#define WEIGHT_HEADER "X-Load-Balancing-Endpoint-Weight"
#define MAX_RUNNING 256
#define MAX_PER_SECOND 1000
#define SYNC_MS 100     // between two looks at the store's targets, at least,
#define SYNC_SHARE 20   // and so many times as long as the last one took
#define APPLY_MS 20     // from the first verdict to the tables
#define LATE_MS 200     // the loop did not come round for so long: its time-outs are its own
#define TELL_MS 1000    // a window of TELL_AT_ONCE lines
#define TELL_AT_ONCE 10 // lines on nodes in a window

// --- questions ---

static int error_of(const struct http_end *end, bool late) {
	switch (end->cause) {
	case HTTP_LATE:
	case HTTP_SILENT:
		return late ? -EAGAIN : -ETIMEDOUT;
	case HTTP_NO_SERVER:
		return end->end.error == -EIO ? -EHOSTUNREACH : end->end.error;
	case HTTP_BROKEN:
		return -ECONNRESET;
	case HTTP_ODD:
		return -EPROTO;
	default:
		return -EIO;
	}
}

struct question {
	struct sluiced *s;
	struct probe *for_whom;
	struct http_call *call;
};

static void on_answer(void *arg, const struct http_end *end) {
	struct question *q = arg;
	uint64_t now = control_now();
	struct probe_answer a = {.status = end->end.status};

	if (a.status == 0)
		a.error = error_of(end, now > q->s->probes.stepped_at + LATE_MS);
	else
		a.weight = probe_read_weight(end->value[0]);
	probe_answered(q->for_whom, &a, (int64_t)now);
	free(q);
}

static void *ask(void *ctx, const char *url, uint32_t timeout_ms, struct probe *for_whom) {
	struct sluiced *s = ctx;
	struct question *q = malloc(sizeof(*q));

	if (q == NULL)
		return NULL;
	*q = (struct question){.s = s, .for_whom = for_whom};
	q->call = http_get(s->probes.http, url, WEIGHT_HEADER, timeout_ms, on_answer, q);
	if (q->call != NULL)
		return q;
	free(q);
	return NULL;
}

static void cancel(void *ctx, void *call) {
	struct question *q = call;

	(void)ctx;
	http_cancel(q->call);
	free(q);
}

// --- verdicts ---

static enum kube_verdict verdict_of(enum probe_verdict v) {
	static const enum kube_verdict verdicts[] = {[PROBE_UNASKED] = KUBE_UNASKED,
						     [PROBE_UNKNOWN] = KUBE_UNKNOWN,
						     [PROBE_UP] = KUBE_UP,
						     [PROBE_DOWN] = KUBE_DOWN};

	return verdicts[v];
}

static void url_of(const struct probe_target *t, char *buf, size_t size) {
	char addr[IP_ADDR_STR + 8];

	snprintf(buf, size, "http://%s/healthz", ip_port_format(&t->addr, t->port, addr));
}

static void tell(struct probes *p, const struct probe_state *now) {
	const struct probe_target *t = &now->target;
	char what[VERBS_NAME] = "its kube-proxy", answer[64], url[PROBE_URL];

	if (p->told++ >= TELL_AT_ONCE)
		return;
	if (t->name != NULL)
		snprintf(what, sizeof(what), "Service %s/%s", t->ns, t->name);
	url_of(t, url, sizeof(url));
	log_at(now->verdict == PROBE_DOWN ? LOG_WARN : LOG_INFO, "node %s: %s is %s: %s: %s",
	       t->node, what, probe_verdict_name(now->verdict), url,
	       probe_answer_text(&now->last, answer));
}

// What a person wants to know: who went down, who came back, who can't be judged; not that all is as it was taken for.
static void on_verdict(void *arg, const struct probe_state *now, enum probe_verdict before) {
	struct sluiced *s = arg;
	const struct probe_target *t = &now->target;
	struct kube_health h = {verdict_of(now->verdict), now->weight};
	int ret = kube_set_node_health(s->appliance.kube, t->node, t->ns, t->name, &h);

	if (ret < 0)
		log_error("nodes: out of memory for a verdict on %s", t->node);
	if (ret > 0 && s->probes.apply_at == 0)
		s->probes.apply_at = control_now() + APPLY_MS;
	if (now->verdict != before && now->verdict != PROBE_UNASKED &&
	    (now->verdict != PROBE_UP || before == PROBE_DOWN))
		tell(&s->probes, now);
}

static void tell_rest(struct probes *p, uint64_t now) {
	if (now < p->tell_from + TELL_MS)
		return;
	if (p->told > TELL_AT_ONCE)
		log_warn("nodes: %u more verdicts of probes changed", p->told - TELL_AT_ONCE);
	p->told = 0;
	p->tell_from = now;
}

static void tell_disbelief(struct sluiced *s) {
	uint32_t n = kube_disbelieved(s->appliance.kube);

	if (n > 0 && s->probes.disbelieved == 0)
		log_warn(
			"nodes: of %u Services every node is down by its probes; that is not believed "
			"and all get traffic. Is the way from this host to the nodes broken?",
			n);
	else if (n == 0 && s->probes.disbelieved > 0)
		log_info("nodes: every Service has a node again that is up");
	s->probes.disbelieved = n;
}

// --- life ---

static struct probe_settings settings_of(const struct config_node_health *h) {
	return (struct probe_settings){.interval_ms = h->interval_ms,
				       .timeout_ms = h->timeout_ms,
				       .rise = h->rise,
				       .fall = h->fall,
				       .max_running = MAX_RUNNING,
				       .max_per_second = MAX_PER_SECOND};
}

static int create(struct sluiced *s) {
	const struct probe_transport transport = {ask, cancel, s};
	const struct probe_settings settings = settings_of(&s->latest->services.node_health);
	struct probes *p = &s->probes;
	uint64_t seed = 0;

	if (getrandom(&seed, sizeof(seed), 0) != sizeof(seed))
		seed = control_now();
	p->http = http_create(s->base, "sluiced/" SLUICE_VERSION);
	if (p->http == NULL)
		return -ENOMEM;
	p->table = probe_create(&settings, &transport, on_verdict, s, seed);
	if (p->table != NULL)
		return 0;
	http_destroy(p->http);
	p->http = NULL;
	return -ENOMEM;
}

static void destroy(struct probes *p) {
	probe_destroy(p->table);
	http_destroy(p->http);
	p->table = NULL;
	p->http = NULL;
	p->synced = false;
}

int probes_start(struct sluiced *s, struct error *err) {
	if (s->latest->services.node_health.enabled && create(s) < 0)
		return error_set(err, -ENOMEM, "out of memory for probes of nodes");
	return 0;
}

void probes_stop(struct sluiced *s) {
	destroy(&s->probes);
}

void probes_configure(struct sluiced *s) {
	const struct config_node_health *h = &s->latest->services.node_health;
	const struct probe_settings settings = settings_of(h);
	struct probes *p = &s->probes;

	p->synced = false; // another port, perhaps
	if (p->table != NULL && h->enabled) {
		probe_configure(p->table, &settings, (int64_t)control_now());
	} else if (p->table != NULL) {
		probe_sync(p->table, NULL, 0, (int64_t)control_now()); // verdicts are taken back
		destroy(p);
	} else if (h->enabled && create(s) < 0) {
		log_error("services.nodeHealth: out of memory; nodes are not probed");
	}
}

static void sync_targets(struct sluiced *s, uint64_t now) {
	const struct kube *k = s->appliance.kube;
	struct probes *p = &s->probes;
	uint64_t version = kube_probe_version(k);
	struct kube_probe_target *list;
	struct probe_target *targets;
	int n;

	if ((p->synced && p->version == version) || now < p->sync_at)
		return;
	n = kube_probe_targets(k, (uint16_t)s->latest->services.node_health.kube_proxy_port, &list);
	if (n < 0) {
		p->sync_at = now + SYNC_MS;
		return;
	}
	targets = calloc((size_t)n + 1, sizeof(*targets));
	for (int i = 0; targets != NULL && i < n; i++)
		targets[i] = (struct probe_target){list[i].node, list[i].ns, list[i].name,
						   list[i].addr, list[i].port};
	if (targets != NULL && probe_sync(p->table, targets, (size_t)n, (int64_t)now) == 0) {
		p->synced = true;
		p->version = version;
	}
	free(targets);
	free(list);
	p->sync_at = now + SYNC_MS + SYNC_SHARE * (control_now() - now);
}

void probes_step(struct sluiced *s, uint64_t now) {
	struct probes *p = &s->probes;

	p->stepped_at = now;
	if (p->table != NULL) {
		sync_targets(s, now);
		probe_step(p->table, (int64_t)now);
		tell_rest(p, now);
	}
	if (p->apply_at != 0 && now >= p->apply_at) {
		p->apply_at = 0;
		control_apply(s);
	}
	tell_disbelief(s);
}

// --- the verb ---

struct listing {
	json_t *items;
	int64_t now;
};

static void add_row(void *arg, const struct probe_state *p) {
	struct listing *l = arg;
	const struct probe_target *t = &p->target;
	char service[VERBS_NAME] = "", answer[64] = "", url[PROBE_URL];
	bool answered = p->asked_at >= 0;
	json_t *row;

	if (t->name != NULL)
		snprintf(service, sizeof(service), "%s/%s", t->ns, t->name);
	if (answered)
		probe_answer_text(&p->last, answer);
	url_of(t, url, sizeof(url));
	row = json_pack("{s:s, s:s, s:s, s:s, s:I, s:s}", "node", t->node, "service", service,
			"url", url, "state", probe_verdict_name(p->verdict), "weight",
			(json_int_t)p->weight, "answer", answer);
	if (row != NULL && answered)
		json_object_set_new(row, "age", json_real((double)(l->now - p->asked_at) / 1000));
	json_array_append_new(l->items, row);
}

void verb_probes(void *ctx, struct mgmt_request *r) {
	struct sluiced *s = ctx;
	struct listing l = {json_array(), (int64_t)control_now()};

	if (s->probes.table != NULL)
		probe_each(s->probes.table, add_row, &l);
	mgmt_reply(r, verbs_items(l.items));
}
