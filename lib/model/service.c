// SPDX-License-Identifier: Apache-2.0
// One service of the model as a value: order, canonical copy, equality, validity.
#include "model/service.h"

#include <errno.h>
#include <stdlib.h>

static int compare(uint32_t a, uint32_t b) {
	return (a > b) - (a < b);
}

int model_key_cmp(const struct model_key *a, const struct model_key *b) {
	int c = strncmp(a->ns, b->ns, sizeof(a->ns));

	if (c == 0)
		c = strncmp(a->name, b->name, sizeof(a->name));
	if (c == 0)
		c = compare(a->port, b->port);
	return c != 0 ? c : compare(a->protocol, b->protocol);
}

static int frontend_place(const struct model_frontend *a, const struct model_frontend *b) {
	int c = ip_addr_cmp(&a->addr, &b->addr);

	return c != 0 ? c : compare(a->port, b->port);
}

static int frontend_cmp(const void *x, const void *y) {
	const struct model_frontend *a = x, *b = y;
	int c = frontend_place(a, b);

	return c != 0 ? c : compare(a->kind, b->kind);
}

static int backend_place(const struct model_backend *a, const struct model_backend *b) {
	int c = ip_addr_cmp(&a->addr, &b->addr);

	return c != 0 ? c : compare(a->port, b->port);
}

static int backend_cmp(const void *x, const void *y) {
	const struct model_backend *a = x, *b = y;
	int c = backend_place(a, b);

	if (c == 0)
		c = compare(a->state, b->state);
	if (c == 0)
		c = compare(b->usable, a->usable);
	if (c == 0)
		c = compare(b->weight, a->weight);
	return c != 0 ? c : strcmp(a->reason, b->reason);
}

static int prefix_cmp(const void *x, const void *y) {
	const struct ip_prefix *a = x, *b = y;
	int c = ip_addr_cmp(&a->addr, &b->addr);

	return c != 0 ? c : compare(a->len, b->len);
}

// *out gets a malloc'd copy; NULL for none.
static int copy_array(void **out, const void *from, size_t n, size_t size) {
	void *to;

	*out = NULL;
	if (n == 0)
		return 0;
	to = malloc(n * size);
	if (to == NULL)
		return -ENOMEM;
	memcpy(to, from, n * size);
	*out = to;
	return 0;
}

// Zero what follows the text, so that equal texts are equal bytes.
static void pad(char *text, size_t size) {
	size_t len = strlen(text);

	memset(text + len, 0, size - len);
}

static void sort_frontends(struct model_service *s) {
	uint32_t n = 0;

	if (s->n_frontends == 0)
		return;
	qsort(s->frontends, s->n_frontends, sizeof(*s->frontends), frontend_cmp);
	for (uint32_t i = 0; i < s->n_frontends; i++)
		if (n == 0 || frontend_place(&s->frontends[n - 1], &s->frontends[i]) != 0)
			s->frontends[n++] = s->frontends[i];
	s->n_frontends = n;
}

static void sort_backends(struct model_service *s) {
	uint32_t n = 0;

	if (s->n_backends == 0)
		return;
	for (uint32_t i = 0; i < s->n_backends; i++)
		pad(s->backends[i].reason, sizeof(s->backends[i].reason));
	qsort(s->backends, s->n_backends, sizeof(*s->backends), backend_cmp);
	for (uint32_t i = 0; i < s->n_backends; i++)
		if (n == 0 || backend_place(&s->backends[n - 1], &s->backends[i]) != 0)
			s->backends[n++] = s->backends[i];
	s->n_backends = n;
}

static void sort_ranges(struct model_service *s) {
	uint32_t n = 0;

	if (s->n_source_ranges == 0)
		return;
	qsort(s->source_ranges, s->n_source_ranges, sizeof(*s->source_ranges), prefix_cmp);
	for (uint32_t i = 0; i < s->n_source_ranges; i++)
		if (n == 0 || prefix_cmp(&s->source_ranges[n - 1], &s->source_ranges[i]) != 0)
			s->source_ranges[n++] = s->source_ranges[i];
	s->n_source_ranges = n;
}

int service_copy(struct model_service *out, const struct model_service *s) {
	struct model_service c = *s;
	void *frontends, *backends = NULL, *ranges = NULL;

	if (copy_array(&frontends, s->frontends, s->n_frontends, sizeof(*s->frontends)) < 0 ||
	    copy_array(&backends, s->backends, s->n_backends, sizeof(*s->backends)) < 0 ||
	    copy_array(&ranges, s->source_ranges, s->n_source_ranges, sizeof(*s->source_ranges)) <
		    0) {
		free(frontends);
		free(backends);
		return -ENOMEM;
	}
	c.frontends = frontends;
	c.backends = backends;
	c.source_ranges = ranges;
	pad(c.key.ns, sizeof(c.key.ns));
	pad(c.key.name, sizeof(c.key.name));
	pad(c.port_name, sizeof(c.port_name));
	pad(c.uid, sizeof(c.uid));
	pad(c.reason, sizeof(c.reason));
	pad(c.note, sizeof(c.note));
	sort_frontends(&c);
	sort_backends(&c);
	sort_ranges(&c);
	*out = c;
	return 0;
}

static bool frontends_equal(const struct model_service *a, const struct model_service *b) {
	if (a->n_frontends != b->n_frontends)
		return false;
	for (uint32_t i = 0; i < a->n_frontends; i++)
		if (frontend_cmp(&a->frontends[i], &b->frontends[i]) != 0)
			return false;
	return true;
}

static bool backends_equal(const struct model_service *a, const struct model_service *b) {
	if (a->n_backends != b->n_backends)
		return false;
	for (uint32_t i = 0; i < a->n_backends; i++)
		if (backend_cmp(&a->backends[i], &b->backends[i]) != 0)
			return false;
	return true;
}

static bool ranges_equal(const struct model_service *a, const struct model_service *b) {
	if (a->n_source_ranges != b->n_source_ranges)
		return false;
	for (uint32_t i = 0; i < a->n_source_ranges; i++)
		if (prefix_cmp(&a->source_ranges[i], &b->source_ranges[i]) != 0)
			return false;
	return true;
}

bool model_service_equal(const struct model_service *a, const struct model_service *b) {
	return model_key_cmp(&a->key, &b->key) == 0 && strcmp(a->port_name, b->port_name) == 0 &&
	       strcmp(a->uid, b->uid) == 0 && a->mode == b->mode && a->scheduler == b->scheduler &&
	       a->reject == b->reject && a->restricted == b->restricted &&
	       a->affinity_timeout == b->affinity_timeout && strcmp(a->reason, b->reason) == 0 &&
	       strcmp(a->note, b->note) == 0 && frontends_equal(a, b) && backends_equal(a, b) &&
	       ranges_equal(a, b);
}

static bool text_ends(const char *text, size_t size) {
	return memchr(text, 0, size) != NULL;
}

static bool addr_is_valid(const struct ip_addr *a) {
	static const uint8_t zero[12];

	if (memcmp(a->zero, zero, sizeof(a->zero)) != 0)
		return false;
	return a->family == 6 || (a->family == 4 && memcmp(a->b + 4, zero, 12) == 0);
}

static int check_key(const struct model_service *s, struct error *err) {
	const struct model_key *k = &s->key;

	if (!text_ends(k->ns, sizeof(k->ns)) || !text_ends(k->name, sizeof(k->name)) ||
	    !text_ends(s->port_name, sizeof(s->port_name)) || !text_ends(s->uid, sizeof(s->uid)) ||
	    !text_ends(s->reason, sizeof(s->reason)) || !text_ends(s->note, sizeof(s->note)))
		return error_set(err, -EINVAL, "service: a text has no end");
	if (k->ns[0] == 0 || k->name[0] == 0)
		return error_set(err, -EINVAL, "service: namespace or name is empty");
	if (k->protocol != MODEL_TCP && k->protocol != MODEL_UDP && k->protocol != MODEL_SCTP)
		return error_set(err, -EINVAL, "service %s/%s: unknown protocol %u", k->ns, k->name,
				 k->protocol);
	if (s->mode > MODEL_DSR || s->scheduler > MODEL_MAGLEV)
		return error_set(err, -EINVAL, "service %s/%s: unknown mode or scheduler", k->ns,
				 k->name);
	if (k->port == 0 && s->n_frontends > 0)
		return error_set(err, -EINVAL, "service %s/%s: port 0 has frontends", k->ns,
				 k->name);
	return 0;
}

int model_service_check(const struct model_service *s, struct error *err) {
	int ret = check_key(s, err);

	if (ret < 0)
		return ret;
	for (uint32_t i = 0; i < s->n_frontends; i++) {
		const struct model_frontend *f = &s->frontends[i];

		if (!addr_is_valid(&f->addr) || f->port == 0 || f->kind > MODEL_CLUSTER_IP)
			return error_set(err, -EINVAL, "service %s/%s: frontend %u is not valid",
					 s->key.ns, s->key.name, i);
	}
	for (uint32_t i = 0; i < s->n_backends; i++) {
		const struct model_backend *b = &s->backends[i];

		if (!addr_is_valid(&b->addr) || b->port == 0 || b->state > MODEL_UNUSABLE ||
		    b->usable > 1 || (b->state == MODEL_UNUSABLE && b->usable) || b->weight == 0 ||
		    !text_ends(b->reason, sizeof(b->reason)))
			return error_set(err, -EINVAL, "service %s/%s: backend %u is not valid",
					 s->key.ns, s->key.name, i);
	}
	for (uint32_t i = 0; i < s->n_source_ranges; i++) {
		const struct ip_prefix *p = &s->source_ranges[i];

		if (!addr_is_valid(&p->addr) || p->len > (p->addr.family == 4 ? 32 : 128))
			return error_set(err, -EINVAL,
					 "service %s/%s: source range %u is not valid", s->key.ns,
					 s->key.name, i);
	}
	return 0;
}

void model_service_fini(struct model_service *s) {
	free(s->frontends);
	free(s->backends);
	free(s->source_ranges);
	s->frontends = NULL;
	s->backends = NULL;
	s->source_ranges = NULL;
	s->n_frontends = s->n_backends = s->n_source_ranges = 0;
}

const char *model_mode_name(enum model_mode m) {
	static const char *const names[] = {"fullnat", "dnat", "dsr"};

	return m <= MODEL_DSR ? names[m] : "unknown";
}

const char *model_protocol_name(enum model_protocol p) {
	switch (p) {
	case MODEL_TCP:
		return "TCP";
	case MODEL_UDP:
		return "UDP";
	case MODEL_SCTP:
		return "SCTP";
	}
	return "unknown";
}

const char *model_state_name(enum model_backend_state s) {
	static const char *const names[] = {"ready", "draining", "unusable"};

	return s <= MODEL_UNUSABLE ? names[s] : "unknown";
}
