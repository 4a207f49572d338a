// SPDX-License-Identifier: Apache-2.0
// libcurl over a UNIX socket: URL, answer, and the daemon's own words when it refuses.
#include "client.h"

#include <curl/curl.h>
#include <errno.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MAX_ANSWER (256ul << 20)
#define MAX_URL 4096
#define TIMEOUT_SECONDS 30l

static size_t take(char *data, size_t size, size_t n, void *arg) {
	struct client_answer *a = arg;
	char *text;

	if (a->len + n > MAX_ANSWER)
		return 0;
	text = realloc(a->text, a->len + n + 1);
	if (text == NULL)
		return 0;
	memcpy(text + a->len, data, n);
	a->text = text;
	a->len += n;
	text[a->len] = '\0';
	return n;
}

static int make_url(CURL *curl, char *url, size_t size, const char *verb,
		    const struct client_param *params, size_t n_params) {
	size_t n = (size_t)snprintf(url, size, "http://localhost/v1/%s", verb);

	for (size_t i = 0; i < n_params && n < size; i++) {
		char *value = curl_easy_escape(curl, params[i].value, 0);

		if (value == NULL)
			return -ENOMEM;
		n += (size_t)snprintf(url + n, size - n, "%c%s=%s", i == 0 ? '?' : '&',
				      params[i].name, value);
		curl_free(value);
	}
	return n < size ? 0 : -E2BIG;
}

// {"error": "..."} as the message; anything else as its status.
static int refused(const struct client_answer *a, long status, struct error *err) {
	json_t *body = a->text != NULL ? json_loadb(a->text, a->len, 0, NULL) : NULL;
	const char *text = json_string_value(json_object_get(body, "error"));
	int ret = text != NULL ? error_set(err, -EPROTO, "%s", text)
			       : error_set(err, -EPROTO, "the daemon answered HTTP %ld", status);

	json_decref(body);
	return ret;
}

static int failed(CURLcode code, const char *path, struct error *err) {
	if (code != CURLE_COULDNT_CONNECT)
		return error_set(err, -EPROTO, "%s: %s", path, curl_easy_strerror(code));
	if (access(path, F_OK) < 0)
		return error_set(err, -ECONNREFUSED, "%s: no such socket: is sluiced running?",
				 path);
	if (access(path, W_OK) < 0)
		return error_set(err, -EACCES, "%s: permission denied", path);
	return error_set(err, -ECONNREFUSED, "%s: nobody answers: is sluiced running?", path);
}

static int run(CURL *curl, struct client_answer *out, const char *path, const char *url,
	       struct error *err) {
	struct client_answer a = {NULL, 0};
	CURLcode code;
	long status = 0;
	int ret = 0;

	curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, path);
	curl_easy_setopt(curl, CURLOPT_URL, url);
	curl_easy_setopt(curl, CURLOPT_PROXY, ""); // whatever the environment says
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1l);
	curl_easy_setopt(curl, CURLOPT_TIMEOUT, TIMEOUT_SECONDS);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, &a);
	code = curl_easy_perform(curl);
	curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
	if (code != CURLE_OK)
		ret = failed(code, path, err);
	else if (status != 200)
		ret = refused(&a, status, err);
	if (ret < 0)
		client_answer_fini(&a);
	else
		*out = a;
	return ret;
}

int client_get(struct client_answer *out, const char *socket_path, const char *verb,
	       const struct client_param *params, size_t n_params, struct error *err) {
	char url[MAX_URL];
	CURL *curl = curl_easy_init();
	int ret;

	if (curl == NULL)
		return error_set(err, -ENOMEM, "no memory");
	ret = make_url(curl, url, sizeof(url), verb, params, n_params);
	if (ret < 0)
		error_set(err, ret, "the arguments are too long");
	else
		ret = run(curl, out, socket_path, url, err);
	curl_easy_cleanup(curl);
	return ret;
}

void client_answer_fini(struct client_answer *a) {
	free(a->text);
	a->text = NULL;
	a->len = 0;
}
