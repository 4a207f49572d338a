// SPDX-License-Identifier: Apache-2.0
// Kubeconfigs, read and compared.
#include "access.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int access_load(struct kubeconfig **out, const struct config_services *s, struct error *err) {
	struct error why;
	int ret = s->in_cluster ? kubeconfig_in_cluster(out, &why)
				: kubeconfig_load(out, s->kubeconfig, &why);

	return ret < 0 ? error_set(err, ret, "services.kubernetes.%s: %.900s",
				   s->in_cluster ? "inCluster" : "kubeconfig", why.text)
		       : 0;
}

// Lengths make it unambiguous.
static void put(FILE *f, const char *text) {
	if (text == NULL)
		fputs("-;", f);
	else
		fprintf(f, "%zu:%s;", strlen(text), text);
}

static void put_list(FILE *f, char *const *list) {
	for (; list != NULL && *list != NULL; list++)
		put(f, *list);
	fputs(".;", f);
}

char *access_describe(const struct kubeconfig *k) {
	const char *const texts[] = {k->server,    k->ca,        k->ca_file,    k->tls_server_name,
				     k->proxy_url, k->cert,      k->cert_file,  k->key,
				     k->key_file,  k->token,     k->token_file, k->as,
				     k->as_uid,    k->namespace, k->source};
	char *text = NULL;
	size_t size = 0;
	FILE *f = open_memstream(&text, &size);

	if (f == NULL)
		return NULL;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		put(f, texts[i]);
	fprintf(f, "%d%d;", k->insecure, k->disable_compression);
	put_list(f, k->as_groups);
	for (const struct kubeconfig_pair *p = k->as_extra; p != NULL && p->name != NULL; p++) {
		put(f, p->name);
		put(f, p->value);
	}
	if (k->exec != NULL) {
		put(f, k->exec->api_version);
		put_list(f, k->exec->argv);
		put_list(f, k->exec->env);
		fprintf(f, "%d;", k->exec->cluster_info);
		put(f, k->exec->config);
		put(f, k->exec->install_hint);
	}
	if (fclose(f) == 0)
		return text;
	free(text);
	return NULL;
}
