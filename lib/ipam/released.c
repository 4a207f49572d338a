// SPDX-License-Identifier: Apache-2.0
// Addresses that came back, in order of time: for their Service first, for others as late as possible.
#include "ipam/released.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define HASH_NONFATAL_OOM 1
#include <uthash.h>

// Beyond it the oldest are forgotten. They are then as good as never used.
#define RELEASED_MAX 65536

struct name {
	char ns[64], name[64]; // zero-filled
	uint32_t family;
};

struct item {
	struct ipam_entry entry;
	struct name name;
	int64_t at;             // ms
	UT_hash_handle hh;      // by entry.addr, in order of time
	UT_hash_handle by_name; // by name
};

struct released {
	struct item *items, *names;
};

struct released *released_create(void) {
	return calloc(1, sizeof(struct released));
}

static void drop(struct released *r, struct item *i) {
	HASH_DEL(r->items, i);
	HASH_DELETE(by_name, r->names, i);
	free(i);
}

void released_destroy(struct released *r) {
	struct item *i, *next;

	if (r == NULL)
		return;
	HASH_ITER(hh, r->items, i, next) {
		drop(r, i);
	}
	free(r);
}

static struct item *find_addr(const struct released *r, const struct ip_addr *a) {
	struct item *i;

	HASH_FIND(hh, r->items, a, sizeof(*a), i);
	return i;
}

static struct name name_of(const char *ns, const char *name, uint8_t family) {
	struct name n = {.family = family};

	memcpy(n.ns, ns, strnlen(ns, sizeof(n.ns) - 1));
	memcpy(n.name, name, strnlen(name, sizeof(n.name) - 1));
	return n;
}

static struct item *find_name(const struct released *r, const struct name *n) {
	struct item *i;

	HASH_FIND(by_name, r->names, n, sizeof(*n), i);
	return i;
}

int released_put(struct released *r, const struct ipam_entry *e, int64_t at) {
	struct name name = name_of(e->ns, e->name, e->addr.family);
	struct item *before = find_addr(r, &e->addr), *i = calloc(1, sizeof(*i));

	if (i == NULL)
		return -ENOMEM;
	if (before != NULL)
		drop(r, before);
	before = find_name(r, &name);
	if (before != NULL)
		drop(r, before);
	i->entry = *e;
	i->name = name;
	i->at = at;
	HASH_ADD(hh, r->items, entry.addr, sizeof(i->entry.addr), i);
	if (i->hh.tbl == NULL) {
		free(i);
		return -ENOMEM;
	}
	HASH_ADD(by_name, r->names, name, sizeof(i->name), i);
	if (i->by_name.tbl == NULL) {
		HASH_DEL(r->items, i);
		free(i);
		return -ENOMEM;
	}
	if (HASH_COUNT(r->items) > RELEASED_MAX)
		drop(r, r->items);
	return 0;
}

bool released_remove(struct released *r, const struct ip_addr *a) {
	struct item *i = find_addr(r, a);

	if (i != NULL)
		drop(r, i);
	return i != NULL;
}

bool released_has(const struct released *r, const struct ip_addr *a) {
	return find_addr(r, a) != NULL;
}

const struct ipam_entry *released_find(const struct released *r, const char *ns, const char *name,
				       uint8_t family, int64_t since) {
	struct name n = name_of(ns, name, family);
	const struct item *i = find_name(r, &n);

	return i != NULL && i->at >= since ? &i->entry : NULL;
}

const struct ipam_entry *released_longest(const struct released *r,
					  bool (*fits)(void *arg, const struct ip_addr *a),
					  void *arg) {
	for (const struct item *i = r->items; i != NULL; i = i->hh.next)
		if (fits(arg, &i->entry.addr))
			return &i->entry;
	return NULL;
}

void released_shift(struct released *r, int64_t by) {
	for (struct item *i = r->items; i != NULL; i = i->hh.next)
		i->at += by;
}

int released_each(const struct released *r, int64_t since,
		  int (*fn)(void *arg, const struct ipam_entry *e, int64_t at), void *arg) {
	int ret = 0;

	for (const struct item *i = r->items; i != NULL && ret == 0; i = i->hh.next)
		if (i->at >= since)
			ret = fn(arg, &i->entry, i->at);
	return ret;
}
