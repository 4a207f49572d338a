// SPDX-License-Identifier: Apache-2.0
// Whom an exchange trusts, what it says when it does not, and that new certificates take effect without a restart.
#include "http_fixture.h"

#define DAY 86400L

struct pki {
	struct cert ca, other_ca, server, client;
};

static struct pki pki;

static int make_pki(void **state) {
	(void)state;
	cert_make(&pki.ca, NULL, "ca", NULL, -DAY, DAY);
	cert_make(&pki.other_ca, NULL, "other", NULL, -DAY, DAY);
	cert_make(&pki.server, &pki.ca, "server", "IP:127.0.0.1,DNS:api.example.com", -DAY, DAY);
	cert_make(&pki.client, &pki.ca, "jane", NULL, -DAY, DAY);
	return 0;
}

static int drop_pki(void **state) {
	(void)state;
	cert_fini(&pki.ca);
	cert_fini(&pki.other_ca);
	cert_fini(&pki.server);
	cert_fini(&pki.client);
	return 0;
}

static void name_the_client(struct conn *c) {
	char name[64];

	conn_reply(c, 200, "", conn_client(c, name, sizeof(name)));
}

static int setup_tls(void **state) {
	struct lab *l;

	setup(state);
	l = *state;
	server_use_tls(&l->server, &pki.server, NULL);
	l->server.answer = name_the_client;
	snprintf(l->url, sizeof(l->url), "https://127.0.0.1:%u/x", l->server.port);
	return 0;
}

static void a_server_of_the_right_authority_is_trusted(void **state) {
	struct lab *l = *state;
	struct got g = {0};

	get_whole(l, &g, (struct http_request){.tls = {.ca = pki.ca.pem}});
	assert_int_equal(g.end.end.error, 0);
	assert_int_equal(g.end.end.status, 200);
}

static void other_authorities_are_not(void **state) {
	struct lab *l = *state;
	struct got g[2] = {0};

	get_whole(l, &g[0], (struct http_request){.tls = {.ca = pki.other_ca.pem}});
	assert_failed(&g[0], -EPROTO, HTTP_UNTRUSTED);
	assert_int_equal(g[0].end.verify, X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY);
	get_whole(l, &g[1], (struct http_request){0}); // the system's
	assert_failed(&g[1], -EPROTO, HTTP_UNTRUSTED);
}

static void a_certificate_for_other_names_is_refused(void **state) {
	struct lab *l = *state;
	struct got g = {0};
	char url[64];

	snprintf(url, sizeof(url), "https://localhost:%u/", l->server.port);
	get_whole(l, &g, (struct http_request){.url = url, .tls = {.ca = pki.ca.pem}});
	assert_failed(&g, -EPROTO, HTTP_MISNAMED);
}

static void the_name_to_prove_may_differ_from_where_the_server_is(void **state) {
	struct lab *l = *state;
	struct got g = {0};
	char to[64];

	snprintf(to, sizeof(to), "api.example.com:443:127.0.0.1:%u", l->server.port);
	get_whole(l, &g,
		  (struct http_request){.url = "https://api.example.com/x",
					.connect_to = to,
					.headers = (const char *const[]){"Host: kubernetes:6443",
									 NULL},
					.tls = {.ca = pki.ca.pem}});
	assert_int_equal(g.end.end.status, 200);
	assert_non_null(strstr(l->server.last, "\r\nHost: kubernetes:6443\r\n"));
}

static void dates_are_judged(void **state) {
	static const struct {
		long from, to;
		int verify;
	} cases[] = {{-2 * DAY, -DAY, X509_V_ERR_CERT_HAS_EXPIRED},
		     {DAY, 2 * DAY, X509_V_ERR_CERT_NOT_YET_VALID}};
	struct lab *l = *state;
	struct cert c;

	for (int i = 0; i < 2; i++) {
		struct got g = {0};

		cert_make(&c, &pki.ca, "s", "IP:127.0.0.1", cases[i].from, cases[i].to);
		server_use_tls(&l->server, &c, NULL);
		get_whole(l, &g, (struct http_request){.tls = {.ca = pki.ca.pem}});
		assert_failed(&g, -EPROTO, HTTP_UNTRUSTED);
		assert_int_equal(g.end.verify, cases[i].verify);
		cert_fini(&c);
	}
}

static void insecure_asks_for_nothing(void **state) {
	struct lab *l = *state;
	struct got g = {0}, probe = {0};

	get_whole(l, &g, (struct http_request){.tls = {.insecure = true}});
	assert_int_equal(g.end.end.status, 200);
	http_get(l->http, l->url, NULL, 5000, on_end, &probe);
	assert_true(run_until(l->base, &probe.ended, 1));
	assert_int_equal(probe.end.end.status, 200);
}

static void a_client_certificate_is_shown(void **state) {
	struct lab *l = *state;
	struct http_request r = {.tls = {.ca = pki.ca.pem}};
	struct got without = {0}, with = {0};

	server_use_tls(&l->server, &pki.server, &pki.ca);
	get_whole(l, &without, r);
	assert_true(without.end.end.error == -EIO || without.end.end.error == -EPROTO);
	r.tls.cert = pki.client.pem;
	r.tls.key = pki.client.key_pem;
	get_whole(l, &with, r);
	assert_string_equal(with.body, "jane");
}

static void unusable_texts_are_named(void **state) {
	struct lab *l = *state;
	struct got g[3] = {0};

	get_whole(l, &g[0], (struct http_request){.tls = {.ca = "no PEM"}});
	assert_failed(&g[0], -EPROTO, HTTP_MATERIAL);
	get_whole(l, &g[1],
		  (struct http_request){
			  .tls = {.ca = pki.ca.pem, .cert = "no PEM", .key = pki.client.key_pem}});
	assert_failed(&g[1], -EPROTO, HTTP_MATERIAL);
	get_whole(l, &g[2],
		  (struct http_request){.tls = {.ca = pki.ca.pem,
						.cert = pki.client.pem,
						.key = pki.server.key_pem}});
	assert_failed(&g[2], -EPROTO, HTTP_MATERIAL);
}

static void stream(struct conn *c) {
	conn_say(c, "HTTP/1.1 200 OK\r\n\r\nbegun");
}

static void new_material_makes_a_new_connection_and_leaves_open_exchanges_alone(void **state) {
	struct lab *l = *state;
	struct got open = {0}, before = {0}, after = {0};
	struct cert renewed;
	char both[8192];

	l->server.answer = stream;
	get(l, &open, (struct http_request){.tls = {.ca = pki.ca.pem}});
	assert_true(run_until(l->base, &open.n_data, 1));
	l->server.answer = name_the_client;
	get_whole(l, &before, (struct http_request){.tls = {.ca = pki.ca.pem}});
	assert_int_equal(l->server.n_conns, 2);
	// The server moves to another authority; what was verified before goes on, what comes anew needs the new bundle.
	cert_make(&renewed, &pki.other_ca, "server", "IP:127.0.0.1", -DAY, DAY);
	server_use_tls(&l->server, &renewed, NULL);
	snprintf(both, sizeof(both), "%s%s", pki.ca.pem, pki.other_ca.pem);
	get_whole(l, &after, (struct http_request){.tls = {.ca = both}});
	assert_int_equal(after.end.end.status, 200);
	assert_int_equal(l->server.n_conns, 3);
	assert_int_equal(open.ended, 0);
	cert_fini(&renewed);
}

int main(void) {
#define T(f) cmocka_unit_test_setup_teardown(f, setup_tls, teardown)
	const struct CMUnitTest tests[] = {
		T(a_server_of_the_right_authority_is_trusted),
		T(other_authorities_are_not),
		T(a_certificate_for_other_names_is_refused),
		T(the_name_to_prove_may_differ_from_where_the_server_is),
		T(dates_are_judged),
		T(insecure_asks_for_nothing),
		T(a_client_certificate_is_shown),
		T(unusable_texts_are_named),
		T(new_material_makes_a_new_connection_and_leaves_open_exchanges_alone),
	};

	return cmocka_run_group_tests(tests, make_pki, drop_pki);
}
