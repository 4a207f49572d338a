// SPDX-License-Identifier: Apache-2.0
// ExecCredential, both ways.
#include "api/exec_credential.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "api/base64.h"
#include "doc/doc.h"

// --- what it prints ---

// "2026-01-02T03:04:05", then perhaps ".678", then "Z" or "+01:00".
int exec_credential_time(const char *text, int64_t *out) {
	struct tm t = {0};
	const char *p = strptime(text, "%Y-%m-%dT%H:%M:%S", &t);
	unsigned h = 0, m = 0;
	int n = 0;

	if (p == NULL)
		return -EINVAL;
	if (*p == '.')
		p += 1 + strspn(p + 1, "0123456789");
	if (strcmp(p, "Z") != 0 &&
	    (strchr("+-", *p) == NULL || *p == '\0' ||
	     sscanf(p + 1, "%2u:%2u%n", &h, &m, &n) != 2 || p[1 + n] != '\0'))
		return -EINVAL;
	*out = (int64_t)timegm(&t) - (*p == '-' ? -1 : 1) * (int64_t)(h * 3600 + m * 60);
	return 0;
}

static int no_memory(struct error *err) {
	return error_set(err, -ENOMEM, "out of memory");
}

static int check_version(const struct doc_node *root, const char *api_version, struct error *err) {
	const char *version = "", *kind = "";
	int ret;

	if ((ret = doc_get_string(root, "apiVersion", &version, err)) < 0 ||
	    (ret = doc_get_string(root, "kind", &kind, err)) < 0)
		return ret;
	if (strcmp(kind, "ExecCredential") != 0 || strcmp(version, api_version) != 0)
		return error_set(err, -EINVAL, "prints %.60s %.60s, expected %s ExecCredential",
				 version, kind, api_version);
	return 0;
}

static int copy(char **out, const char *text, struct error *err) {
	if (text == NULL || *text == '\0')
		return 0;
	*out = strdup(text);
	return *out != NULL ? 0 : no_memory(err);
}

static int check(const struct exec_credential *c, struct error *err) {
	for (const char *p = c->token; p != NULL && *p != '\0'; p++)
		if (*p <= ' ' || *p >= 0x7f)
			return error_set(err, -EINVAL,
					 "prints a token with blanks or controls in it");
	if ((c->cert == NULL) != (c->key == NULL))
		return error_set(err, -EINVAL, "prints a certificate or a key without the other");
	if ((c->cert != NULL && strstr(c->cert, "-----BEGIN ") == NULL) ||
	    (c->key != NULL && strstr(c->key, "-----BEGIN ") == NULL))
		return error_set(err, -EINVAL, "prints a certificate or a key that is not PEM");
	if (c->token == NULL && c->cert == NULL)
		return error_set(err, -EINVAL, "prints neither a token nor a certificate");
	return 0;
}

static int read_status(struct exec_credential *c, const struct doc_node *root, struct error *err) {
	const char *token = NULL, *cert = NULL, *key = NULL, *expires = NULL;
	struct doc_node status;
	int ret;

	if ((ret = doc_member(&status, root, "status", err)) < 0 ||
	    (ret = doc_get_string(&status, "token", &token, err)) < 0 ||
	    (ret = doc_get_string(&status, "clientCertificateData", &cert, err)) < 0 ||
	    (ret = doc_get_string(&status, "clientKeyData", &key, err)) < 0 ||
	    (ret = doc_get_string(&status, "expirationTimestamp", &expires, err)) < 0 ||
	    (ret = copy(&c->token, token, err)) < 0 || (ret = copy(&c->cert, cert, err)) < 0 ||
	    (ret = copy(&c->key, key, err)) < 0)
		return ret;
	if (expires != NULL && exec_credential_time(expires, &c->expires) < 0)
		return error_set(err, -EINVAL, "prints an expirationTimestamp that is no time");
	return check(c, err);
}

int exec_credential_parse(struct exec_credential *out, const char *text, size_t n,
			  const char *api_version, struct error *err) {
	struct exec_credential c = {.expires = INT64_MAX};
	json_t *json = json_loadb(text, n, JSON_REJECT_DUPLICATES, NULL);
	struct doc_node root;
	int ret;

	if (!json_is_object(json)) {
		json_decref(json);
		return error_set(err, -EINVAL, "prints no JSON object on its stdout");
	}
	root = doc_root_json(json);
	ret = check_version(&root, api_version, err);
	if (ret == 0)
		ret = read_status(&c, &root, err);
	json_decref(json);
	if (ret < 0)
		exec_credential_fini(&c);
	else
		*out = c;
	return ret;
}

void exec_credential_fini(struct exec_credential *c) {
	free(c->token);
	free(c->cert);
	free(c->key);
	*c = (struct exec_credential){0};
}

// --- what it is told ---

static json_t *text_or_null(const char *text) {
	return text != NULL ? json_string(text) : NULL;
}

static json_t *cluster_info(const struct kubeconfig *k, const char *ca) {
	char *ca_data = ca != NULL ? base64_encode(ca) : NULL;
	json_t *cluster = json_pack("{s:s, s:o*, s:o*, s:o*, s:o*, s:o*, s:o*}", "server",
				    k->server, "tls-server-name", text_or_null(k->tls_server_name),
				    "insecure-skip-tls-verify", k->insecure ? json_true() : NULL,
				    "certificate-authority-data", text_or_null(ca_data),
				    "proxy-url", text_or_null(k->proxy_url), "disable-compression",
				    k->disable_compression ? json_true() : NULL, "config",
				    k->exec->config != NULL
					    ? json_loads(k->exec->config, JSON_DECODE_ANY, NULL)
					    : NULL);

	free(ca_data);
	return cluster;
}

char *exec_credential_info(const struct kubeconfig *k, const char *ca) {
	json_t *cluster = k->exec->cluster_info ? cluster_info(k, ca) : NULL;
	json_t *info = json_pack("{s:s, s:s, s:{s:b, s:o*}}", "apiVersion", k->exec->api_version,
				 "kind", "ExecCredential", "spec", "interactive", 0, "cluster",
				 cluster);
	char *text = info != NULL ? json_dumps(info, JSON_COMPACT | JSON_PRESERVE_ORDER) : NULL;

	json_decref(info);
	return text;
}
