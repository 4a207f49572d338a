// SPDX-License-Identifier: Apache-2.0
// For whom a pool is: namespaces and label selectors.
#include "ipam/ipam.h"

static bool is_one_of(const char *text, char *const *list, uint32_t n) {
	for (uint32_t i = 0; i < n; i++)
		if (strcmp(list[i], text) == 0)
			return true;
	return false;
}

// As Kubernetes has it: NotIn holds for an absent label, too.
static bool term_holds(const struct ipam_term *t, const char *value) {
	switch (t->op) {
	case IPAM_IN:
		return value != NULL && is_one_of(value, t->values, t->n_values);
	case IPAM_NOT_IN:
		return value == NULL || !is_one_of(value, t->values, t->n_values);
	case IPAM_EXISTS:
		return value != NULL;
	default:
		return value == NULL;
	}
}

bool ipam_selector_matches(const struct ipam_selector *s, ipam_label_fn label, const void *arg) {
	for (uint32_t i = 0; i < s->n_terms; i++)
		if (!term_holds(&s->terms[i], label(arg, s->terms[i].key)))
			return false;
	return true;
}

bool ipam_pool_admits(const struct ipam_pool *p, const char *ns, ipam_label_fn label,
		      const void *arg) {
	if (p->n_namespaces > 0 && !is_one_of(ns, p->namespaces, p->n_namespaces))
		return false;
	for (uint32_t i = 0; i < p->n_selectors; i++)
		if (ipam_selector_matches(&p->selectors[i], label, arg))
			return true;
	return p->n_selectors == 0;
}
