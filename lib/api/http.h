// SPDX-License-Identifier: Apache-2.0
// HTTP exchanges on the control loop: curl's multi interface, any number at once, HTTP/2 where a server offers it.
//
//     http_start(request, handlers)   -> on_data ... -> on_end     bodies stream, in pieces cut anywhere
//     http_get(url)                   -> got                       a health probe: a connection of its own, nothing verified
//
// Connections are kept and shared by exchanges with equal server, TLS material and proxy. New TLS material (other bytes) makes new connections and leaves
// open exchanges alone. A connection on which an exchange starved is not used again, unless others on it hear from the server.
//
// Callbacks never run before start has returned. Inside of one, everything is allowed: start, cancel (of any exchange, its own too) and
// http_destroy(). SIGPIPE is ignored from http_create() on, for OpenSSL writes with plain write(). Control thread only.
#ifndef SLUICE_API_HTTP_H
#define SLUICE_API_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "api/transport.h"

struct event_base;
struct http;
struct http_call; // an exchange under way

#define HTTP_WANTED 4  // response headers of one exchange
#define HTTP_VALUE 256 // bytes of a wanted header that are kept, with the closing NUL

// NULL: out of memory, or a libcurl without TLS. user_agent is copied.
struct http *http_create(struct event_base *base, const char *user_agent);
// Exchanges under way end without a callback.
void http_destroy(struct http *h);

// PEM text, not files: who watches the files decides when their content is new. Zeroed: verified by the system's authorities.
struct http_tls {
	const char *ca;         // the authorities that count, NULL: the system's
	const char *cert, *key; // of the client; NULL: none
	bool insecure;          // nothing is verified
};

struct http_request {
	const char *method; // NULL: GET
	const char *url;    // absolute, http or https
	const char *
		connect_to; // curl's HOST:PORT:HOST:PORT, where the server is while url names who it must prove to be; NULL: as url says
	const char *const *headers; // "Name: value", ..., NULL; NULL: none
	const char *body;           // NULL: none
	size_t body_len;
	struct http_tls tls;
	const char *
		proxy; // http://, https:// or socks5:// URL; NULL: that of the environment (https_proxy, no_proxy ...); "": none
	bool gzip;     // offer it
	bool alone;    // a connection of its own, closed afterwards
	uint32_t connect_ms;             // until the connection stands; 0: 10 s
	uint32_t timeout_ms;             // of the whole exchange; 0: none
	uint32_t silence_ms;             // no byte for so long ends it with -ETIMEDOUT; 0: never
	const char *wanted[HTTP_WANTED]; // names of response headers, up to the first NULL
};

// What failed, for those who can say more about it.
enum http_cause {
	HTTP_FINE,      // a whole response, whatever its status
	HTTP_NO_HOST,   // the name (of the server or the proxy) does not resolve
	HTTP_NO_SERVER, // no connection
	HTTP_UNTRUSTED, // the certificate: authority, dates
	HTTP_MISNAMED,  // the certificate is for other names
	HTTP_TLS,       // anything else of TLS, such as a client certificate that is not taken
	HTTP_MATERIAL,  // the PEM texts of the request
	HTTP_PROXY,     // the proxy refuses
	HTTP_LATE,      // timeout_ms or connect_ms
	HTTP_SILENT,    // silence_ms
	HTTP_BROKEN,    // the response is cut off
	HTTP_ODD,       // the response is not HTTP
	HTTP_STOPPED,   // on_data() said so
	HTTP_OTHER
};

struct http_end {
	struct api_end end; // as api/transport.h has it
	enum http_cause cause;
	int verify; // of HTTP_UNTRUSTED: OpenSSL's X509_V_ERR code
	const char
		*value[HTTP_WANTED]; // of wanted, NULL: not in the response; until on_end() returns
};

struct http_handlers {
	// As api_handlers. on_begin NULL: not wanted; on_data NULL: the body is dropped.
	void (*on_begin)(void *arg, int status);
	int (*on_data)(void *arg, int status, const char *data, size_t n);
	void (*on_end)(void *arg, const struct http_end *end);
};

// Everything in r is copied. NULL: out of memory, or text that curl does not take (a URL that is none ends by on_end()).
struct http_call *http_start(struct http *h, const struct http_request *r,
			     const struct http_handlers *handlers, void *arg);
// No callback follows. Not after on_end() has returned.
void http_cancel(struct http_call *call);

// A health probe: GET on a connection of its own, no proxy, certificates not verified, the body dropped. wanted: the name of a response header, or NULL.
struct http_call *http_get(struct http *h, const char *url, const char *wanted, uint32_t timeout_ms,
			   void (*got)(void *arg, const struct http_end *end), void *arg);

// Exchanges begun and not ended.
unsigned http_pending(const struct http *h);
struct event_base *http_base(const struct http *h);

// Milliseconds that a Retry-After header asks to wait, at most a day: seconds, or a date, held against the response's own Date header (NULL: against now, a
// UNIX time). -1: neither.
int64_t http_retry_after(const char *value, const char *date, int64_t now);

#endif
