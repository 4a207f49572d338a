// SPDX-License-Identifier: Apache-2.0
// What a kubeconfig means, which of several counts, and what is said of one that can't be.
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "api/base64.h"
#include "api/kubeconfig.h"

// base64 of "-----BEGIN CERTIFICATE-----\n" and "-----BEGIN EC PRIVATE KEY-----\n"
#define CERT "LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0tCg=="
#define KEY "LS0tLS1CRUdJTiBFQyBQUklWQVRFIEtFWS0tLS0tCg=="

#define HEAD "apiVersion: v1\nkind: Config\ncurrent-context: c\n"
#define CONTEXT "contexts: [{name: c, context: {cluster: k, user: u, namespace: lb}}]\n"
#define CLUSTER(body) "clusters: [{name: k, cluster: {" body "}}]\n"
#define USER(body) "users: [{name: u, user: {" body "}}]\n"
#define SERVER "server: 'https://api:6443'"

static int parse(struct kubeconfig **k, const char *text, struct error *err) {
	return kubeconfig_parse(k, "/etc/k/config", text, strlen(text), err);
}

static struct kubeconfig *good(const char *text) {
	struct kubeconfig *k = NULL;
	struct error err = {""};

	if (parse(&k, text, &err) < 0)
		fail_msg("%s", err.text);
	return k;
}

static void everything_about_a_cluster_is_read(void **state) {
	struct kubeconfig *k = good(HEAD CONTEXT USER("") CLUSTER(
		"server: 'https://[fd00::1]:6443/prefix//', certificate-authority: ca.crt, tls-server-name: "
		"api.example.com, proxy-url: 'socks5://proxy:1080', disable-compression: true"));

	(void)state;
	assert_string_equal(k->server, "https://[fd00::1]:6443/prefix");
	assert_string_equal(k->ca_file, "/etc/k/ca.crt");
	assert_null(k->ca);
	assert_string_equal(k->tls_server_name, "api.example.com");
	assert_string_equal(k->proxy_url, "socks5://proxy:1080");
	assert_true(k->disable_compression);
	assert_false(k->insecure);
	assert_string_equal(k->context, "c");
	assert_string_equal(k->cluster, "k");
	assert_string_equal(k->user, "u");
	assert_string_equal(k->source, "/etc/k/config");
	assert_string_equal(kubeconfig_namespace(k), "lb");
	kubeconfig_destroy(k);
}

static void data_wins_over_a_path_and_a_token_file_over_a_token(void **state) {
	struct kubeconfig *k = good(HEAD CONTEXT CLUSTER(
		SERVER ", certificate-authority: /ca, certificate-authority-data: " CERT)
					    USER("client-certificate-data: " CERT
						 ", client-certificate: a, client-key-data: " KEY
						 ", client-key: b, token: t, tokenFile: d/token"));

	(void)state;
	assert_string_equal(k->ca, "-----BEGIN CERTIFICATE-----\n");
	assert_null(k->ca_file);
	assert_string_equal(k->cert, "-----BEGIN CERTIFICATE-----\n");
	assert_null(k->cert_file);
	assert_string_equal(k->key, "-----BEGIN EC PRIVATE KEY-----\n");
	assert_null(k->key_file);
	assert_string_equal(k->token_file, "/etc/k/d/token");
	assert_null(k->token);
	kubeconfig_destroy(k);
}

static void an_exec_plugin_is_read(void **state) {
	struct kubeconfig *k = good(HEAD CONTEXT CLUSTER(SERVER) USER(
		"exec: {apiVersion: client.authentication.k8s.io/v1, command: ./bin/get, args: [a, 'b "
		"c'], env: [{name: A, value: 1x}, {name: B}], interactiveMode: IfAvailable, "
		"provideClusterInfo: true, installHint: get it}"));

	(void)state;
	assert_string_equal(k->exec->api_version, "client.authentication.k8s.io/v1");
	assert_string_equal(k->exec->argv[0], "/etc/k/./bin/get");
	assert_string_equal(k->exec->argv[1], "a");
	assert_string_equal(k->exec->argv[2], "b c");
	assert_null(k->exec->argv[3]);
	assert_string_equal(k->exec->env[0], "A=1x");
	assert_string_equal(k->exec->env[1], "B=");
	assert_null(k->exec->env[2]);
	assert_true(k->exec->cluster_info);
	assert_string_equal(k->exec->install_hint, "get it");
	kubeconfig_destroy(k);
}

static void a_bare_command_is_left_to_the_path_and_v1beta1_needs_no_mode(void **state) {
	struct kubeconfig *k = good(HEAD CONTEXT CLUSTER(SERVER) USER(
		"exec: {apiVersion: client.authentication.k8s.io/v1beta1, command: get-token}"));

	(void)state;
	assert_string_equal(k->exec->argv[0], "get-token");
	assert_null(k->exec->argv[1]);
	kubeconfig_destroy(k);
}

static void impersonation_is_read(void **state) {
	struct kubeconfig *k = good(HEAD CONTEXT CLUSTER(SERVER)
					    USER("as: jane, as-uid: '7', as-groups: [g, h], "
						 "as-user-extra: {scopes: [x, y], reason: [z]}"));

	(void)state;
	assert_string_equal(k->as, "jane");
	assert_string_equal(k->as_uid, "7");
	assert_string_equal(k->as_groups[1], "h");
	assert_null(k->as_groups[2]);
	assert_string_equal(k->as_extra[1].name, "scopes");
	assert_string_equal(k->as_extra[1].value, "y");
	assert_string_equal(k->as_extra[2].name, "reason");
	assert_null(k->as_extra[3].name);
	kubeconfig_destroy(k);
}

static void unknown_keys_and_unused_entries_are_let_be(void **state) {
	struct kubeconfig *k = good(
		HEAD
		"preferences: {colors: true}\nextensions: [{name: x, extension: {}}]\n" CONTEXT
		"clusters: [{name: other, cluster: {server: 7}}, {name: k, cluster: {" SERVER
		", extensions: [], new-thing: 1}}]\n"
		"users: [{name: old, user: {username: a, password: b}}, {name: u, user: {}}]\n");

	(void)state;
	assert_string_equal(k->server, "https://api:6443");
	kubeconfig_destroy(k);
}

static void json_is_read_too(void **state) {
	struct kubeconfig *k = good(
		"{\"kind\": \"Config\", \"current-context\": \"c\", \"contexts\": [{\"name\": \"c\", "
		"\"context\": {\"cluster\": \"k\", \"user\": \"u\"}}], \"clusters\": [{\"name\": \"k\", "
		"\"cluster\": {\"server\": \"http://h\"}}], \"users\": [{\"name\": \"u\"}]}");

	(void)state;
	assert_string_equal(k->server, "http://h");
	assert_string_equal(kubeconfig_namespace(k), "");
	kubeconfig_destroy(k);
}

struct fault {
	const char *text, *says;
};

static void every_fault_says_where_and_what(void **state) {
	static const struct fault faults[] = {
		{"", "no current-context"},
		{"a: [", "/etc/k/config:"},
		{"---\na: 1\n---\nb: 2\n", "more than one document"},
		{"apiVersion: v2\n", "expected apiVersion: v1, kind: Config"},
		{"kind: Pod\n", "/etc/k/config:1: kind: expected apiVersion: v1, kind: Config"},
		{"kind: Config\n", "/etc/k/config: no current-context"},
		{"current-context: 7\n", "/etc/k/config:1: current-context: not a string"},
		{HEAD, "there is no context c"},
		{HEAD "contexts: {}\n", "/etc/k/config:4: contexts: not an array"},
		{HEAD "contexts:\n- {name: c}\n- {name: c}\n",
		 "/etc/k/config:6: contexts[1]: a second context c"},
		{HEAD "contexts: [{name: c}]\n", "contexts[0].context.cluster: missing"},
		{HEAD CONTEXT,
		 "/etc/k/config:4: contexts[0].context.cluster: there is no cluster k"},
		{HEAD CONTEXT CLUSTER(SERVER),
		 "/etc/k/config:4: contexts[0].context.user: there is no user u"},
		{HEAD "contexts: [{name: c, context: {cluster: k}}]\n" CLUSTER(SERVER),
		 "contexts[0].context.user: missing; expected the name of a user"},
		{HEAD CONTEXT CLUSTER("") USER(""), "clusters[0].cluster.server: missing"},
		{HEAD CONTEXT CLUSTER("server: 'api:6443'") USER(""),
		 "/etc/k/config:5: clusters[0].cluster.server: not a URL"},
		{HEAD CONTEXT CLUSTER("server: 'https://'") USER(""), "server: not a URL"},
		{HEAD CONTEXT CLUSTER("server: 'https://u@h'") USER(""), "server: not a URL"},
		{HEAD CONTEXT CLUSTER("server: 'https://h/?a'") USER(""), "server: not a URL"},
		{HEAD CONTEXT CLUSTER("server: \"https://h\\nX: y\"") USER(""),
		 "server: not a URL"},
		{HEAD CONTEXT CLUSTER("server: 'ftp://h'") USER(""), "server: not a URL"},
		{HEAD CONTEXT CLUSTER(SERVER ", proxy-url: 'quic://p'") USER(""),
		 "proxy-url: not a URL of scheme http, https or socks5"},
		{HEAD CONTEXT CLUSTER(SERVER ", certificate-authority-data: '!'") USER(""),
		 "certificate-authority-data: not base64"},
		{HEAD CONTEXT CLUSTER(SERVER ", certificate-authority-data: aGVsbG8=") USER(""),
		 "certificate-authority-data: not PEM in base64"},
		{HEAD CONTEXT CLUSTER(SERVER
				      ", certificate-authority: a, insecure-skip-tls-verify: true")
			 USER(""),
		 "insecure-skip-tls-verify: excludes certificate-authority"},
		{HEAD CONTEXT CLUSTER(SERVER ", insecure-skip-tls-verify: 1") USER(""),
		 "insecure-skip-tls-verify: not a boolean"},
		{HEAD CONTEXT CLUSTER(SERVER) "users: [{name: u, user: []}]\n", "users[0].user"},
		{HEAD CONTEXT CLUSTER(SERVER) USER("username: a"),
		 "users[0].user.username: Kubernetes has removed it"},
		{HEAD CONTEXT CLUSTER(SERVER) USER("auth-provider: {name: gcp}"),
		 "auth-provider: Kubernetes has removed it"},
		{HEAD CONTEXT CLUSTER(SERVER) USER("client-certificate: a"),
		 "users[0].user: has a client-certificate but no client-key"},
		{HEAD CONTEXT CLUSTER(SERVER) USER("client-key: a"),
		 "users[0].user: has a client-key but no client-certificate"},
		{HEAD CONTEXT CLUSTER(SERVER) USER("token: \"a\\nX-B: c\""), "control characters"},
		{HEAD CONTEXT CLUSTER(SERVER) USER("as-uid: '1'"), "need `as`"},
		{HEAD CONTEXT CLUSTER(SERVER) USER("as: a, as-groups: [1]"),
		 "users[0].user.as-groups[0]: not a string"},
		{HEAD CONTEXT CLUSTER(SERVER) USER("as: a, as-user-extra: []"),
		 "as-user-extra: not an object"},
		{HEAD CONTEXT CLUSTER(SERVER) USER("exec: {}"),
		 "users[0].user.exec.apiVersion: expected client.authentication.k8s.io/v1"},
		{HEAD CONTEXT CLUSTER(SERVER) USER(
			 "exec: {apiVersion: client.authentication.k8s.io/v1alpha1, command: a}"),
		 "exec.apiVersion: expected client.authentication.k8s.io/v1"},
		{HEAD CONTEXT CLUSTER(SERVER)
			 USER("exec: {apiVersion: client.authentication.k8s.io/v1}"),
		 "users[0].user.exec.command: missing"},
		{HEAD CONTEXT CLUSTER(SERVER)
			 USER("exec: {apiVersion: client.authentication.k8s.io/v1, command: a}"),
		 "exec.interactiveMode: missing"},
		{HEAD CONTEXT CLUSTER(SERVER)
			 USER("exec: {apiVersion: client.authentication.k8s.io/v1, "
			      "command: a, interactiveMode: Always}"),
		 "exec.interactiveMode: Always: a daemon has no terminal"},
		{HEAD CONTEXT CLUSTER(SERVER) USER(
			 "exec: {apiVersion: client.authentication.k8s.io/v1beta1, command: a, env: "
			 "[{name: 'A=B', value: c}]}"),
		 "exec.env[0]: name: missing, or holds '='"},
		{HEAD CONTEXT CLUSTER(SERVER)
			 USER("token: t, exec: {apiVersion: client.authentication.k8s.io/v1beta1, "
			      "command: a}"),
		 "users[0].user: has a token and exec"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
		struct kubeconfig *k = NULL;
		struct error err = {""};
		int ret = parse(&k, faults[i].text, &err);

		if (ret != -EINVAL || strstr(err.text, faults[i].says) == NULL)
			fail_msg("case %zu: %d \"%s\", expected \"%s\"", i, ret, err.text,
				 faults[i].says);
		assert_null(k);
	}
}

// --- several files ---

struct place {
	char dir[64], a[96], b[96], list[512];
};

static int setup(void **state) {
	struct place *p = calloc(1, sizeof(*p));

	strcpy(p->dir, "/tmp/test_kubeconfig.XXXXXX");
	assert_non_null(mkdtemp(p->dir));
	snprintf(p->a, sizeof(p->a), "%s/a", p->dir);
	snprintf(p->b, sizeof(p->b), "%s/sub/b", p->dir);
	snprintf(p->list, sizeof(p->list), "%s/sub", p->dir);
	assert_int_equal(mkdir(p->list, 0755), 0);
	snprintf(p->list, sizeof(p->list), "%s:%s/none::%s", p->a, p->dir, p->b);
	*state = p;
	return 0;
}

static int teardown(void **state) {
	struct place *p = *state;
	char command[96];

	snprintf(command, sizeof(command), "rm -rf %s", p->dir);
	assert_int_equal(system(command), 0);
	free(p);
	return 0;
}

static void write_file(const char *path, const char *text) {
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static void the_first_file_wins_for_each_name_and_paths_stay_with_their_file(void **state) {
	struct place *p = *state;
	struct kubeconfig *k;
	struct error err;
	char path[128];

	write_file(p->a, CLUSTER("server: 'https://first', certificate-authority: ca"));
	write_file(p->b, HEAD CONTEXT CLUSTER("server: 'https://second', tls-server-name: n")
				 USER("tokenFile: token"));
	assert_int_equal(kubeconfig_load(&k, p->list, &err), 0);
	assert_string_equal(k->server, "https://first");
	assert_null(k->tls_server_name); // entries are not mixed
	snprintf(path, sizeof(path), "%s/ca", p->dir);
	assert_string_equal(k->ca_file, path);
	snprintf(path, sizeof(path), "%s/sub/token", p->dir);
	assert_string_equal(k->token_file, path);
	kubeconfig_destroy(k);
}

static void the_first_current_context_wins(void **state) {
	struct place *p = *state;
	struct kubeconfig *k;
	struct error err;

	write_file(p->a, "current-context: d\n");
	write_file(p->b, HEAD
		   "contexts: [{name: c}, {name: d, context: {cluster: k, user: u}}]\n" CLUSTER(
			   SERVER) USER(""));
	assert_int_equal(kubeconfig_load(&k, p->list, &err), 0);
	assert_string_equal(k->context, "d");
	kubeconfig_destroy(k);
}

static void one_broken_file_breaks_a_list(void **state) {
	struct place *p = *state;
	struct kubeconfig *k = NULL;
	struct error err;

	write_file(p->a, HEAD CONTEXT CLUSTER(SERVER) USER(""));
	write_file(p->b, "a: b: c");
	assert_int_equal(kubeconfig_load(&k, p->list, &err), -EINVAL);
	assert_non_null(strstr(err.text, p->b));
	assert_null(k);
}

static void an_only_file_must_be_there_and_of_a_list_one(void **state) {
	struct place *p = *state;
	struct kubeconfig *k = NULL;
	struct error err;

	assert_int_equal(kubeconfig_load(&k, p->a, &err), -ENOENT);
	assert_non_null(strstr(err.text, "No such file"));
	assert_int_equal(kubeconfig_load(&k, p->list, &err), -ENOENT);
	assert_non_null(strstr(err.text, "none of these kubeconfig files exists"));
}

static void the_environment_names_the_default(void **state) {
	struct place *p = *state;
	struct kubeconfig *k;
	struct error err;
	char path[128];

	write_file(p->a, HEAD CONTEXT CLUSTER(SERVER) USER("token: a"));
	setenv("KUBECONFIG", p->list, 1);
	assert_int_equal(kubeconfig_load(&k, NULL, &err), 0);
	assert_string_equal(k->token, "a");
	kubeconfig_destroy(k);
	unsetenv("KUBECONFIG");
	setenv("HOME", p->dir, 1);
	snprintf(path, sizeof(path), "%s/.kube", p->dir);
	assert_int_equal(mkdir(path, 0755), 0);
	snprintf(path, sizeof(path), "%s/.kube/config", p->dir);
	write_file(path, HEAD CONTEXT CLUSTER(SERVER) USER("token: b"));
	assert_int_equal(kubeconfig_load(&k, NULL, &err), 0);
	assert_string_equal(k->token, "b");
	kubeconfig_destroy(k);
	unsetenv("HOME");
	assert_int_equal(kubeconfig_load(&k, NULL, &err), -ENOENT);
}

static void a_relative_file_is_where_we_are(void **state) {
	struct place *p = *state;
	struct kubeconfig *k;
	struct error err;
	char path[128];

	write_file(p->b, HEAD CONTEXT CLUSTER(SERVER) USER("tokenFile: t"));
	assert_int_equal(chdir(p->dir), 0);
	assert_int_equal(kubeconfig_load(&k, "sub/b", &err), 0);
	snprintf(path, sizeof(path), "%s/sub/t", p->dir);
	assert_string_equal(k->token_file, path);
	kubeconfig_destroy(k);
	assert_int_equal(chdir("/"), 0);
}

// --- in a pod ---

#define ACCOUNT "/var/run/secrets/kubernetes.io/serviceaccount"

static void a_pod_has_a_server_and_files(void **state) {
	struct place *p = *state;
	struct kubeconfig *k;
	struct error err;
	char text[512];

	setenv("KUBERNETES_SERVICE_HOST", "fd00::1", 1);
	setenv("KUBERNETES_SERVICE_PORT", "443", 1);
	snprintf(text, sizeof(text),
		 "mkdir -p %s" ACCOUNT " && printf kube-lb > %s" ACCOUNT "/namespace", p->dir,
		 p->dir);
	assert_int_equal(system(text), 0);
	assert_int_equal(kubeconfig_in_cluster_at(&k, p->dir, &err), 0);
	assert_string_equal(k->server, "https://[fd00::1]:443");
	snprintf(text, sizeof(text), "%s" ACCOUNT "/token", p->dir);
	assert_string_equal(k->token_file, text);
	snprintf(text, sizeof(text), "%s" ACCOUNT "/ca.crt", p->dir);
	assert_string_equal(k->ca_file, text);
	assert_string_equal(kubeconfig_namespace(k), "kube-lb");
	kubeconfig_destroy(k);
}

static void what_is_no_pod_is_told_so(void **state) {
	static const struct {
		const char *host, *port;
		int ret;
	} cases[] = {{NULL, "443", -ENOENT},       {"10.0.0.1", NULL, -ENOENT},
		     {"", "443", -ENOENT},         {"10.0.0.1", "0", -EINVAL},
		     {"10.0.0.1", "x", -EINVAL},   {"a/b", "443", -EINVAL},
		     {"10.0.0.1", "443 ", -EINVAL}};
	struct kubeconfig *k = NULL;
	struct error err;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		unsetenv("KUBERNETES_SERVICE_HOST");
		unsetenv("KUBERNETES_SERVICE_PORT");
		if (cases[i].host != NULL)
			setenv("KUBERNETES_SERVICE_HOST", cases[i].host, 1);
		if (cases[i].port != NULL)
			setenv("KUBERNETES_SERVICE_PORT", cases[i].port, 1);
		assert_int_equal(kubeconfig_in_cluster(&k, &err), cases[i].ret);
	}
	assert_null(k);
}

static void base64_is_strict_and_goes_both_ways(void **state) {
	static const char *const pairs[][2] = {
		{"", ""}, {"f", "Zg=="}, {"fo", "Zm8="}, {"foo", "Zm9v"}, {"foobar", "Zm9vYmFy"}};
	static const char *const bad[] = {"Z",     "Zg",  "Zg=",  "Zg===",    "Zm9v=",
					  "Zm9v!", "Z=g", "AA==", "Zm9v Zm9v"};
	char *text;

	(void)state;
	for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
		text = base64_encode(pairs[i][0]);
		assert_string_equal(text, pairs[i][1]);
		free(text);
		assert_int_equal(base64_decode(pairs[i][1], &text), 0);
		assert_string_equal(text, pairs[i][0]);
		free(text);
	}
	assert_int_equal(base64_decode("Zm9v\r\nYmFy\n", &text), 0);
	assert_string_equal(text, "foobar");
	free(text);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(base64_decode(bad[i], &text), -EINVAL);
}

int main(void) {
#define FILES(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(everything_about_a_cluster_is_read),
		cmocka_unit_test(data_wins_over_a_path_and_a_token_file_over_a_token),
		cmocka_unit_test(an_exec_plugin_is_read),
		cmocka_unit_test(a_bare_command_is_left_to_the_path_and_v1beta1_needs_no_mode),
		cmocka_unit_test(impersonation_is_read),
		cmocka_unit_test(unknown_keys_and_unused_entries_are_let_be),
		cmocka_unit_test(json_is_read_too),
		cmocka_unit_test(every_fault_says_where_and_what),
		FILES(the_first_file_wins_for_each_name_and_paths_stay_with_their_file),
		FILES(the_first_current_context_wins),
		FILES(one_broken_file_breaks_a_list),
		FILES(an_only_file_must_be_there_and_of_a_list_one),
		FILES(the_environment_names_the_default),
		FILES(a_relative_file_is_where_we_are),
		FILES(a_pod_has_a_server_and_files),
		cmocka_unit_test(what_is_no_pod_is_told_so),
		cmocka_unit_test(base64_is_strict_and_goes_both_ways),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
