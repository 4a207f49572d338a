// SPDX-License-Identifier: Apache-2.0
// The transport as those above it see it: who we are on each request, a refusal that is cured once, texts that say what to do.
#include "http_fixture.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "api/client.h"
#include "api/no_proxy.h"
#include "api/server_url.h"
#include "base/log.h"

#define DAY 86400L

struct place {
	struct lab *lab;
	char dir[64], token[96], ca[96], config[4096];
	struct kubeconfig *k;
	struct api_client *client;
	const struct api_transport *t;
	char accepted[64]; // token that the server takes
	struct cert authority, other, server, jane;
};

struct heard {
	int ended, n_data, begun; // begun: with this status
	char body[8192];
	size_t n;
	int data_status;
	struct api_end end;
	struct place *cancel_in_data; // its own call
	struct api_call *call;
};

static int setup_client(void **state) {
	struct place *p = calloc(1, sizeof(*p));
	void *lab;

	setup(&lab);
	p->lab = lab;
	p->lab->server.arg = p;
	strcpy(p->dir, "/tmp/test_client.XXXXXX");
	assert_non_null(mkdtemp(p->dir));
	snprintf(p->token, sizeof(p->token), "%s/token", p->dir);
	snprintf(p->ca, sizeof(p->ca), "%s/ca", p->dir);
	strcpy(p->accepted, "good");
	cert_make(&p->authority, NULL, "ca", NULL, -DAY, DAY);
	cert_make(&p->other, NULL, "other", NULL, -DAY, DAY);
	cert_make(&p->server, &p->authority, "s", "IP:127.0.0.1,DNS:api.example.com", -DAY, DAY);
	cert_make(&p->jane, &p->authority, "jane", NULL, -DAY, DAY);
	*state = p;
	return 0;
}

static int teardown_client(void **state) {
	struct place *p = *state;
	void *lab = p->lab;
	char command[96];

	api_client_destroy(p->client);
	kubeconfig_destroy(p->k);
	teardown(&lab);
	cert_fini(&p->authority);
	cert_fini(&p->other);
	cert_fini(&p->server);
	cert_fini(&p->jane);
	snprintf(command, sizeof(command), "rm -rf %s", p->dir);
	assert_int_equal(system(command), 0);
	free(p);
	return 0;
}

static void write_file(const char *path, const char *text) {
	char fresh[128];
	FILE *f;

	snprintf(fresh, sizeof(fresh), "%s.new", path);
	f = fopen(fresh, "w");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
	assert_int_equal(rename(fresh, path), 0);
}

// A client of the server, by a kubeconfig with these flow-style members.
static void client(struct place *p, const char *scheme, const char *cluster, const char *user) {
	struct error err = {""};
	char path[128];

	snprintf(p->config, sizeof(p->config),
		 "current-context: c\ncontexts: [{name: c, context: {cluster: home, user: jane}}]\n"
		 "clusters: [{name: home, cluster: {server: '%s://127.0.0.1:%u/base/'%s}}]\n"
		 "users: [{name: jane, user: {%s}}]\n",
		 scheme, p->lab->server.port, cluster, user);
	snprintf(path, sizeof(path), "%s/config", p->dir);
	if (kubeconfig_parse(&p->k, path, p->config, strlen(p->config), &err) < 0 ||
	    api_client_create(&p->client, p->lab->http, p->k, &err) < 0)
		fail_msg("%s", err.text);
	p->t = api_client_transport(p->client);
}

static void start(struct place *p, struct heard *h, struct api_request r);

static void on_begun(void *arg, int status) {
	struct heard *h = arg;

	assert_int_equal(h->begun, 0);
	h->begun = status;
}

static int on_heard(void *arg, int status, const char *data, size_t n) {
	struct heard *h = arg;

	h->n_data++;
	h->data_status = status;
	assert_true(h->n + n < sizeof(h->body));
	memcpy(h->body + h->n, data, n);
	h->n += n;
	if (h->cancel_in_data != NULL)
		h->cancel_in_data->t->cancel(h->cancel_in_data->t->ctx, h->call);
	return 0;
}

static void on_ended(void *arg, const struct api_end *end) {
	struct heard *h = arg;

	h->end = *end;
	h->ended++;
}

static void start(struct place *p, struct heard *h, struct api_request r) {
	static const struct api_handlers handlers = {on_begun, on_heard, on_ended};

	r.method = r.method != NULL ? r.method : "GET";
	r.path = r.path != NULL ? r.path : "/api/v1/services";
	h->call = p->t->start(p->t->ctx, &r, &handlers, h);
	assert_non_null(h->call);
	assert_int_equal(h->ended, 0);
}

static void ask(struct place *p, struct heard *h, struct api_request r) {
	start(p, h, r);
	assert_true(run_until(p->lab->base, &h->ended, 1));
}

static void well(struct conn *c) {
	conn_reply(c, 200, "", "{}");
}

// Takes one token only.
static void doorman(struct conn *c) {
	struct place *p = c->server->arg;
	char line[128];

	snprintf(line, sizeof(line), "\r\nAuthorization: Bearer %s\r\n", p->accepted);
	if (conn_asks(c, line))
		well(c);
	else
		conn_reply(c, 401, "", "{\"kind\": \"Status\", \"code\": 401}");
}

// --- requests ---

static void a_request_says_who_we_are_and_for_whom(void **state) {
	struct place *p = *state;
	struct heard h = {0};

	client(p, "http", "",
	       "token: abc, as: jim, as-uid: '7', as-groups: [g, h], as-user-extra: {'a/b%c': [x]}");
	p->lab->server.answer = well;
	ask(p, &h,
	    (struct api_request){.method = "PATCH",
				 .path = "/api/v1/services/status?x=1",
				 .content_type = "application/merge-patch+json",
				 .body = "{\"a\": 1}",
				 .body_len = 8});
	assert_int_equal(h.end.status, 200);
	assert_string_equal(h.end.text, "");
	assert_string_equal(h.body, "{}");
	assert_int_equal(strncmp(p->lab->server.last, "PATCH /base/api/v1/services/status?x=1 HTTP",
				 43),
			 0);
	for (const char **line =
		     (const char *[]){"Authorization: Bearer abc", "Impersonate-User: jim",
				      "Impersonate-Uid: 7", "Impersonate-Group: g",
				      "Impersonate-Group: h", "Impersonate-Extra-a%2Fb%25c: x",
				      "Content-Type: application/merge-patch+json",
				      "Accept: application/json", "Accept-Encoding: gzip",
				      "User-Agent: sluiced/1 (linux/amd64)", NULL};
	     *line != NULL; line++)
		if (strstr(p->lab->server.last, *line) == NULL)
			fail_msg("no %s in %s", *line, p->lab->server.last);
	assert_non_null(strstr(p->lab->server.last, "\r\n\r\n{\"a\": 1}"));
}

static void compression_is_not_for_watches_nor_against_the_kubeconfig(void **state) {
	struct place *p = *state;
	struct heard h[2] = {0};

	client(p, "http", "", "");
	p->lab->server.answer = well;
	ask(p, &h[0], (struct api_request){.path = "/api/v1/services?watch=1"});
	assert_null(strcasestr(p->lab->server.last, "Accept-Encoding"));
	assert_null(strcasestr(p->lab->server.last, "Authorization"));
	api_client_destroy(p->client);
	kubeconfig_destroy(p->k);
	client(p, "http", ", disable-compression: true", "");
	ask(p, &h[1], (struct api_request){0});
	assert_null(strcasestr(p->lab->server.last, "Accept-Encoding"));
}

// --- refusals ---

static void a_token_replaced_meanwhile_cures_a_401_unseen(void **state) {
	struct place *p = *state;
	struct api_client_stats stats;
	struct heard h[2] = {0};
	struct timespec times[2] = {{0}};

	client(p, "http", "", "tokenFile: token");
	p->lab->server.answer = doorman;
	write_file(p->token, "good");
	ask(p, &h[0], (struct api_request){0});
	assert_int_equal(h[0].end.status, 200);
	// As long and as old as before: only the refusal makes us look.
	assert_int_equal(utimensat(AT_FDCWD, p->token, times, 0), 0);
	ask(p, &h[1], (struct api_request){0});
	{
		FILE *f = fopen(p->token, "r+");
		struct heard third = {0};

		fputs("next", f);
		fclose(f);
		assert_int_equal(utimensat(AT_FDCWD, p->token, times, 0), 0);
		strcpy(p->accepted, "next");
		ask(p, &third, (struct api_request){0});
		assert_int_equal(third.end.status, 200);
		assert_string_equal(third.body, "{}"); // nothing of the 401
	}
	api_client_stats(p->client, &stats);
	assert_int_equal(stats.unauthorized, 1);
	assert_int_equal(stats.requests, 4);
}

static void a_401_without_news_is_handed_over_with_its_body(void **state) {
	struct place *p = *state;
	struct heard h = {0};

	client(p, "http", "", "token: bad");
	p->lab->server.answer = doorman;
	ask(p, &h, (struct api_request){0});
	assert_int_equal(h.end.status, 401);
	assert_int_equal(h.end.error, 0);
	assert_int_equal(h.data_status, 401);
	assert_string_equal(h.body, "{\"kind\": \"Status\", \"code\": 401}");
	assert_non_null(strstr(h.end.text, "does not take the credentials of user jane"));
	assert_int_equal(p->lab->server.n_requests, 1);
}

static void cancel_in_the_delivery_of_a_401_is_the_end(void **state) {
	struct place *p = *state;
	struct heard h = {.cancel_in_data = p};

	client(p, "http", "", "token: bad");
	p->lab->server.answer = doorman;
	start(p, &h, (struct api_request){0});
	assert_true(run_until(p->lab->base, &h.n_data, 1));
	run_for(p->lab->base, 20);
	assert_int_equal(h.ended, 0);
}

static void a_plugin_is_run_before_the_first_request_and_after_a_401(void **state) {
	struct place *p = *state;
	struct api_client_stats stats;
	struct heard h[3] = {0};
	char path[96];
	FILE *f;

	snprintf(path, sizeof(path), "%s/plugin", p->dir);
	f = fopen(path, "w");
	fprintf(f,
		"#!/bin/sh\nprintf '{\"apiVersion\": \"client.authentication.k8s.io/v1\", \"kind\": "
		"\"ExecCredential\", \"status\": {\"token\": \"%%s\"}}' \"$(cat %s)\"\n",
		p->token);
	fclose(f);
	assert_int_equal(chmod(path, 0755), 0);
	write_file(p->token, "good");
	client(p, "http", "",
	       "exec: {apiVersion: client.authentication.k8s.io/v1, command: ./plugin, "
	       "interactiveMode: Never}");
	p->lab->server.answer = doorman;
	start(p, &h[0], (struct api_request){0}); // two at once share a run
	ask(p, &h[1], (struct api_request){0});
	assert_true(run_until(p->lab->base, &h[0].ended, 1));
	assert_int_equal(h[0].end.status, 200);
	assert_int_equal(h[1].end.status, 200);
	api_client_stats(p->client, &stats);
	assert_int_equal(stats.plugin_runs, 1);
	assert_string_equal(stats.trouble, "");
	write_file(p->token, "next");
	strcpy(p->accepted, "next");
	ask(p, &h[2], (struct api_request){0});
	assert_int_equal(h[2].end.status, 401); // it ran a moment ago: no storm of runs
}

static void a_missing_token_file_ends_each_call_with_its_name(void **state) {
	struct place *p = *state;
	struct heard h[2] = {0};

	client(p, "http", "", "tokenFile: token");
	p->lab->server.answer = doorman;
	ask(p, &h[0], (struct api_request){0});
	assert_int_equal(h[0].end.error, -EIO);
	assert_int_equal(h[0].end.status, 0);
	assert_non_null(strstr(h[0].end.text, p->token));
	write_file(p->token, "good");
	ask(p, &h[1], (struct api_request){0});
	assert_int_equal(h[1].end.status, 200);
}

// --- TLS ---

static void a_replaced_authority_counts_without_a_restart(void **state) {
	struct place *p = *state;
	struct heard h[3] = {0};

	server_use_tls(&p->lab->server, &p->server, NULL);
	p->lab->server.answer = well;
	write_file(p->ca, p->other.pem);
	client(p, "https", ", certificate-authority: ca", "");
	ask(p, &h[0], (struct api_request){0});
	assert_int_equal(h[0].end.error, -EPROTO);
	assert_non_null(strstr(h[0].end.text,
			       "certificate signed by unknown authority: certificate-authority of "
			       "cluster home is another one"));
	write_file(p->ca, p->authority.pem);
	ask(p, &h[1], (struct api_request){0});
	assert_int_equal(h[1].end.status, 200);
	assert_int_equal(unlink(p->ca), 0); // what was good stays good
	ask(p, &h[2], (struct api_request){0});
	assert_int_equal(h[2].end.status, 200);
}

static void every_refusal_of_a_certificate_says_where_to_look(void **state) {
	struct place *p = *state;
	static const struct {
		const char *cluster, *san, *says;
		long from, to;
	} cases[] = {
		{"", "IP:127.0.0.1", "certificate-authority of cluster home is not set", -DAY, DAY},
		{", certificate-authority: ca", "DNS:x", "see tls-server-name of cluster home",
		 -DAY, DAY},
		{", certificate-authority: ca, tls-server-name: y", "IP:127.0.0.1",
		 "see tls-server-name of cluster home", -DAY, DAY},
		{", certificate-authority: ca", "IP:127.0.0.1", "has expired", -2 * DAY, -DAY},
		{", certificate-authority: ca", "IP:127.0.0.1",
		 "is not valid yet: is the clock of this host right?", DAY, 2 * DAY},
	};

	write_file(p->ca, p->authority.pem);
	p->lab->server.answer = well;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct heard h = {0};
		struct cert s;

		cert_make(&s, &p->authority, "s", cases[i].san, cases[i].from, cases[i].to);
		server_use_tls(&p->lab->server, &s, NULL);
		client(p, "https", cases[i].cluster, "");
		ask(p, &h, (struct api_request){0});
		assert_int_equal(h.end.error, -EPROTO);
		if (strstr(h.end.text, cases[i].says) == NULL)
			fail_msg("case %zu: \"%s\"", i, h.end.text);
		api_client_destroy(p->client);
		kubeconfig_destroy(p->k);
		p->client = NULL;
		p->k = NULL;
		cert_fini(&s);
	}
}

static void another_name_can_be_proven(void **state) {
	struct place *p = *state;
	struct heard h = {0};
	char host[64];

	write_file(p->ca, p->authority.pem);
	server_use_tls(&p->lab->server, &p->server, NULL);
	client(p, "https", ", certificate-authority: ca, tls-server-name: api.example.com", "");
	p->lab->server.answer = well;
	ask(p, &h, (struct api_request){0});
	assert_int_equal(h.end.status, 200);
	snprintf(host, sizeof(host), "\r\nHost: 127.0.0.1:%u\r\n", p->lab->server.port);
	assert_non_null(strstr(p->lab->server.last, host));
}

static void name_the_client(struct conn *c) {
	char name[64];

	conn_reply(c, 200, "", conn_client(c, name, sizeof(name)));
}

static void a_client_certificate_of_files_is_shown_and_renewed(void **state) {
	struct place *p = *state;
	struct heard h[3] = {0};
	struct cert john;
	char cert[96], key[96];

	snprintf(cert, sizeof(cert), "%s/cert", p->dir);
	snprintf(key, sizeof(key), "%s/key", p->dir);
	write_file(p->ca, p->authority.pem);
	write_file(cert, p->jane.pem);
	write_file(key, p->jane.key_pem);
	server_use_tls(&p->lab->server, &p->server, &p->authority);
	client(p, "https", ", certificate-authority: ca",
	       "client-certificate: cert, client-key: key");
	p->lab->server.answer = name_the_client;
	ask(p, &h[0], (struct api_request){0});
	assert_string_equal(h[0].body, "jane");
	cert_make(&john, &p->authority, "john", NULL, -DAY, DAY);
	write_file(cert, john.pem); // a moment without its key
	ask(p, &h[1], (struct api_request){0});
	assert_int_equal(h[1].end.error, -EPROTO);
	assert_non_null(strstr(h[1].end.text, "the client certificate of user jane"));
	write_file(key, john.key_pem);
	ask(p, &h[2], (struct api_request){0});
	assert_string_equal(h[2].body, "john");
	cert_fini(&john);
}

// --- the way there ---

static void tunnel(struct conn *c) {
	if (conn_asks(c, "CONNECT "))
		conn_reply(c, 403, "", "no");
	else
		well(c);
}

static void proxies_of_the_environment_are_not_for_this_host(void **state) {
	struct place *p = *state;
	struct heard h = {0};

	setenv("http_proxy", "http://127.0.0.1:1", 1);
	client(p, "http", "", "");
	p->lab->server.answer = well;
	ask(p, &h, (struct api_request){0});
	unsetenv("http_proxy");
	assert_int_equal(h.end.status, 200);
}

static void exceptions_from_proxies_are_names_addresses_and_blocks(void **state) {
	static const struct {
		const char *list, *host;
		bool covered;
	} cases[] = {
		{NULL, "a", false},
		{"", "a", false},
		{"*", "a", true},
		{"example.com", "example.com", true},
		{"x, example.com", "API.Example.com", true},
		{".example.com", "example.com", true},
		{"example.com", "badexample.com", false},
		{"api.example.com", "example.com", false},
		{"192.0.2.1", "192.0.2.1", true},
		{"192.0.2.1", "192.0.2.11", false},
		{"10.0.0.0/8 192.0.2.0/23", "192.0.3.255", true},
		{"192.0.2.0/23", "192.0.4.0", false},
		{"0.0.0.0/0", "192.0.2.1", true},
		{"0.0.0.0/33", "192.0.2.1", false},
		{"192.0.2.0/x", "192.0.2.0", false},
		{"fd00::/9", "fd7f::1", true},
		{"fd00::/9", "fd80::1", false},
		{"fd00::/9", "192.0.2.1", false},
		{"fd00::1", "fd00:0:0::1", true},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		if (no_proxy_covers(cases[i].list, cases[i].host) != cases[i].covered)
			fail_msg("%s, %s", cases[i].list, cases[i].host);
}

static void the_exception_of_a_server_counts_though_it_proves_another_name(void **state) {
	struct server_url u;

	(void)state;
	setenv("NO_PROXY", "cluster.internal,fd00::/8", 1);
	assert_int_equal(server_url_init(&u, "https://api.cluster.internal:6443", "kubernetes",
					 NULL),
			 0);
	assert_true(u.direct);
	assert_string_equal(u.base, "https://kubernetes:6443");
	assert_string_equal(u.connect_to, "kubernetes:6443:api.cluster.internal:6443");
	server_url_fini(&u);
	assert_int_equal(server_url_init(&u, "https://[fd00::1]/p", "kubernetes", NULL), 0);
	assert_true(u.direct);
	assert_string_equal(u.connect_to, "kubernetes:443:[fd00::1]:443");
	server_url_fini(&u);
	assert_int_equal(server_url_init(&u, "https://kubernetes", "api.cluster.internal", NULL),
			 0);
	assert_false(u.direct);
	server_url_fini(&u);
	unsetenv("NO_PROXY");
}

static void a_proxy_of_the_kubeconfig_is_asked_and_its_refusal_told(void **state) {
	struct place *p = *state;
	struct heard h = {0};
	char cluster[96];

	snprintf(cluster, sizeof(cluster), ", proxy-url: 'http://127.0.0.1:%u'",
		 p->lab->server.port);
	client(p, "https", cluster, "");
	p->lab->server.answer = tunnel;
	setenv("NO_PROXY", "*", 1); // of the environment's proxies, not of this one
	ask(p, &h, (struct api_request){0});
	unsetenv("NO_PROXY");
	assert_int_equal(strncmp(p->lab->server.last, "CONNECT 127.0.0.1:", 18), 0);
	assert_int_equal(h.end.error, -EIO);
	assert_int_equal(h.end.status, 0);
	assert_non_null(strstr(h.end.text, "403"));
}

static void a_server_that_is_away_is_named(void **state) {
	struct place *p = *state;
	struct heard h = {0};

	client(p, "http", "", "");
	server_stop(&p->lab->server);
	ask(p, &h, (struct api_request){0});
	assert_int_equal(h.end.error, -ECONNREFUSED);
	assert_non_null(strstr(h.end.text, "http://127.0.0.1:"));
	assert_non_null(strstr(h.end.text, "Connection refused"));
}

static void say_nothing(struct conn *c) {
	(void)c;
}

static void destroy_ends_what_runs_and_what_waits(void **state) {
	struct place *p = *state;
	struct heard h[2] = {0};

	client(p, "http", "", "");
	p->lab->server.answer = say_nothing;
	start(p, &h[0], (struct api_request){.silence_ms = 60000});
	run_for(p->lab->base, 20);
	start(p, &h[1], (struct api_request){.silence_ms = 60000});
	api_client_destroy(p->client);
	p->client = NULL;
	run_for(p->lab->base, 20);
	assert_int_equal(h[0].ended + h[1].ended, 0);
	assert_int_equal(http_pending(p->lab->http), 0);
}

int main(void) {
#define T(f) cmocka_unit_test_setup_teardown(f, setup_client, teardown_client)
	const struct CMUnitTest tests[] = {
		T(a_request_says_who_we_are_and_for_whom),
		T(compression_is_not_for_watches_nor_against_the_kubeconfig),
		T(a_token_replaced_meanwhile_cures_a_401_unseen),
		T(a_401_without_news_is_handed_over_with_its_body),
		T(cancel_in_the_delivery_of_a_401_is_the_end),
		T(a_plugin_is_run_before_the_first_request_and_after_a_401),
		T(a_missing_token_file_ends_each_call_with_its_name),
		T(a_replaced_authority_counts_without_a_restart),
		T(every_refusal_of_a_certificate_says_where_to_look),
		T(another_name_can_be_proven),
		T(a_client_certificate_of_files_is_shown_and_renewed),
		T(proxies_of_the_environment_are_not_for_this_host),
		cmocka_unit_test(exceptions_from_proxies_are_names_addresses_and_blocks),
		cmocka_unit_test(the_exception_of_a_server_counts_though_it_proves_another_name),
		T(a_proxy_of_the_kubeconfig_is_asked_and_its_refusal_told),
		T(a_server_that_is_away_is_named),
		T(destroy_ends_what_runs_and_what_waits),
	};

	log_init(LOG_ERROR, false);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
