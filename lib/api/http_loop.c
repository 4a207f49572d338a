// SPDX-License-Identifier: Apache-2.0
// curl's sockets and its timer as events of the control loop.
#include <errno.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

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

static void forget_socket(struct http *h, struct http_socket *s) {
	if (s == NULL)
		return;
	TAILQ_REMOVE(&h->sockets, s, link);
	if (s->event != NULL)
		event_free(s->event);
	free(s);
}

static int watch_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *before) {
	struct http *h = arg;
	struct http_socket *s;
	short flags = EV_PERSIST | (what & CURL_POLL_IN ? EV_READ : 0) |
		      (what & CURL_POLL_OUT ? EV_WRITE : 0);

	(void)easy;
	forget_socket(h, before);
	if (what == CURL_POLL_REMOVE)
		return 0;
	s = calloc(1, sizeof(*s));
	curl_multi_assign(h->multi, fd, s);
	if (s == NULL)
		return -1; // not watched: the exchange ends by one of its timeouts
	s->fd = fd;
	s->event = event_new(h->base, fd, flags, on_ready, h);
	TAILQ_INSERT_TAIL(&h->sockets, s, link);
	return s->event == NULL || event_add(s->event, NULL) < 0 ? -1 : 0;
}

static bool is_at(int (*name)(int, struct sockaddr *, socklen_t *), curl_socket_t fd, long port,
		  const char *host) {
	struct sockaddr_storage a;
	socklen_t n = sizeof(a);
	char its_host[64], its_port[16];

	if (name(fd, (struct sockaddr *)&a, &n) < 0 ||
	    getnameinfo((struct sockaddr *)&a, n, its_host, sizeof(its_host), its_port,
			sizeof(its_port), NI_NUMERICHOST | NI_NUMERICSERV) != 0)
		return false;
	return atol(its_port) == port && (host == NULL || strcmp(its_host, host) == 0);
}

// curl tells the socket of an exchange only at its end (7.88), its addresses at once.
curl_socket_t http_loop_socket_of(const struct http_call *c) {
	const struct http_socket *s;
	curl_socket_t fd = CURL_SOCKET_BAD;
	long local = 0, remote = 0;
	char *host = NULL;

	curl_easy_getinfo(c->easy, CURLINFO_ACTIVESOCKET, &fd);
	if (fd != CURL_SOCKET_BAD)
		return fd;
	curl_easy_getinfo(c->easy, CURLINFO_LOCAL_PORT, &local);
	curl_easy_getinfo(c->easy, CURLINFO_PRIMARY_PORT, &remote);
	curl_easy_getinfo(c->easy, CURLINFO_PRIMARY_IP, &host);
	if (local == 0 || host == NULL)
		return CURL_SOCKET_BAD;
	TAILQ_FOREACH(s, &c->http->sockets, link)
		if (is_at(getsockname, s->fd, local, NULL) &&
		    is_at(getpeername, s->fd, remote, host))
			return s->fd;
	return CURL_SOCKET_BAD;
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
