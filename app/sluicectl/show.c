// SPDX-License-Identifier: Apache-2.0
// Columns of each verb, and how a JSON value becomes a cell.
#include "show.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "table.h"

#define MAX_COLUMNS 32
#define DIM(a) (sizeof(a) / sizeof((a)[0]))

enum kind {
	KIND_PLAIN,    // text, number, list of either joined by commas
	KIND_ENDPOINT, // "address" and "port" of the row
	KIND_SPAN,     // seconds
	KIND_LINK,     // true or "up"
	KIND_COUNT,    // a number, {"packets": n}, or the sum of an object's numbers
	KIND_REASON,   // "reason" of the row, or if it is empty its "note"
};

struct column {
	const char *header; // '>' first: numbers
	const char *key;
	enum kind kind;
};

static void plain_text(char *buf, size_t size, json_t *v) {
	buf[0] = '\0';
	if (json_is_string(v))
		snprintf(buf, size, "%s", json_string_value(v));
	else if (json_is_integer(v))
		snprintf(buf, size, "%" JSON_INTEGER_FORMAT, json_integer_value(v));
	else if (json_is_real(v))
		snprintf(buf, size, "%.1f", json_real_value(v));
	else if (json_is_boolean(v))
		snprintf(buf, size, "%s", json_is_true(v) ? "yes" : "no");
}

// A list may be long and nothing is cut: its length is measured, not guessed.
static char *list_text(json_t *list) {
	char item[512];
	char *text = NULL;
	size_t i, size = 0;
	json_t *v;
	FILE *f = open_memstream(&text, &size);

	if (f == NULL)
		return NULL;
	json_array_foreach(list, i, v) {
		plain_text(item, sizeof(item), v);
		fprintf(f, "%s%s", i > 0 ? "," : "", item);
	}
	return fclose(f) == 0 ? text : NULL;
}

static void span_text(char *buf, size_t size, json_t *v) {
	long long s = (long long)json_number_value(v);

	buf[0] = '\0';
	if (!json_is_number(v))
		return;
	if (s < 120)
		snprintf(buf, size, "%llds", s);
	else if (s < 2 * 3600)
		snprintf(buf, size, "%lldm%llds", s / 60, s % 60);
	else if (s < 2 * 86400)
		snprintf(buf, size, "%lldh%lldm", s / 3600, s / 60 % 60);
	else
		snprintf(buf, size, "%lldd%lldh", s / 86400, s / 3600 % 24);
}

static void endpoint_text(char *buf, size_t size, json_t *row) {
	const char *addr = json_string_value(json_object_get(row, "address"));
	json_t *port = json_object_get(row, "port");

	plain_text(buf, size, json_object_get(row, "address"));
	if (addr != NULL && json_is_integer(port))
		snprintf(buf, size, strchr(addr, ':') != NULL ? "[%s]:%d" : "%s:%d", addr,
			 (int)json_integer_value(port));
}

static void count_text(char *buf, size_t size, json_t *v) {
	json_t *packets = json_object_get(v, "packets"), *item;
	const char *key;
	json_int_t sum = 0;

	plain_text(buf, size, packets != NULL ? packets : v);
	if (!json_is_object(v) || packets != NULL)
		return;
	json_object_foreach(v, key, item)
		sum += json_integer_value(item);
	snprintf(buf, size, "%" JSON_INTEGER_FORMAT, sum);
}

static void add_cell(struct table *t, json_t *row, const struct column *c) {
	json_t *v = json_object_get(row, c->key);
	char buf[1024];
	char *list;

	if (json_is_array(v)) {
		list = list_text(v);
		table_cell(t, list);
		free(list);
		return;
	}
	if (c->kind == KIND_REASON && json_string_length(v) == 0)
		v = json_object_get(row, "note");
	if ((c->kind == KIND_PLAIN || c->kind == KIND_REASON) && json_is_string(v)) {
		table_cell(t, json_string_value(v)); // of any length
		return;
	}
	switch (c->kind) {
	case KIND_ENDPOINT:
		endpoint_text(buf, sizeof(buf), row);
		break;
	case KIND_SPAN:
		span_text(buf, sizeof(buf), v);
		break;
	case KIND_COUNT:
		count_text(buf, sizeof(buf), v);
		break;
	case KIND_LINK:
		plain_text(buf, sizeof(buf), v);
		if (json_is_boolean(v))
			snprintf(buf, sizeof(buf), "%s", json_is_true(v) ? "up" : "down");
		break;
	case KIND_PLAIN:
	case KIND_REASON:
		plain_text(buf, sizeof(buf), v);
		break;
	}
	table_cell(t, buf);
}

static int show_list(json_t *list, const struct column *columns, size_t n, FILE *out) {
	const char *headers[MAX_COLUMNS];
	struct table *t;
	json_t *row;
	size_t i;
	int ret;

	for (i = 0; i < n; i++)
		headers[i] = columns[i].header;
	t = table_create(headers, n);
	if (t == NULL)
		return -ENOMEM;
	json_array_foreach(list, i, row)
		for (size_t c = 0; c < n; c++)
			add_cell(t, row, &columns[c]);
	ret = table_write(t, out);
	table_destroy(t);
	return ret;
}

static int show_items(json_t *body, const struct column *columns, size_t n, FILE *out) {
	return show_list(json_object_get(body, "items"), columns, n, out);
}

int show_services(json_t *body, FILE *out) {
	static const struct column columns[] = {
		{"NAMESPACE", "namespace", KIND_PLAIN}, {"NAME", "name", KIND_PLAIN},
		{">PORT", "port", KIND_PLAIN},          {"PROTOCOL", "protocol", KIND_PLAIN},
		{"ADDRESSES", "addresses", KIND_PLAIN}, {"FORWARDING", "forwarding", KIND_PLAIN},
		{">BACKENDS", "backends", KIND_COUNT},  {">GENERATION", "generation", KIND_PLAIN},
		{"REASON", "reason", KIND_REASON},
	};

	return show_items(body, columns, DIM(columns), out);
}

int show_backends(json_t *body, FILE *out) {
	static const struct column columns[] = {
		{"SERVICE", "service", KIND_PLAIN}, {"BACKEND", "address", KIND_ENDPOINT},
		{"STATE", "state", KIND_PLAIN},     {">WEIGHT", "weight", KIND_PLAIN},
		{">FLOWS", "flows", KIND_PLAIN},    {"REASON", "reason", KIND_PLAIN},
	};

	return show_items(body, columns, DIM(columns), out);
}

int show_flows(json_t *body, FILE *out) {
	static const struct column columns[] = {
		{"PROTOCOL", "protocol", KIND_PLAIN}, {"CLIENT", "client", KIND_PLAIN},
		{"FRONTEND", "frontend", KIND_PLAIN}, {"BACKEND", "backend", KIND_PLAIN},
		{"SNAT", "snat", KIND_PLAIN},         {"STATE", "state", KIND_PLAIN},
		{">AGE", "age", KIND_SPAN},           {">IDLE", "idle", KIND_SPAN},
		{">WORKER", "worker", KIND_PLAIN},    {"SERVICE", "service", KIND_PLAIN},
	};

	return show_items(body, columns, DIM(columns), out);
}

int show_ports(json_t *body, FILE *out) {
	static const struct column columns[] = {
		{"NAME", "name", KIND_PLAIN},     {"DEVICE", "device", KIND_PLAIN},
		{"DRIVER", "driver", KIND_PLAIN}, {"MAC", "mac", KIND_PLAIN},
		{"LINK", "link", KIND_LINK},      {">MTU", "mtu", KIND_PLAIN},
		{">VLAN", "vlan", KIND_PLAIN},    {"ADDRESSES", "addresses", KIND_PLAIN},
		{"RSS", "rss", KIND_PLAIN},       {">RX", "rx", KIND_COUNT},
		{">TX", "tx", KIND_COUNT},        {">DROPS", "drops", KIND_COUNT},
	};

	return show_items(body, columns, DIM(columns), out);
}

int show_probes(json_t *body, FILE *out) {
	static const struct column columns[] = {
		{"NODE", "node", KIND_PLAIN},      {"SERVICE", "service", KIND_PLAIN},
		{"URL", "url", KIND_PLAIN},        {"STATE", "state", KIND_PLAIN},
		{">WEIGHT", "weight", KIND_PLAIN}, {"ANSWER", "answer", KIND_PLAIN},
		{">AGE", "age", KIND_SPAN},
	};

	return show_items(body, columns, DIM(columns), out);
}

int show_explain(json_t *body, FILE *out) {
	static const struct column columns[] = {
		{"STAGE", "stage", KIND_PLAIN},
		{"RESULT", "result", KIND_PLAIN},
		{"REASON", "reason", KIND_PLAIN},
	};
	const char *backend = json_string_value(json_object_get(body, "backend"));
	int ret = show_list(json_object_get(body, "steps"), columns, DIM(columns), out);

	if (ret == 0)
		fprintf(out, "\nbackend: %s\n", backend != NULL ? backend : "none");
	return ret;
}

int show_pools(json_t *body, FILE *out) {
	static const struct column columns[] = {
		{"NAME", "name", KIND_PLAIN},          {">FAMILY", "family", KIND_PLAIN},
		{">SIZE", "size", KIND_PLAIN},         {">IN USE", "inUse", KIND_PLAIN},
		{">FREE", "free", KIND_PLAIN},         {"AUTO ASSIGN", "autoAssign", KIND_PLAIN},
		{">PRIORITY", "priority", KIND_PLAIN}, {">WAITING", "waiting", KIND_PLAIN},
	};

	return show_items(body, columns, DIM(columns), out);
}

// A list under an empty line, when there is any.
static int show_part(json_t *body, const char *key, const struct column *columns, size_t n,
		     FILE *out) {
	json_t *list = json_object_get(body, key);

	if (json_array_size(list) == 0)
		return 0;
	putc('\n', out);
	return show_list(list, columns, n, out);
}

int show_explain_service(json_t *body, FILE *out) {
	static const struct column addresses[] = {
		{"ADDRESS", "address", KIND_PLAIN},
		{"POOL", "pool", KIND_PLAIN},
		{"IP MODE", "ipMode", KIND_PLAIN},
	};
	static const struct column pools[] = {
		{"POOL", "pool", KIND_PLAIN},
		{">FAMILY", "family", KIND_PLAIN},
		{"RESULT", "result", KIND_PLAIN},
	};
	static const struct column ports[] = {
		{">PORT", "port", KIND_PLAIN},
		{"PROTOCOL", "protocol", KIND_PLAIN},
		{"FRONTENDS", "frontends", KIND_PLAIN},
		{"REASON", "reason", KIND_PLAIN},
	};
	static const struct column endpoints[] = {
		{">PORT", "servicePort", KIND_PLAIN}, {"PROTOCOL", "protocol", KIND_PLAIN},
		{"ENDPOINT", "endpoint", KIND_PLAIN}, {"NODE", "node", KIND_PLAIN},
		{"SLICE", "slice", KIND_PLAIN},       {"RESULT", "result", KIND_PLAIN},
		{"RULE", "rule", KIND_PLAIN},
	};
	static const struct column backends[] = {
		{">PORT", "servicePort", KIND_PLAIN}, {"BACKEND", "address", KIND_ENDPOINT},
		{"STATE", "state", KIND_PLAIN},       {">WEIGHT", "weight", KIND_PLAIN},
		{"REASON", "reason", KIND_PLAIN},
	};
	const char *reason = json_string_value(json_object_get(body, "reason"));
	const char *service = json_string_value(json_object_get(body, "service"));
	int ret;

	fprintf(out, "%s: %s\n", service != NULL ? service : "-",
		reason != NULL && reason[0] != '\0' ? reason : "it lacks no address");
	ret = show_part(body, "addresses", addresses, DIM(addresses), out);
	if (ret == 0)
		ret = show_part(body, "pools", pools, DIM(pools), out);
	if (ret == 0)
		ret = show_part(body, "ports", ports, DIM(ports), out);
	if (ret == 0)
		ret = show_part(body, "endpoints", endpoints, DIM(endpoints), out);
	return ret == 0 ? show_part(body, "backends", backends, DIM(backends), out) : ret;
}

// Whatever the workers count: columns are the members of the first one.
static int show_workers(json_t *workers, FILE *out) {
	struct column columns[MAX_COLUMNS];
	char headers[MAX_COLUMNS][64];
	json_t *v;
	const char *key;
	size_t n = 0;

	json_object_foreach(json_array_get(workers, 0), key, v) {
		if (n == MAX_COLUMNS)
			break;
		snprintf(headers[n], sizeof(headers[n]), "%s%s",
			 json_is_number(v) || json_is_object(v) ? ">" : "", key);
		for (char *c = headers[n]; *c != '\0'; c++)
			*c = (char)toupper((unsigned char)*c);
		columns[n].header = headers[n];
		columns[n].key = key;
		columns[n++].kind = KIND_COUNT;
	}
	return n > 0 ? show_list(workers, columns, n, out) : 0;
}

// Names and numbers; of an object the sum of its numbers.
static int show_numbers(json_t *drops, const char *title, FILE *out) {
	const char *headers[] = {title, ">PACKETS"};
	struct table *t = table_create(headers, DIM(headers));
	const char *key;
	json_t *v;
	char buf[32];
	int ret;

	if (t == NULL)
		return -ENOMEM;
	json_object_foreach(drops, key, v) {
		count_text(buf, sizeof(buf), v);
		table_cell(t, key);
		table_cell(t, buf);
	}
	ret = table_write(t, out);
	table_destroy(t);
	return ret;
}

int show_stats(json_t *body, FILE *out) {
	char generation[32];
	char *at = list_text(json_object_get(body, "workersAt"));
	int ret;

	plain_text(generation, sizeof(generation), json_object_get(body, "generation"));
	fprintf(out, "generation %s, workers at %s\n\n", generation, at != NULL ? at : "-");
	free(at);
	ret = show_workers(json_object_get(body, "workers"), out);
	if (ret < 0 || json_object_size(json_object_get(body, "drops")) == 0)
		return ret;
	putc('\n', out);
	ret = show_numbers(json_object_get(body, "drops"), "DROPS", out);
	if (ret < 0 || !json_is_object(json_object_get(body, "lostAt")))
		return ret;
	putc('\n', out);
	return show_numbers(json_object_get(body, "lostAt"), "LOST AT", out);
}

// One line on the whole: where objects come from, how far they can be trusted, how long a change takes.
static void show_source(json_t *body, FILE *out) {
	json_t *held = json_object_get(body, "held"), *latency = json_object_get(body, "latency");
	char source[32], server[256], age[64];

	plain_text(source, sizeof(source), json_object_get(body, "source"));
	plain_text(server, sizeof(server), json_object_get(body, "server"));
	span_text(age, sizeof(age), json_object_get(body, "staleFor"));
	fprintf(out, "%s%s%s, %s", source[0] != '\0' ? source : "-", server[0] != '\0' ? " " : "",
		server, json_is_true(json_object_get(body, "synced")) ? "synced" : "not synced");
	if (json_is_true(json_object_get(json_object_get(body, "snapshot"), "serving")))
		fputs(", serving a snapshot", out);
	if (json_is_true(json_object_get(body, "stale")))
		fprintf(out, ", stale%s%s", age[0] != '\0' ? " for " : "", age);
	if (json_is_object(held))
		fprintf(out,
			", ALARM: %" JSON_INTEGER_FORMAT
			" objects are gone from lists and served for another %" JSON_INTEGER_FORMAT
			" s",
			json_integer_value(json_object_get(held, "objects")),
			json_integer_value(json_object_get(held, "msLeft")) / 1000);
	putc('\n', out);
	if (json_integer_value(json_object_get(latency, "count")) > 0)
		fprintf(out,
			"changes served after %.1f ms (median), %.1f ms (99 %%), %.1f ms (longest)\n",
			json_number_value(json_object_get(latency, "p50")) / 1000,
			json_number_value(json_object_get(latency, "p99")) / 1000,
			json_number_value(json_object_get(latency, "max")) / 1000);
}

// Who writes the status of Services, and how much is left to write.
static void show_writer(json_t *writer, FILE *out) {
	json_t *lease = json_object_get(writer, "lease");
	char holder[256], pending[32];

	if (!json_is_object(writer))
		return;
	plain_text(holder, sizeof(holder), json_object_get(lease, "holder"));
	plain_text(pending, sizeof(pending), json_object_get(writer, "pending"));
	if (json_is_true(json_object_get(writer, "leads")))
		fprintf(out, "status is written here%s, %s pending",
			json_is_object(lease) ? " (the lease is ours)" : "", pending);
	else
		fprintf(out, "status is written by %s",
			holder[0] != '\0' ? holder : "nobody: no one holds the lease");
	if (json_integer_value(json_object_get(writer, "pausedMs")) > 0)
		fputs(", paused: the server does not take writes now", out);
	if (json_integer_value(json_object_get(writer, "held")) > 0)
		fprintf(out,
			", ALARM: another controller writes the status of %" JSON_INTEGER_FORMAT
			" Services",
			json_integer_value(json_object_get(writer, "held")));
	putc('\n', out);
}

// Services whose status can't be written as it should be.
static int show_troubles(json_t *writer, FILE *out) {
	static const struct column columns[] = {
		{"NAMESPACE", "namespace", KIND_PLAIN},
		{"NAME", "name", KIND_PLAIN},
		{"TROUBLE WITH ITS STATUS", "reason", KIND_PLAIN},
	};
	json_t *troubles = json_object_get(writer, "troubles"), *body;
	int ret;

	if (json_array_size(troubles) == 0)
		return 0;
	putc('\n', out);
	body = json_pack("{s:O}", "items", troubles);
	ret = show_items(body, columns, DIM(columns), out);
	json_decref(body);
	return ret;
}

int show_kube(json_t *body, FILE *out) {
	static const struct column columns[] = {
		{"RESOURCE", "resource", KIND_PLAIN},
		{"STATE", "state", KIND_PLAIN},
		{">AGE", "age", KIND_SPAN},
		{">VERSION", "resourceVersion", KIND_PLAIN},
		{">OBJECTS", "objects", KIND_PLAIN},
		{">RELISTS", "relists", KIND_PLAIN},
		{">ERRORS", "errors", KIND_COUNT},
		{">FAILING", "failing", KIND_SPAN},
		{"LAST ERROR", "lastError", KIND_PLAIN},
	};

	json_t *writer = json_object_get(body, "writer");
	int ret;

	show_source(body, out);
	show_writer(writer, out);
	if (json_array_size(json_object_get(body, "items")) == 0)
		return ferror(out) ? -EIO : 0;
	putc('\n', out);
	ret = show_items(body, columns, DIM(columns), out);
	return ret < 0 ? ret : show_troubles(writer, out);
}
