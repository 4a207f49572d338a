// SPDX-License-Identifier: Apache-2.0
// Files that are replaced, plugins that answer well, badly or not at all; the clock is the test's.
#include "api_server.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include "api/credentials.h"
#include "api/exec_credential.h"
#include "api/exec_run.h"
#include "base/log.h"

#define PEM_A "-----BEGIN A-----\n"
#define PEM_B "-----BEGIN B-----\n"
#define V1 "client.authentication.k8s.io/v1"

struct place {
	char dir[64], file[96], plugin[96];
	struct event_base *base;
	struct kubeconfig k;
	struct kubeconfig_exec exec;
	char *argv[4];
	char *env[3];
	struct credentials *c;
	int settled;
	int64_t now;
	struct credentials_view v;
	struct error err;
};

static void on_settled(void *arg) {
	struct place *p = arg;

	p->settled++;
}

static int setup(void **state) {
	struct place *p = calloc(1, sizeof(*p));

	strcpy(p->dir, "/tmp/test_credentials.XXXXXX");
	assert_non_null(mkdtemp(p->dir));
	snprintf(p->file, sizeof(p->file), "%s/file", p->dir);
	snprintf(p->plugin, sizeof(p->plugin), "%s/plugin", p->dir);
	p->base = event_base_new();
	p->k.user = (char *)"u";
	p->k.server = (char *)"https://api";
	p->argv[0] = p->plugin;
	p->exec = (struct kubeconfig_exec){.api_version = (char *)V1,
					   .argv = p->argv,
					   .env = p->env};
	p->now = 1000000;
	*state = p;
	return 0;
}

static int teardown(void **state) {
	struct place *p = *state;
	char command[128];

	credentials_destroy(p->c);
	event_base_free(p->base);
	snprintf(command, sizeof(command), "rm -rf %s", p->dir);
	assert_int_equal(system(command), 0);
	free(p);
	return 0;
}

static void begin(struct place *p) {
	p->c = credentials_create(&p->k, p->base, on_settled, p);
	assert_non_null(p->c);
}

static int view(struct place *p) {
	return credentials_get(p->c, p->now, &p->v, &p->err);
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

// --- files ---

static void a_replaced_token_counts_at_once(void **state) {
	struct place *p = *state;
	unsigned version;

	p->k.token_file = p->file;
	write_file(p->file, "one\n");
	begin(p);
	assert_int_equal(view(p), 0);
	assert_string_equal(p->v.token, "one");
	version = p->v.version;
	assert_int_equal(view(p), 0);
	assert_int_equal(p->v.version, version);
	write_file(p->file, "  two \n");
	assert_int_equal(view(p), 0);
	assert_string_equal(p->v.token, "two");
	assert_int_not_equal(p->v.version, version);
}

// In place, as long as before, with the old time: what a file system with coarse times shows.
static void rewrite_unseen(const char *path, const char *text) {
	struct timespec times[2];
	struct stat st;
	FILE *f;

	assert_int_equal(stat(path, &st), 0);
	f = fopen(path, "r+");
	fputs(text, f);
	fclose(f);
	times[0] = st.st_atim;
	times[1] = st.st_mtim;
	assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
}

static void a_change_that_nobody_sees_counts_within_a_minute(void **state) {
	struct place *p = *state;

	p->k.token_file = p->file;
	write_file(p->file, "one");
	begin(p);
	assert_int_equal(view(p), 0);
	rewrite_unseen(p->file, "two");
	p->now += 59999;
	assert_int_equal(view(p), 0);
	assert_string_equal(p->v.token, "one");
	p->now += 1;
	assert_int_equal(view(p), 0);
	assert_string_equal(p->v.token, "two");
}

static void a_refusal_reads_files_again_and_says_whether_that_helped(void **state) {
	struct place *p = *state;
	unsigned version;

	p->k.token_file = p->file;
	write_file(p->file, "one");
	begin(p);
	assert_int_equal(view(p), 0);
	version = p->v.version;
	assert_false(credentials_refused(p->c, p->now, version));
	rewrite_unseen(p->file, "two");
	assert_true(credentials_refused(p->c, p->now, version));
	assert_true(
		credentials_refused(p->c, p->now, version)); // another exchange with the old one
	assert_int_equal(view(p), 0);
	assert_string_equal(p->v.token, "two");
	assert_false(credentials_refused(p->c, p->now, p->v.version));
}

static void a_file_that_breaks_leaves_the_last_good_content(void **state) {
	static const char *const broken[] = {"", " \n", "a b", "a\nX: b", "\xc3\xa4"};
	struct place *p = *state;

	p->k.token_file = p->file;
	write_file(p->file, "one");
	begin(p);
	assert_int_equal(view(p), 0);
	for (size_t i = 0; i < sizeof(broken) / sizeof(broken[0]); i++) {
		write_file(p->file, broken[i]);
		assert_int_equal(view(p), 0);
		assert_string_equal(p->v.token, "one");
		assert_non_null(strstr(credentials_trouble(p->c), p->file));
	}
	assert_int_equal(unlink(p->file), 0);
	assert_int_equal(view(p), 0);
	assert_string_equal(p->v.token, "one");
	assert_non_null(strstr(credentials_trouble(p->c), "No such file"));
	write_file(p->file, "two");
	assert_int_equal(view(p), 0);
	assert_string_equal(p->v.token, "two");
	assert_string_equal(credentials_trouble(p->c), "");
}

static void a_file_that_was_never_good_is_an_error_until_it_is(void **state) {
	struct place *p = *state;

	p->k.ca_file = p->file;
	begin(p);
	assert_int_equal(view(p), -EIO);
	assert_non_null(strstr(p->err.text, "No such file"));
	write_file(p->file, "no certificate");
	assert_int_equal(view(p), -EIO);
	assert_non_null(strstr(p->err.text, "not PEM"));
	write_file(p->file, PEM_A);
	assert_int_equal(view(p), 0);
	assert_string_equal(p->v.ca, PEM_A);
	write_file(p->file, PEM_B);
	assert_int_equal(view(p), 0);
	assert_string_equal(p->v.ca, PEM_B);
}

static void a_mounted_secret_is_swapped_by_its_link(void **state) {
	struct place *p = *state;
	char command[512];

	snprintf(
		command, sizeof(command),
		"cd %s && mkdir 1 2 && printf one >1/token && printf two >2/token && ln -s 1 ..data && "
		"ln -s ..data/token file",
		p->dir);
	assert_int_equal(system(command), 0);
	p->k.token_file = p->file;
	begin(p);
	assert_int_equal(view(p), 0);
	snprintf(command, sizeof(command), "cd %s && ln -s 2 ..new && mv -T ..new ..data", p->dir);
	assert_int_equal(system(command), 0);
	assert_int_equal(view(p), 0);
	assert_string_equal(p->v.token, "two");
}

// --- plugins ---

// A plugin that runs these lines. (The shell is its own business, as the first line says.)
static void plugin(struct place *p, const char *lines) {
	FILE *f = fopen(p->plugin, "w");

	fprintf(f, "#!/bin/sh\n%s\n", lines);
	fclose(f);
	assert_int_equal(chmod(p->plugin, 0755), 0);
	p->k.exec = &p->exec;
}

#define PRINT(status)                                                                              \
	"printf '%s' '{\"apiVersion\": \"" V1                                                      \
	"\", \"kind\": \"ExecCredential\", \"status\": {" status "}}'"

static void settle(struct place *p) {
	int before = p->settled;

	assert_int_equal(view(p), -EAGAIN);
	assert_true(run_until(p->base, &p->settled, before + 1));
}

static void a_plugin_is_waited_for_and_then_asked_no_more(void **state) {
	struct place *p = *state;

	plugin(p, "echo x >>$0.runs; " PRINT("\"token\": \"secret\""));
	begin(p);
	settle(p);
	assert_int_equal(view(p), 0);
	assert_string_equal(p->v.token, "secret");
	p->now += INT64_C(1000) * 86400 * 365;
	assert_int_equal(view(p), 0);
	assert_int_equal(credentials_plugin_runs(p->c), 1);
}

static void it_gets_arguments_and_environment_and_the_cluster(void **state) {
	struct place *p = *state;

	p->argv[1] = (char *)"a b";
	p->argv[2] = (char *)"$HOME;c";
	p->env[0] = (char *)"EXTRA=e";
	p->env[1] = (char *)"TERM=mine";
	p->exec.cluster_info = true;
	p->exec.config = (char *)"{\"x\":1}";
	p->k.ca = (char *)PEM_A;
	setenv("TERM", "theirs", 1);
	plugin(p,
	       "case \"$KUBERNETES_EXEC_INFO\" in '{\"apiVersion\":\"" V1
	       "\",\"kind\":\"ExecCredential\",\"spec\":{\"interactive\":false,\"cluster\":{\"server\":\"https:/"
	       "/api\",\"certificate-authority-data\":\"LS0tLS1CRUdJTiBBLS0tLS0K\",\"config\":{\"x\":1}}}}') "
	       ";; *) echo \"info: $KUBERNETES_EXEC_INFO\" >&2; exit 1;; esac\n"
	       "[ \"$#:$1:$2:$EXTRA:$TERM\" = '2:a b:$HOME;c:e:mine' ] || { echo \"$*\" >&2; exit 2; }\n"
	       "read -r line && exit 3\n" PRINT("\"token\": \"t\""));
	begin(p);
	settle(p);
	if (view(p) < 0)
		fail_msg("%s", p->err.text);
}

static void a_certificate_takes_the_place_of_the_files(void **state) {
	struct place *p = *state;

	p->k.cert = (char *)PEM_A;
	p->k.key = (char *)PEM_A;
	plugin(p,
	       PRINT("\"clientCertificateData\": \"-----BEGIN C-----\", \"clientKeyData\": \"-----BEGIN "
		     "K-----\""));
	begin(p);
	settle(p);
	assert_int_equal(view(p), 0);
	assert_string_equal(p->v.cert, "-----BEGIN C-----");
	assert_string_equal(p->v.key, "-----BEGIN K-----");
	assert_null(p->v.token);
}

static void expiry_runs_it_ahead_of_time_while_the_old_ones_count(void **state) {
	struct place *p = *state;
	int64_t begun = p->now;

	plugin(p, "n=$(cat $0.n 2>/dev/null); echo x$n >$0.n\n"
		  "printf '{\"apiVersion\": \"" V1
		  "\", \"kind\": \"ExecCredential\", \"status\": {\"token\": "
		  "\"t%s\", \"expirationTimestamp\": \"%s\"}}' \"$n\" \"$(date -u -d '+1 hour' "
		  "+%Y-%m-%dT%H:%M:%SZ)\"");
	begin(p);
	settle(p);
	p->now = begun + 3580 * 1000;
	assert_int_equal(view(p), 0);
	assert_int_equal(credentials_plugin_runs(p->c), 1);
	p->now = begun + 3595 * 1000;
	assert_int_equal(view(p), 0); // still the first
	assert_string_equal(p->v.token, "t");
	assert_int_equal(credentials_plugin_runs(p->c), 2);
	assert_true(run_until(p->base, &p->settled, 2));
	assert_int_equal(view(p), 0);
	assert_string_equal(p->v.token, "tx");
	p->now += 7200 * 1000; // long expired: nobody goes on with it
	settle(p);
	assert_int_equal(view(p), 0);
	assert_string_equal(p->v.token, "txx");
}

static void credentials_that_come_expired_count_for_a_minute(void **state) {
	struct place *p = *state;

	plugin(p, PRINT("\"token\": \"t\", \"expirationTimestamp\": \"2001-02-03T04:05:06Z\""));
	begin(p);
	settle(p);
	assert_int_equal(view(p), 0);
	p->now += 40000;
	assert_int_equal(view(p), 0);
	assert_int_equal(credentials_plugin_runs(p->c), 1);
	p->now += 30000;
	settle(p);
	assert_int_equal(credentials_plugin_runs(p->c), 2);
}

static void a_refusal_runs_it_again_but_not_without_end(void **state) {
	struct place *p = *state;

	plugin(p, PRINT("\"token\": \"t\""));
	begin(p);
	settle(p);
	assert_int_equal(view(p), 0);
	assert_false(credentials_refused(p->c, p->now + 9999, p->v.version)); // it has just run
	p->now += 10000;
	assert_true(credentials_refused(p->c, p->now, p->v.version));
	settle(p);
	assert_int_equal(view(p), 0);
	assert_false(credentials_refused(p->c, p->now, p->v.version));
	assert_int_equal(credentials_plugin_runs(p->c), 2);
}

static void failures_name_the_command_and_its_words_and_are_retried_later_and_later(void **state) {
	struct place *p = *state;

	plugin(p, "echo 'no ticket:' >&2; echo 'run kinit' >&2; exit 3");
	begin(p);
	settle(p);
	for (int64_t wait = 1000; wait <= 8000; wait *= 2) {
		assert_int_equal(view(p), -EIO);
		assert_non_null(strstr(p->err.text, p->plugin));
		assert_non_null(strstr(p->err.text, "exit status 3: no ticket: run kinit"));
		p->now += wait - 1;
		assert_int_equal(view(p), -EIO);
		p->now += 1;
		settle(p);
	}
	p->now += 9999;
	assert_int_equal(view(p), -EIO);
	p->now += 1;
	plugin(p, PRINT("\"token\": \"t\""));
	settle(p);
	assert_int_equal(view(p), 0);
	assert_string_equal(credentials_trouble(p->c), "");
}

static void what_it_prints_is_judged_and_never_told(void **state) {
	static const char *const cases[][2] = {
		{"", "no JSON object"},
		{"echo secret", "no JSON object"},
		{"echo '[1]'", "no JSON object"},
		{"echo '{\"kind\": \"ExecCredential\", \"apiVersion\": "
		 "\"client.authentication.k8s.io/v1beta1\"}'",
		 "prints client.authentication.k8s.io/v1beta1 ExecCredential, expected " V1},
		{"echo '{\"kind\": \"Pod\", \"apiVersion\": \"" V1 "\"}'", "prints " V1 " Pod"},
		{PRINT(""), "neither a token nor a certificate"},
		{PRINT("\"token\": \"a b\""), "blanks"},
		{PRINT("\"token\": 1"), "not a string"},
		{PRINT("\"token\": \"t\", \"expirationTimestamp\": \"soon\""), "is no time"},
		{PRINT("\"clientCertificateData\": \"-----BEGIN C\""), "without the other"},
		{PRINT("\"clientCertificateData\": \"secret\", \"clientKeyData\": \"-----BEGIN\""),
		 "not PEM"},
		{"kill -9 $$", "killed by signal 9"},
		{"head -c 2000000 /dev/zero", "prints more than"},
	};
	struct place *p = *state;

	plugin(p, "exit 1");
	begin(p);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		plugin(p, cases[i][0]);
		settle(p);
		assert_int_equal(view(p), -EIO);
		if (strstr(p->err.text, cases[i][1]) == NULL ||
		    strstr(p->err.text, "secret") != NULL)
			fail_msg("case %zu: \"%s\"", i, p->err.text);
		p->now += 60000;
	}
}

static void a_missing_command_comes_with_its_hint(void **state) {
	struct place *p = *state;

	p->k.exec = &p->exec;
	p->exec.install_hint = (char *)"apt-get install it";
	begin(p);
	assert_int_equal(view(p), -EIO);
	assert_non_null(strstr(p->err.text, p->plugin));
	assert_non_null(strstr(p->err.text, "No such file or directory; apt-get install it"));
}

static void a_running_plugin_dies_with_its_owner(void **state) {
	struct place *p = *state;
	char path[128];
	int pid = 0, waited = 0;
	FILE *f;

	plugin(p, "sleep 1000 & echo $! >$0.pid; wait");
	begin(p);
	assert_int_equal(view(p), -EAGAIN);
	snprintf(path, sizeof(path), "%s.pid", p->plugin);
	while (pid == 0 && waited++ < 500) {
		run_for(p->base, 10);
		f = fopen(path, "r");
		if (f != NULL && fscanf(f, "%d", &pid) != 1)
			pid = 0;
		if (f != NULL)
			fclose(f);
	}
	assert_int_not_equal(pid, 0);
	credentials_destroy(p->c);
	p->c = NULL;
	for (waited = 0; kill(pid, 0) == 0 && waited < 500; waited++) // its child too
		run_for(p->base, 10);
	assert_int_equal(kill(pid, 0), -1);
	assert_int_equal(p->settled, 0);
}

struct ran {
	int done, error;
};

static void on_done(void *arg, const struct exec_result *r) {
	struct ran *ran = arg;

	ran->done++;
	ran->error = r->error;
}

static void a_program_that_hangs_is_ended_though_its_child_holds_the_pipe(void **state) {
	struct place *p = *state;
	char *const argv[] = {(char *)"sh", (char *)"-c", (char *)"sleep 1000 & sleep 1000", NULL};
	char *const env[] = {(char *)"PATH=/usr/bin:/bin", NULL};
	struct exec_run *r;
	struct ran ran = {0};

	assert_int_equal(exec_start(&r, p->base, argv, env, 100, on_done, &ran), 0);
	assert_true(run_until(p->base, &ran.done, 1));
	assert_int_equal(ran.error, -ETIMEDOUT);
}

static void times_of_rfc_3339_are_read(void **state) {
	static const struct {
		const char *text;
		int64_t at;
	} cases[] = {
		{"1970-01-01T00:00:00Z", 0},
		{"2018-03-05T17:30:20-08:00", 1520299820},
		{"2018-03-06T01:30:20Z", 1520299820},
		{"2018-03-06T01:30:20.999999999Z", 1520299820},
		{"2018-03-06T02:00:20+00:30", 1520299820},
		{"", -1},
		{"2018-03-06", -1},
		{"2018-03-06T01:30:20", -1},
		{"2018-03-06T01:30:20z ", -1},
		{"2018-13-06T01:30:20Z", -1},
		{"2018-03-06T01:30:20+1", -1},
		{"2018-03-06T01:30:20+01:00x", -1},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int64_t at = -1;
		int ret = exec_credential_time(cases[i].text, &at);

		if (at != cases[i].at || (ret == 0) != (at >= 0))
			fail_msg("%s: %d %lld", cases[i].text, ret, (long long)at);
	}
}

int main(void) {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(a_replaced_token_counts_at_once),
		T(a_change_that_nobody_sees_counts_within_a_minute),
		T(a_refusal_reads_files_again_and_says_whether_that_helped),
		T(a_file_that_breaks_leaves_the_last_good_content),
		T(a_file_that_was_never_good_is_an_error_until_it_is),
		T(a_mounted_secret_is_swapped_by_its_link),
		T(a_plugin_is_waited_for_and_then_asked_no_more),
		T(it_gets_arguments_and_environment_and_the_cluster),
		T(a_certificate_takes_the_place_of_the_files),
		T(expiry_runs_it_ahead_of_time_while_the_old_ones_count),
		T(credentials_that_come_expired_count_for_a_minute),
		T(a_refusal_runs_it_again_but_not_without_end),
		T(failures_name_the_command_and_its_words_and_are_retried_later_and_later),
		T(what_it_prints_is_judged_and_never_told),
		T(a_missing_command_comes_with_its_hint),
		T(a_running_plugin_dies_with_its_owner),
		T(a_program_that_hangs_is_ended_though_its_child_holds_the_pipe),
		cmocka_unit_test(times_of_rfc_3339_are_read),
	};

	log_init(LOG_ERROR, false);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
