// SPDX-License-Identifier: Apache-2.0
// The state file: its directory, its warnings.
#include "state.h"

#include <string.h>

#include "base/file.h"
#include "base/log.h"

int state_load(struct ipam_memory *m, const char *path, struct error *err) {
	struct error why;
	int ret;

	if (path[0] == '\0')
		return 0;
	ret = file_make_directories(path);
	if (ret < 0)
		return error_set(err, ret,
				 "services.stateFile: the directory of %s can't be made: %s", path,
				 strerror(-ret));
	ret = ipam_memory_load(m, path, &why);
	if (ret < 0)
		return error_set(err, ret, "services.stateFile: %s", why.text);
	if (ret > 0)
		log_warn("services.stateFile: %s; Services may get other addresses", why.text);
	log_info("addresses: %zu remembered in %s", ipam_memory_count(m), path);
	return 0;
}

int state_save(struct ipam_memory *m, const char *path) {
	struct error err;

	if (path[0] == '\0' || !ipam_memory_is_unsaved(m))
		return 0;
	if (ipam_memory_save(m, path, &err) < 0)
		log_error("services.stateFile: %s", err.text);
	return 1;
}
