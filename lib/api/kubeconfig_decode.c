// SPDX-License-Identifier: Apache-2.0
// A cluster and a user of a kubeconfig, and what in them can't be.
#include "api/kubeconfig_decode.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "api/base64.h"

static int no_memory(struct error *err) {
	return error_set(err, -ENOMEM, "out of memory");
}

char *kubeconfig_join(const char *dir, const char *path) {
	char *joined;

	if (path[0] == '/')
		return strdup(path);
	return asprintf(&joined, "%s/%s", dir, path) < 0 ? NULL : joined;
}

int kubeconfig_get_text(const struct doc_node *n, const char *key, char **out, struct error *err) {
	const char *text = NULL;
	int ret = doc_get_string(n, key, &text, err);

	if (ret < 0 || text == NULL || *text == '\0')
		return ret;
	free(*out);
	*out = strdup(text);
	return *out != NULL ? 0 : no_memory(err);
}

int kubeconfig_get_path(const struct doc_node *n, const char *key, const char *dir, char **out,
			struct error *err) {
	char *path = NULL;
	int ret = kubeconfig_get_text(n, key, &path, err);

	if (ret < 0 || path == NULL)
		return ret;
	*out = kubeconfig_join(dir, path);
	free(path);
	return *out != NULL ? 0 : no_memory(err);
}

// PEM in base64 in the member KEY-data, or a file's path in the member KEY.
static int get_pem(const struct doc_node *n, const char *key, const char *dir, char **data,
		   char **file, struct error *err) {
	char data_key[64];
	const char *text = NULL;
	struct doc_node m;
	int ret;

	snprintf(data_key, sizeof(data_key), "%s-data", key);
	ret = doc_member(&m, n, data_key, err);
	if (ret == 0)
		ret = doc_string(&m, &text, err);
	if (ret < 0)
		return ret;
	if (text == NULL || *text == '\0')
		return kubeconfig_get_path(n, key, dir, file, err);
	ret = base64_decode(text, data);
	if (ret == -ENOMEM)
		return no_memory(err);
	if (ret < 0)
		return doc_fault(&m, err, -EINVAL, "not base64");
	if (strstr(*data, "-----BEGIN ") == NULL)
		return doc_fault(&m, err, -EINVAL, "not PEM in base64");
	return 0;
}

static bool is_one_of(const char *text, size_t n, const char *const *words) {
	for (; *words != NULL; words++)
		if (strlen(*words) == n && strncasecmp(text, *words, n) == 0)
			return true;
	return false;
}

// SCHEME://HOST..., of printable characters, without user, query or fragment when plain.
static bool is_url(const char *url, const char *const *schemes, bool plain) {
	const char *colon = strstr(url, "://");

	if (colon == NULL || !is_one_of(url, (size_t)(colon - url), schemes))
		return false;
	for (const char *p = url; *p != '\0'; p++)
		if (*p <= ' ' || *p == 0x7f || (plain && strchr("@?#", *p) != NULL))
			return false;
	return colon[3] != '\0' && strchr("/:?#", colon[3]) == NULL;
}

static int check_server(struct kubeconfig *k, const struct doc_node *n, struct error *err) {
	static const char *const schemes[] = {"https", "http", NULL};
	struct doc_node m;
	size_t len;

	doc_member(&m, n, "server", NULL);
	if (k->server == NULL)
		return doc_fault(&m, err, -EINVAL, "missing; expected https://HOST[:PORT]");
	if (!is_url(k->server, schemes, true))
		return doc_fault(&m, err, -EINVAL, "not a URL like https://HOST[:PORT]");
	for (len = strlen(k->server); k->server[len - 1] == '/'; len--)
		k->server[len - 1] = '\0';
	return 0;
}

static int check_proxy(const struct kubeconfig *k, const struct doc_node *n, struct error *err) {
	static const char *const schemes[] = {"http", "https", "socks5", NULL};
	struct doc_node m;

	doc_member(&m, n, "proxy-url", NULL);
	if (k->proxy_url != NULL && !is_url(k->proxy_url, schemes, false))
		return doc_fault(&m, err, -EINVAL, "not a URL of scheme http, https or socks5");
	return 0;
}

static int check_trust(const struct kubeconfig *k, const struct doc_node *n, struct error *err) {
	struct doc_node m;

	doc_member(&m, n, "insecure-skip-tls-verify", NULL);
	if (k->insecure && (k->ca != NULL || k->ca_file != NULL))
		return doc_fault(&m, err, -EINVAL, "excludes certificate-authority");
	return 0;
}

int kubeconfig_decode_cluster(struct kubeconfig *k, const struct doc_node *n, const char *dir,
			      struct error *err) {
	int ret;

	if ((ret = kubeconfig_get_text(n, "server", &k->server, err)) < 0 ||
	    (ret = get_pem(n, "certificate-authority", dir, &k->ca, &k->ca_file, err)) < 0 ||
	    (ret = kubeconfig_get_text(n, "tls-server-name", &k->tls_server_name, err)) < 0 ||
	    (ret = kubeconfig_get_text(n, "proxy-url", &k->proxy_url, err)) < 0 ||
	    (ret = doc_get_bool(n, "insecure-skip-tls-verify", &k->insecure, err)) < 0 ||
	    (ret = doc_get_bool(n, "disable-compression", &k->disable_compression, err)) < 0 ||
	    (ret = check_server(k, n, err)) < 0 || (ret = check_proxy(k, n, err)) < 0)
		return ret;
	return check_trust(k, n, err);
}

// --- the user ---

static int refuse_removed(const struct doc_node *n, struct error *err) {
	static const char *const keys[] = {"username", "password", "auth-provider"};
	struct doc_node m;

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		int ret = doc_member(&m, n, keys[i], err);

		if (ret < 0)
			return ret;
		if (doc_present(&m))
			return doc_fault(
				&m, err, -EINVAL,
				"Kubernetes has removed it; use a token, a client certificate or exec");
	}
	return 0;
}

static int get_groups(const struct doc_node *n, char ***out, struct error *err) {
	struct doc_node list, e;
	const char *text;
	size_t size;
	int ret = doc_member(&list, n, "as-groups", err);

	if (ret == 0)
		ret = doc_array_size(&list, &size, err);
	if (ret < 0 || size == 0)
		return ret;
	*out = calloc(size + 1, sizeof(**out));
	if (*out == NULL)
		return no_memory(err);
	for (size_t i = 0; i < size; i++) {
		e = doc_element(&list, i);
		text = "";
		ret = doc_string(&e, &text, err);
		if (ret < 0)
			return ret;
		(*out)[i] = strdup(text);
		if ((*out)[i] == NULL)
			return no_memory(err);
	}
	return 0;
}

static int add_extra(struct kubeconfig *k, size_t *n, const char *name, const char *value,
		     struct error *err) {
	struct kubeconfig_pair *grown = realloc(k->as_extra, (*n + 2) * sizeof(*grown));

	if (grown == NULL)
		return no_memory(err);
	k->as_extra = grown;
	grown[*n] = (struct kubeconfig_pair){strdup(name), strdup(value)};
	grown[*n + 1] = (struct kubeconfig_pair){0};
	if (grown[*n].name == NULL || grown[*n].value == NULL)
		return no_memory(err);
	(*n)++;
	return 0;
}

// {name: [value, ...], ...}
static int get_extra(struct kubeconfig *k, const struct doc_node *n, struct error *err) {
	struct doc_node extra, member = {0}, e;
	const char *text;
	size_t size, total = 0;
	int ret = doc_member(&extra, n, "as-user-extra", err);

	if (ret == 0 && doc_present(&extra) && !json_is_object(extra.json))
		return doc_fault(&extra, err, -EINVAL, "not an object");
	while (ret == 0 && doc_next(&member, &extra)) {
		ret = doc_array_size(&member, &size, err);
		for (size_t i = 0; ret == 0 && i < size; i++) {
			e = doc_element(&member, i);
			text = "";
			ret = doc_string(&e, &text, err);
			if (ret == 0)
				ret = add_extra(k, &total, member.key, text, err);
		}
	}
	return ret;
}

static bool is_line(const char *text) {
	for (; text != NULL && *text != '\0'; text++)
		if ((unsigned char)*text < ' ' || *text == 0x7f)
			return false;
	return true;
}

// All of these become lines of a request.
static int check_lines(const struct kubeconfig *k, const struct doc_node *n, struct error *err) {
	bool ok = is_line(k->token) && is_line(k->as) && is_line(k->as_uid);

	for (char **g = k->as_groups; ok && g != NULL && *g != NULL; g++)
		ok = is_line(*g);
	for (struct kubeconfig_pair *p = k->as_extra; ok && p != NULL && p->name != NULL; p++)
		ok = is_line(p->name) && is_line(p->value);
	return ok ? 0
		  : doc_fault(n, err, -EINVAL,
			      "a token or a name of `as` holds control characters");
}

static int check_user(const struct kubeconfig *k, const struct doc_node *n, struct error *err) {
	bool cert = k->cert != NULL || k->cert_file != NULL;
	bool key = k->key != NULL || k->key_file != NULL;

	if (cert != key)
		return doc_fault(n, err, -EINVAL, "has a %s but no %s",
				 cert ? "client-certificate" : "client-key",
				 cert ? "client-key" : "client-certificate");
	if (k->exec != NULL && (k->token != NULL || k->token_file != NULL))
		return doc_fault(n, err, -EINVAL, "has a token and exec; expected one of them");
	if (k->as == NULL && (k->as_uid != NULL || k->as_groups != NULL || k->as_extra != NULL))
		return doc_fault(n, err, -EINVAL, "as-uid, as-groups and as-user-extra need `as`");
	return check_lines(k, n, err);
}

int kubeconfig_decode_user(struct kubeconfig *k, const struct doc_node *n, const char *dir,
			   struct error *err) {
	int ret;

	if ((ret = refuse_removed(n, err)) < 0 ||
	    (ret = get_pem(n, "client-certificate", dir, &k->cert, &k->cert_file, err)) < 0 ||
	    (ret = get_pem(n, "client-key", dir, &k->key, &k->key_file, err)) < 0 ||
	    (ret = kubeconfig_get_text(n, "token", &k->token, err)) < 0 ||
	    (ret = kubeconfig_get_path(n, "tokenFile", dir, &k->token_file, err)) < 0 ||
	    (ret = kubeconfig_get_text(n, "as", &k->as, err)) < 0 ||
	    (ret = kubeconfig_get_text(n, "as-uid", &k->as_uid, err)) < 0 ||
	    (ret = get_groups(n, &k->as_groups, err)) < 0 || (ret = get_extra(k, n, err)) < 0 ||
	    (ret = kubeconfig_decode_exec(k, n, dir, err)) < 0)
		return ret;
	if (k->token_file != NULL) {
		free(k->token);
		k->token = NULL;
	}
	return check_user(k, n, err);
}
