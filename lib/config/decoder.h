// SPDX-License-Identifier: Apache-2.0
// Inside of config: verbs that read one value and put a fault into the report instead of returning it.
//
// A value that is absent or wrong leaves its output as it was. A section of the wrong type reads as an absent one, so that one
// mistake gives one fault.
#ifndef SLUICE_CONFIG_DECODER_H
#define SLUICE_CONFIG_DECODER_H

#include "config/config.h"
#include "doc/doc.h"

#define CONFIG_MAX_LIST 4096  // entries of one list
#define CONFIG_MAX_FAULTS 100 // listed; the others are counted
#define CONFIG_MAX_BYTES (4 << 20)

#define KEYS(...)                                                                                  \
	(const char *const[]){__VA_ARGS__},                                                        \
		sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *)

struct decoder {
	struct config *c;
	const struct config_options *options;
	struct config_report *report;
	bool no_memory;
};

__attribute__((format(printf, 3, 4))) void decode_fault(struct decoder *d, const struct doc_node *n,
							const char *format, ...);
__attribute__((format(printf, 3, 4))) void decode_warning(struct decoder *d,
							  const struct doc_node *n,
							  const char *format, ...);
// A fault of no place in the tree; the text says all.
void decode_add(struct decoder *d, unsigned line, bool warning, const struct error *error);

// A member object with no keys but those named.
void decode_section(struct decoder *d, struct doc_node *out, const struct doc_node *n,
		    const char *key, const char *const *keys, size_t n_keys);
// The same for a node at hand.
void decode_keys(struct decoder *d, struct doc_node *n, const char *const *keys, size_t n_keys);
// The same for element i of an array; false after a fault about all of it.
bool decode_entry(struct decoder *d, struct doc_node *out, const struct doc_node *list, size_t i,
		  const char *const *keys, size_t n_keys);
// A member array; returns its size, 0 when absent, wrong or longer than max.
size_t decode_list(struct decoder *d, struct doc_node *out, const struct doc_node *n,
		   const char *key, size_t max);

// Return true when *out was written.
bool decode_u32(struct decoder *d, const struct doc_node *n, const char *key, uint32_t *out,
		uint32_t min, uint32_t max);
bool decode_bool(struct decoder *d, const struct doc_node *n, const char *key, bool *out);
bool decode_enum(struct decoder *d, const struct doc_node *n, const char *key, int *out,
		 const char *const *names, size_t n_names);
bool decode_text(struct decoder *d, const struct doc_node *n,
		 const char **out); // borrowed from the document
bool decode_get_text(struct decoder *d, const struct doc_node *n, const char *key,
		     struct doc_node *member, const char **out);
// As decode_get_text, but an absent member is a fault.
bool decode_required(struct decoder *d, const struct doc_node *n, const char *key,
		     struct doc_node *member, const char **out);
bool decode_addr(struct decoder *d, const struct doc_node *n,
		 struct ip_addr *out); // usable by a host
bool decode_block(struct decoder *d, const struct doc_node *n,
		  struct ip_prefix *out);                                           // no host bits
bool decode_mac(struct decoder *d, const struct doc_node *n, struct mac_addr *out); // unicast

// A copy of text in place of *out's present one.
void decode_copy(struct decoder *d, char **out, const char *text);
// An array of n zeroed elements, at least one; NULL: out of memory, noted.
void *decode_array(struct decoder *d, size_t n, size_t size);

// The sections, in this order.
void decode_dataplane(struct decoder *d, const struct doc_node *root);
void decode_network(struct decoder *d, const struct doc_node *root); // ports, routes, neighbors
void decode_services(struct decoder *d, const struct doc_node *root);

// Parts of services.
void decode_kubernetes(struct decoder *d, const struct doc_node *services);
void decode_pools(struct decoder *d, const struct doc_node *services); // after all other addresses
void free_pool(struct config_pool *pool);                              // what it points to
void decode_nodes(struct decoder *d, const struct doc_node *services);
void decode_node_health(struct decoder *d, const struct doc_node *services);

// Who in the network of `site` owns this address already: fills what ("the address of port wan"), returns true.
bool site_owner(const struct site *site, const struct ip_range *r, char *what, size_t size);
// The port whose subnet holds the address, or -1.
int site_port_of(const struct site *site, const struct ip_addr *a);
// The network or broadcast address of an IPv4 subnet.
bool is_subnet_edge(const struct ip_prefix *p, const struct ip_addr *a);

#endif
