// SPDX-License-Identifier: Apache-2.0
// One run: what changed lets go, what lacks is granted, what differs is planned.
#include "kube/resolve.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "kube/frontends.h"
#include "kube/pick.h"

#define ROUNDS 4 // of granting, while each gives something back: more wait for the next run

enum { WORK_LISTED = 1, WORK_PLACES = 2 };

struct node_addr {
	struct ip_addr addr;
	char name[254];
};

struct holders { // an array that keeps its room from run to run
	struct holder **list;
	uint32_t n, room;
};

struct resolver {
	const struct kube_settings *settings;
	const struct resolver_events *events;
	struct picker picker;
	struct holder_list all, pending, waiting;
	struct holders batch, needy, work;
	bool reconfigured, settled, retry;
	uint32_t n_own;
	struct ip_addr *own; // reserved for the appliance, as in the settings
	uint32_t n_absent;
	struct ip_addr *absent; // remembered for Services that are missing
	uint32_t n_nodes;
	struct node_addr *nodes; // in order
};

struct resolver *resolver_create(const struct kube_settings *settings, struct ipam_memory *memory,
				 const struct resolver_events *events) {
	struct resolver *r = calloc(1, sizeof(*r));

	if (r == NULL)
		return NULL;
	r->settings = settings;
	r->events = events;
	r->reconfigured = true;
	TAILQ_INIT(&r->all);
	TAILQ_INIT(&r->pending);
	TAILQ_INIT(&r->waiting);
	r->picker = (struct picker){.settings = settings, .memory = memory};
	r->picker.claims = claims_create();
	if (r->picker.claims != NULL)
		r->picker.pools = pools_create(settings, r->picker.claims, memory);
	if (r->picker.pools == NULL) {
		resolver_destroy(r);
		return NULL;
	}
	return r;
}

void resolver_destroy(struct resolver *r) {
	if (r == NULL)
		return;
	while (!TAILQ_EMPTY(&r->all))
		resolver_forget(r, TAILQ_FIRST(&r->all));
	pools_destroy(r->picker.pools);
	claims_destroy(r->picker.claims);
	free(r->batch.list);
	free(r->needy.list);
	free(r->work.list);
	free(r->own);
	free(r->absent);
	free(r->nodes);
	free(r);
}

void resolver_configure(struct resolver *r, const struct kube_settings *settings) {
	r->settings = r->picker.settings = settings;
	r->reconfigured = true;
}

// --- holders ---

static void mark(struct resolver *r, struct holder *h) {
	if (!h->pending)
		TAILQ_INSERT_TAIL(&r->pending, h, pending_link);
	h->pending = true;
}

static void set_waiting(struct resolver *r, struct holder *h, bool waiting) {
	if (waiting && !h->waiting)
		TAILQ_INSERT_TAIL(&r->waiting, h, waiting_link);
	if (!waiting && h->waiting)
		TAILQ_REMOVE(&r->waiting, h, waiting_link);
	h->waiting = waiting;
}

void resolver_swap(struct holder *h, struct kube_object *o) {
	struct kube_object *before = h->o;

	h->o = o != NULL ? kube_object_get(o) : NULL;
	kube_object_put(before);
}

void resolver_put(struct resolver *r, struct holder *h, struct kube_object *o) {
	if (!h->known)
		TAILQ_INSERT_TAIL(&r->all, h, all_link);
	h->known = true;
	if (o != NULL) {
		snprintf(h->ns, sizeof(h->ns), "%s", o->meta.ns);
		snprintf(h->name, sizeof(h->name), "%s", o->meta.name);
	}
	resolver_swap(h, o);
	h->changed = true;
	mark(r, h);
}

void resolver_forget(struct resolver *r, struct holder *h) {
	if (!h->known)
		return;
	TAILQ_REMOVE(&r->all, h, all_link);
	if (h->pending)
		TAILQ_REMOVE(&r->pending, h, pending_link);
	set_waiting(r, h, false);
	kube_object_put(h->o);
	pick_free(h);
	h->known = h->pending = false;
	h->o = NULL;
}

static int push(struct holders *l, struct holder *h) {
	if (l->n == l->room) {
		uint32_t room = l->room > 0 ? 2 * l->room : 64;
		struct holder **grown = realloc(l->list, room * sizeof(*grown));

		if (grown == NULL)
			return -ENOMEM;
		l->list = grown;
		l->room = room;
	}
	l->list[l->n++] = h;
	return 0;
}

// --- what nobody may be given ---

static void mark_holder(void *r, struct holder *h) {
	mark(r, h);
}

static int own_again(struct resolver *r) {
	const struct kube_settings *s = r->settings;
	struct claims *c = r->picker.claims;
	struct ip_addr *own = calloc(s->n_reserved + s->n_node_port_addresses + 1, sizeof(*own));
	int ret = own == NULL ? -ENOMEM : 0;

	for (uint32_t i = 0; i < r->n_own && ret == 0; i++)
		claims_unavoid(c, &r->own[i], true);
	if (ret < 0)
		return ret;
	free(r->own);
	r->own = own;
	r->n_own = 0;
	for (uint32_t i = 0; i < s->n_reserved && ret == 0; i++) {
		ret = claims_avoid(c, &s->reserved[i].addr, s->reserved[i].what);
		if (ret == 0)
			own[r->n_own++] = s->reserved[i].addr;
	}
	for (uint32_t i = 0; i < s->n_node_port_addresses && ret == 0; i++) {
		ret = claims_avoid(c, &s->node_port_addresses[i], "services.nodePortAddresses");
		if (ret == 0)
			own[r->n_own++] = s->node_port_addresses[i];
	}
	return ret;
}

static void mark_all(struct resolver *r) {
	struct holder *h;

	TAILQ_FOREACH(h, &r->all, all_link) {
		mark(r, h);
	}
}

static int reconfigure(struct resolver *r) {
	struct pools *pools = pools_create(r->settings, r->picker.claims, r->picker.memory);
	int ret;

	if (pools == NULL)
		return -ENOMEM;
	pools_destroy(r->picker.pools);
	r->picker.pools = pools;
	ret = own_again(r);
	if (ret < 0)
		return ret;
	mark_all(r);
	r->retry = true;
	return 0;
}

static int node_addr_cmp(const void *x, const void *y) {
	const struct node_addr *a = x, *b = y;
	int c = ip_addr_cmp(&a->addr, &b->addr);

	return c != 0 ? c : strcmp(a->name, b->name);
}

static uint32_t list_nodes(struct node_addr *out, const struct kube_object *const *nodes,
			   uint32_t n) {
	uint32_t count = 0;

	for (uint32_t i = 0; i < n; i++)
		for (int f = 0; f < 2; f++) {
			if (nodes[i]->node.internal[f].family == 0)
				continue;
			out[count].addr = nodes[i]->node.internal[f];
			snprintf(out[count].name, sizeof(out[count].name), "%s",
				 nodes[i]->meta.name);
			count++;
		}
	qsort(out, count, sizeof(*out), node_addr_cmp);
	return count;
}

static int reserve_node(struct resolver *r, const struct node_addr *n) {
	char why[sizeof(n->name) + 8];

	snprintf(why, sizeof(why), "node %s", n->name);
	if (claims_avoid(r->picker.claims, &n->addr, why) < 0)
		return -ENOMEM;
	claims_each(r->picker.claims, &n->addr, mark_holder, r);
	return 0;
}

static void free_node(struct resolver *r, const struct node_addr *n) {
	claims_unavoid(r->picker.claims, &n->addr, true);
	claims_each(r->picker.claims, &n->addr, mark_holder, r);
	pools_freed(r->picker.pools, &n->addr);
	r->retry = true;
}

int resolver_set_nodes(struct resolver *r, const struct kube_object *const *nodes, uint32_t n) {
	struct node_addr *list = calloc(2 * (size_t)n + 1, sizeof(*list));
	uint32_t count, i = 0, j = 0;

	if (list == NULL)
		return -ENOMEM;
	count = list_nodes(list, nodes, n);
	while (i < r->n_nodes || j < count) {
		int c = i == r->n_nodes ? 1
			: j == count    ? -1
					: node_addr_cmp(&r->nodes[i], &list[j]);

		if (c > 0 && reserve_node(r, &list[j]) < 0)
			break; // what is in both lists' heads is in force: see below
		if (c < 0)
			free_node(r, &r->nodes[i]);
		i += c <= 0;
		j += c >= 0;
	}
	if (i < r->n_nodes || j < count) {
		// Keep what is in force: the new list as far as it got, then the rest of the old one.
		struct node_addr *both = calloc(j + (r->n_nodes - i) + 1, sizeof(*both));

		if (both != NULL) {
			memcpy(both, list, j * sizeof(*both));
			memcpy(both + j, r->nodes + i, (r->n_nodes - i) * sizeof(*both));
			free(r->nodes);
			r->nodes = both;
			r->n_nodes = j + (r->n_nodes - i);
		}
		free(list);
		return -ENOMEM;
	}
	free(r->nodes);
	r->nodes = list;
	r->n_nodes = count;
	return 0;
}

// Addresses that the Service names itself are kept from automatic choice.
static int name_addresses(struct resolver *r, struct holder *h) {
	const struct kube_service *s = &h->o->service;
	uint32_t room = s->n_external_ips + (r->settings->cluster_ips ? s->n_cluster_ips : 0);
	int ret = 0;

	if (room == 0)
		return 0;
	h->named = calloc(room, sizeof(*h->named));
	if (h->named == NULL)
		return -ENOMEM;
	for (uint32_t i = 0; i < room && ret == 0; i++) {
		const struct ip_addr *a = i < s->n_external_ips
						  ? &s->external_ips[i]
						  : &s->cluster_ips[i - s->n_external_ips];

		if (i < s->n_external_ips && !frontends_external_is_allowed(r->settings, a))
			continue;
		ret = claims_avoid(r->picker.claims, a, NULL);
		if (ret == 0)
			h->named[h->n_named++] = *a;
	}
	return ret;
}

static void unname_addresses(struct resolver *r, struct holder *h) {
	for (uint32_t i = 0; i < h->n_named; i++) {
		claims_unavoid(r->picker.claims, &h->named[i], false);
		pools_freed(r->picker.pools, &h->named[i]);
		r->retry = true;
	}
	free(h->named);
	h->named = NULL;
	h->n_named = 0;
}

// --- what is remembered of Services that are not there ---

static void forget_absent(struct resolver *r) {
	for (uint32_t i = 0; i < r->n_absent; i++) {
		claims_unavoid(r->picker.claims, &r->absent[i], false);
		pools_freed(r->picker.pools, &r->absent[i]);
		r->retry = true;
	}
	r->n_absent = 0;
}

static int settle_one(struct resolver *r, const struct ipam_entry *e, bool complete) {
	const struct holder *h = r->events->find(r->events->arg, e->ns, e->name);
	struct ipam_memory *memory = r->picker.memory;

	if (h != NULL && h->o != NULL)
		return 0;
	if (complete && r->settings->durable)
		return ipam_memory_release(memory, e);
	if (complete) {
		ipam_memory_remove(memory, e->ns, e->name, e->addr.family);
		return 0;
	}
	if (claims_avoid(r->picker.claims, &e->addr, NULL) < 0)
		return -ENOMEM;
	r->absent[r->n_absent++] = e->addr;
	return 0;
}

// Forgotten once all objects were shown; until then not given to others.
static int settle_absent(struct resolver *r, bool complete) {
	const struct ipam_entry **entries = NULL;
	struct ip_addr *room;
	int n, ret = 0;

	if (r->settled && complete)
		return 0;
	forget_absent(r);
	n = ipam_memory_list(r->picker.memory, &entries);
	room = n < 0 ? NULL : realloc(r->absent, ((size_t)n + 1) * sizeof(*room));
	if (room == NULL) {
		free(entries);
		return -ENOMEM;
	}
	r->absent = room;
	for (int i = 0; i < n && ret == 0; i++)
		ret = settle_one(r, entries[i], complete);
	free(entries);
	r->settled = ret == 0 && complete;
	return ret;
}

// --- places and plans ---

static int list_work(struct resolver *r, struct holder *h, uint8_t what) {
	int ret = (h->work & WORK_LISTED) != 0 ? 0 : push(&r->work, h);

	if (ret == 0)
		h->work |= WORK_LISTED | what;
	return ret;
}

struct told { // by claims, of others whose places may look different
	struct resolver *r;
	int ret;
};

static void on_other(void *arg, struct holder *other) {
	struct told *t = arg;

	if (list_work(t->r, other, 0) < 0)
		t->ret = -ENOMEM;
}

static int unwant_places(struct resolver *r, struct holder *h) {
	struct told t = {r, 0};

	while (h->n_places > 0)
		claims_unwant(r->picker.claims, &h->places[--h->n_places], h, on_other, &t);
	free(h->places);
	h->places = NULL;
	return t.ret;
}

static int want_places(struct resolver *r, struct holder *h) {
	struct kube_plan draft = {0};
	struct told t = {r, 0};
	uint32_t n = 0;
	int ret = frontends_draft(&draft, h, r->settings, r->picker.claims);

	for (uint32_t i = 0; i < draft.n_ports; i++)
		n += draft.ports[i].n_frontends;
	if (ret == 0 && n > 0)
		h->places = calloc(n, sizeof(*h->places));
	if (ret == 0 && n > 0 && h->places == NULL)
		ret = -ENOMEM;
	for (uint32_t i = 0; i < draft.n_ports && ret == 0; i++)
		for (uint32_t f = 0; f < draft.ports[i].n_frontends && ret == 0; f++) {
			const struct model_frontend *m = &draft.ports[i].frontends[f];
			const struct place p = {m->addr, m->port, h->o->service.ports[i].protocol};

			ret = claims_want(r->picker.claims, &p, h, on_other, &t);
			if (ret == 0)
				h->places[h->n_places++] = p;
		}
	kube_plan_fini(&draft);
	return ret < 0 ? ret : t.ret;
}

static int plan(struct resolver *r, struct holder *h) {
	struct kube_plan next = {0};
	int ret = 0;

	if (h->o != NULL)
		ret = frontends_draft(&next, h, r->settings, r->picker.claims);
	if (ret == 0 && h->o != NULL)
		frontends_settle(&next, h, r->picker.claims);
	if (ret < 0 || kube_plan_equal(h->plan, &next)) {
		kube_plan_fini(&next);
		return ret;
	}
	kube_plan_fini(h->plan);
	*h->plan = next;
	r->events->planned(r->events->arg, h);
	return 0;
}

// --- the run ---

static int age_cmp(const void *x, const void *y) {
	const struct holder *a = *(const struct holder *const *)x,
			    *b = *(const struct holder *const *)y;

	if (a->o == NULL || b->o == NULL)
		return (a->o != NULL) - (b->o != NULL);
	return kube_object_age_cmp(a->o, b->o);
}

static int list_batch(struct resolver *r) {
	struct holder *h;

	r->batch.n = 0;
	TAILQ_FOREACH(h, &r->pending, pending_link)
		if (push(&r->batch, h) < 0)
			return -ENOMEM;
	if (r->batch.n > 0)
		qsort(r->batch.list, r->batch.n, sizeof(struct holder *), age_cmp);
	return 0;
}

// Places first: they are sorted by the age of objects, which may be others now.
static int let_go(struct resolver *r) {
	struct kube_plan scratch;
	int ret = 0;

	for (uint32_t i = 0; i < r->batch.n && ret == 0; i++) {
		ret = list_work(r, r->batch.list[i], WORK_PLACES);
		if (ret == 0)
			ret = unwant_places(r, r->batch.list[i]);
		unname_addresses(r, r->batch.list[i]);
	}
	for (uint32_t i = r->batch.n; i > 0 && ret == 0; i--) {
		struct holder *h = r->batch.list[i - 1];

		memset(&scratch, 0, sizeof(scratch));
		h->asks = h->served = h->forfeits = false;
		if (h->o != NULL)
			frontends_begin(&scratch, h, r->settings);
		ret = pick_let_go(&r->picker, h);
	}
	for (uint32_t i = 0; i < r->batch.n && ret == 0; i++)
		if (r->batch.list[i]->o != NULL)
			ret = name_addresses(r, r->batch.list[i]);
	return ret;
}

static uint64_t hash(uint64_t h, const void *data, size_t n) {
	const uint8_t *b = data;

	for (size_t i = 0; i < n; i++)
		h = (h ^ b[i]) * UINT64_C(0x100000001b3);
	return h;
}

// FNV-1a of what kube_grant() shows.
static uint64_t shown(const struct holder *h) {
	uint64_t x = UINT64_C(0xcbf29ce484222325);

	x = hash(x, h->addrs, h->n_addrs * sizeof(*h->addrs));
	x = hash(x, h->modes, h->n_addrs);
	x = hash(x, h->why, strlen(h->why));
	return hash(x, &h->asks, sizeof(h->asks));
}

static void tell(struct resolver *r, struct holder *h) {
	uint64_t now = shown(h);

	if (now != h->shown)
		r->events->granted(r->events->arg, h);
	h->shown = now;
}

// Those that lack something, in order of arrival; newcomers come last, oldest first.
static int list_needy(struct resolver *r, bool waiting_too, bool newcomers) {
	struct holder *h;
	int ret = 0;

	r->needy.n = 0;
	TAILQ_FOREACH(h, &r->waiting, waiting_link)
		if (ret == 0 && h->asks && (waiting_too || (newcomers && h->pending)))
			ret = push(&r->needy, h);
	for (uint32_t i = 0; i < r->batch.n && newcomers && ret == 0; i++)
		if (r->batch.list[i]->asks && !r->batch.list[i]->waiting)
			ret = push(&r->needy, r->batch.list[i]);
	return ret;
}

static int run_passes(struct resolver *r) {
	static int (*const passes[])(struct picker *,
				     struct holder *) = {pick_begin, pick_status, pick_remembered,
							 pick_requested, pick_automatic};

	for (size_t pass = 0; pass < sizeof(passes) / sizeof(passes[0]); pass++)
		for (uint32_t i = 0; i < r->needy.n; i++)
			if (passes[pass](&r->picker, r->needy.list[i]) < 0)
				return -ENOMEM;
	return 0;
}

static int end_passes(struct resolver *r) {
	for (uint32_t i = 0; i < r->needy.n; i++) {
		struct holder *h = r->needy.list[i];

		if (pick_end(&r->picker, h) < 0)
			return -ENOMEM;
		if ((h->pending || shown(h) != h->shown) && list_work(r, h, WORK_PLACES) < 0)
			return -ENOMEM;
		set_waiting(r, h, h->code != NULL);
	}
	return 0;
}

// What one gives back, another may wait for.
static int grant(struct resolver *r) {
	bool again = r->retry;
	int ret = 0;

	for (int round = 0; round < ROUNDS && ret == 0 && (round == 0 || again); round++) {
		r->picker.freed = false;
		ret = list_needy(r, again, round == 0);
		if (ret == 0)
			ret = run_passes(r);
		if (ret == 0)
			ret = end_passes(r);
		again = r->picker.freed;
	}
	r->retry = again;
	return ret;
}

// Those that changed and ask for nothing (any more).
static int end_others(struct resolver *r) {
	for (uint32_t i = 0; i < r->batch.n; i++) {
		struct holder *h = r->batch.list[i];

		if (h->o != NULL && h->asks)
			continue;
		h->code = NULL;
		h->why[0] = 0;
		if (pick_end(&r->picker, h) < 0)
			return -ENOMEM;
		set_waiting(r, h, false);
	}
	return 0;
}

static int do_work(struct resolver *r) {
	int ret = 0;

	for (uint32_t i = 0; i < r->work.n && ret == 0; i++) {
		struct holder *h = r->work.list[i];

		if ((h->work & WORK_PLACES) == 0)
			continue;
		ret = unwant_places(r, h);
		if (ret == 0 && h->o != NULL)
			ret = want_places(r, h);
	}
	for (uint32_t i = 0; i < r->work.n && ret == 0; i++) {
		struct holder *h = r->work.list[i];

		ret = plan(r, h);
		if (ret == 0)
			tell(r, h);
	}
	return ret;
}

static void finish(struct resolver *r) {
	struct holder *h;

	for (uint32_t i = 0; i < r->work.n; i++)
		r->work.list[i]->work = 0;
	r->work.n = 0;
	while ((h = TAILQ_FIRST(&r->pending)) != NULL) {
		TAILQ_REMOVE(&r->pending, h, pending_link);
		h->pending = h->changed = false;
	}
}

int resolver_run(struct resolver *r, bool complete, int64_t now_ms) {
	int ret = 0;

	ipam_memory_set_time(r->picker.memory, now_ms);
	r->retry |= complete && !r->picker.complete;
	if (complete && !r->picker.learnt)
		mark_all(r);
	r->picker.complete = complete;
	r->picker.freed = false;
	if (r->reconfigured)
		ret = reconfigure(r);
	r->reconfigured = ret < 0;
	if (ret == 0)
		ret = list_batch(r);
	if (ret == 0)
		ret = let_go(r);
	r->retry |= r->picker.freed;
	if (ret == 0)
		ret = settle_absent(r, complete);
	if (ret == 0)
		ret = grant(r);
	if (ret == 0)
		ret = end_others(r);
	if (ret == 0)
		ret = do_work(r);
	if (ret == 0)
		finish(r);
	r->picker.learnt |= ret == 0 && complete;
	return ret;
}

const struct pools *resolver_pools(const struct resolver *r) {
	return r->picker.pools;
}

const struct claims *resolver_claims(const struct resolver *r) {
	return r->picker.claims;
}

const struct holder *resolver_first_waiting(const struct resolver *r) {
	return TAILQ_FIRST(&r->waiting);
}
