// SPDX-License-Identifier: Apache-2.0
// Files and plugins behind one view.
#include "api/credentials.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "api/exec_plugin.h"
#include "api/watched_file.h"
#include "base/log.h"

enum { CA, CERT, KEY, TOKEN, N_FILES };

struct credentials {
	const struct kubeconfig *k;
	struct watched_file files[N_FILES]; // path NULL: none
	struct exec_plugin *plugin;         // NULL: none
	unsigned file_changes;
	struct error trouble;
};

static const char *reason_pem(char *text) {
	return strstr(text, "-----BEGIN ") != NULL ? NULL : "not PEM";
}

static const char *reason_token(char *text) {
	size_t n = strlen(text);

	while (n > 0 && strchr(" \t\r\n", text[n - 1]) != NULL)
		text[--n] = '\0';
	n = strspn(text, " \t\r\n");
	memmove(text, text + n, strlen(text + n) + 1);
	if (*text == '\0')
		return "empty, expected a token";
	for (; *text != '\0'; text++)
		if (*text <= ' ' || *text >= 0x7f)
			return "not a token: holds blanks or controls";
	return NULL;
}

struct credentials *credentials_create(const struct kubeconfig *k, struct event_base *base,
				       void (*settled)(void *arg), void *arg) {
	struct credentials *c = calloc(1, sizeof(*c));

	if (c == NULL)
		return NULL;
	c->k = k;
	watched_file_init(&c->files[CA], k->ca_file, reason_pem);
	watched_file_init(&c->files[CERT], k->cert_file, reason_pem);
	watched_file_init(&c->files[KEY], k->key_file, reason_pem);
	watched_file_init(&c->files[TOKEN], k->token_file, reason_token);
	if (k->exec == NULL)
		return c;
	c->plugin = exec_plugin_create(k, base, settled, arg);
	if (c->plugin == NULL) {
		free(c);
		return NULL;
	}
	return c;
}

void credentials_destroy(struct credentials *c) {
	if (c == NULL)
		return;
	for (int i = 0; i < N_FILES; i++)
		watched_file_fini(&c->files[i]);
	exec_plugin_destroy(c->plugin);
	free(c);
}

static bool refresh_files(struct credentials *c, int64_t now_ms, bool force) {
	bool changed = false;

	for (int i = 0; i < N_FILES; i++)
		if (c->files[i].path != NULL)
			changed |= watched_file_refresh(&c->files[i], now_ms, force);
	c->file_changes += changed;
	return changed;
}

// The first trouble there is; told when it is another one than before.
static void tell_trouble(struct credentials *c) {
	const char *text = c->plugin != NULL ? exec_plugin_trouble(c->plugin) : "";

	for (int i = 0; i < N_FILES && *text == '\0'; i++)
		if (c->files[i].path != NULL)
			text = c->files[i].trouble.text;
	if (strcmp(text, c->trouble.text) == 0)
		return;
	if (*text != '\0')
		log_warn("kubernetes: credentials of user %s: %s", c->k->user, text);
	else
		log_info("kubernetes: credentials of user %s are well again", c->k->user);
	error_set(&c->trouble, 0, "%s", text);
}

static int check_files(const struct credentials *c, struct error *err) {
	for (int i = 0; i < N_FILES; i++)
		if (c->files[i].path != NULL && c->files[i].text == NULL)
			return error_set(err, -EIO, "%s", c->files[i].trouble.text);
	return 0;
}

static const char *either(const char *inline_text, const struct watched_file *f) {
	return inline_text != NULL ? inline_text : f->text;
}

// What the plugin printed takes the place of the kubeconfig's.
static int add_plugin(struct credentials *c, int64_t now_ms, struct credentials_view *v,
		      struct error *err) {
	const struct exec_credential *e;
	int ret = exec_plugin_get(c->plugin, now_ms, v->ca, &e, err);

	tell_trouble(c);
	if (ret < 0)
		return ret;
	v->token = e->token;
	if (e->cert != NULL) {
		v->cert = e->cert;
		v->key = e->key;
	}
	v->version += exec_plugin_changes(c->plugin);
	return 0;
}

int credentials_get(struct credentials *c, int64_t now_ms, struct credentials_view *out,
		    struct error *err) {
	struct credentials_view v;
	int ret;

	refresh_files(c, now_ms, false);
	tell_trouble(c);
	ret = check_files(c, err);
	if (ret < 0)
		return ret;
	v = (struct credentials_view){
		.ca = either(c->k->ca, &c->files[CA]),
		.cert = either(c->k->cert, &c->files[CERT]),
		.key = either(c->k->key, &c->files[KEY]),
		.token = either(c->k->token, &c->files[TOKEN]),
		.version = c->file_changes,
	};
	if (c->plugin != NULL)
		ret = add_plugin(c, now_ms, &v, err);
	if (ret == 0)
		*out = v;
	return ret;
}

bool credentials_refused(struct credentials *c, int64_t now_ms, unsigned version) {
	unsigned changes = c->plugin != NULL ? exec_plugin_changes(c->plugin) : 0;

	// Both counts only grow, and so does their sum: somebody else's refusal may have brought news already.
	if (refresh_files(c, now_ms, true) || c->file_changes + changes != version)
		return true;
	return c->plugin != NULL && exec_plugin_refused(c->plugin, now_ms);
}

unsigned credentials_plugin_runs(const struct credentials *c) {
	return c->plugin != NULL ? exec_plugin_runs(c->plugin) : 0;
}

const char *credentials_trouble(const struct credentials *c) {
	return c->trouble.text;
}
