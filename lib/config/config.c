// SPDX-License-Identifier: Apache-2.0
// The whole configuration: the file's frame, the small sections, the report's order.
#include "config/config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include "config/decoder.h"

#define API_VERSION "sluice.dev/v1alpha1"
#define KIND "SluiceConfiguration"
#define DEFAULT_SOCKET "/run/sluice/sluice.sock"
#define DEFAULT_STATE_FILE "/var/lib/sluice/addresses.json"
#define DEFAULT_SNAPSHOT_FILE "/var/lib/sluice/snapshot.json"

static void decode_identity(struct decoder *d, const struct doc_node *root, const char *key,
			    const char *want) {
	const char *text;
	struct doc_node m;

	doc_member(&m, root, key, NULL);
	if (!doc_present(&m))
		decode_fault(d, &m, "missing; expected %s", want);
	else if (decode_text(d, &m, &text) && strcmp(text, want) != 0)
		decode_fault(d, &m, "not %s", want);
}

static void decode_host(struct decoder *d, const struct doc_node *root) {
	static const char *const keys[] = {"tap", "netlink"};
	struct doc_node n, m;
	bool wanted;

	decode_section(d, &n, root, "host", keys, 2);
	for (int i = 0; i < 2; i++) {
		wanted = false;
		decode_bool(d, &n, keys[i], &wanted);
		doc_member(&m, &n, keys[i], NULL);
		if (wanted)
			decode_fault(d, &m, "true is not supported by this version");
	}
}

static void decode_management(struct decoder *d, const struct doc_node *root) {
	struct doc_node n, m;
	const char *text;

	decode_section(d, &n, root, "management", KEYS("socket", "listen"));
	if (decode_get_text(d, &n, "socket", &m, &text)) {
		if (*text == 0)
			decode_fault(d, &m, "empty; expected the path of a UNIX socket");
		if (strlen(text) >= sizeof(((struct sockaddr_un *)0)->sun_path))
			decode_fault(d, &m, "longer than %zu bytes",
				     sizeof(((struct sockaddr_un *)0)->sun_path) - 1);
		decode_copy(d, &d->c->socket, text);
	}
	if (decode_get_text(d, &n, "listen", &m, &text) && *text != 0)
		decode_fault(d, &m, "not supported by this version");
}

static void decode_log(struct decoder *d, const struct doc_node *root) {
	int level = LOG_INFO, format = 0;
	struct doc_node n;

	decode_section(d, &n, root, "log", KEYS("level", "format"));
	decode_enum(d, &n, "level", &level, KEYS("error", "warn", "info", "debug"));
	decode_enum(d, &n, "format", &format, KEYS("text", "json"));
	d->c->log_level = (enum log_level)level;
	d->c->log_json = format == 1;
}

static void decode_root(struct decoder *d, struct doc_node *root) {
	decode_keys(d, root,
		    KEYS("apiVersion", "kind", "dataplane", "ports", "routes", "neighbors", "host",
			 "services", "management", "log"));
	if (!doc_present(root))
		return;
	decode_identity(d, root, "apiVersion", API_VERSION);
	decode_identity(d, root, "kind", KIND);
	decode_dataplane(d, root);
	decode_network(d, root);
	decode_host(d, root);
	decode_services(d, root);
	decode_management(d, root);
	decode_log(d, root);
}

// By line; notes of one line stay as they came.
static void sort_notes(struct config_report *r) {
	struct config_note note;
	size_t k;

	for (size_t i = 1; i < r->n; i++) {
		note = r->notes[i];
		for (k = i; k > 0 && r->notes[k - 1].line > note.line; k--)
			r->notes[k] = r->notes[k - 1];
		r->notes[k] = note;
	}
}

static void decode_documents(struct decoder *d, const char *name) {
	struct doc_node root;
	struct error err;

	if (doc_count(d->c->doc) == 1) {
		root = doc_root(d->c->doc, 0);
		decode_root(d, &root);
		return;
	}
	if (doc_count(d->c->doc) == 0) {
		error_set(&err, 0, "%s:1: empty; expected kind: " KIND, name);
		decode_add(d, 1, false, &err);
		return;
	}
	root = doc_root(d->c->doc, 1);
	decode_fault(d, &root, "a second document; expected one");
}

// Takes document over.
static int decode_config(struct config **out, struct doc *document, const char *name,
			 const struct config_options *options, struct config_report *report) {
	static const struct config_options none;
	struct config *c = calloc(1, sizeof(*c));
	struct decoder d = {.c = c, .options = options != NULL ? options : &none, .report = report};
	size_t before = report->n_faults;

	if (c == NULL) {
		doc_destroy(document);
		return -ENOMEM;
	}
	c->doc = document;
	decode_copy(&d, &c->socket, DEFAULT_SOCKET);
	decode_copy(&d, &c->services.state_file, DEFAULT_STATE_FILE);
	decode_copy(&d, &c->services.load_balancer_class, "");
	decode_copy(&d, &c->services.lease_name, "");
	decode_copy(&d, &c->services.lease_namespace, "");
	decode_copy(&d, &c->services.identity, "");
	decode_copy(&d, &c->services.snapshot_file, DEFAULT_SNAPSHOT_FILE);
	decode_documents(&d, name);
	sort_notes(report);
	if (d.no_memory || report->n_faults > before) {
		config_destroy(c);
		return d.no_memory ? -ENOMEM : -EINVAL;
	}
	*out = c;
	return 0;
}

// The file as a whole is unreadable; err says why, with its line where there is one.
static int whole_file(struct config_report *report, int ret, const struct error *err) {
	struct decoder d = {.report = report};

	decode_add(&d, 0, false, err);
	return d.no_memory ? -ENOMEM : ret;
}

int config_load(struct config **out, const char *path, const struct config_options *options,
		struct config_report *report) {
	struct doc *document;
	struct error err;
	int ret = doc_load(&document, path, CONFIG_MAX_BYTES, &err);

	return ret < 0 ? whole_file(report, ret, &err)
		       : decode_config(out, document, path, options, report);
}

int config_parse(struct config **out, const char *name, const char *text, size_t len,
		 const struct config_options *options, struct config_report *report) {
	struct doc *document;
	struct error err;
	int ret = doc_parse(&document, name, text, len, &err);

	return ret < 0 ? whole_file(report, ret, &err)
		       : decode_config(out, document, name, options, report);
}

static void destroy_services(struct config_services *s) {
	for (uint32_t i = 0; i < s->n_pools; i++)
		free_pool(&s->pools[i]);
	free(s->pools);
	free(s->node_port_addresses);
	free(s->external_ips);
	free(s->manifests);
	free(s->kubeconfig);
	free(s->lease_name);
	free(s->lease_namespace);
	free(s->identity);
	free(s->snapshot_file);
	free(s->load_balancer_class);
	free(s->state_file);
}

static void destroy_site(struct site *site) {
	for (uint32_t i = 0; i < site->n_ports; i++) {
		free(site->ports[i].device);
		free(site->ports[i].profile);
		free(site->ports[i].addresses);
	}
	free(site->ports);
	free(site->routes);
	free(site->neighbors);
	free(site->snat4);
	free(site->snat6);
}

void config_destroy(struct config *c) {
	if (c == NULL)
		return;
	destroy_site(&c->site);
	destroy_services(&c->services);
	free(c->socket);
	doc_destroy(c->doc);
	free(c);
}

void config_report_fini(struct config_report *report) {
	free(report->notes);
	*report = (struct config_report){0};
}
