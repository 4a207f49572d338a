// SPDX-License-Identifier: Apache-2.0
// sluice-replay: where would these packets go, and why? The worker's own stages over captures.
#include <stdlib.h>

#include "replay.h"

enum { EXIT_UNUSABLE = 2 };

int main(int argc, char **argv) {
	static struct replay r; // zeroed; large
	struct error err = {""};
	int ret = options_read(&r.options, argc, argv, &err);

	if (ret == 1)
		return EXIT_SUCCESS;
	if (ret == 0)
		ret = replay_open(&r, &err);
	if (ret == 0)
		ret = replay_run(&r, &err);
	if (ret == 0)
		ret = replay_finish(&r, &err);
	if (ret < 0)
		fprintf(stderr, "sluice-replay: %s\n", err.text);
	replay_close(&r);
	return ret < 0 ? EXIT_UNUSABLE : EXIT_SUCCESS;
}
