// SPDX-License-Identifier: Apache-2.0
// Any bytes as what an exec plugin printed: what is accepted can stand in a header, and no message repeats it.
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "api/exec_credential.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
	struct exec_credential c = {0};
	struct error err = {""};
	int ret = exec_credential_parse(&c, (const char *)data, size,
					"client.authentication.k8s.io/v1", &err);

	if (ret != 0 &&
	    (ret != -EINVAL || err.text[0] == '\0' || c.token != NULL || c.cert != NULL))
		abort();
	if (ret == 0 && c.token == NULL && c.cert == NULL)
		abort();
	if ((c.cert == NULL) != (c.key == NULL))
		abort();
	for (const char *p = c.token; p != NULL && *p != '\0'; p++)
		if (*p <= ' ' || *p >= 0x7f)
			abort();
	exec_credential_fini(&c);
	return 0;
}
