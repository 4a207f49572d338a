// SPDX-License-Identifier: Apache-2.0
// Lists of ingress to text and back.
#include "status/ingress.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

const char *ingress_protocol_name(uint8_t protocol) {
	return protocol == IPPROTO_UDP ? "UDP" : protocol == IPPROTO_SCTP ? "SCTP" : "TCP";
}

// Takes list over.
static char *print(json_t *list) {
	char *text = json_array_size(list) == 0 ? strdup("")
						: json_dumps(list, JSON_COMPACT | JSON_SORT_KEYS);

	json_decref(list);
	return text;
}

static json_t *port_of(const struct ingress_port *p) {
	json_t *port = json_pack("{s:i, s:s}", "port", p->port, "protocol",
				 ingress_protocol_name(p->protocol));

	if (p->error != NULL)
		json_object_set_new(port, "error", json_string(p->error));
	return port;
}

static json_t *entry_of(const struct ingress *i) {
	json_t *entry = json_object(), *ports;
	char text[IP_ADDR_STR];

	if (i->addr.family != 0) {
		json_object_set_new(entry, "ip", json_string(ip_addr_format(&i->addr, text)));
		json_object_set_new(entry, "ipMode", json_string(i->proxy ? "Proxy" : "VIP"));
	}
	if (i->hostname != NULL)
		json_object_set_new(entry, "hostname", json_string(i->hostname));
	if (i->n_ports == 0)
		return entry;
	ports = json_array();
	for (uint32_t p = 0; p < i->n_ports; p++)
		json_array_append_new(ports, port_of(&i->ports[p]));
	json_object_set_new(entry, "ports", ports);
	return entry;
}

char *ingress_text(const struct ingress *list, uint32_t n) {
	json_t *entries = json_array();

	for (uint32_t i = 0; i < n; i++)
		json_array_append_new(entries, entry_of(&list[i]));
	return print(entries);
}

static bool is_empty(const json_t *value) {
	return json_is_null(value) || (json_is_array(value) && json_array_size(value) == 0) ||
	       (json_is_string(value) && json_string_length(value) == 0);
}

static json_t *canonical(json_t *entry) {
	const char *ip = json_string_value(json_object_get(entry, "ip")), *key;
	json_t *copy = json_object(), *value;
	struct ip_addr addr;
	char text[IP_ADDR_STR];

	json_object_foreach(entry, key, value)
		if (!is_empty(value))
			json_object_set(copy, key, value);
	if (ip == NULL || ip[0] == '\0')
		return copy;
	if (ip_addr_parse(&addr, ip) == 0)
		json_object_set_new(copy, "ip", json_string(ip_addr_format(&addr, text)));
	if (json_object_get(copy, "ipMode") == NULL)
		json_object_set_new(copy, "ipMode", json_string("VIP"));
	return copy;
}

char *ingress_text_of(const json_t *list) {
	json_t *entries = json_array(), *entry;
	size_t i;

	json_array_foreach(list, i, entry)
		json_array_append_new(entries, canonical(entry));
	return print(entries);
}

json_t *ingress_list(const char *text) {
	return text[0] == '\0' ? NULL : json_loads(text, 0, NULL);
}
