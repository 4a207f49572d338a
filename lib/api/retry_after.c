// SPDX-License-Identifier: Apache-2.0
// What a Retry-After header asks for (RFC 9110, 10.2.3).
#include <ctype.h>
#include <curl/curl.h>

#include "api/http.h"

#define AT_MOST 86400 // seconds

static int64_t bounded_ms(int64_t seconds) {
	if (seconds < 0)
		return 0;
	return 1000 * (seconds < AT_MOST ? seconds : AT_MOST);
}

static int64_t seconds_ms(const char *value) {
	int64_t seconds = 0;

	for (; isdigit((unsigned char)*value); value++)
		if (seconds < AT_MOST)
			seconds = 10 * seconds + (*value - '0');
	while (*value == ' ' || *value == '\t')
		value++;
	return *value == '\0' ? bounded_ms(seconds) : -1;
}

int64_t http_retry_after(const char *value, const char *date, int64_t now) {
	int64_t at, from;

	while (*value == ' ' || *value == '\t')
		value++;
	if (isdigit((unsigned char)*value))
		return seconds_ms(value);
	at = curl_getdate(value, NULL);
	if (at < 0)
		return -1;
	// The server's clock against itself: ours may be an hour off.
	from = date != NULL ? curl_getdate(date, NULL) : -1;
	return bounded_ms(at - (from >= 0 ? from : now));
}
