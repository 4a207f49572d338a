// SPDX-License-Identifier: Apache-2.0
// Which API server the configuration means, and as whom.
#ifndef SLUICED_ACCESS_H
#define SLUICED_ACCESS_H

#include "api/kubeconfig.h"
#include "config/config.h"

// Errors: those of kubeconfig_load() and kubeconfig_in_cluster(), with text.
int access_load(struct kubeconfig **out, const struct config_services *s, struct error *err);
// All that it says, as text: equal texts are equal accesses. The caller's to free; NULL: out of memory. Holds secrets.
char *access_describe(const struct kubeconfig *k);

#endif
