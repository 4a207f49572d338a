// SPDX-License-Identifier: Apache-2.0
// Authorities and certificates made on the spot, and TLS for the server of api_server.h.
#ifndef API_TLS_H
#define API_TLS_H

#include "api_server.h"

#include <event2/bufferevent_ssl.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

struct cert {
	X509 *x509;
	EVP_PKEY *key;
	char *pem, *key_pem;
};

static inline char *bio_text(BIO *b) {
	char *data, *text;
	size_t n = (size_t)BIO_get_mem_data(b, &data);

	text = calloc(1, n + 1); // the BIO's bytes end without a NUL
	memcpy(text, data, n);
	BIO_free(b);
	return text;
}

static inline void cert_add(X509 *x, X509 *issuer, int nid, const char *value) {
	X509V3_CTX ctx;
	X509_EXTENSION *e;

	X509V3_set_ctx(&ctx, issuer, x, NULL, NULL, 0);
	e = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
	assert_non_null(e);
	X509_add_ext(x, e, -1);
	X509_EXTENSION_free(e);
}

// Valid from now + from_s to now + to_s. issuer NULL: an authority, signed by itself. san: "DNS:a,IP:1.2.3.4" or NULL.
static inline void cert_make(struct cert *c, const struct cert *issuer, const char *name,
			     const char *san, long from_s, long to_s) {
	static long serial = 1;
	X509_NAME *n;
	BIO *b;

	c->key = EVP_EC_gen("P-256");
	c->x509 = X509_new();
	X509_set_version(c->x509, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(c->x509), serial++);
	X509_gmtime_adj(X509_getm_notBefore(c->x509), from_s);
	X509_gmtime_adj(X509_getm_notAfter(c->x509), to_s);
	X509_set_pubkey(c->x509, c->key);
	n = X509_get_subject_name(c->x509);
	X509_NAME_add_entry_by_txt(n, "CN", MBSTRING_ASC, (const unsigned char *)name, -1, -1, 0);
	X509_set_issuer_name(c->x509, issuer != NULL ? X509_get_subject_name(issuer->x509) : n);
	if (issuer == NULL)
		cert_add(c->x509, c->x509, NID_basic_constraints, "critical,CA:TRUE");
	if (san != NULL)
		cert_add(c->x509, issuer->x509, NID_subject_alt_name, san);
	assert_true(X509_sign(c->x509, issuer != NULL ? issuer->key : c->key, EVP_sha256()) > 0);
	b = BIO_new(BIO_s_mem());
	PEM_write_bio_X509(b, c->x509);
	c->pem = bio_text(b);
	b = BIO_new(BIO_s_mem());
	PEM_write_bio_PrivateKey(b, c->key, NULL, NULL, 0, NULL, NULL);
	c->key_pem = bio_text(b);
}

static inline void cert_fini(struct cert *c) {
	X509_free(c->x509);
	EVP_PKEY_free(c->key);
	free(c->pem);
	free(c->key_pem);
	*c = (struct cert){0};
}

static inline struct bufferevent *tls_wrap(struct server *s, evutil_socket_t fd) {
	struct bufferevent *b = bufferevent_openssl_socket_new(s->base, fd, SSL_new(s->tls),
							       BUFFEREVENT_SSL_ACCEPTING,
							       BEV_OPT_CLOSE_ON_FREE);

	bufferevent_openssl_set_allow_dirty_shutdown(b, 1);
	return b;
}

// client_ca: whose certificates clients must show; NULL: none are asked for. May be called again to change what new connections see.
static inline void server_use_tls(struct server *s, const struct cert *c,
				  const struct cert *client_ca) {
	SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());

	assert_int_equal(SSL_CTX_use_certificate(ctx, c->x509), 1);
	assert_int_equal(SSL_CTX_use_PrivateKey(ctx, c->key), 1);
	if (client_ca != NULL) {
		SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
		X509_STORE_add_cert(SSL_CTX_get_cert_store(ctx), client_ca->x509);
		SSL_CTX_set_session_id_context(ctx, (const unsigned char *)"t", 1);
	}
	SSL_CTX_free(s->tls);
	s->tls = ctx;
	s->wrap = tls_wrap;
}

// The name in the certificate that the client showed, "" for none.
static inline const char *conn_client(const struct conn *c, char *buf, int size) {
	X509 *x = SSL_get1_peer_certificate(bufferevent_openssl_get_ssl(c->bev));

	buf[0] = '\0';
	if (x != NULL)
		X509_NAME_get_text_by_NID(X509_get_subject_name(x), NID_commonName, buf, size);
	X509_free(x);
	return buf;
}

#endif
