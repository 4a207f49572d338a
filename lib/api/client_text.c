// SPDX-License-Identifier: Apache-2.0
// What went wrong, where it is set, and so what to do about it.
#include <stdarg.h>
#include <stdio.h>

#include "api/client_call.h"

// X509_V_ERR_* of OpenSSL; their numbers are part of its interface.
enum {
	NOT_YET_VALID = 9,
	EXPIRED = 10,
	SELF_SIGNED = 18,
	SELF_SIGNED_CHAIN = 19,
	NO_LOCAL_ISSUER = 20,
	NO_FIRST_ISSUER = 21
};

__attribute__((format(printf, 2, 3))) static void tell(struct api_end *to, const char *format,
						       ...) {
	va_list args;

	va_start(args, format);
	vsnprintf(to->text, sizeof(to->text), format, args);
	va_end(args);
}

static void explain_untrusted(const struct kubeconfig *k, const struct http_end *from,
			      struct api_end *to) {
	switch (from->verify) {
	case NOT_YET_VALID:
		tell(to, "%s: its certificate is not valid yet: is the clock of this host right?",
		     k->server);
		break;
	case EXPIRED:
		tell(to, "%s: its certificate has expired, or the clock of this host is wrong",
		     k->server);
		break;
	case SELF_SIGNED:
	case SELF_SIGNED_CHAIN:
	case NO_LOCAL_ISSUER:
	case NO_FIRST_ISSUER:
		tell(to,
		     "%.60s: certificate signed by unknown authority: certificate-authority of "
		     "cluster %.40s %s (%.60s)",
		     k->server, k->cluster,
		     k->ca != NULL || k->ca_file != NULL ? "is another one" : "is not set",
		     k->source);
		break;
	default:
		tell(to, "%.80s: %s", k->server, from->end.text);
	}
}

void client_explain(const struct api_client *c, const struct http_end *from, struct api_end *to) {
	const struct kubeconfig *k = c->k;

	*to = from->end;
	switch (from->cause) {
	case HTTP_FINE:
		if (from->end.status == 401)
			tell(to, "%.80s does not take the credentials of user %.40s (%.80s)",
			     k->server, k->user, k->source);
		break;
	case HTTP_UNTRUSTED:
		explain_untrusted(k, from, to);
		break;
	case HTTP_MISNAMED:
		tell(to,
		     "%.60s: its certificate is for other names, see tls-server-name of cluster "
		     "%.40s: %s",
		     k->server, k->cluster, from->end.text);
		break;
	case HTTP_MATERIAL:
		tell(to,
		     "certificate-authority of cluster %.40s or the client certificate of user "
		     "%.40s can't be used: %s",
		     k->cluster, k->user, from->end.text);
		break;
	case HTTP_STOPPED:
		break;
	default:
		tell(to, "%.80s: %s", k->server, from->end.text);
	}
}
