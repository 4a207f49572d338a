// SPDX-License-Identifier: Apache-2.0
// The credentials that every pod is given.
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "api/kubeconfig.h"

#define ACCOUNT "/var/run/secrets/kubernetes.io/serviceaccount/"

static bool is_port(const char *text) {
	char *end;
	long port = strtol(text, &end, 10);

	return text[0] >= '0' && text[0] <= '9' && *end == '\0' && port > 0 && port < 65536;
}

static bool is_host(const char *text) {
	return *text != '\0' &&
	       text[strspn(text,
			   "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-:")] ==
		       '\0';
}

// Of the pod; without one the caller's default stands.
static char *read_namespace(const char *root) {
	char *path, text[256];
	ssize_t n;
	int fd;

	if (asprintf(&path, "%s" ACCOUNT "namespace", root) < 0)
		return NULL;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	free(path);
	n = fd >= 0 ? read(fd, text, sizeof(text) - 1) : 0;
	if (fd >= 0)
		close(fd);
	text[n > 0 ? n : 0] = '\0';
	text[strcspn(text, " \r\n")] = '\0';
	return strdup(text);
}

static char *account_path(const char *root, const char *name) {
	char *path;

	return asprintf(&path, "%s" ACCOUNT "%s", root, name) < 0 ? NULL : path;
}

static char *server_url(const char *host, const char *port) {
	bool v6 = strchr(host, ':') != NULL;
	char *url;

	return asprintf(&url, "https://%s%s%s:%s", v6 ? "[" : "", host, v6 ? "]" : "", port) < 0
		       ? NULL
		       : url;
}

static int fill(struct kubeconfig *k, const char *root, const char *host, const char *port) {
	k->context = strdup("in cluster");
	k->cluster = strdup("in cluster");
	k->user = strdup("service account");
	k->source = strdup("in cluster");
	k->namespace = read_namespace(root);
	k->server = server_url(host, port);
	k->ca_file = account_path(root, "ca.crt");
	k->token_file = account_path(root, "token");
	return k->context != NULL && k->cluster != NULL && k->user != NULL && k->source != NULL &&
			       k->namespace != NULL && k->server != NULL && k->ca_file != NULL &&
			       k->token_file != NULL
		       ? 0
		       : -ENOMEM;
}

int kubeconfig_in_cluster_at(struct kubeconfig **out, const char *root, struct error *err) {
	const char *host = getenv("KUBERNETES_SERVICE_HOST"),
		   *port = getenv("KUBERNETES_SERVICE_PORT");
	struct kubeconfig *k;

	if (host == NULL || port == NULL || *host == '\0' || *port == '\0')
		return error_set(err, -ENOENT,
				 "inCluster: this is no pod: KUBERNETES_SERVICE_HOST and "
				 "KUBERNETES_SERVICE_PORT are not set");
	if (!is_host(host) || !is_port(port))
		return error_set(
			err, -EINVAL,
			"inCluster: KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are no "
			"host and port: %.100s, %.100s",
			host, port);
	k = calloc(1, sizeof(*k));
	if (k == NULL || fill(k, root, host, port) < 0) {
		kubeconfig_destroy(k);
		return error_set(err, -ENOMEM, "out of memory");
	}
	*out = k;
	return 0;
}

int kubeconfig_in_cluster(struct kubeconfig **out, struct error *err) {
	return kubeconfig_in_cluster_at(out, "", err);
}
