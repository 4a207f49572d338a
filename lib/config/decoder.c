// SPDX-License-Identifier: Apache-2.0
// Reading one value of the configuration, or saying why not.
#include "config/decoder.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void decode_add(struct decoder *d, unsigned line, bool warning, const struct error *error) {
	struct config_report *r = d->report;
	struct config_note *notes;

	r->n_faults += !warning;
	if (r->n >= CONFIG_MAX_FAULTS)
		return;
	notes = reallocarray(r->notes, r->n + 1, sizeof(*notes));
	if (notes == NULL) {
		d->no_memory = true;
		return;
	}
	r->notes = notes;
	notes[r->n++] = (struct config_note){.line = line, .warning = warning, .error = *error};
}

void decode_fault(struct decoder *d, const struct doc_node *n, const char *format, ...) {
	struct error err;
	char text[700];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	doc_fault(n, &err, 0, "%s", text);
	decode_add(d, doc_line(n), false, &err);
}

void decode_warning(struct decoder *d, const struct doc_node *n, const char *format, ...) {
	struct error err;
	char text[700];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	doc_fault(n, &err, 0, "%s", text);
	decode_add(d, doc_line(n), true, &err);
}

void decode_keys(struct decoder *d, struct doc_node *n, const char *const *keys, size_t n_keys) {
	struct doc_node member = {0};
	struct error err;

	if (!doc_present(n))
		return;
	if (!json_is_object(n->json)) {
		decode_fault(d, n, "not an object");
		n->json = NULL;
		return;
	}
	while (doc_next(&member, n))
		if (doc_known(&member, keys, n_keys, &err) < 0)
			decode_add(d, doc_line(&member), false, &err);
}

void decode_section(struct decoder *d, struct doc_node *out, const struct doc_node *n,
		    const char *key, const char *const *keys, size_t n_keys) {
	doc_member(out, n, key, NULL); // n is an object or absent: decode_keys() saw to it
	decode_keys(d, out, keys, n_keys);
}

bool decode_entry(struct decoder *d, struct doc_node *out, const struct doc_node *list, size_t i,
		  const char *const *keys, size_t n_keys) {
	*out = doc_element(list, i);
	if (!json_is_object(out->json)) {
		decode_fault(d, out, "not an object");
		return false;
	}
	decode_keys(d, out, keys, n_keys);
	return true;
}

size_t decode_list(struct decoder *d, struct doc_node *out, const struct doc_node *n,
		   const char *key, size_t max) {
	struct error err;
	size_t size = 0;

	doc_member(out, n, key, NULL);
	if (doc_array_size(out, &size, &err) < 0) {
		decode_add(d, doc_line(out), false, &err);
		return 0;
	}
	if (size > max) {
		decode_fault(d, out, "more than %zu entries", max);
		return 0;
	}
	return size;
}

bool decode_u32(struct decoder *d, const struct doc_node *n, const char *key, uint32_t *out,
		uint32_t min, uint32_t max) {
	struct doc_node m;
	struct error err;
	int64_t v;

	doc_member(&m, n, key, NULL);
	if (!doc_present(&m))
		return false;
	if (doc_int(&m, &v, min, max, &err) < 0) {
		decode_add(d, doc_line(&m), false, &err);
		return false;
	}
	*out = (uint32_t)v;
	return true;
}

bool decode_bool(struct decoder *d, const struct doc_node *n, const char *key, bool *out) {
	struct doc_node m;
	struct error err;

	doc_member(&m, n, key, NULL);
	if (doc_bool(&m, out, &err) == 0)
		return doc_present(&m);
	decode_add(d, doc_line(&m), false, &err);
	return false;
}

bool decode_enum(struct decoder *d, const struct doc_node *n, const char *key, int *out,
		 const char *const *names, size_t n_names) {
	struct doc_node m;
	struct error err;

	doc_member(&m, n, key, NULL);
	if (doc_enum(&m, out, names, n_names, &err) == 0)
		return doc_present(&m);
	decode_add(d, doc_line(&m), false, &err);
	return false;
}

bool decode_text(struct decoder *d, const struct doc_node *n, const char **out) {
	struct error err;

	if (!doc_present(n) && n->key == NULL) {
		decode_fault(d, n, "not a string"); // null in an array
		return false;
	}
	if (doc_string(n, out, &err) == 0)
		return doc_present(n);
	decode_add(d, doc_line(n), false, &err);
	return false;
}

bool decode_get_text(struct decoder *d, const struct doc_node *n, const char *key,
		     struct doc_node *member, const char **out) {
	doc_member(member, n, key, NULL);
	return decode_text(d, member, out);
}

bool decode_required(struct decoder *d, const struct doc_node *n, const char *key,
		     struct doc_node *member, const char **out) {
	doc_member(member, n, key, NULL);
	if (doc_present(member))
		return decode_text(d, member, out);
	if (doc_present(n))
		decode_fault(d, member, "missing");
	return false;
}

bool decode_addr(struct decoder *d, const struct doc_node *n, struct ip_addr *out) {
	const char *text;
	struct ip_addr a;

	if (!decode_text(d, n, &text))
		return false;
	if (ip_addr_parse(&a, text) < 0) {
		decode_fault(d, n, "not an IP address");
		return false;
	}
	if (!ip_addr_is_usable(&a)) {
		decode_fault(d, n, "not an address that a host can own");
		return false;
	}
	*out = a;
	return true;
}

bool decode_block(struct decoder *d, const struct doc_node *n, struct ip_prefix *out) {
	char want[IP_PREFIX_STR];
	struct ip_prefix p;
	struct ip_addr first;
	const char *text;

	if (!decode_text(d, n, &text))
		return false;
	if (ip_prefix_parse(&p, text) < 0) {
		decode_fault(d, n, "not a prefix (ADDRESS/LENGTH)");
		return false;
	}
	first = ip_prefix_range(&p).first;
	if (!ip_addr_eq(&p.addr, &first)) {
		p.addr = first;
		decode_fault(d, n, "has bits behind its length; %s is meant?",
			     ip_prefix_format(&p, want));
		return false;
	}
	*out = p;
	return true;
}

bool decode_mac(struct decoder *d, const struct doc_node *n, struct mac_addr *out) {
	static const struct mac_addr zero;
	struct mac_addr mac;
	const char *text;

	if (!decode_text(d, n, &text))
		return false;
	if (mac_parse(&mac, text) < 0) {
		decode_fault(d, n, "not a MAC address");
		return false;
	}
	if ((mac.b[0] & 1) != 0 || memcmp(&mac, &zero, sizeof(mac)) == 0) {
		decode_fault(d, n, "not a unicast MAC address");
		return false;
	}
	*out = mac;
	return true;
}

void decode_copy(struct decoder *d, char **out, const char *text) {
	char *copy = strdup(text);

	if (copy == NULL) {
		d->no_memory = true;
		return;
	}
	free(*out);
	*out = copy;
}

void *decode_array(struct decoder *d, size_t n, size_t size) {
	void *p = calloc(n > 0 ? n : 1, size);

	d->no_memory |= p == NULL;
	return p;
}
