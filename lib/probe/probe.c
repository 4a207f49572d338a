// SPDX-License-Identifier: Apache-2.0
// Who is asked when: targets that come and go, the queue, what is under way.
#include "probe/probe.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "probe/private.h"

#define KEY_SIZE 512 // a node's name, "ns/name", an address with its port

struct probe_table *probe_create(const struct probe_settings *s, const struct probe_transport *t,
				 probe_report_fn report, void *arg, uint64_t seed) {
	struct probe_table *p = calloc(1, sizeof(*p));

	if (p == NULL)
		return NULL;
	p->settings = *s;
	p->transport = *t;
	p->report = report;
	p->arg = arg;
	p->random = seed | 1; // xorshift never leaves 0
	return p;
}

// Out of everything; reports nothing.
static void drop(struct probe_table *p, struct probe *one) {
	if (one->call != NULL) {
		p->transport.cancel(p->transport.ctx, one->call);
		p->running--;
	}
	queue_remove(&p->queue, &one->entry);
	HASH_DEL(p->probes, one);
	free(one->texts);
	free(one);
}

void probe_destroy(struct probe_table *p) {
	struct probe *one, *next;

	if (p == NULL)
		return;
	HASH_ITER(hh, p->probes, one, next) {
		drop(p, one);
	}
	queue_fini(&p->queue);
	free(p);
}

size_t probe_count(const struct probe_table *p) {
	return HASH_COUNT(p->probes);
}

size_t probe_running(const struct probe_table *p) {
	return p->running;
}

void probe_each(const struct probe_table *p, void (*fn)(void *arg, const struct probe_state *s),
		void *arg) {
	for (const struct probe *one = p->probes; one != NULL; one = one->hh.next)
		fn(arg, &one->state);
}

// --- time ---

static int64_t draw(struct probe_table *p, int64_t below) {
	p->random ^= p->random << 13;
	p->random ^= p->random >> 7;
	p->random ^= p->random << 17;
	return (int64_t)((p->random >> 33) % (uint64_t)below);
}

// Between two questions to one target.
static int64_t interval_of(const struct probe_table *p) {
	int64_t least = (int64_t)HASH_COUNT(p->probes) * 1000 / p->settings.max_per_second;

	return least > p->settings.interval_ms ? least : p->settings.interval_ms;
}

// The phase stays about the same from round to round: 90 to 110 % of the interval.
static int64_t next_time(struct probe_table *p, int64_t now) {
	int64_t interval = interval_of(p);

	return now + interval - interval / 10 + draw(p, interval / 5 + 1);
}

void probe_configure(struct probe_table *p, const struct probe_settings *s, int64_t now_ms) {
	int64_t interval;

	p->settings = *s;
	interval = interval_of(p);
	for (struct probe *one = p->probes; one != NULL; one = one->hh.next)
		if (one->call == NULL && one->entry.due > now_ms + interval)
			queue_put(&p->queue, &one->entry, now_ms + draw(p, interval));
}

// --- targets ---

static const char *or_empty(const char *text) {
	return text != NULL ? text : "";
}

static void make_key(char key[KEY_SIZE], const struct probe_target *t) {
	char addr[IP_ADDR_STR + 8];

	snprintf(key, KEY_SIZE, "%s %s/%s %s", t->node, or_empty(t->ns), or_empty(t->name),
		 ip_port_format(&t->addr, t->port, addr));
}

// The target with texts of its own, "node\0ns\0name\0".
static bool copy_target(struct probe *one, const struct probe_target *t) {
	size_t node = strlen(t->node) + 1, ns = strlen(or_empty(t->ns)) + 1;
	struct probe_target *copy = &one->state.target;

	one->texts = malloc(node + ns + strlen(or_empty(t->name)) + 1);
	if (one->texts == NULL)
		return false;
	*copy = *t;
	copy->node = strcpy(one->texts, t->node);
	copy->ns = strcpy(one->texts + node, or_empty(t->ns));
	copy->name = strcpy(one->texts + node + ns, or_empty(t->name));
	if (t->name == NULL)
		copy->ns = copy->name = NULL;
	return true;
}

static struct probe *add(struct probe_table *p, const struct probe_target *t, const char *key) {
	size_t len = strlen(key);
	struct probe *one = calloc(1, sizeof(*one) + len + 1);

	if (one == NULL)
		return NULL;
	memcpy(one->key, key, len);
	one->table = p;
	one->entry.at = QUEUE_OUT;
	one->state.asked_at = -1;
	if (!copy_target(one, t))
		goto fail;
	HASH_ADD_STR(p->probes, key, one);
	if (one->hh.tbl != NULL)
		return one;
	free(one->texts);
fail:
	free(one);
	return NULL;
}

static void forget(struct probe_table *p, struct probe *one) {
	enum probe_verdict before = one->state.verdict;

	one->state.verdict = PROBE_UNASKED;
	one->state.weight = 0;
	if (before != PROBE_UNASKED)
		p->report(p->arg, &one->state, before);
	drop(p, one);
}

int probe_sync(struct probe_table *p, const struct probe_target *targets, size_t n,
	       int64_t now_ms) {
	struct probe *one, *next;
	char key[KEY_SIZE];

	if (queue_reserve(&p->queue, (uint32_t)(n + HASH_COUNT(p->probes))) < 0)
		return -ENOMEM;
	p->round++;
	for (size_t i = 0; i < n; i++) {
		make_key(key, &targets[i]);
		HASH_FIND_STR(p->probes, key, one);
		if (one == NULL)
			one = add(p, &targets[i], key);
		if (one == NULL)
			return -ENOMEM;
		one->seen = p->round;
	}
	HASH_ITER(hh, p->probes, one, next) {
		if (one->seen != p->round)
			forget(p, one);
		else if (one->call == NULL && one->entry.at == QUEUE_OUT)
			queue_put(&p->queue, &one->entry, now_ms + draw(p, interval_of(p)));
	}
	return 0;
}

// --- questions and answers ---

int64_t probe_due(const struct probe_table *p, int64_t now_ms) {
	const struct queue_entry *first = queue_first(&p->queue);

	if (first == NULL || p->running >= p->settings.max_running)
		return -1;
	return first->due > now_ms ? first->due - now_ms : 0;
}

static void ask(struct probe_table *p, struct probe *one, int64_t now_ms) {
	char addr[IP_ADDR_STR + 8], url[PROBE_URL];

	snprintf(url, sizeof(url), "http://%s/healthz",
		 ip_port_format(&one->state.target.addr, one->state.target.port, addr));
	one->call = p->transport.start(p->transport.ctx, url, p->settings.timeout_ms, one);
	if (one->call == NULL) {
		queue_put(&p->queue, &one->entry, now_ms + PROBE_RECHECK_MS);
		return;
	}
	queue_remove(&p->queue, &one->entry);
	p->running++;
}

void probe_step(struct probe_table *p, int64_t now_ms) {
	while (probe_due(p, now_ms) == 0)
		ask(p, (struct probe *)queue_first(&p->queue), now_ms);
}

void probe_answered(struct probe *one, const struct probe_answer *a, int64_t now_ms) {
	enum probe_verdict before = one->state.verdict;
	struct probe_table *p = one->table;
	bool doubt, changed;

	one->call = NULL;
	p->running--;
	if (a->status == 0 && a->error == -EAGAIN) {
		queue_put(&p->queue, &one->entry, now_ms + PROBE_RECHECK_MS);
		return;
	}
	one->state.asked_at = now_ms;
	changed = verdict_take(one, a, &doubt);
	queue_put(&p->queue, &one->entry, doubt ? now_ms + PROBE_RECHECK_MS : next_time(p, now_ms));
	if (changed)
		p->report(p->arg, &one->state, before);
}
