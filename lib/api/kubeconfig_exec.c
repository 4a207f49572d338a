// SPDX-License-Identifier: Apache-2.0
// The exec plugin of a kubeconfig's user.
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "api/kubeconfig_decode.h"

#define GROUP "client.authentication.k8s.io/" // also before the name of the plugin's extension

static int no_memory(struct error *err) {
	return error_set(err, -ENOMEM, "out of memory");
}

static int get_command(struct kubeconfig_exec *x, const struct doc_node *n, const char *dir,
		       struct error *err) {
	const char *command = NULL;
	struct doc_node m;
	int ret = doc_member(&m, n, "command", err);

	if (ret == 0)
		ret = doc_string(&m, &command, err);
	if (ret < 0)
		return ret;
	if (command == NULL || *command == '\0')
		return doc_fault(&m, err, -EINVAL, "missing; expected a program");
	// A bare name is looked up in PATH when it runs.
	x->argv[0] = strchr(command, '/') != NULL ? kubeconfig_join(dir, command) : strdup(command);
	return x->argv[0] != NULL ? 0 : no_memory(err);
}

static int get_argv(struct kubeconfig_exec *x, const struct doc_node *n, const char *dir,
		    struct error *err) {
	struct doc_node list, e;
	const char *text;
	size_t size;
	int ret = doc_member(&list, n, "args", err);

	if (ret == 0)
		ret = doc_array_size(&list, &size, err);
	if (ret < 0)
		return ret;
	x->argv = calloc(size + 2, sizeof(*x->argv));
	if (x->argv == NULL)
		return no_memory(err);
	ret = get_command(x, n, dir, err);
	for (size_t i = 0; ret == 0 && i < size; i++) {
		e = doc_element(&list, i);
		text = "";
		ret = doc_string(&e, &text, err);
		if (ret == 0 && (x->argv[i + 1] = strdup(text)) == NULL)
			ret = no_memory(err);
	}
	return ret;
}

static int get_variable(char **out, const struct doc_node *e, struct error *err) {
	const char *name = NULL, *value = "";
	int ret = doc_get_string(e, "name", &name, err);

	if (ret == 0)
		ret = doc_get_string(e, "value", &value, err);
	if (ret < 0)
		return ret;
	if (name == NULL || *name == '\0' || strchr(name, '=') != NULL)
		return doc_fault(e, err, -EINVAL, "name: missing, or holds '='");
	return asprintf(out, "%s=%s", name, value) < 0 ? no_memory(err) : 0;
}

static int get_env(struct kubeconfig_exec *x, const struct doc_node *n, struct error *err) {
	struct doc_node list, e;
	size_t size;
	int ret = doc_member(&list, n, "env", err);

	if (ret == 0)
		ret = doc_array_size(&list, &size, err);
	if (ret < 0)
		return ret;
	x->env = calloc(size + 1, sizeof(*x->env));
	if (x->env == NULL)
		return no_memory(err);
	for (size_t i = 0; ret == 0 && i < size; i++) {
		e = doc_element(&list, i);
		ret = get_variable(&x->env[i], &e, err);
	}
	return ret;
}

static int get_version(struct kubeconfig_exec *x, const struct doc_node *n, struct error *err) {
	struct doc_node m;
	int ret = kubeconfig_get_text(n, "apiVersion", &x->api_version, err);

	if (ret < 0)
		return ret;
	doc_member(&m, n, "apiVersion", NULL);
	if (x->api_version == NULL || (strcmp(x->api_version, GROUP "v1") != 0 &&
				       strcmp(x->api_version, GROUP "v1beta1") != 0))
		return doc_fault(&m, err, -EINVAL, "expected " GROUP "v1 or " GROUP "v1beta1");
	return 0;
}

// There is nobody to ask.
static int check_mode(const struct kubeconfig_exec *x, const struct doc_node *n,
		      struct error *err) {
	static const char *const modes[] = {"Never", "IfAvailable", "Always"};
	int mode = -1, ret;
	struct doc_node m;

	ret = doc_member(&m, n, "interactiveMode", err);
	if (ret == 0)
		ret = doc_enum(&m, &mode, modes, 3, err);
	if (ret < 0)
		return ret;
	if (mode == 2)
		return doc_fault(&m, err, -EINVAL, "Always: a daemon has no terminal");
	if (mode < 0 && strcmp(x->api_version, GROUP "v1") == 0)
		return doc_fault(&m, err, -EINVAL, "missing; expected Never or IfAvailable");
	return 0;
}

int kubeconfig_decode_exec(struct kubeconfig *k, const struct doc_node *user, const char *dir,
			   struct error *err) {
	struct kubeconfig_exec *x;
	struct doc_node n;
	int ret = doc_member(&n, user, "exec", err);

	if (ret < 0 || !doc_present(&n))
		return ret;
	k->exec = x = calloc(1, sizeof(*x));
	if (x == NULL)
		return no_memory(err);
	if ((ret = get_version(x, &n, err)) < 0 || (ret = get_argv(x, &n, dir, err)) < 0 ||
	    (ret = get_env(x, &n, err)) < 0 ||
	    (ret = kubeconfig_get_text(&n, "installHint", &x->install_hint, err)) < 0 ||
	    (ret = doc_get_bool(&n, "provideClusterInfo", &x->cluster_info, err)) < 0)
		return ret;
	return check_mode(x, &n, err);
}

int kubeconfig_decode_exec_config(struct kubeconfig *k, const struct doc_node *cluster,
				  struct error *err) {
	struct doc_node list, e, extension;
	size_t size = 0;
	int ret = doc_member(&list, cluster, "extensions", err);

	if (ret == 0)
		ret = doc_array_size(&list, &size, err);
	for (size_t i = 0; ret == 0 && k->exec != NULL && i < size; i++) {
		const char *name = "";

		e = doc_element(&list, i);
		ret = doc_get_string(&e, "name", &name, err);
		if (ret < 0 || strcmp(name, GROUP "exec") != 0)
			continue;
		ret = doc_member(&extension, &e, "extension", err);
		if (ret < 0 || !doc_present(&extension) || k->exec->config != NULL)
			continue;
		k->exec->config = json_dumps(extension.json, JSON_COMPACT | JSON_ENCODE_ANY);
		ret = k->exec->config != NULL ? 0 : no_memory(err);
	}
	return ret;
}
