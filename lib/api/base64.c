// SPDX-License-Identifier: Apache-2.0
// Base64, both ways.
#include "api/base64.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static int digit(char c) {
	const char *at = c != '\0' ? strchr(alphabet, c) : NULL;

	return at != NULL ? (int)(at - alphabet) : -1;
}

// The characters that count, then how many '=' follow them; false when something else does.
static bool decode_into(const char *text, char *out, size_t *n) {
	unsigned digits = 0, pads = 0;
	uint32_t bits = 0;

	for (; *text != '\0'; text++) {
		int d = digit(*text);

		if (*text == '\n' || *text == '\r')
			continue;
		if (*text == '=')
			pads++;
		if (*text == '=')
			continue;
		if (d < 0 || pads > 0)
			return false;
		bits = bits << 6 | (uint32_t)d;
		if (digits++ % 4 != 0)
			out[(*n)++] = (char)(bits >> (6 - 2 * ((digits - 1) % 4)) & 0xff);
	}
	return digits % 4 != 1 && pads == (4 - digits % 4) % 4;
}

int base64_decode(const char *text, char **out) {
	char *bytes = malloc(strlen(text) / 4 * 3 + 4);
	size_t n = 0;

	if (bytes == NULL)
		return -ENOMEM;
	if (!decode_into(text, bytes, &n) || memchr(bytes, 0, n) != NULL) {
		free(bytes);
		return -EINVAL;
	}
	bytes[n] = '\0';
	*out = bytes;
	return 0;
}

char *base64_encode(const char *text) {
	size_t n = strlen(text);
	char *out = malloc((n + 2) / 3 * 4 + 1), *p = out;

	if (out == NULL)
		return NULL;
	for (size_t i = 0; i < n; i += 3) {
		uint32_t left = (uint32_t)(n - i), bits = (uint32_t)(uint8_t)text[i] << 16;

		bits |= left > 1 ? (uint32_t)(uint8_t)text[i + 1] << 8 : 0;
		bits |= left > 2 ? (uint32_t)(uint8_t)text[i + 2] : 0;
		*p++ = alphabet[bits >> 18];
		*p++ = alphabet[bits >> 12 & 63];
		*p++ = left > 1 ? alphabet[bits >> 6 & 63] : '=';
		*p++ = left > 2 ? alphabet[bits & 63] : '=';
	}
	*p = '\0';
	return out;
}
