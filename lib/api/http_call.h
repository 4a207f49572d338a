// SPDX-License-Identifier: Apache-2.0
// Inside of http: one exchange, and the queues that it passes through.
//
//     http_start -> waiting -> running (in curl's hands) -> on_end -> freed
//                      \___________\__ http_cancel -> dead -> freed
//
// curl allows no change of its multi handle inside of its callbacks. So start and cancel only move an exchange to a queue; the event `work`, which runs with
// nothing of curl's on the stack, does the rest.
#ifndef SLUICE_API_HTTP_CALL_H
#define SLUICE_API_HTTP_CALL_H

#include <curl/curl.h>
#include <event2/event.h>
#include <sys/queue.h>

#include "api/http.h"

enum http_place { HTTP_WAITING, HTTP_RUNNING, HTTP_DEAD, HTTP_ENDED };

struct http_call {
	TAILQ_ENTRY(http_call) link;
	struct http *http;
	CURL *easy;
	struct curl_slist *headers, *connect_to;
	struct event *silence; // NULL: none
	struct http_handlers handlers;
	void *arg;
	enum http_place place;
	uint32_t silence_ms;
	int64_t begun_ms, heard_ms; // monotonic; heard: the last byte, at first the beginning
	bool in_body;               // the headers of the final response are through
	int status;
	int stopped; // what on_data() returned, when below 0
	char *wanted[HTTP_WANTED];
	char value[HTTP_WANTED][HTTP_VALUE];
	bool has_value[HTTP_WANTED];
	char retry_after[HTTP_VALUE], date[HTTP_VALUE];
	char why[CURL_ERROR_SIZE];
};

TAILQ_HEAD(http_calls, http_call);

// A socket of curl's that the loop watches.
struct http_socket {
	TAILQ_ENTRY(http_socket) link;
	curl_socket_t fd;
	struct event *event;
};

struct http {
	struct event_base *base;
	CURLM *multi;
	struct event *timer; // curl's
	struct event *work;  // queues
	struct http_calls waiting, running, dead;
	TAILQ_HEAD(, http_socket) sockets;
	char *user_agent;
	unsigned n_pending;
	unsigned depth; // of our event handlers on the stack, 0 or 1
	bool destroyed; // by a callback; the handler on the stack frees it
};

int64_t http_now_ms(void);

// Make c->easy for the request. -ENOMEM, also for text that curl does not take.
int http_easy_create(struct http_call *c, const struct http_request *r);

// Describe how c ended: curl's word for it, or HTTP_SILENT as told.
void http_describe(struct http_call *c, CURLcode code, bool silent, struct http_end *end);

// Sockets and timers of curl as events of the loop. -ENOMEM.
int http_loop_init(struct http *h);
// Where the exchange talks; CURL_SOCKET_BAD: nowhere yet, or no more.
curl_socket_t http_loop_socket_of(const struct http_call *c);

// Between these two stands whatever runs on behalf of the loop. leave() may free h.
void http_enter(struct http *h);
void http_leave(struct http *h);

#endif
