// SPDX-License-Identifier: Apache-2.0
// Verdicts by node, and within a node by Service: most look-ups end at the first step.
#include "kube/health.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define HASH_NONFATAL_OOM 1
#include <uthash.h>

struct health_service {
	struct kube_health health;
	UT_hash_handle hh;
	char key[]; // "ns/name"
};

struct health_node {
	struct kube_health proxy;
	struct health_service *services;
	UT_hash_handle hh;
	char key[]; // the node's name
};

static struct health_node *node_of(struct health_node **table, const char *name) {
	size_t len = strlen(name);
	struct health_node *n;

	HASH_FIND_STR(*table, name, n);
	if (n != NULL)
		return n;
	n = calloc(1, sizeof(*n) + len + 1);
	if (n == NULL)
		return NULL;
	memcpy(n->key, name, len);
	HASH_ADD_STR(*table, key, n);
	if (n->hh.tbl == NULL) {
		free(n);
		return NULL;
	}
	return n;
}

static struct health_service *service_of(struct health_node *n, const char *key) {
	size_t len = strlen(key);
	struct health_service *s;

	HASH_FIND_STR(n->services, key, s);
	if (s != NULL)
		return s;
	s = calloc(1, sizeof(*s) + len + 1);
	if (s == NULL)
		return NULL;
	memcpy(s->key, key, len);
	HASH_ADD_STR(n->services, key, s);
	if (s->hh.tbl == NULL) {
		free(s);
		return NULL;
	}
	return s;
}

static void drop_service(struct health_node *n, const char *key) {
	struct health_service *s;

	HASH_FIND_STR(n->services, key, s);
	if (s == NULL)
		return;
	HASH_DEL(n->services, s);
	free(s);
}

static void drop_node_if_empty(struct health_node **table, struct health_node *n) {
	if (n->services != NULL || n->proxy.verdict != KUBE_UNASKED)
		return;
	HASH_DEL(*table, n);
	free(n);
}

static void forget(struct health_node **table, const char *node, const char *service) {
	struct health_node *n;

	HASH_FIND_STR(*table, node, n);
	if (n == NULL)
		return;
	if (service[0] == '\0')
		n->proxy = (struct kube_health){.verdict = KUBE_UNASKED};
	else
		drop_service(n, service);
	drop_node_if_empty(table, n);
}

int health_set(struct health_node **table, const char *node, const char *service,
	       const struct kube_health *h) {
	struct kube_health before = health_find(*table, node, service);
	struct health_service *s;
	struct health_node *n;

	if (before.verdict == h->verdict &&
	    (before.weight == h->weight || h->verdict == KUBE_UNASKED))
		return 0;
	if (h->verdict == KUBE_UNASKED) {
		forget(table, node, service);
		return 1;
	}
	n = node_of(table, node);
	if (n == NULL)
		return -ENOMEM;
	if (service[0] == '\0') {
		n->proxy = *h;
		return 1;
	}
	s = service_of(n, service);
	if (s == NULL) {
		drop_node_if_empty(table, n);
		return -ENOMEM;
	}
	s->health = *h;
	return 1;
}

struct kube_health health_find(const struct health_node *table, const char *node,
			       const char *service) {
	static const struct kube_health unasked;
	const struct health_service *s;
	const struct health_node *n;

	HASH_FIND_STR(table, node, n);
	if (n == NULL)
		return unasked;
	if (service[0] == '\0')
		return n->proxy;
	HASH_FIND_STR(n->services, service, s);
	return s != NULL ? s->health : unasked;
}

void health_clear(struct health_node **table) {
	struct health_service *s, *next_s;
	struct health_node *n, *next_n;

	HASH_ITER(hh, *table, n, next_n) {
		HASH_ITER(hh, n->services, s, next_s) {
			HASH_DEL(n->services, s);
			free(s);
		}
		HASH_DEL(*table, n);
		free(n);
	}
}
