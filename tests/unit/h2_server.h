// SPDX-License-Identifier: Apache-2.0
// HTTP/2 over TLS on loopback in the test's own loop: streams that the test answers when and as it likes.
#ifndef H2_SERVER_H
#define H2_SERVER_H

#include "api_tls.h"

#include <nghttp2/nghttp2.h>

struct h2_conn;

struct h2_stream {
	TAILQ_ENTRY(h2_stream) link;
	struct h2_conn *conn;
	int32_t id;
	char path[64];
	size_t received;      // bytes of its request's body
	struct evbuffer *out; // of the response's
	bool ended;
	struct event *timer;
	int n_steps; // the test's own
};

struct h2_conn {
	TAILQ_ENTRY(h2_conn) link;
	struct h2_server *server;
	struct bufferevent *bev;
	nghttp2_session *session;
	TAILQ_HEAD(, h2_stream) streams;
};

struct h2_server {
	struct event_base *base;
	struct evconnlistener *listener;
	SSL_CTX *tls;
	uint16_t port;
	void (*answer)(struct h2_stream *s); // a whole request is there
	int n_conns, n_requests;             // ever
	bool deaf; // reads nothing more, says nothing more, on connections that are open
	TAILQ_HEAD(, h2_conn) conns;
};

static inline void h2_flush(struct h2_conn *c) {
	const uint8_t *data;
	ssize_t n;

	while (!c->server->deaf && (n = nghttp2_session_mem_send(c->session, &data)) > 0)
		bufferevent_write(c->bev, data, (size_t)n);
}

static inline ssize_t h2_read_out(nghttp2_session *session, int32_t id, uint8_t *buf, size_t n,
				  uint32_t *flags, nghttp2_data_source *source, void *arg) {
	struct h2_stream *s = source->ptr;
	int got = evbuffer_remove(s->out, buf, n);

	(void)session;
	(void)id;
	(void)arg;
	if (got == 0 && !s->ended)
		return NGHTTP2_ERR_DEFERRED;
	if (s->ended && evbuffer_get_length(s->out) == 0)
		*flags |= NGHTTP2_DATA_FLAG_EOF;
	return got;
}

static inline void h2_begin(struct h2_stream *s, const char *status) {
	nghttp2_nv header = {(uint8_t *)":status", (uint8_t *)status, 7, strlen(status), 0};
	nghttp2_data_provider body = {{.ptr = s}, h2_read_out};

	nghttp2_submit_response(s->conn->session, s->id, &header, 1, &body);
	h2_flush(s->conn);
}

static inline void h2_say(struct h2_stream *s, const void *data, size_t n) {
	evbuffer_add(s->out, data, n);
	nghttp2_session_resume_data(s->conn->session, s->id);
	h2_flush(s->conn);
}

static inline void h2_end(struct h2_stream *s) {
	s->ended = true;
	nghttp2_session_resume_data(s->conn->session, s->id);
	h2_flush(s->conn);
}

static inline void h2_reply(struct h2_stream *s, const char *status, const char *body) {
	evbuffer_add(s->out, body, strlen(body));
	s->ended = true;
	h2_begin(s, status);
}

// Streams that are open go on; the client may begin no new one.
static inline void h2_goaway(struct h2_conn *c) {
	nghttp2_submit_goaway(c->session, 0, nghttp2_session_get_last_proc_stream_id(c->session),
			      NGHTTP2_NO_ERROR, NULL, 0);
	h2_flush(c);
}

static inline void h2_after(struct h2_stream *s, int ms, event_callback_fn fn) {
	const struct timeval in = {.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000};

	if (s->timer != NULL)
		event_free(s->timer);
	s->timer = evtimer_new(s->conn->server->base, fn, s);
	evtimer_add(s->timer, &in);
}

static inline void h2_stream_free(struct h2_stream *s) {
	TAILQ_REMOVE(&s->conn->streams, s, link);
	if (s->timer != NULL)
		event_free(s->timer);
	evbuffer_free(s->out);
	free(s);
}

static inline void h2_conn_free(struct h2_conn *c) {
	struct h2_stream *s;

	while ((s = TAILQ_FIRST(&c->streams)) != NULL)
		h2_stream_free(s);
	TAILQ_REMOVE(&c->server->conns, c, link);
	nghttp2_session_del(c->session);
	bufferevent_free(c->bev);
	free(c);
}

static inline int h2_on_begin_headers(nghttp2_session *session, const nghttp2_frame *frame,
				      void *arg) {
	struct h2_conn *c = arg;
	struct h2_stream *s = calloc(1, sizeof(*s));

	s->conn = c;
	s->id = frame->hd.stream_id;
	s->out = evbuffer_new();
	TAILQ_INSERT_TAIL(&c->streams, s, link);
	return nghttp2_session_set_stream_user_data(session, s->id, s);
}

static inline int h2_on_header(nghttp2_session *session, const nghttp2_frame *frame,
			       const uint8_t *name, size_t name_len, const uint8_t *value,
			       size_t value_len, uint8_t flags, void *arg) {
	struct h2_stream *s = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);

	(void)flags;
	(void)arg;
	if (s != NULL && name_len == 5 && memcmp(name, ":path", 5) == 0)
		snprintf(s->path, sizeof(s->path), "%.*s", (int)value_len, value);
	return 0;
}

static inline int h2_on_data(nghttp2_session *session, uint8_t flags, int32_t id,
			     const uint8_t *data, size_t n, void *arg) {
	struct h2_stream *s = nghttp2_session_get_stream_user_data(session, id);

	(void)flags;
	(void)data;
	(void)arg;
	if (s != NULL)
		s->received += n;
	return 0;
}

static inline int h2_on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *arg) {
	struct h2_conn *c = arg;
	struct h2_stream *s = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);

	if (s == NULL || !(frame->hd.flags & NGHTTP2_FLAG_END_STREAM) ||
	    (frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA))
		return 0;
	c->server->n_requests++;
	c->server->answer(s);
	return 0;
}

static inline int h2_on_close(nghttp2_session *session, int32_t id, uint32_t error, void *arg) {
	struct h2_stream *s = nghttp2_session_get_stream_user_data(session, id);

	(void)error;
	(void)arg;
	if (s != NULL)
		h2_stream_free(s);
	return 0;
}

static inline void h2_on_read(struct bufferevent *bev, void *arg) {
	struct h2_conn *c = arg;
	struct evbuffer *in = bufferevent_get_input(bev);
	size_t n = evbuffer_get_length(in);
	ssize_t used;

	if (c->server->deaf)
		return;
	used = nghttp2_session_mem_recv(c->session, evbuffer_pullup(in, -1), n);
	if (used < 0) {
		h2_conn_free(c);
		return;
	}
	evbuffer_drain(in, (size_t)used);
	h2_flush(c);
}

static inline void h2_on_event(struct bufferevent *bev, short what, void *arg) {
	(void)bev;
	if (what & (BEV_EVENT_EOF | BEV_EVENT_ERROR))
		h2_conn_free(arg);
}

static inline void h2_session(struct h2_conn *c) {
	const nghttp2_settings_entry streams = {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, 100};
	nghttp2_session_callbacks *callbacks;

	nghttp2_session_callbacks_new(&callbacks);
	nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, h2_on_begin_headers);
	nghttp2_session_callbacks_set_on_header_callback(callbacks, h2_on_header);
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, h2_on_data);
	nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, h2_on_frame);
	nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, h2_on_close);
	nghttp2_session_server_new(&c->session, callbacks, c);
	nghttp2_session_callbacks_del(callbacks);
	nghttp2_submit_settings(c->session, 0, &streams, 1);
}

static inline void h2_on_accept(struct evconnlistener *l, evutil_socket_t fd, struct sockaddr *from,
				int n, void *arg) {
	struct h2_server *server = arg;
	struct h2_conn *c = calloc(1, sizeof(*c));

	(void)l;
	(void)from;
	(void)n;
	server->deaf = false; // it is a new process, say
	server->n_conns++;
	c->server = server;
	TAILQ_INIT(&c->streams);
	TAILQ_INSERT_TAIL(&server->conns, c, link);
	h2_session(c);
	c->bev = bufferevent_openssl_socket_new(server->base, fd, SSL_new(server->tls),
						BUFFEREVENT_SSL_ACCEPTING, BEV_OPT_CLOSE_ON_FREE);
	bufferevent_openssl_set_allow_dirty_shutdown(c->bev, 1);
	bufferevent_setcb(c->bev, h2_on_read, NULL, h2_on_event, c);
	bufferevent_enable(c->bev, EV_READ | EV_WRITE);
}

static inline int h2_choose(SSL *ssl, const unsigned char **out, unsigned char *n,
			    const unsigned char *in, unsigned n_in, void *arg) {
	(void)ssl;
	(void)arg;
	return nghttp2_select_next_protocol((unsigned char **)out, n, in, n_in) == 1
		       ? SSL_TLSEXT_ERR_OK
		       : SSL_TLSEXT_ERR_ALERT_FATAL;
}

static inline void h2_server_start(struct h2_server *s, struct event_base *base,
				   const struct cert *cert) {
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	socklen_t n = sizeof(at);

	s->base = base;
	TAILQ_INIT(&s->conns);
	s->tls = SSL_CTX_new(TLS_server_method());
	assert_int_equal(SSL_CTX_use_certificate(s->tls, cert->x509), 1);
	assert_int_equal(SSL_CTX_use_PrivateKey(s->tls, cert->key), 1);
	SSL_CTX_set_alpn_select_cb(s->tls, h2_choose, NULL);
	s->listener = evconnlistener_new_bind(base, h2_on_accept, s,
					      LEV_OPT_CLOSE_ON_FREE | LEV_OPT_REUSEABLE, 1024,
					      (struct sockaddr *)&at, sizeof(at));
	assert_non_null(s->listener);
	getsockname(evconnlistener_get_fd(s->listener), (struct sockaddr *)&at, &n);
	s->port = ntohs(at.sin_port);
}

static inline void h2_server_stop(struct h2_server *s) {
	struct h2_conn *c;

	while ((c = TAILQ_FIRST(&s->conns)) != NULL)
		h2_conn_free(c);
	evconnlistener_free(s->listener);
	SSL_CTX_free(s->tls);
}

#endif
