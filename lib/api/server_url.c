// SPDX-License-Identifier: Apache-2.0
// Taking a server's URL apart.
#include "api/server_url.h"

#include <curl/curl.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "api/no_proxy.h"

static bool is_loopback(const char *host) {
	return strcasecmp(host, "localhost") == 0 || strncmp(host, "127.", 4) == 0 ||
	       strcmp(host, "[::1]") == 0;
}

static bool is_excepted(const char *host) {
	const char *list = getenv("no_proxy");
	size_t n = strlen(host);
	char bare[256];

	if (list == NULL)
		list = getenv("NO_PROXY");
	if (host[0] == '[') // IPv6
		snprintf(bare, sizeof(bare), "%.*s", (int)(n - 2), host + 1);
	else
		snprintf(bare, sizeof(bare), "%s", host);
	return no_proxy_covers(list, bare);
}

// curl checks the name in the URL: so the name to prove goes there, and connect_to says where the server is.
static int rename_host(struct server_url *u, CURLU *parts, const char *host, const char *port,
		       const char *name) {
	char *base;
	int ret = 0;

	if (asprintf(&u->connect_to, "%s:%s:%s:%s", name, port, host, port) < 0)
		u->connect_to = NULL;
	if (asprintf(&u->host, "Host: %s:%s", host, port) < 0)
		u->host = NULL;
	if (u->connect_to == NULL || u->host == NULL)
		return -ENOMEM;
	if (curl_url_set(parts, CURLUPART_HOST, name, 0) != CURLUE_OK)
		return -EINVAL;
	if (curl_url_get(parts, CURLUPART_URL, &base, 0) != CURLUE_OK)
		return -ENOMEM;
	free(u->base);
	u->base = strdup(base);
	ret = u->base != NULL ? 0 : -ENOMEM;
	curl_free(base);
	return ret;
}

static int take_apart(struct server_url *u, CURLU *parts, const char *server, const char *name) {
	char *host = NULL, *port = NULL;
	int ret = -EINVAL;

	if (curl_url_set(parts, CURLUPART_URL, server, 0) != CURLUE_OK ||
	    curl_url_get(parts, CURLUPART_HOST, &host, 0) != CURLUE_OK ||
	    curl_url_get(parts, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT) != CURLUE_OK)
		goto free_parts;
	u->direct = is_loopback(host) || is_excepted(host);
	u->base = strdup(server);
	ret = u->base != NULL ? 0 : -ENOMEM;
	if (ret == 0 && name != NULL && strcasecmp(name, host) != 0)
		ret = rename_host(u, parts, host, port, name);
free_parts:
	curl_free(host);
	curl_free(port);
	return ret;
}

int server_url_init(struct server_url *u, const char *server, const char *tls_server_name,
		    struct error *err) {
	CURLU *parts = curl_url();
	int ret = -ENOMEM;
	size_t n;

	*u = (struct server_url){0};
	if (parts != NULL)
		ret = take_apart(u, parts, server, tls_server_name);
	curl_url_cleanup(parts);
	if (ret < 0) {
		server_url_fini(u);
		return error_set(err, ret,
				 ret == -ENOMEM ? "out of memory" : "not a server's URL: %s%s%s",
				 server, tls_server_name != NULL ? ", tls-server-name " : "",
				 tls_server_name != NULL ? tls_server_name : "");
	}
	for (n = strlen(u->base); n > 0 && u->base[n - 1] == '/'; n--)
		u->base[n - 1] = '\0';
	return 0;
}

void server_url_fini(struct server_url *u) {
	free(u->base);
	free(u->connect_to);
	free(u->host);
	*u = (struct server_url){0};
}
