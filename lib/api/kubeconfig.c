// SPDX-License-Identifier: Apache-2.0
// Files of a kubeconfig list: which one counts for what the current context names.
#include "api/kubeconfig.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "api/kubeconfig_decode.h"
#include "doc/doc.h"

#define FILE_MAX (4u << 20)
#define MAX_FILES 64

struct source {
	struct doc *doc;
	char *path, *dir; // absolute
};

struct sources {
	struct source list[MAX_FILES];
	size_t n;
};

// An element {name: NAME, BODY: {...}} of a top-level list, with the chain of places that its faults name. Not to be moved.
struct entry {
	const struct source *source;
	struct doc_node root, list, element, body;
};

static int no_memory(struct error *err) {
	return error_set(err, -ENOMEM, "out of memory");
}

static void sources_fini(struct sources *s) {
	for (size_t i = 0; i < s->n; i++) {
		doc_destroy(s->list[i].doc);
		free(s->list[i].path);
		free(s->list[i].dir);
	}
}

// An empty file has nothing to say, as with kubectl.
static int check_form(const struct doc *d, const char *path, struct error *err) {
	const char *version = "v1", *kind = "Config";
	struct doc_node root, m;
	int ret;

	if (doc_count(d) > 1)
		return error_set(err, -EINVAL, "%s: more than one document", path);
	if (doc_count(d) == 0)
		return 0;
	root = doc_root(d, 0);
	if ((ret = doc_get_string(&root, "apiVersion", &version, err)) < 0 ||
	    (ret = doc_get_string(&root, "kind", &kind, err)) < 0 ||
	    (ret = doc_member(&m, &root, "kind", err)) < 0)
		return ret;
	if (strcmp(version, "v1") != 0 || strcmp(kind, "Config") != 0)
		return doc_fault(&m, err, -EINVAL, "expected apiVersion: v1, kind: Config");
	return 0;
}

// Takes over doc, also when it fails.
static int add_source(struct sources *s, const char *path, struct doc *doc, struct error *err) {
	struct source *one = &s->list[s->n++];
	char *cwd = path[0] != '/' ? getcwd(NULL, 0) : NULL;
	char *slash;

	one->doc = doc;
	one->path = kubeconfig_join(cwd != NULL ? cwd : "", path);
	one->dir = one->path != NULL ? strdup(one->path) : NULL;
	free(cwd);
	if (one->dir == NULL)
		return no_memory(err);
	slash = strrchr(one->dir, '/');
	*slash = '\0';
	return check_form(doc, path, err);
}

static int load_file(struct sources *s, const char *path, struct error *err) {
	struct doc *doc = NULL;
	int ret;

	if (s->n == MAX_FILES)
		return error_set(err, -EINVAL, "%s: more than %d files", path, MAX_FILES);
	ret = doc_load(&doc, path, FILE_MAX, err);
	return ret < 0 ? ret : add_source(s, path, doc, err);
}

// A missing file of several is skipped; the error of the last one is left in err.
static int load_files(struct sources *s, const char *paths, struct error *err) {
	char *copy = strdup(paths), *rest = copy, *path;
	bool several = strchr(paths, ':') != NULL;
	int ret = copy != NULL ? 0 : no_memory(err);

	while (ret == 0 && (path = strsep(&rest, ":")) != NULL) {
		if (*path == '\0')
			continue;
		ret = load_file(s, path, err);
		if (ret == -ENOENT && several)
			ret = 0;
	}
	free(copy);
	if (ret == 0 && s->n == 0)
		return error_set(err, -ENOENT, "%s: none of these kubeconfig files exists", paths);
	return ret;
}

// 1: e is the entry of that name in that file; 0: it has none.
static int find_in(struct entry *e, const struct source *s, const char *list, const char *body,
		   const char *name, struct error *err) {
	size_t size = 0;
	int ret, found = 0;

	e->root = doc_root(s->doc, 0);
	if ((ret = doc_member(&e->list, &e->root, list, err)) < 0 ||
	    (ret = doc_array_size(&e->list, &size, err)) < 0)
		return ret;
	for (size_t i = size; i-- > 0;) {
		struct doc_node element = doc_element(&e->list, i);
		const char *its = "";

		ret = doc_get_string(&element, "name", &its, err);
		if (ret < 0)
			return ret;
		if (strcmp(its, name) != 0)
			continue;
		if (found)
			return doc_fault(&e->element, err, -EINVAL, "a second %s %s", body, name);
		e->element = element;
		found = 1;
	}
	if (!found)
		return 0;
	e->source = s;
	ret = doc_member(&e->body, &e->element, body, err);
	return ret < 0 ? ret : 1;
}

static int find(struct entry *e, const struct sources *s, const char *list, const char *body,
		const char *name, struct error *err) {
	int ret = 0;

	for (size_t i = 0; ret == 0 && i < s->n; i++)
		if (doc_count(s->list[i].doc) > 0)
			ret = find_in(e, &s->list[i], list, body, name, err);
	return ret;
}

static int find_current(const struct sources *s, const char **name, struct error *err) {
	*name = "";
	for (size_t i = 0; i < s->n && **name == '\0'; i++) {
		struct doc_node root;
		int ret;

		if (doc_count(s->list[i].doc) == 0)
			continue;
		root = doc_root(s->list[i].doc, 0);
		ret = doc_get_string(&root, "current-context", name, err);
		if (ret < 0)
			return ret;
	}
	if (**name == '\0')
		return error_set(err, -EINVAL, "%s: no current-context", s->list[0].path);
	return 0;
}

// The entry that the context's member `key` names.
static int follow(struct entry *e, const struct sources *s, const struct entry *context,
		  const char *key, const char *list, char **name, struct error *err) {
	struct doc_node m;
	int ret = kubeconfig_get_text(&context->body, key, name, err);

	if (ret < 0)
		return ret;
	doc_member(&m, &context->body, key, NULL);
	if (*name == NULL)
		return doc_fault(&m, err, -EINVAL, "missing; expected the name of a %s", key);
	ret = find(e, s, list, key, *name, err);
	return ret == 0 ? doc_fault(&m, err, -EINVAL, "there is no %s %s", key, *name) : ret;
}

static int decode(struct kubeconfig *k, const struct sources *s, struct error *err) {
	struct entry context, cluster, user;
	const char *name;
	int ret = find_current(s, &name, err);

	if (ret < 0)
		return ret;
	k->context = strdup(name);
	if (k->context == NULL)
		return no_memory(err);
	ret = find(&context, s, "contexts", "context", name, err);
	if (ret == 0)
		return error_set(err, -EINVAL, "%s: current-context: there is no context %s",
				 s->list[0].path, name);
	if (ret < 0 ||
	    (ret = kubeconfig_get_text(&context.body, "namespace", &k->namespace, err)) < 0 ||
	    (ret = follow(&cluster, s, &context, "cluster", "clusters", &k->cluster, err)) < 0 ||
	    (ret = follow(&user, s, &context, "user", "users", &k->user, err)) < 0)
		return ret;
	k->source = strdup(cluster.source->path);
	if (k->source == NULL)
		return no_memory(err);
	ret = kubeconfig_decode_cluster(k, &cluster.body, cluster.source->dir, err);
	if (ret == 0)
		ret = kubeconfig_decode_user(k, &user.body, user.source->dir, err);
	return ret < 0 ? ret : kubeconfig_decode_exec_config(k, &cluster.body, err);
}

static int make(struct kubeconfig **out, const struct sources *s, struct error *err) {
	struct kubeconfig *k = calloc(1, sizeof(*k));
	int ret = k != NULL ? decode(k, s, err) : no_memory(err);

	if (ret < 0) {
		kubeconfig_destroy(k);
		return ret;
	}
	*out = k;
	return 0;
}

static int default_paths(char **out, struct error *err) {
	const char *list = getenv("KUBECONFIG"), *home = getenv("HOME");

	*out = NULL;
	if (list != NULL && *list != '\0')
		*out = strdup(list);
	else if (home == NULL || *home == '\0')
		return error_set(err, -ENOENT, "no kubeconfig: neither KUBECONFIG nor HOME is set");
	else if (asprintf(out, "%s/.kube/config", home) < 0)
		*out = NULL;
	return *out != NULL ? 0 : no_memory(err);
}

int kubeconfig_load(struct kubeconfig **out, const char *paths, struct error *err) {
	struct sources s = {.n = 0};
	char *defaults = NULL;
	int ret = paths == NULL ? default_paths(&defaults, err) : 0;

	if (ret == 0)
		ret = load_files(&s, paths != NULL ? paths : defaults, err);
	if (ret == 0)
		ret = make(out, &s, err);
	sources_fini(&s);
	free(defaults);
	return ret;
}

int kubeconfig_parse(struct kubeconfig **out, const char *path, const char *text, size_t len,
		     struct error *err) {
	struct sources s = {.n = 0};
	struct doc *doc = NULL;
	int ret = doc_parse(&doc, path, text, len, err);

	if (ret == 0)
		ret = add_source(&s, path, doc, err);
	if (ret == 0)
		ret = make(out, &s, err);
	sources_fini(&s);
	return ret;
}

static void free_list(char **list) {
	for (char **p = list; p != NULL && *p != NULL; p++)
		free(*p);
	free(list);
}

static void free_exec(struct kubeconfig_exec *x) {
	if (x == NULL)
		return;
	free(x->api_version);
	free_list(x->argv);
	free_list(x->env);
	free(x->install_hint);
	free(x->config);
	free(x);
}

static void free_pairs(struct kubeconfig_pair *list) {
	for (struct kubeconfig_pair *p = list; p != NULL && (p->name != NULL || p->value != NULL);
	     p++) {
		free(p->name);
		free(p->value);
	}
	free(list);
}

void kubeconfig_destroy(struct kubeconfig *k) {
	if (k == NULL)
		return;
	char *texts[] = {k->context,    k->cluster,   k->user,    k->source,          k->namespace,
			 k->server,     k->ca,        k->ca_file, k->tls_server_name, k->proxy_url,
			 k->cert,       k->cert_file, k->key,     k->key_file,        k->token,
			 k->token_file, k->as,        k->as_uid};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		free(texts[i]);
	free_exec(k->exec);
	free_list(k->as_groups);
	free_pairs(k->as_extra);
	free(k);
}

const char *kubeconfig_namespace(const struct kubeconfig *k) {
	return k->namespace != NULL ? k->namespace : "";
}
