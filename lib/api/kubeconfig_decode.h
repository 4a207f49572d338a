// SPDX-License-Identifier: Apache-2.0
// Inside of kubeconfig: the entries that the current context names, into the struct.
#ifndef SLUICE_API_KUBECONFIG_DECODE_H
#define SLUICE_API_KUBECONFIG_DECODE_H

#include "api/kubeconfig.h"
#include "doc/doc.h"

// n is the value of `cluster` (`user`), dir where its relative paths begin. Errors: -EINVAL, -ENOMEM; k may be filled in part.
int kubeconfig_decode_cluster(struct kubeconfig *k, const struct doc_node *n, const char *dir,
			      struct error *err);
int kubeconfig_decode_user(struct kubeconfig *k, const struct doc_node *n, const char *dir,
			   struct error *err);
int kubeconfig_decode_exec(struct kubeconfig *k, const struct doc_node *user, const char *dir,
			   struct error *err);
// What the cluster says to the plugin, when there is one.
int kubeconfig_decode_exec_config(struct kubeconfig *k, const struct doc_node *cluster,
				  struct error *err);

// A member's text, copied; absent and empty ones leave *out alone. As a path: joined to dir when it is relative.
int kubeconfig_get_text(const struct doc_node *n, const char *key, char **out, struct error *err);
int kubeconfig_get_path(const struct doc_node *n, const char *key, const char *dir, char **out,
			struct error *err);
// NULL: out of memory.
char *kubeconfig_join(const char *dir, const char *path);

#endif
