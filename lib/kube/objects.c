// SPDX-License-Identifier: Apache-2.0
// The life and the equality of decoded objects.
#include "kube/objects.h"

#include <stdlib.h>
#include <string.h>

#include "kube/memory.h"

#define BLOCK_SIZE 1024

struct kube_block {
	struct kube_block *next;
	size_t used, size;
	max_align_t data[];
};

struct kube_object *kube_object_create(enum kube_kind kind) {
	struct kube_object *o = calloc(1, sizeof(*o));

	if (o == NULL)
		return NULL;
	o->meta.kind = kind;
	o->refs = 1;
	return o;
}

static struct kube_block *new_block(struct kube_object *o, size_t need) {
	size_t size = need > BLOCK_SIZE ? need : BLOCK_SIZE;
	struct kube_block *b = calloc(1, sizeof(*b) + size);

	if (b == NULL)
		return NULL;
	b->size = size;
	b->next = o->memory;
	o->memory = b;
	return b;
}

void *kube_alloc(struct kube_object *o, size_t n, size_t size) {
	size_t align = _Alignof(max_align_t), need = (n * size + align - 1) / align * align;
	struct kube_block *b = o->memory;
	void *p;

	if (b == NULL || b->size - b->used < need)
		b = new_block(o, need);
	if (b == NULL)
		return NULL;
	p = (char *)b->data + b->used;
	b->used += need;
	return p;
}

const char *kube_strdup(struct kube_object *o, const char *text) {
	size_t len = strlen(text) + 1;
	char *copy = kube_alloc(o, len, 1);

	return copy != NULL ? memcpy(copy, text, len) : NULL;
}

struct kube_object *kube_object_get(struct kube_object *o) {
	o->refs++;
	return o;
}

void kube_object_put(struct kube_object *o) {
	struct kube_block *b, *next;

	if (o == NULL || --o->refs > 0)
		return;
	for (b = o->memory; b != NULL; b = next) {
		next = b->next;
		free(b);
	}
	free(o);
}

const char *kube_kind_name(enum kube_kind k) {
	static const char *const names[] = {"Service", "EndpointSlice", "Endpoints", "Node"};

	return names[k];
}

// Two texts, either of which may be NULL.
static bool same(const char *a, const char *b) {
	return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

static bool addrs_equal(const struct ip_addr *a, uint32_t n_a, const struct ip_addr *b,
			uint32_t n_b) {
	return n_a == n_b && (n_a == 0 || memcmp(a, b, n_a * sizeof(*a)) == 0);
}

static bool ports_equal(const struct kube_service *a, const struct kube_service *b) {
	if (a->n_ports != b->n_ports)
		return false;
	for (uint32_t i = 0; i < a->n_ports; i++) {
		const struct kube_service_port *p = &a->ports[i], *q = &b->ports[i];

		if (p->port != q->port || p->protocol != q->protocol ||
		    p->node_port != q->node_port || !same(p->name, q->name))
			return false;
	}
	return true;
}

static bool labels_equal(const struct kube_service *a, const struct kube_service *b) {
	if (a->n_labels != b->n_labels)
		return false;
	for (uint32_t i = 0; i < a->n_labels; i++)
		if (strcmp(a->labels[i].key, b->labels[i].key) != 0 ||
		    strcmp(a->labels[i].value, b->labels[i].value) != 0)
			return false;
	return true;
}

static bool asks_equal(const struct kube_service *a, const struct kube_service *b) {
	return same(a->lb_class, b->lb_class) && same(a->target, b->target) &&
	       same(a->forwarding, b->forwarding) && same(a->scheduler, b->scheduler) &&
	       same(a->pool, b->pool) && same(a->sharing_key, b->sharing_key) &&
	       same(a->bad_request, b->bad_request) && same(a->conflict, b->conflict) &&
	       a->shares_widely == b->shares_widely && same(a->selector, b->selector) &&
	       labels_equal(a, b) &&
	       addrs_equal(a->cluster_ips, a->n_cluster_ips, b->cluster_ips, b->n_cluster_ips) &&
	       addrs_equal(a->external_ips, a->n_external_ips, b->external_ips,
			   b->n_external_ips) &&
	       addrs_equal(a->status, a->n_status, b->status, b->n_status) &&
	       addrs_equal(a->requested, a->n_requested, b->requested, b->n_requested);
}

static bool services_equal(const struct kube_service *a, const struct kube_service *b) {
	return a->type == b->type && a->family_policy == b->family_policy &&
	       a->headless == b->headless && a->other_proxy == b->other_proxy &&
	       a->local == b->local && a->restricted == b->restricted &&
	       a->affinity_timeout == b->affinity_timeout &&
	       a->health_check_node_port == b->health_check_node_port &&
	       memcmp(a->families, b->families, 2) == 0 && ports_equal(a, b) && asks_equal(a, b) &&
	       a->n_ranges == b->n_ranges &&
	       (a->n_ranges == 0 ||
		memcmp(a->ranges, b->ranges, a->n_ranges * sizeof(*a->ranges)) == 0);
}

static bool groups_equal(const struct kube_group *a, const struct kube_group *b) {
	if (a->n_ports != b->n_ports || a->n_endpoints != b->n_endpoints)
		return false;
	for (uint32_t i = 0; i < a->n_ports; i++)
		if (a->ports[i].port != b->ports[i].port ||
		    a->ports[i].protocol != b->ports[i].protocol ||
		    !same(a->ports[i].name, b->ports[i].name))
			return false;
	for (uint32_t i = 0; i < a->n_endpoints; i++) {
		const struct kube_endpoint *p = &a->endpoints[i], *q = &b->endpoints[i];

		if (!ip_addr_eq(&p->addr, &q->addr) || p->ready != q->ready ||
		    p->serving != q->serving || p->terminating != q->terminating ||
		    !same(p->node, q->node))
			return false;
	}
	return true;
}

static bool endpoints_equal(const struct kube_endpoints *a, const struct kube_endpoints *b) {
	if (!same(a->service, b->service) || a->family != b->family || a->n_groups != b->n_groups)
		return false;
	for (uint32_t i = 0; i < a->n_groups; i++)
		if (!groups_equal(&a->groups[i], &b->groups[i]))
			return false;
	return true;
}

static bool nodes_equal(const struct kube_node *a, const struct kube_node *b) {
	return a->labelled == b->labelled && a->excluded == b->excluded &&
	       a->draining == b->draining && a->primary_internal == b->primary_internal &&
	       a->primary_external == b->primary_external &&
	       memcmp(a->internal, b->internal, sizeof(a->internal)) == 0 &&
	       memcmp(a->external, b->external, sizeof(a->external)) == 0;
}

bool kube_object_same_traffic(const struct kube_object *a, const struct kube_object *b) {
	const struct kube_meta *m = &a->meta, *n = &b->meta;

	if (a == b)
		return true;
	if (m->kind != n->kind || !same(m->ns, n->ns) || !same(m->name, n->name) ||
	    !same(m->uid, n->uid) || m->created != n->created || m->deleting != n->deleting)
		return false;
	switch (m->kind) {
	case KUBE_SERVICE:
		return services_equal(&a->service, &b->service);
	case KUBE_NODE:
		return nodes_equal(&a->node, &b->node);
	default:
		return endpoints_equal(&a->endpoints, &b->endpoints);
	}
}

static bool conditions_equal(const struct kube_service *a, const struct kube_service *b) {
	if (a->n_conditions != b->n_conditions)
		return false;
	for (uint32_t i = 0; i < a->n_conditions; i++) {
		const struct kube_condition *c = &a->conditions[i], *d = &b->conditions[i];

		if (!same(c->type, d->type) || !same(c->status, d->status) ||
		    !same(c->reason, d->reason) || !same(c->message, d->message) ||
		    !same(c->since, d->since) || c->observed != d->observed)
			return false;
	}
	return true;
}

// What same_traffic() leaves out, of two Services with equal addresses in status.
static bool written_equal(const struct kube_service *a, const struct kube_service *b) {
	return (a->n_status == 0 || memcmp(a->status_modes, b->status_modes, a->n_status) == 0) &&
	       a->status_alien == b->status_alien && same(a->ingress, b->ingress) &&
	       conditions_equal(a, b);
}

bool kube_object_equal(const struct kube_object *a, const struct kube_object *b) {
	const struct kube_meta *m = &a->meta, *n = &b->meta;

	return kube_object_same_traffic(a, b) && same(m->resource_version, n->resource_version) &&
	       m->generation == n->generation && m->finalizer == n->finalizer &&
	       (m->kind != KUBE_SERVICE || written_equal(&a->service, &b->service));
}

int kube_object_age_cmp(const struct kube_object *a, const struct kube_object *b) {
	int c = (a->meta.created > b->meta.created) - (a->meta.created < b->meta.created);

	if (c == 0)
		c = strcmp(a->meta.ns, b->meta.ns);
	if (c == 0)
		c = strcmp(a->meta.name, b->meta.name);
	return c != 0 ? c : strcmp(a->meta.uid, b->meta.uid);
}
