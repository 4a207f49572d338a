// SPDX-License-Identifier: Apache-2.0
// From the store's words to the writer's: a Service and its grant as what lib/status is fed with.
#ifndef SLUICED_GRANTS_H
#define SLUICED_GRANTS_H

#include "kube/kube.h"
#include "status/status.h"

struct sluiced;

// Errors: -ENOMEM; nothing is left then.
int grants_view(struct view *v, const struct kube_object *o);
int grants_aim(struct aim_grant *a, const struct sluiced *s, const struct kube_grant *g);

#endif
