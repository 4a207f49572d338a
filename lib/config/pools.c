// SPDX-License-Identifier: Apache-2.0
// services.addressPools: ranges that nobody else has, and for whom they are.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "config/decoder.h"

#define NAME_CHARS "abcdefghijklmnopqrstuvwxyz0123456789.-"
#define LABEL_CHARS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-"

static bool ranges_overlap(const struct ip_range *a, const struct ip_range *b) {
	return a->first.family == b->first.family && ip_addr_cmp(&a->first, &b->last) <= 0 &&
	       ip_addr_cmp(&b->first, &a->last) <= 0;
}

// What in the configuration has an address of this range already.
static bool range_taken(const struct config *c, const struct ip_range *r, char *what, size_t size) {
	const struct config_services *s = &c->services;
	const struct ip_addr *lists[] = {c->site.snat4, c->site.snat6, s->node_port_addresses};
	const uint32_t counts[] = {c->site.n_snat4, c->site.n_snat6, s->n_node_port_addresses};
	char first[IP_ADDR_STR], last[IP_ADDR_STR];

	if (site_owner(&c->site, r, what, size))
		return true;
	for (int l = 0; l < 3; l++) {
		for (uint32_t i = 0; i < counts[l]; i++) {
			if (!ip_range_contains(r, &lists[l][i]))
				continue;
			snprintf(what, size, "%s, %s address", ip_addr_format(&lists[l][i], first),
				 l < 2 ? "an SNAT" : "a nodePort");
			return true;
		}
	}
	for (uint32_t p = 0; p < s->n_pools; p++) {
		for (uint32_t i = 0; i < s->pools[p].n_ranges; i++) {
			if (!ranges_overlap(r, &s->pools[p].ranges[i]))
				continue;
			snprintf(what, size, "%s-%s of pool %s",
				 ip_addr_format(&s->pools[p].ranges[i].first, first),
				 ip_addr_format(&s->pools[p].ranges[i].last, last),
				 s->pools[p].name);
			return true;
		}
	}
	return false;
}

// Every address of it can be a host's: no end and none of the blocks between is special.
static bool range_usable(const struct ip_range *r) {
	static const char *const special[] = {"127.0.0.0/8", "224.0.0.0/3", "::/127", "fe80::/10",
					      "ff00::/8"};
	struct ip_prefix p;
	struct ip_range block;

	for (size_t i = 0; i < sizeof(special) / sizeof(special[0]); i++) {
		if (ip_prefix_parse(&p, special[i]) < 0)
			continue;
		block = ip_prefix_range(&p);
		if (ranges_overlap(r, &block))
			return false;
	}
	return ip_addr_is_usable(&r->first) && ip_addr_is_usable(&r->last);
}

static void decode_ranges(struct decoder *d, const struct doc_node *n, struct config_pool *pool) {
	struct doc_node list, e;
	size_t faults = d->report->n_faults;
	size_t size = decode_list(d, &list, n, "addresses", CONFIG_MAX_LIST);
	struct ip_range r;
	const char *text;
	char what[200];

	if (size == 0 && d->report->n_faults == faults)
		decode_fault(d, &list,
			     "missing; expected prefixes, FIRST-LAST or single addresses");
	pool->ranges = decode_array(d, size, sizeof(r));
	for (size_t i = 0; pool->ranges != NULL && i < size; i++) {
		e = doc_element(&list, i);
		if (!decode_text(d, &e, &text))
			continue;
		if (ip_range_parse(&r, text) < 0)
			decode_fault(d, &e, "not a prefix, FIRST-LAST or an address");
		else if (!range_usable(&r))
			decode_fault(d, &e, "holds addresses that no host can own");
		else if (range_taken(d->c, &r, what, sizeof(what)))
			decode_fault(d, &e, "overlaps %s", what);
		else
			pool->ranges[pool->n_ranges++] = r;
	}
}

// --- for whom ---

static void decode_namespaces(struct decoder *d, const struct doc_node *n,
			      struct config_pool *pool) {
	struct doc_node list, e;
	size_t size = decode_list(d, &list, n, "namespaces", CONFIG_MAX_LIST);
	const char *text;

	pool->namespaces = decode_array(d, size, sizeof(*pool->namespaces));
	for (size_t i = 0; pool->namespaces != NULL && i < size; i++) {
		e = doc_element(&list, i);
		if (!decode_text(d, &e, &text))
			continue;
		if (*text == 0 || strlen(text) > 63 || text[strspn(text, NAME_CHARS)] != 0)
			decode_fault(d, &e, "not the name of a namespace");
		else
			decode_copy(d, &pool->namespaces[pool->n_namespaces++], text);
	}
}

// A label's key, "app" or "example.com/app".
static bool is_label_key(const char *text) {
	const char *slash = strchr(text, '/'), *name = slash != NULL ? slash + 1 : text;

	if (slash != NULL && (slash == text || strspn(text, NAME_CHARS) != (size_t)(slash - text)))
		return false;
	return *name != 0 && strlen(name) <= 63 && name[strspn(name, LABEL_CHARS)] == 0;
}

static bool is_label_value(const char *text) {
	return strlen(text) <= 63 && text[strspn(text, LABEL_CHARS)] == 0;
}

static bool add_value(struct decoder *d, struct ipam_term *t, const struct doc_node *n) {
	const char *text;

	if (!decode_text(d, n, &text))
		return false;
	if (!is_label_value(text))
		decode_fault(d, n, "not a label's value");
	else
		decode_copy(d, &t->values[t->n_values++], text);
	return true;
}

static void decode_match_labels(struct decoder *d, const struct doc_node *labels,
				struct ipam_selector *s) {
	struct doc_node m = {0};

	while (doc_next(&m, labels)) {
		struct ipam_term *t = &s->terms[s->n_terms];

		if (!is_label_key(m.key)) {
			decode_fault(d, &m, "not a label's key");
			continue;
		}
		*t = (struct ipam_term){.op = IPAM_IN,
					.values = decode_array(d, 1, sizeof(*t->values))};
		decode_copy(d, &t->key, m.key);
		s->n_terms++;
		if (t->values != NULL && !add_value(d, t, &m) && !doc_present(&m))
			decode_fault(d, &m, "not a string");
	}
}

static void decode_values(struct decoder *d, const struct doc_node *n, struct ipam_term *t) {
	struct doc_node list, e;
	size_t faults = d->report->n_faults;
	size_t size = decode_list(d, &list, n, "values", CONFIG_MAX_LIST);
	bool wants = t->op == IPAM_IN || t->op == IPAM_NOT_IN;

	if (d->report->n_faults == faults && wants != (size > 0))
		decode_fault(d, &list,
			     wants ? "missing; In and NotIn need values"
				   : "given, but Exists and DoesNotExist have none");
	t->values = decode_array(d, size, sizeof(*t->values));
	for (size_t i = 0; t->values != NULL && i < size; i++) {
		e = doc_element(&list, i);
		add_value(d, t, &e);
	}
}

static void decode_expression(struct decoder *d, const struct doc_node *n,
			      struct ipam_selector *s) {
	struct ipam_term *t = &s->terms[s->n_terms];
	int op = -1;
	struct doc_node m;
	const char *key;

	if (!decode_required(d, n, "key", &m, &key))
		return;
	if (!is_label_key(key))
		decode_fault(d, &m, "not a label's key");
	decode_enum(d, n, "operator", &op, KEYS("In", "NotIn", "Exists", "DoesNotExist"));
	doc_member(&m, n, "operator", NULL);
	if (!doc_present(&m))
		decode_fault(d, &m, "missing; expected In, NotIn, Exists or DoesNotExist");
	if (op < 0)
		return;
	*t = (struct ipam_term){.op = (enum ipam_operator)op}; // the names are in its order
	decode_copy(d, &t->key, key);
	s->n_terms++;
	decode_values(d, n, t);
}

static void decode_selector(struct decoder *d, const struct doc_node *n, struct ipam_selector *s) {
	struct doc_node labels, list, e;
	size_t size = decode_list(d, &list, n, "matchExpressions", CONFIG_MAX_LIST);

	doc_member(&labels, n, "matchLabels", NULL);
	if (doc_present(&labels) && !json_is_object(labels.json)) {
		decode_fault(d, &labels, "not an object");
		labels.json = NULL;
	}
	s->terms = decode_array(d, json_object_size(labels.json) + size, sizeof(*s->terms));
	if (s->terms == NULL)
		return;
	decode_match_labels(d, &labels, s);
	for (size_t i = 0; i < size; i++)
		if (decode_entry(d, &e, &list, i, KEYS("key", "operator", "values")))
			decode_expression(d, &e, s);
}

static void decode_selectors(struct decoder *d, const struct doc_node *n,
			     struct config_pool *pool) {
	struct doc_node list, e;
	size_t size = decode_list(d, &list, n, "serviceSelectors", CONFIG_MAX_LIST);

	pool->selectors = decode_array(d, size, sizeof(*pool->selectors));
	for (size_t i = 0; pool->selectors != NULL && i < size; i++)
		if (decode_entry(d, &e, &list, i, KEYS("matchLabels", "matchExpressions")))
			decode_selector(d, &e, &pool->selectors[pool->n_selectors++]);
}

// --- the pool ---

static void decode_pool_name(struct decoder *d, const struct doc_node *n,
			     struct config_pool *pool) {
	const struct config_services *s = &d->c->services;
	struct doc_node m;
	const char *text;
	size_t len;

	if (!decode_required(d, n, "name", &m, &text))
		return;
	len = strlen(text);
	if (len == 0 || len >= sizeof(pool->name) || strspn(text, NAME_CHARS) != len)
		decode_fault(d, &m, "not 1 to %zu lower-case letters, digits, dots and dashes",
			     sizeof(pool->name) - 1);
	else
		memcpy(pool->name, text, len + 1);
	for (uint32_t i = 0; *pool->name != 0 && &s->pools[i] < pool; i++)
		if (strcmp(s->pools[i].name, pool->name) == 0)
			decode_fault(d, &m, "a second pool %s", pool->name);
}

static void decode_pool(struct decoder *d, const struct doc_node *n, struct config_pool *pool) {
	int mode = 0;

	decode_pool_name(d, n, pool);
	pool->auto_assign = true;
	decode_bool(d, n, "autoAssign", &pool->auto_assign);
	decode_u32(d, n, "priority", &pool->priority, 0, INT32_MAX);
	decode_bool(d, n, "avoidBuggyIPs", &pool->avoid_buggy);
	decode_enum(d, n, "ipMode", &mode, KEYS("VIP", "Proxy"));
	pool->proxy = mode == 1;
	decode_namespaces(d, n, pool);
	decode_selectors(d, n, pool);
	decode_ranges(d, n, pool);
}

void decode_pools(struct decoder *d, const struct doc_node *services) {
	struct config_services *s = &d->c->services;
	struct doc_node list, e;
	size_t size = decode_list(d, &list, services, "addressPools", CONFIG_MAX_LIST);

	s->pools = decode_array(d, size, sizeof(*s->pools));
	for (size_t i = 0; s->pools != NULL && i < size; i++) {
		if (!decode_entry(d, &e, &list, i,
				  KEYS("name", "addresses", "autoAssign", "priority", "namespaces",
				       "serviceSelectors", "avoidBuggyIPs", "ipMode")))
			continue;
		s->n_pools++; // its own ranges count for those that follow
		decode_pool(d, &e, &s->pools[s->n_pools - 1]);
	}
}

static void free_selector(struct ipam_selector *s) {
	for (uint32_t t = 0; t < s->n_terms; t++) {
		for (uint32_t v = 0; v < s->terms[t].n_values; v++)
			free(s->terms[t].values[v]);
		free(s->terms[t].values);
		free(s->terms[t].key);
	}
	free(s->terms);
}

void free_pool(struct config_pool *pool) {
	for (uint32_t i = 0; i < pool->n_namespaces; i++)
		free(pool->namespaces[i]);
	for (uint32_t i = 0; i < pool->n_selectors; i++)
		free_selector(&pool->selectors[i]);
	free(pool->namespaces);
	free(pool->selectors);
	free(pool->ranges);
}
