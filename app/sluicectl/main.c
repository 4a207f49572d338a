// SPDX-License-Identifier: Apache-2.0
// sluicectl: ask a running sluiced, show the answer.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "args.h"
#include "client.h"

static int show(const struct args *a, const struct client_answer *answer, struct error *err) {
	json_t *body;
	int ret;

	if (a->json)
		return fwrite(answer->text, 1, answer->len, stdout) == answer->len ? 0 : -EIO;
	body = json_loadb(answer->text != NULL ? answer->text : "", answer->len, 0, NULL);
	if (body == NULL)
		return error_set(err, -EPROTO, "the daemon's answer is no JSON");
	ret = a->verb->show(body, stdout);
	json_decref(body);
	if (ret < 0)
		error_set(err, ret, "%s", strerror(-ret));
	return ret;
}

static int ask(const struct args *a, struct error *err) {
	struct client_answer answer = {NULL, 0};
	int ret = client_get(&answer, a->socket, a->verb->name, a->params, a->n_params, err);

	if (ret < 0)
		return ret;
	ret = show(a, &answer, err);
	client_answer_fini(&answer);
	return ret;
}

int main(int argc, char **argv) {
	struct error err = {"standard output: write error"};
	struct args a;
	int ret = args_parse(&a, argc, argv, &err);

	if (ret == 0 && a.help)
		args_help(&a, stdout);
	else if (ret == 0 && a.version)
		puts("sluicectl " SLUICE_VERSION);
	else if (ret == 0)
		ret = ask(&a, &err);
	if (fflush(stdout) != 0 && ret == 0)
		ret = -EIO;
	if (ret == 0)
		return EXIT_SUCCESS;
	fprintf(stderr, "sluicectl: %s\n", err.text);
	return EXIT_FAILURE;
}
