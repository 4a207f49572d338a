// SPDX-License-Identifier: Apache-2.0
// Shared by the tests of lib/kube: YAML text to objects, and a small world of store, memory and model.
#ifndef TESTS_KUBE_CASE_H
#define TESTS_KUBE_CASE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "kube/kube.h"

struct case_objects {
	struct kube_object *list[64];
	size_t n, skipped;
};

static inline int case_collect(void *arg, struct kube_object *o) {
	struct case_objects *c = arg;

	assert_true(c->n < 64);
	c->list[c->n++] = o;
	return 0;
}

static inline void case_skip(void *arg, const struct error *what) {
	struct case_objects *c = arg;

	c->skipped++;
}

// Decode all documents of the text. 0 or the error.
static inline int case_decode(struct case_objects *c, const char *text, struct error *err) {
	struct doc *d = NULL;
	char *yaml; // a text that begins with '{' would be JSON
	int ret;

	assert_true(asprintf(&yaml, "---\n%s", text) > 0);
	*c = (struct case_objects){0};
	ret = doc_parse(&d, "case.yaml", yaml, strlen(yaml), err);
	free(yaml);
	for (size_t i = 0; ret == 0 && i < doc_count(d); i++) {
		struct doc_node root = doc_root(d, i);

		ret = kube_decode(&root, case_collect, case_skip, c, err);
	}
	doc_destroy(d);
	return ret;
}

static inline void case_free(struct case_objects *c) {
	for (size_t i = 0; i < c->n; i++)
		kube_object_put(c->list[i]);
	c->n = 0;
}

static inline struct ip_addr case_ip(const char *text) {
	struct ip_addr a;

	assert_int_equal(ip_addr_parse(&a, text), 0);
	return a;
}

static inline struct ip_range case_range(const char *text) {
	struct ip_range r;

	assert_int_equal(ip_range_parse(&r, text), 0);
	return r;
}

#endif
