// SPDX-License-Identifier: Apache-2.0
// The store of objects, what each change touches, and the write to the model.
#include "kube/kube.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "kube/store.h"

static void on_planned(void *arg, struct holder *h) {
	unit_mark(arg, h->owner);
}

static void on_granted(void *arg, struct holder *h) {
	unit_tell(arg, h->owner);
}

static struct holder *find_holder(void *arg, const char *ns, const char *name) {
	struct unit *u = unit_find(arg, ns, name);

	return u != NULL ? &u->holder : NULL;
}

struct kube *kube_create(const struct kube_settings *settings, struct ipam_memory *memory) {
	struct kube *k = calloc(1, sizeof(*k));

	if (k == NULL)
		return NULL;
	k->settings = settings;
	TAILQ_INIT(&k->todo);
	TAILQ_INIT(&k->told);
	k->events = (struct resolver_events){k, on_planned, on_granted, find_holder};
	k->resolver = resolver_create(settings, memory, &k->events);
	if (k->resolver == NULL) {
		free(k);
		return NULL;
	}
	return k;
}

void unit_mark(struct kube *k, struct unit *u) {
	if (!u->is_listed)
		TAILQ_INSERT_TAIL(&k->todo, u, todo_link);
	u->is_listed = u->is_dirty = true;
}

void unit_judge(struct kube *k, struct unit *u) {
	if (!u->is_listed)
		TAILQ_INSERT_TAIL(&k->todo, u, todo_link);
	u->is_listed = u->is_judged = true;
}

void unit_tell(struct kube *k, struct unit *u) {
	if (u->is_told || !k->settings->durable)
		return;
	TAILQ_INSERT_TAIL(&k->told, u, told_link);
	u->is_told = true;
}

static void unit_free(struct kube *k, struct unit *u) {
	k->n_doubted -= u->doubted;
	if (u->is_listed)
		TAILQ_REMOVE(&k->todo, u, todo_link);
	if (u->is_told)
		TAILQ_REMOVE(&k->told, u, told_link);
	resolver_forget(k->resolver, &u->holder);
	HASH_DEL(k->units, u);
	kube_plan_fini(&u->plan);
	free(u->slices);
	free(u->rows);
	free(u);
}

void unit_drop_if_empty(struct kube *k, struct unit *u) {
	if (u->service == NULL && u->fallback == NULL && u->n_slices == 0 && !u->is_told)
		unit_free(k, u);
}

void kube_destroy(struct kube *k) {
	struct item *i, *next_i;
	struct unit *u, *next_u;

	if (k == NULL)
		return;
	HASH_ITER(hh, k->units, u, next_u) {
		unit_free(k, u);
	}
	resolver_destroy(k->resolver);
	for (int kind = 0; kind < KUBE_KINDS; kind++) {
		HASH_ITER(hh, k->items[kind], i, next_i) {
			HASH_DEL(k->items[kind], i);
			kube_object_put(i->o);
			free(i);
		}
	}
	health_clear(&k->health);
	free(k->nodes);
	free(k);
}

void kube_configure(struct kube *k, const struct kube_settings *settings) {
	k->settings = settings;
	resolver_configure(k->resolver, settings);
	for (struct unit *u = k->units; u != NULL; u = u->hh.next)
		unit_mark(k, u);
}

void kube_reconsider(struct kube *k) {
	resolver_configure(k->resolver, k->settings);
}

void kube_set_time(struct kube *k, int64_t now_ms) {
	k->now_ms = now_ms;
}

size_t kube_count(const struct kube *k, enum kube_kind kind) {
	return HASH_COUNT(k->items[kind]);
}

struct unit *unit_find(const struct kube *k, const char *ns, const char *name) {
	char key[KEY_SIZE];
	struct unit *u;

	make_key(key, ns, name);
	HASH_FIND_STR(k->units, key, u);
	return u;
}

static struct unit *unit_of(struct kube *k, const char *ns, const char *name) {
	char key[KEY_SIZE];
	struct unit *u = unit_find(k, ns, name);
	size_t len;

	if (u != NULL)
		return u;
	make_key(key, ns, name);
	len = strlen(key);
	u = calloc(1, sizeof(*u) + len + 1);
	if (u == NULL)
		return NULL;
	u->holder.owner = u;
	u->holder.plan = &u->plan;
	memcpy(u->key, key, len);
	HASH_ADD_STR(k->units, key, u);
	if (u->hh.tbl == NULL) {
		free(u);
		return NULL;
	}
	return u;
}

// The Service that an object belongs to; "" for none. The name in the object outlives the call.
static const char *service_name(const struct kube_object *o) {
	switch (o->meta.kind) {
	case KUBE_SERVICE:
		return o->meta.name;
	case KUBE_NODE:
		return "";
	default:
		return o->endpoints.service;
	}
}

static int link_slice(struct unit *u, struct kube_object *o) {
	struct kube_object **grown = realloc(u->slices,
					     (u->n_slices + 1) * sizeof(struct kube_object *));

	if (grown == NULL)
		return -ENOMEM;
	u->slices = grown;
	u->slices[u->n_slices++] = o;
	return 0;
}

static void unlink_slice(struct unit *u, const struct kube_object *o) {
	for (uint32_t i = 0; i < u->n_slices; i++)
		if (u->slices[i] == o) {
			u->slices[i] = u->slices[--u->n_slices];
			return;
		}
}

static void set_service(struct kube *k, struct unit *u, struct kube_object *o) {
	u->service = o;
	resolver_put(k->resolver, &u->holder, o);
	unit_tell(k, u);
}

// Make the object part of its Service and mark what it touches.
static int link_object(struct kube *k, struct kube_object *o) {
	const char *name = service_name(o);
	struct unit *u;

	k->nodes_changed |= o->meta.kind == KUBE_NODE;
	if (name[0] == 0)
		return 0;
	u = unit_of(k, o->meta.ns, name);
	if (u != NULL && o->meta.kind != KUBE_SERVICE && unit_awaits_endpoints(u))
		unit_tell(k, u);
	if (u == NULL || (o->meta.kind == KUBE_SLICE && link_slice(u, o) < 0))
		return -ENOMEM;
	if (o->meta.kind == KUBE_SERVICE)
		set_service(k, u, o);
	if (o->meta.kind == KUBE_ENDPOINTS)
		u->fallback = o;
	unit_mark(k, u);
	return 0;
}

// The unit exists: the object was linked to it.
static void unlink_object(struct kube *k, const struct kube_object *o) {
	const char *name = service_name(o);
	struct unit *u;

	k->nodes_changed |= o->meta.kind == KUBE_NODE;
	if (name[0] == 0)
		return;
	u = unit_of(k, o->meta.ns, name);
	if (u == NULL)
		return;
	if (o->meta.kind == KUBE_SLICE)
		unlink_slice(u, o);
	if (u->service == o)
		set_service(k, u, NULL);
	if (u->fallback == o)
		u->fallback = NULL;
	unit_mark(k, u);
}

static struct item *find_item(const struct kube *k, enum kube_kind kind, const char *ns,
			      const char *name) {
	char key[KEY_SIZE];
	struct item *i;

	make_key(key, ns, name);
	HASH_FIND_STR(k->items[kind], key, i);
	return i;
}

static struct item *add_item(struct kube *k, const struct kube_object *o) {
	char key[KEY_SIZE];
	struct item *i;
	size_t len;

	make_key(key, o->meta.ns, o->meta.name);
	len = strlen(key);
	i = calloc(1, sizeof(*i) + len + 1);
	if (i == NULL)
		return NULL;
	memcpy(i->key, key, len);
	HASH_ADD_STR(k->items[o->meta.kind], key, i);
	if (i->hh.tbl == NULL) {
		free(i);
		return NULL;
	}
	return i;
}

static void drop_item(struct kube *k, struct item *i) {
	struct kube_object *o = i->o;

	HASH_DEL(k->items[o->meta.kind], i);
	unlink_object(k, o);
	kube_object_put(o);
	free(i);
}

static int node_name_cmp(const void *name, const void *o) {
	return strcmp(name, (*(const struct kube_object *const *)o)->meta.name);
}

// Let o stand where an object of the same traffic stood: nothing else follows from it.
static void swap_object(struct kube *k, struct item *i, struct kube_object *o) {
	const struct kube_object **node;
	struct unit *u = NULL;

	if (o->meta.kind != KUBE_NODE && service_name(o)[0] != 0)
		u = unit_of(k, o->meta.ns, service_name(o)); // it exists: i->o was linked to it
	if (u != NULL && u->service == i->o) {
		u->service = o;
		resolver_swap(&u->holder, o);
		unit_tell(k, u);
	}
	if (u != NULL && u->fallback == i->o)
		u->fallback = o;
	for (uint32_t j = 0; u != NULL && j < u->n_slices; j++)
		if (u->slices[j] == i->o)
			u->slices[j] = o;
	if (o->meta.kind == KUBE_NODE && !k->nodes_changed) { // else the list is made anew
		node = bsearch(o->meta.name, k->nodes, HASH_COUNT(k->items[KUBE_NODE]),
			       sizeof(struct kube_object *), node_name_cmp);
		*node = o;
	}
	kube_object_put(i->o);
	i->o = kube_object_get(o);
}

int kube_put(struct kube *k, struct kube_object *o) {
	struct item *i = find_item(k, o->meta.kind, o->meta.ns, o->meta.name);
	bool is_new = i == NULL;

	if (i != NULL && kube_object_equal(i->o, o))
		return 0;
	if (i != NULL && kube_object_same_traffic(i->o, o)) {
		swap_object(k, i, o);
		return 1;
	}
	if (is_new)
		i = add_item(k, o);
	if (i == NULL)
		return -ENOMEM;
	if (link_object(k, o) < 0) {
		if (is_new) {
			HASH_DEL(k->items[o->meta.kind], i);
			free(i);
		}
		return -ENOMEM;
	}
	if (!is_new) {
		unlink_object(k, i->o);
		kube_object_put(i->o);
	}
	i->o = kube_object_get(o);
	return 1;
}

int kube_remove(struct kube *k, enum kube_kind kind, const char *ns, const char *name) {
	struct item *i = find_item(k, kind, ns, name);

	if (i == NULL)
		return 0;
	drop_item(k, i);
	return 1;
}

static int sweep(struct kube *k, unsigned kinds) {
	struct item *i, *next;
	int n = 0;

	for (int kind = 0; kind < KUBE_KINDS; kind++) {
		if ((kinds & (1u << kind)) == 0)
			continue;
		HASH_ITER(hh, k->items[kind], i, next) {
			if (i->seen == k->round)
				continue;
			drop_item(k, i);
			n++;
		}
	}
	return n;
}

int kube_replace(struct kube *k, unsigned kinds, struct kube_object *const *objects, size_t n) {
	int changes = 0;

	k->round++;
	for (size_t j = 0; j < n; j++) {
		const struct kube_meta *m = &objects[j]->meta;
		struct item *i = find_item(k, m->kind, m->ns, m->name);
		int ret;

		if ((kinds & (1u << m->kind)) == 0 || (i != NULL && i->seen == k->round))
			continue;
		ret = kube_put(k, objects[j]);
		if (ret < 0)
			return ret;
		changes += ret;
		find_item(k, m->kind, m->ns, m->name)->seen = k->round;
	}
	return changes + sweep(k, kinds);
}

static int node_cmp(const void *x, const void *y) {
	const struct kube_object *const *a = x, *const *b = y;

	return strcmp((*a)->meta.name, (*b)->meta.name);
}

// The sorted list anew; all Services whose backends are nodes become dirty.
static int refresh_nodes(struct kube *k) {
	uint32_t n = 0, room = HASH_COUNT(k->items[KUBE_NODE]) + 1;
	const struct kube_object **nodes = malloc(room * sizeof(*nodes));

	if (nodes == NULL)
		return -ENOMEM;
	for (const struct item *i = k->items[KUBE_NODE]; i != NULL; i = i->hh.next)
		nodes[n++] = i->o;
	qsort(nodes, n, sizeof(*nodes), node_cmp);
	free(k->nodes);
	k->nodes = nodes;
	k->targets_version++;
	for (struct unit *u = k->units; u != NULL; u = u->hh.next)
		if (u->service != NULL && u->plan.target == KUBE_TARGET_NODE)
			unit_mark(k, u);
	return 0;
}

struct kube_view unit_view(const struct kube *k, const struct unit *u) {
	struct kube_object *const *endpoints = u->n_slices > 0 ? u->slices : &u->fallback;

	return (struct kube_view){.key = u->key,
				  .service = u->service,
				  .plan = &u->plan,
				  .settings = k->settings,
				  .endpoints = (const struct kube_object *const *)endpoints,
				  .n_endpoints = u->n_slices > 0 ? u->n_slices
								 : u->fallback != NULL,
				  .nodes = k->nodes,
				  .n_nodes = HASH_COUNT(k->items[KUBE_NODE]),
				  .health = k->health};
}

static int put_row(const struct kube_view *v, uint32_t row, struct model *m, struct model_key *key,
		   bool *doubted) {
	struct model_service s;
	int ret = kube_translate(&s, v, row);

	if (ret < 0)
		return ret;
	*doubted |= ret == 1;
	*key = s.key;
	ret = model_put(m, &s);
	model_service_fini(&s);
	return ret;
}

static bool has_row(const struct model_key *rows, uint32_t n, const struct model_key *key) {
	for (uint32_t i = 0; i < n; i++)
		if (model_key_cmp(&rows[i], key) == 0)
			return true;
	return false;
}

static int put_rows(struct kube *k, struct unit *u, struct model *m, struct model_key *rows,
		    uint32_t n) {
	const struct kube_view v = unit_view(k, u);
	bool doubted = false;
	int changes = 0;

	for (uint32_t i = 0; i < n; i++) {
		int ret = put_row(&v, i, m, &rows[i], &doubted);

		if (ret < 0)
			return ret;
		changes += ret;
	}
	k->n_doubted += (uint32_t)doubted - u->doubted;
	u->doubted = doubted;
	return changes;
}

static int write_unit(struct kube *k, struct unit *u, struct model *m) {
	uint32_t n = u->service != NULL ? kube_rows(u->service) : 0;
	struct model_key *rows = calloc(n + 1, sizeof(*rows));
	int changes = rows == NULL ? -ENOMEM : put_rows(k, u, m, rows, n);

	for (uint32_t i = 0; i < u->n_rows && changes >= 0; i++)
		if (!has_row(rows, n, &u->rows[i])) {
			int ret = model_remove(m, &u->rows[i]);

			changes = ret < 0 ? ret : changes + ret;
		}
	if (changes < 0) {
		free(rows);
		return changes;
	}
	free(u->rows);
	u->rows = rows;
	u->n_rows = n;
	if (u->is_dirty && (u->in_node_mode || unit_in_node_mode(u)))
		k->targets_version++;
	u->in_node_mode = unit_in_node_mode(u);
	u->is_dirty = u->is_judged = false;
	return changes;
}

static int write_units(struct kube *k, struct model *m) {
	struct unit *u;
	int changes = 0;

	while ((u = TAILQ_FIRST(&k->todo)) != NULL) {
		int ret = write_unit(k, u, m);

		if (ret < 0)
			return ret;
		changes += ret;
		TAILQ_REMOVE(&k->todo, u, todo_link);
		u->is_listed = false;
		unit_drop_if_empty(k, u);
	}
	return changes;
}

int kube_apply(struct kube *k, struct model *m, bool complete) {
	int ret = 0;

	if (k->nodes_changed)
		ret = refresh_nodes(k);
	if (ret == 0 && k->nodes_changed)
		ret = resolver_set_nodes(k->resolver, k->nodes, HASH_COUNT(k->items[KUBE_NODE]));
	k->nodes_changed &= ret < 0;
	if (ret == 0)
		ret = resolver_run(k->resolver, complete, k->now_ms);
	return ret < 0 ? ret : write_units(k, m);
}
