// SPDX-License-Identifier: Apache-2.0
#include "bench.h"
int control_run(const struct options *o, struct error *err) {
	return error_set(err, -22, "later");
}
