// SPDX-License-Identifier: Apache-2.0
// When a plugin runs and what becomes of its output.
#include "api/exec_plugin.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "api/exec_run.h"

#define RUN_MS 60000   // then it is ended
#define EARLY_MS 10000 // so long before the expiry it runs again
#define RETRY_MS 1000  // after the first failure
#define RETRY_MAX_MS 10000
#define REFUSED_MS 10000 // between two runs because of refusals
#define EXPIRED_MS                                                                                 \
	60000 // how long credentials count that are expired when they come: one of the two clocks is wrong
#define INFO "KUBERNETES_EXEC_INFO="

struct exec_plugin {
	const struct kubeconfig *k;
	struct event_base *base;
	void (*settled)(void *arg);
	void *arg;
	struct exec_run *run; // NULL: it does not run
	struct exec_credential now;
	bool have, refused;
	int64_t fresh_until_ms, good_until_ms;
	int64_t started_ms, next_ms; // monotonic; next: no run before
	unsigned failures, changes, runs;
	struct error trouble;
};

struct exec_plugin *exec_plugin_create(const struct kubeconfig *k, struct event_base *base,
				       void (*settled)(void *arg), void *arg) {
	struct exec_plugin *p = calloc(1, sizeof(*p));

	if (p == NULL)
		return NULL;
	p->k = k;
	p->base = base;
	p->settled = settled;
	p->arg = arg;
	p->started_ms = -REFUSED_MS;
	return p;
}

void exec_plugin_destroy(struct exec_plugin *p) {
	if (p == NULL)
		return;
	if (p->run != NULL)
		exec_kill(p->run);
	exec_credential_fini(&p->now);
	free(p);
}

// --- the end of a run ---

static bool same_text(const char *a, const char *b) {
	return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

static int64_t saturated(int64_t ms, int64_t seconds) {
	return seconds > (INT64_MAX - ms) / 1000 ? INT64_MAX : ms + 1000 * seconds;
}

// Lifetimes count from the start of the run. The wall clock is asked once, here: a jump of it later changes nothing.
static void take(struct exec_plugin *p, struct exec_credential *c) {
	int64_t wall = time(NULL);
	int64_t lifetime = c->expires > wall ? c->expires - wall : EXPIRED_MS / 1000;

	if (!p->have || !same_text(p->now.token, c->token) || !same_text(p->now.cert, c->cert) ||
	    !same_text(p->now.key, c->key))
		p->changes++;
	exec_credential_fini(&p->now);
	p->now = *c;
	p->have = true;
	p->good_until_ms = c->expires == INT64_MAX ? INT64_MAX : saturated(p->started_ms, lifetime);
	p->fresh_until_ms = p->good_until_ms == INT64_MAX ? INT64_MAX : p->good_until_ms - EARLY_MS;
	if (p->fresh_until_ms <= p->started_ms + RETRY_MS) // shorter than our lead: at each half
		p->fresh_until_ms = p->started_ms + 500 * lifetime;
	p->failures = 0;
	p->trouble.text[0] = '\0';
}

static void fail(struct exec_plugin *p, const char *what) {
	int64_t wait = RETRY_MAX_MS;

	if (p->failures < 5)
		wait = RETRY_MS << p->failures++;
	p->next_ms = p->started_ms + (wait < RETRY_MAX_MS ? wait : RETRY_MAX_MS);
	error_set(&p->trouble, 0, "exec plugin %.200s: %s", p->k->exec->argv[0], what);
}

// How it ended, when not well, and what it said to people.
static bool ended_badly(const struct exec_result *r, char *what, size_t size) {
	size_t n = 0;

	if (r->error == -ETIMEDOUT)
		n = (size_t)snprintf(what, size, "ended after %d s without an answer",
				     RUN_MS / 1000);
	else if (r->error == -EFBIG)
		n = (size_t)snprintf(what, size, "prints more than %u bytes", EXEC_OUT_MAX);
	else if (r->error != 0)
		n = (size_t)snprintf(what, size, "%s", strerror(-r->error));
	else if (WIFSIGNALED(r->status))
		n = (size_t)snprintf(what, size, "killed by signal %d", WTERMSIG(r->status));
	else if (WEXITSTATUS(r->status) != 0)
		n = (size_t)snprintf(what, size, "exit status %d", WEXITSTATUS(r->status));
	else
		return false;
	if (*r->err != '\0')
		snprintf(what + n, size - n, ": %s", r->err);
	for (n = strlen(what); n > 0 && isspace((unsigned char)what[n - 1]); n--)
		what[n - 1] = '\0';
	for (char *c = what; *c != '\0'; c++) // one line, for a log
		if ((unsigned char)*c < ' ')
			*c = ' ';
	return true;
}

static void on_done(void *arg, const struct exec_result *r) {
	struct exec_plugin *p = arg;
	struct exec_credential c;
	char what[EXEC_ERR_MAX + 100];
	struct error err;

	p->run = NULL;
	p->refused = false;
	if (ended_badly(r, what, sizeof(what)))
		fail(p, what);
	else if (exec_credential_parse(&c, r->out, r->n, p->k->exec->api_version, &err) < 0)
		fail(p, err.text);
	else
		take(p, &c);
	p->settled(p->arg);
}

// --- its start ---

static bool is_set_by(const char *variable, char *const *list) {
	size_t n = strcspn(variable, "=") + 1;

	if (strncmp(variable, INFO, strlen(INFO)) == 0)
		return true;
	for (; *list != NULL; list++)
		if (strncmp(*list, variable, n) == 0)
			return true;
	return false;
}

static size_t length(char *const *list) {
	size_t n = 0;

	while (list[n] != NULL)
		n++;
	return n;
}

// Ours, then the kubeconfig's, then what the interface promises. The array alone is the caller's.
static char **environment(const struct exec_plugin *p, char *info) {
	char *const *own = p->k->exec->env;
	char **env = calloc(length(environ) + length(own) + 2, sizeof(*env));
	size_t n = 0;

	if (env == NULL)
		return NULL;
	for (char **v = environ; *v != NULL; v++)
		if (!is_set_by(*v, own))
			env[n++] = *v;
	for (; *own != NULL; own++)
		env[n++] = *own;
	env[n] = info;
	return env;
}

static int spawn(struct exec_plugin *p, const char *ca) {
	char *info = exec_credential_info(p->k, ca), *variable = NULL, **env = NULL;
	int ret = -ENOMEM;

	if (info != NULL && asprintf(&variable, INFO "%s", info) < 0)
		variable = NULL;
	if (variable != NULL)
		env = environment(p, variable);
	if (env != NULL)
		ret = exec_start(&p->run, p->base, p->k->exec->argv, env, RUN_MS, on_done, p);
	free(env);
	free(variable);
	free(info);
	return ret;
}

static void start(struct exec_plugin *p, int64_t now_ms, const char *ca) {
	const char *hint = p->k->exec->install_hint;
	char what[400];
	int ret;

	p->started_ms = now_ms;
	p->runs++;
	ret = spawn(p, ca);
	if (ret == 0)
		return;
	snprintf(what, sizeof(what), "can't be run: %s%s%.300s", strerror(-ret),
		 ret == -ENOENT && hint != NULL ? "; " : "",
		 ret == -ENOENT && hint != NULL ? hint : "");
	fail(p, what);
}

int exec_plugin_get(struct exec_plugin *p, int64_t now_ms, const char *ca,
		    const struct exec_credential **out, struct error *err) {
	bool good = p->have && now_ms < p->good_until_ms;

	if ((!good || p->refused || now_ms >= p->fresh_until_ms) && p->run == NULL &&
	    now_ms >= p->next_ms)
		start(p, now_ms, ca);
	// Those that were refused are no use to anybody while new ones are being made.
	if (p->run != NULL && (!good || p->refused))
		return -EAGAIN;
	if (!good)
		return error_set(err, -EIO, "%s", p->trouble.text);
	*out = &p->now;
	return 0;
}

bool exec_plugin_refused(struct exec_plugin *p, int64_t now_ms) {
	if (p->run == NULL && now_ms - p->started_ms < REFUSED_MS)
		return false;
	p->refused = true;
	return true;
}

unsigned exec_plugin_changes(const struct exec_plugin *p) {
	return p->changes;
}

unsigned exec_plugin_runs(const struct exec_plugin *p) {
	return p->runs;
}

const char *exec_plugin_trouble(const struct exec_plugin *p) {
	return p->trouble.text;
}
