// SPDX-License-Identifier: Apache-2.0
// What a reflector asks, as a path with a query.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/reflector_private.h"

#define PAGE_LIMIT 500

// The version is opaque, so whatever is not plainly harmless is escaped.
static char *escape(char *to, const char *text) {
	for (; *text != '\0'; text++) {
		unsigned char c = (unsigned char)*text;

		if ((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
		    (c != '\0' && strchr("-_.~", c) != NULL))
			*to++ = (char)c;
		else
			to += sprintf(to, "%%%02X", c);
	}
	*to = '\0';
	return to;
}

static char *list_query(struct reflector *r, char *to) {
	if (r->page != NULL)
		return escape(to + sprintf(to, "limit=%d&continue=", PAGE_LIMIT), r->page);
	if (!r->consistent)
		return escape(to + sprintf(to, "resourceVersion="),
			      r->version[0] != '\0' ? r->version : "0");
	return r->unpaged ? to + sprintf(to, "resourceVersion=")
			  : to + sprintf(to, "limit=%d", PAGE_LIMIT);
}

static char *watch_query(struct reflector *r, char *to) {
	to += sprintf(to, "watch=1&allowWatchBookmarks=true&timeoutSeconds=%u&",
		      300 + retry_random(&r->retry, 301));
	if (r->ask == ASK_STREAM)
		to += sprintf(to, "sendInitialEvents=true&resourceVersionMatch=NotOlderThan&");
	return escape(to + sprintf(to, "resourceVersion="), r->version);
}

char *reflector_path(struct reflector *r) {
	const struct reflector_settings *s = &r->settings;
	size_t page = r->page != NULL ? strlen(r->page) : 0;
	char *path = malloc(strlen(s->path) + strlen(s->selector) + 3 * (VERSION_SIZE + page) +
			    256);
	char *to = path;

	if (path == NULL)
		return NULL;
	to += sprintf(to, "%s?%s%s", s->path, s->selector, s->selector[0] != '\0' ? "&" : "");
	if (r->ask == ASK_LIST)
		list_query(r, to);
	else
		watch_query(r, to);
	return path;
}
