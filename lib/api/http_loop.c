// SPDX-License-Identifier: Apache-2.0
// curl's sockets and its timer as events of the control loop.
#include <errno.h>

#include "api/http_call.h"

static void act(struct http *h, curl_socket_t fd, int what) {
	int running;

	http_enter(h);
	curl_multi_socket_action(h->multi, fd, what, &running);
	http_leave(h);
}

static void on_ready(evutil_socket_t fd, short what, void *arg) {
	act(arg, fd,
	    (what & EV_READ ? CURL_CSELECT_IN : 0) | (what & EV_WRITE ? CURL_CSELECT_OUT : 0));
}

static void on_time(evutil_socket_t fd, short what, void *arg) {
	(void)fd;
	(void)what;
	act(arg, CURL_SOCKET_TIMEOUT, 0);
}

static int set_timer(CURLM *multi, long ms, void *arg) {
	struct http *h = arg;
	struct timeval in = {.tv_sec = ms / 1000, .tv_usec = (suseconds_t)(ms % 1000) * 1000};

	(void)multi;
	if (ms < 0)
		return evtimer_del(h->timer);
	return evtimer_add(h->timer, &in);
}

// The event of a socket is all that is kept of it.
static int watch_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *socket) {
	struct http *h = arg;
	struct event *e = socket;
	short flags = EV_PERSIST | (what & CURL_POLL_IN ? EV_READ : 0) |
		      (what & CURL_POLL_OUT ? EV_WRITE : 0);

	(void)easy;
	if (e != NULL)
		event_free(e);
	if (what == CURL_POLL_REMOVE)
		return 0;
	e = event_new(h->base, fd, flags, on_ready, h);
	curl_multi_assign(h->multi, fd, e);
	// Without memory the socket is not watched, and the exchange ends by one of its timeouts.
	return e == NULL || event_add(e, NULL) < 0 ? -1 : 0;
}

int http_loop_init(struct http *h) {
	h->timer = evtimer_new(h->base, on_time, h);
	h->multi = curl_multi_init();
	if (h->timer == NULL || h->multi == NULL)
		return -ENOMEM;
	curl_multi_setopt(h->multi, CURLMOPT_SOCKETFUNCTION, watch_socket);
	curl_multi_setopt(h->multi, CURLMOPT_SOCKETDATA, h);
	curl_multi_setopt(h->multi, CURLMOPT_TIMERFUNCTION, set_timer);
	curl_multi_setopt(h->multi, CURLMOPT_TIMERDATA, h);
	return 0;
}
