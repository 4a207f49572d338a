// SPDX-License-Identifier: Apache-2.0
// services.kubernetes: which API server is followed, and what of the Services is written back to it.
#include <string.h>

#include "config/decoder.h"

#define NAME_CHARS "abcdefghijklmnopqrstuvwxyz0123456789.-"

// A name of Kubernetes, or "".
static void decode_name(struct decoder *d, const struct doc_node *n, const char *key, size_t max,
			char **out) {
	struct doc_node m;
	const char *text;

	if (!decode_get_text(d, n, key, &m, &text))
		return;
	if (strlen(text) > max || text[strspn(text, NAME_CHARS)] != 0)
		decode_fault(d, &m, "not a name of at most %zu of a-z, 0-9, '-', '.'", max);
	decode_copy(d, out, text);
}

static void decode_identity(struct decoder *d, const struct doc_node *lease) {
	struct doc_node m;
	const char *text;

	if (!decode_get_text(d, lease, "identity", &m, &text))
		return;
	if (strlen(text) > 253)
		decode_fault(d, &m, "longer than 253 bytes");
	decode_copy(d, &d->c->services.identity, text);
}

static void decode_lease(struct decoder *d, const struct doc_node *n) {
	struct config_services *s = &d->c->services;
	struct doc_node lease;

	decode_section(d, &lease, n, "lease", KEYS("name", "namespace", "identity"));
	decode_name(d, &lease, "name", 253, &s->lease_name);
	decode_name(d, &lease, "namespace", 63, &s->lease_namespace);
	decode_identity(d, &lease);
	if (*s->lease_name == 0 && (*s->lease_namespace != 0 || *s->identity != 0))
		decode_fault(d, &lease, "has no name; without one there is no election");
}

static void decode_cluster(struct decoder *d, const struct doc_node *n) {
	struct config_services *s = &d->c->services;
	struct doc_node m;
	const char *text;

	if (decode_get_text(d, n, "kubeconfig", &m, &text)) {
		if (*text == 0)
			decode_fault(d, &m, "empty");
		decode_copy(d, &s->kubeconfig, text);
	}
	decode_bool(d, n, "inCluster", &s->in_cluster);
	if ((s->kubeconfig != NULL) == s->in_cluster)
		decode_fault(d, n, "needs either kubeconfig or inCluster: true");
}

void decode_kubernetes(struct decoder *d, const struct doc_node *services) {
	struct config_services *s = &d->c->services;
	struct doc_node n, m;
	const char *text;

	s->write_status = s->finalizer = true;
	decode_section(d, &n, services, "kubernetes",
		       KEYS("kubeconfig", "inCluster", "writeStatus", "finalizer", "lease",
			    "snapshotFile"));
	if (!doc_present(&n))
		return;
	decode_cluster(d, &n);
	decode_bool(d, &n, "writeStatus", &s->write_status);
	decode_bool(d, &n, "finalizer", &s->finalizer);
	decode_lease(d, &n);
	if (decode_get_text(d, &n, "snapshotFile", &m, &text))
		decode_copy(d, &s->snapshot_file, text);
}
