// SPDX-License-Identifier: Apache-2.0
// key=value words.
#include "options.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static bool read_mode(struct options *o, const char *value) {
	for (unsigned m = 0; m <= MODEL_DSR; m++) {
		if (strcmp(value, model_mode_name((enum model_mode)m)) == 0) {
			o->mode = (enum model_mode)m;
			return true;
		}
	}
	return false;
}

static bool read_number(const char *value, uint64_t max, uint64_t *out) {
	char *end;

	errno = 0;
	*out = strtoull(value, &end, 10);
	return end != value && *end == '\0' && errno == 0 && *out <= max;
}

// One of two words: *out is whether it is the second.
static bool read_choice(const char *value, const char *first, const char *second, bool *out) {
	*out = strcmp(value, second) == 0;
	return *out || strcmp(value, first) == 0;
}

static bool read_word(struct options *o, const char *key, const char *value) {
	uint64_t n = 0;
	bool second, is_number = read_number(value, UINT32_MAX, &n);

	if (strcmp(key, "mode") == 0)
		return read_mode(o, value);
	if (strcmp(key, "proto") == 0 && read_choice(value, "tcp", "udp", &second)) {
		o->protocol = second ? MODEL_UDP : MODEL_TCP;
		return true;
	}
	if (strcmp(key, "direction") == 0)
		return read_choice(value, "forward", "reverse", &o->reverse);
	if (strcmp(key, "packets") == 0)
		return read_choice(value, "hot", "cold", &o->cold);
	if (strcmp(key, "table") == 0)
		return read_choice(value, "roomy", "full", &o->full);
	if (strcmp(key, "what") == 0)
		o->what = value;
	else if (strcmp(key, "file") == 0)
		o->file = value;
	else if (strcmp(key, "device") == 0)
		o->device = value;
	else if (strcmp(key, "mac") == 0)
		o->mac = value;
	else if (strcmp(key, "new") == 0)
		o->new_share = strtod(value, NULL);
	else if (!is_number)
		return false;
	else if (strcmp(key, "family") == 0 && (n == 4 || n == 6))
		o->family = (uint8_t)n;
	else if (strcmp(key, "frontends") == 0 && n > 0)
		o->frontends = (uint32_t)n;
	else if (strcmp(key, "flows") == 0 && n > 0)
		o->flows = (uint32_t)n;
	else if (strcmp(key, "passes") == 0 && n > 0)
		o->passes = (uint32_t)n;
	else if (strcmp(key, "count") == 0 && n > 0)
		o->count = n;
	else if (strcmp(key, "backends") == 0 && n > 0)
		o->backends = (uint32_t)n;
	else if (strcmp(key, "services") == 0 && n > 0)
		o->services = (uint32_t)n;
	else if (strcmp(key, "first") == 0)
		o->first = (uint32_t)n;
	else if (strcmp(key, "worker") == 0)
		o->worker = (uint32_t)n;
	else if (strcmp(key, "workers") == 0 && n > 0)
		o->workers = (uint32_t)n;
	else if (strcmp(key, "cpu") == 0)
		o->cpu = (unsigned)n;
	else
		return false;
	return true;
}

int options_read(struct options *o, int argc, char **argv, struct error *err) {
	*o = (struct options){.what = "",
			      .mode = MODEL_DSR,
			      .family = 4,
			      .protocol = MODEL_TCP,
			      .frontends = 1000,
			      .flows = 65536,
			      .passes = 5,
			      .count = 4000000,
			      .backends = 100,
			      .services = 10000,
			      .workers = 1};
	if (argc < 2)
		return error_set(err, -EINVAL,
				 "pipeline, limit, stages, control, capture or offer");
	o->verb = argv[1];
	for (int i = 2; i < argc; i++) {
		char *value = strchr(argv[i], '=');

		if (value == NULL)
			return error_set(err, -EINVAL, "%s: not KEY=VALUE", argv[i]);
		*value++ = '\0';
		if (!read_word(o, argv[i], value))
			return error_set(err, -EINVAL, "%s=%s: no such word or value", argv[i],
					 value);
	}
	return 0;
}
