// SPDX-License-Identifier: Apache-2.0
// What the model's own files share about one service: a canonical deep copy.
#ifndef SLUICE_MODEL_SERVICE_H
#define SLUICE_MODEL_SERVICE_H

#include "model/model.h"

// Deep copy with texts zero-filled to their ends and arrays sorted and unique, so that two copies of equal services are
// equal. Of two backends with one (addr, port) the better state stays. Errors: -ENOMEM; out is then untouched.
int service_copy(struct model_service *out, const struct model_service *s);

#endif
