// SPDX-License-Identifier: Apache-2.0
// Where the API server is and how to prove who we are: kubeconfig files, or what a pod is given.
//
// Of a list of files the first one that names a cluster, user or context wins, whole; so does the first current-context (as client-go has it). Only what the
// current context needs is judged. Relative paths are relative to the file they stand in; inline data wins over a path, tokenFile over token. Files
// that are only named here (certificates, keys, tokens) are not read here: they change.
// Keys that are not known are let be, as kubectl does; what was removed from kubectl (username and password, auth-provider) is a fault.
#ifndef SLUICE_API_KUBECONFIG_H
#define SLUICE_API_KUBECONFIG_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

// A program that prints credentials (client.authentication.k8s.io).
struct kubeconfig_exec {
	char *api_version; // "client.authentication.k8s.io/v1", or .../v1beta1
	char **argv; // the command, with a slash in it or to be looked up in PATH, its arguments, NULL
	char **env;         // "NAME=value" beside our own environment, NULL
	char *install_hint; // for people whose command is missing; NULL: none
	bool cluster_info;  // it wants to know the cluster
	char *config;       // of the cluster, for the plugin: JSON; NULL: none
};

struct kubeconfig_pair {
	char *name, *value;
};

// Strings are NULL when absent, lists end with NULL. Of NAME and NAME_file at most one is there.
struct kubeconfig {
	char *context, *cluster, *user; // names, for messages
	char *source;                   // the file of the cluster, or "in cluster"; for messages
	char *namespace;                // "": none

	char *server; // http(s)://HOST[:PORT][/PATH], without a slash at the end
	char *ca, *ca_file;
	char *tls_server_name;
	char *proxy_url;
	bool insecure; // certificates are not verified: whoever loads this says so, loudly
	bool disable_compression;

	char *cert, *cert_file, *key, *key_file;
	char *token, *token_file;
	struct kubeconfig_exec *exec; // NULL: none
	char *as, *as_uid;            // impersonation
	char **as_groups;
	struct kubeconfig_pair *as_extra; // one per value; ends with name NULL
};

// paths: files between colons; NULL: $KUBECONFIG, else ~/.kube/config. A missing file of a list is skipped, an only one is an error.
// Errors: -EINVAL, -ENOENT and other -errno of reading; err says file, line and path.
int kubeconfig_load(struct kubeconfig **out, const char *paths, struct error *err);
// The same of one text, as if it stood in the file at path (an absolute one).
int kubeconfig_parse(struct kubeconfig **out, const char *path, const char *text, size_t len,
		     struct error *err);
// A pod's: $KUBERNETES_SERVICE_HOST and _PORT, files of the service account. Errors: -ENOENT when this is no pod.
int kubeconfig_in_cluster(struct kubeconfig **out, struct error *err);
// The same with every path below root ("" is the real one).
int kubeconfig_in_cluster_at(struct kubeconfig **out, const char *root, struct error *err);
void kubeconfig_destroy(struct kubeconfig *k);

// The namespace of the credentials, "" when they have none.
const char *kubeconfig_namespace(const struct kubeconfig *k);

#endif
