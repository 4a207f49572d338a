// SPDX-License-Identifier: Apache-2.0
// Any bytes as a kubeconfig: what is accepted has a server and nothing that would break a request apart.
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "api/kubeconfig.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_line(const char *text) {
	for (; text != NULL && *text != '\0'; text++)
		if ((unsigned char)*text < ' ' || *text == 0x7f)
			abort();
}

static void check_file(const char *path) {
	if (path != NULL && path[0] != '/')
		abort();
}

static void check(const struct kubeconfig *k) {
	if (k->server == NULL || strncasecmp(k->server, "http", 4) != 0 || k->context == NULL ||
	    k->cluster == NULL || k->user == NULL || k->source == NULL)
		abort();
	check_line(k->server);
	check_line(k->token);
	check_line(k->as);
	check_line(k->as_uid);
	check_file(k->ca_file);
	check_file(k->cert_file);
	check_file(k->key_file);
	check_file(k->token_file);
	for (char **g = k->as_groups; g != NULL && *g != NULL; g++)
		check_line(*g);
	for (struct kubeconfig_pair *p = k->as_extra; p != NULL && p->name != NULL; p++)
		check_line(p->value);
	if (k->exec != NULL && k->exec->argv[0] == NULL)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
	struct kubeconfig *k = NULL;
	struct error err = {""};
	int ret = kubeconfig_parse(&k, "/d/f", (const char *)data, size, &err);

	if ((ret == 0) != (k != NULL) || (ret < 0 && err.text[0] == '\0'))
		abort();
	if (k != NULL)
		check(k);
	kubeconfig_destroy(k);
	return 0;
}
