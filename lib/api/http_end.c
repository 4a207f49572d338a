// SPDX-License-Identifier: Apache-2.0
// How an exchange ended, in the words of api/transport.h and for people.
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "api/http_call.h"

#define X509_V_UNSPECIFIED 1 // of OpenSSL, where curl begins: the chain was not found wanting

static enum http_cause cause_of(const struct http_call *c, CURLcode code) {
	long verify = 0;

	switch (code) {
	case CURLE_OK:
		return HTTP_FINE;
	case CURLE_COULDNT_RESOLVE_HOST:
	case CURLE_COULDNT_RESOLVE_PROXY:
		return HTTP_NO_HOST;
	case CURLE_COULDNT_CONNECT:
		return HTTP_NO_SERVER;
	case CURLE_PEER_FAILED_VERIFICATION:
		curl_easy_getinfo(c->easy, CURLINFO_SSL_VERIFYRESULT, &verify);
		return verify > X509_V_UNSPECIFIED ? HTTP_UNTRUSTED : HTTP_MISNAMED;
	case CURLE_SSL_CONNECT_ERROR:
	case CURLE_SSL_CIPHER:
		return HTTP_TLS;
	case CURLE_SSL_CERTPROBLEM:
	case CURLE_SSL_CACERT_BADFILE:
		return HTTP_MATERIAL;
	case CURLE_PROXY:
		return HTTP_PROXY;
	case CURLE_OPERATION_TIMEDOUT:
		return HTTP_LATE;
	case CURLE_PARTIAL_FILE:
	case CURLE_GOT_NOTHING:
	case CURLE_RECV_ERROR:
	case CURLE_SEND_ERROR:
	case CURLE_HTTP2_STREAM:
		return HTTP_BROKEN;
	case CURLE_UNSUPPORTED_PROTOCOL:
	case CURLE_URL_MALFORMAT:
	case CURLE_WEIRD_SERVER_REPLY:
	case CURLE_HTTP2:
	case CURLE_BAD_CONTENT_ENCODING:
		return HTTP_ODD;
	case CURLE_WRITE_ERROR:
		return c->stopped < 0 ? HTTP_STOPPED : HTTP_ODD;
	default:
		return HTTP_OTHER;
	}
}

static int error_of(const struct http_call *c, enum http_cause cause) {
	long os = 0;

	switch (cause) {
	case HTTP_FINE:
		return 0;
	case HTTP_NO_SERVER:
		curl_easy_getinfo(c->easy, CURLINFO_OS_ERRNO, &os);
		return os == ETIMEDOUT ? -ETIMEDOUT : os == ECONNREFUSED ? -ECONNREFUSED : -EIO;
	case HTTP_LATE:
	case HTTP_SILENT:
		return -ETIMEDOUT;
	case HTTP_UNTRUSTED:
	case HTTP_MISNAMED:
	case HTTP_TLS:
	case HTTP_MATERIAL:
	case HTTP_ODD:
		return -EPROTO;
	case HTTP_STOPPED:
		return c->stopped;
	default:
		return -EIO;
	}
}

// curl's own words, without the newline that some of them end with.
static void copy_why(const struct http_call *c, CURLcode code, char *text, size_t size) {
	snprintf(text, size, "%.200s", c->why[0] != '\0' ? c->why : curl_easy_strerror(code));
	text[strcspn(text, "\r\n")] = '\0';
}

// "Failed to connect to HOST port N", where HOST may be a proxy, and the system's reason.
static void explain_no_server(const struct http_call *c, CURLcode code, char *text, size_t size) {
	long os = 0;
	char *rest;

	copy_why(c, code, text, size);
	curl_easy_getinfo(c->easy, CURLINFO_OS_ERRNO, &os);
	rest = strstr(text, " after ");
	if (os != 0 && rest != NULL)
		snprintf(rest, size - (size_t)(rest - text), ": %s", strerror((int)os));
}

static void explain(const struct http_call *c, CURLcode code, const struct http_end *end,
		    char *text, size_t size) {
	switch (end->cause) {
	case HTTP_FINE:
		text[0] = '\0';
		break;
	case HTTP_SILENT:
		snprintf(text, size, "no byte from the server for %g s", c->silence_ms / 1000.0);
		break;
	case HTTP_STOPPED:
		snprintf(text, size, "ended by its reader: %s", strerror(-c->stopped));
		break;
	case HTTP_NO_SERVER:
		explain_no_server(c, code, text, size);
		break;
	default:
		copy_why(c, code, text, size);
	}
}

static int64_t retry_after_of(const struct http_call *c) {
	if (c->retry_after[0] == '\0')
		return -1;
	return http_retry_after(c->retry_after, c->date[0] != '\0' ? c->date : NULL, time(NULL));
}

void http_describe(struct http_call *c, CURLcode code, bool silent, struct http_end *end) {
	long verify = 0;

	*end = (struct http_end){.cause = silent ? HTTP_SILENT : cause_of(c, code)};
	end->end.status = c->in_body ? c->status : 0;
	end->end.error = error_of(c, end->cause);
	end->end.retry_after_ms = c->in_body ? retry_after_of(c) : -1;
	if (end->cause == HTTP_UNTRUSTED)
		curl_easy_getinfo(c->easy, CURLINFO_SSL_VERIFYRESULT, &verify);
	end->verify = (int)verify;
	explain(c, code, end, end->end.text, sizeof(end->end.text));
	for (size_t i = 0; c->in_body && i < HTTP_WANTED; i++)
		end->value[i] = c->has_value[i] ? c->value[i] : NULL;
}
