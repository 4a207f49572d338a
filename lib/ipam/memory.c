// SPDX-License-Identifier: Apache-2.0
// Which Service was given which address: a map in memory; and which addresses came back.
#include <errno.h>
#include <stdlib.h>

#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#include "ipam/memory.h"
#include "ipam/released.h"

struct key {
	char ns[64], name[64]; // zero-filled
	uint32_t family;
};

struct item {
	struct key key;
	struct ipam_entry entry;
	UT_hash_handle hh;
};

struct ipam_memory {
	struct item *items;
	struct released *released;
	int64_t now; // ms; 0 until ipam_memory_set_time()
	bool unsaved, timed;
};

struct ipam_memory *ipam_memory_create(void) {
	struct ipam_memory *m = calloc(1, sizeof(struct ipam_memory));

	if (m == NULL)
		return NULL;
	m->released = released_create();
	if (m->released == NULL) {
		free(m);
		return NULL;
	}
	return m;
}

void ipam_memory_destroy(struct ipam_memory *m) {
	struct item *i, *next;

	if (m == NULL)
		return;
	HASH_ITER(hh, m->items, i, next) {
		HASH_DEL(m->items, i);
		free(i);
	}
	released_destroy(m->released);
	free(m);
}

size_t ipam_memory_count(const struct ipam_memory *m) {
	return HASH_COUNT(m->items);
}

static void copy_text(char *out, size_t size, const char *text) {
	memset(out, 0, size);
	memcpy(out, text, strnlen(text, size - 1));
}

static struct item *find(const struct ipam_memory *m, const char *ns, const char *name,
			 uint8_t family) {
	struct key key = {.family = family};
	struct item *i;

	copy_text(key.ns, sizeof(key.ns), ns);
	copy_text(key.name, sizeof(key.name), name);
	HASH_FIND(hh, m->items, &key, sizeof(key), i);
	return i;
}

const struct ipam_entry *ipam_memory_find(const struct ipam_memory *m, const char *ns,
					  const char *name, uint8_t family) {
	const struct item *i = find(m, ns, name, family);

	return i != NULL ? &i->entry : NULL;
}

static struct item *add(struct ipam_memory *m, const struct ipam_entry *e) {
	struct item *i = calloc(1, sizeof(*i));

	if (i == NULL)
		return NULL;
	copy_text(i->key.ns, sizeof(i->key.ns), e->ns);
	copy_text(i->key.name, sizeof(i->key.name), e->name);
	i->key.family = e->addr.family;
	HASH_ADD(hh, m->items, key, sizeof(i->key), i);
	if (i->hh.tbl == NULL) {
		free(i);
		return NULL;
	}
	return i;
}

int ipam_memory_put(struct ipam_memory *m, const struct ipam_entry *e) {
	struct item *i;

	if (e->ns[0] == 0 || e->name[0] == 0 || (e->addr.family != 4 && e->addr.family != 6))
		return -EINVAL;
	i = find(m, e->ns, e->name, e->addr.family);
	if (i != NULL && ip_addr_eq(&i->entry.addr, &e->addr) &&
	    strcmp(i->entry.pool, e->pool) == 0)
		return 0;
	if (i == NULL)
		i = add(m, e);
	if (i == NULL)
		return -ENOMEM;
	i->entry = *e;
	m->unsaved = true;
	return 1;
}

int ipam_memory_remove(struct ipam_memory *m, const char *ns, const char *name, uint8_t family) {
	struct item *i = find(m, ns, name, family);

	if (i == NULL)
		return 0;
	HASH_DEL(m->items, i);
	free(i);
	m->unsaved = true;
	return 1;
}

static int entry_cmp(const void *x, const void *y) {
	const struct ipam_entry *a = *(const struct ipam_entry *const *)x,
				*b = *(const struct ipam_entry *const *)y;
	int c = strcmp(a->ns, b->ns);

	if (c == 0)
		c = strcmp(a->name, b->name);
	return c != 0 ? c : a->addr.family - b->addr.family;
}

int ipam_memory_list(const struct ipam_memory *m, const struct ipam_entry ***list) {
	const struct ipam_entry **l = malloc((HASH_COUNT(m->items) + 1) *
					     sizeof(struct ipam_entry *));
	int n = 0;

	if (l == NULL)
		return -ENOMEM;
	for (const struct item *i = m->items; i != NULL; i = i->hh.next)
		l[n++] = &i->entry;
	qsort(l, n, sizeof(*l), entry_cmp);
	*list = l;
	return n;
}

void ipam_memory_set_time(struct ipam_memory *m, int64_t now_ms) {
	if (!m->timed)
		released_shift(m->released, now_ms); // they were loaded by their age
	m->timed = true;
	m->now = now_ms;
}

int ipam_memory_release(struct ipam_memory *m, const struct ipam_entry *e) {
	if (e->ns[0] == 0 || e->name[0] == 0 || (e->addr.family != 4 && e->addr.family != 6))
		return -EINVAL;
	if (released_put(m->released, e, m->now) < 0)
		return -ENOMEM;
	ipam_memory_remove(m, e->ns, e->name, e->addr.family);
	m->unsaved = true;
	return 0;
}

void ipam_memory_reuse(struct ipam_memory *m, const struct ip_addr *a) {
	m->unsaved |= released_remove(m->released, a);
}

bool ipam_memory_is_released(const struct ipam_memory *m, const struct ip_addr *a) {
	return released_has(m->released, a);
}

const struct ipam_entry *ipam_memory_find_released(const struct ipam_memory *m, const char *ns,
						   const char *name, uint8_t family) {
	return released_find(m->released, ns, name, family, m->now - IPAM_SOON_MS);
}

const struct ipam_entry *ipam_memory_longest_released(
	const struct ipam_memory *m, bool (*fits)(void *arg, const struct ip_addr *a), void *arg) {
	return released_longest(m->released, fits, arg);
}

int ipam_memory_load_released(struct ipam_memory *m, const struct ipam_entry *e, int64_t age_ms) {
	return released_put(m->released, e, m->now - age_ms);
}

int ipam_memory_each_released(const struct ipam_memory *m, ipam_released_fn fn, void *arg) {
	return released_each(m->released, m->now - IPAM_SOON_MS, fn, arg);
}

int64_t ipam_memory_time(const struct ipam_memory *m) {
	return m->now;
}

bool ipam_memory_is_unsaved(const struct ipam_memory *m) {
	return m->unsaved;
}

void ipam_memory_set_saved(struct ipam_memory *m) {
	m->unsaved = false;
}
