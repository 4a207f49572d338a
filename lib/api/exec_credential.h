// SPDX-License-Identifier: Apache-2.0
// What is said to an exec plugin and what it prints: client.authentication.k8s.io, ExecCredential.
#ifndef SLUICE_API_EXEC_CREDENTIAL_H
#define SLUICE_API_EXEC_CREDENTIAL_H

#include <stddef.h>
#include <stdint.h>

#include "api/kubeconfig.h"
#include "base/error.h"

// Strings are NULL when absent; at least a token or a pair of certificate and key is there.
struct exec_credential {
	char *token;
	char *cert, *key;
	int64_t expires; // UNIX time; INT64_MAX: never told
};

// Errors: -EINVAL (never with the text in err: it holds secrets), -ENOMEM.
int exec_credential_parse(struct exec_credential *out, const char *text, size_t n,
			  const char *api_version, struct error *err);
void exec_credential_fini(struct exec_credential *c);

// The value of KUBERNETES_EXEC_INFO. ca: the authorities as PEM, NULL: none. NULL: out of memory.
char *exec_credential_info(const struct kubeconfig *k, const char *ca);

// A time of RFC 3339 as UNIX time. -EINVAL.
int exec_credential_time(const char *text, int64_t *out);

#endif
