// SPDX-License-Identifier: Apache-2.0
// The section `dataplane`, and what of it depends on the machine.
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "config/decoder.h"

// A decimal number below CPU_SETSIZE; *at moves behind it. -1: none.
static int read_cpu(const char **at) {
	int v = 0, digits = 0;

	for (; **at >= '0' && **at <= '9' && digits < 5; (*at)++, digits++)
		v = v * 10 + (**at - '0');
	return digits > 0 && v < CPU_SETSIZE ? v : -1;
}

// "1-3,5". False when it is no such list, or names a CPU twice.
static bool parse_cpus(cpu_set_t *out, const char *text) {
	CPU_ZERO(out);
	for (;;) {
		int first = read_cpu(&text), last = first;

		if (*text == '-') {
			text++;
			last = read_cpu(&text);
		}
		if (first < 0 || last < first)
			return false;
		for (int i = first; i <= last; i++) {
			if (CPU_ISSET(i, out))
				return false;
			CPU_SET(i, out);
		}
		if (*text == 0)
			return true;
		if (*text++ != ',')
			return false;
	}
}

static void format_cpus(char *buf, size_t size, const cpu_set_t *set) {
	size_t at = 0;

	buf[0] = 0;
	for (int i = 0; i < CPU_SETSIZE && at < size; i++) {
		int first = i;

		if (!CPU_ISSET(i, set))
			continue;
		while (i + 1 < CPU_SETSIZE && CPU_ISSET(i + 1, set))
			i++;
		at += (size_t)snprintf(buf + at, size - at, "%s%d", at > 0 ? "," : "", first);
		if (i > first && at < size)
			at += (size_t)snprintf(buf + at, size - at, "-%d", i);
	}
}

static void decode_cpus(struct decoder *d, const struct doc_node *n) {
	struct config_dataplane *dp = &d->c->dataplane;
	struct doc_node m;
	char number[24];
	const char *text = number;
	cpu_set_t set;

	doc_member(&m, n, "cpus", NULL);
	if (!doc_present(&m))
		return;
	if (json_is_integer(m.json))
		snprintf(number, sizeof(number), "%lld", (long long)json_integer_value(m.json));
	else if (!decode_text(d, &m, &text))
		return;
	if (!parse_cpus(&set, text)) {
		decode_fault(d, &m, "not a list of different CPUs, such as \"1-3,5\"");
		return;
	}
	if (CPU_COUNT(&set) > SITE_MAX_WORKERS) {
		decode_fault(d, &m, "more than %d CPUs", SITE_MAX_WORKERS);
		return;
	}
	dp->cpus = set;
	dp->cpus_given = true;
}

static void decode_workers(struct decoder *d, const struct doc_node *n) {
	struct config_dataplane *dp = &d->c->dataplane;
	uint32_t *workers = &d->c->site.workers;
	struct doc_node m;

	dp->workers_given = decode_u32(d, n, "workers", workers, 1, SITE_MAX_WORKERS);
	decode_cpus(d, n);
	if (!dp->cpus_given)
		return;
	doc_member(&m, n, "workers", NULL);
	if (dp->workers_given && *workers != (uint32_t)CPU_COUNT(&dp->cpus))
		decode_fault(d, &m, "%u, but cpus names %d", *workers, CPU_COUNT(&dp->cpus));
	*workers = (uint32_t)CPU_COUNT(&dp->cpus);
	dp->workers_given = true;
}

static void decode_timeouts(struct decoder *d, const struct doc_node *n) {
	struct site_timeouts *t = &d->c->site.timeouts;
	const struct {
		const char *key;
		uint32_t *value, standard;
	} table[] = {
		{"tcpSynSent", &t->tcp_syn_sent, 10},
		{"tcpEstablished", &t->tcp_established, 900},
		{"tcpFinWait", &t->tcp_fin_wait, 30},
		{"tcpTimeWait", &t->tcp_time_wait, 10},
		{"tcpClose", &t->tcp_close, 10},
		{"udp", &t->udp, 30},
		{"udpStream", &t->udp_stream, 120},
		{"sctpEstablished", &t->sctp_established, 900},
	};
	struct doc_node m;

	decode_section(d, &m, n, "timeouts",
		       KEYS("tcpSynSent", "tcpEstablished", "tcpFinWait", "tcpTimeWait", "tcpClose",
			    "udp", "udpStream", "sctpEstablished"));
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		*table[i].value = table[i].standard;
		decode_u32(d, &m, table[i].key, table[i].value, 1, 518400);
	}
}

void decode_dataplane(struct decoder *d, const struct doc_node *root) {
	struct config_dataplane *dp = &d->c->dataplane;
	struct site *site = &d->c->site;
	int idle = CONFIG_IDLE_SLEEP, hugepages = CONFIG_HUGEPAGES_AUTO;
	struct doc_node n, seed;
	struct error err;

	site->workers = 1;
	site->flows_per_worker = 1 << 20;
	dp->memory_mib = 1024;
	decode_section(d, &n, root, "dataplane",
		       KEYS("workers", "cpus", "hashSeed", "hugepages", "memoryMiB",
			    "flowsPerWorker", "idle", "timeouts"));
	decode_workers(d, &n);
	doc_member(&seed, &n, "hashSeed", NULL);
	if (doc_uint64(&seed, &site->hash_seed, &err) < 0)
		decode_add(d, doc_line(&seed), false, &err);
	decode_enum(d, &n, "hugepages", &hugepages, KEYS("auto", "required", "off"));
	decode_u32(d, &n, "memoryMiB", &dp->memory_mib, 16, 1 << 24);
	decode_u32(d, &n, "flowsPerWorker", &site->flows_per_worker, 64, 1 << 28);
	decode_enum(d, &n, "idle", &idle, KEYS("busy", "pause", "sleep"));
	dp->hugepages = (enum config_hugepages)hugepages;
	dp->idle = (enum config_idle)idle;
	decode_timeouts(d, &n);
}

// Worker i of a machine with n CPUs: the control thread's CPU, the first, is the last to be shared.
static void assign_cpus(struct config *c, const cpu_set_t *from) {
	struct config_dataplane *dp = &c->dataplane;
	uint32_t n = 0, skip = !dp->cpus_given;
	uint16_t list[CPU_SETSIZE];

	for (uint16_t i = 0; i < CPU_SETSIZE; i++)
		if (CPU_ISSET(i, from))
			list[n++] = i;
	for (uint32_t i = 0; i < c->site.workers; i++)
		dp->worker_cpu[i] = list[(i + skip) % n];
}

static void check_idle(struct decoder *d, const struct doc_node *n, const cpu_set_t *affinity) {
	struct config_dataplane *dp = &d->c->dataplane;
	struct doc_node idle;

	dp->control_cpus = *affinity;
	for (uint32_t i = 0; i < d->c->site.workers; i++)
		CPU_CLR(dp->worker_cpu[i], &dp->control_cpus);
	if (CPU_COUNT(&dp->control_cpus) > 0)
		return;
	dp->control_cpus = *affinity;
	doc_member(&idle, n, "idle", NULL);
	if (dp->idle == CONFIG_IDLE_BUSY)
		decode_fault(d, &idle,
			     "busy needs a CPU that no worker uses, for the control thread");
}

int config_check_machine(struct config *c, const cpu_set_t *affinity,
			 struct config_report *report) {
	struct decoder d = {.c = c, .report = report};
	struct config_dataplane *dp = &c->dataplane;
	struct doc_node root = doc_root(c->doc, 0), n, m;
	size_t before = report->n_faults;
	uint32_t have = (uint32_t)CPU_COUNT(affinity);
	cpu_set_t missing;
	char list[200], all[200];

	doc_member(&n, &root, "dataplane", NULL);
	doc_member(&m, &n, dp->cpus_given ? "cpus" : "workers", NULL);
	CPU_AND(&missing, &dp->cpus, affinity);
	CPU_XOR(&missing, &missing, &dp->cpus);
	if (dp->cpus_given && CPU_COUNT(&missing) > 0) {
		format_cpus(list, sizeof(list), &missing);
		format_cpus(all, sizeof(all), affinity);
		decode_fault(&d, &m, "CPU %s is not in the process's affinity, %s", list, all);
		return d.no_memory ? -ENOMEM : -EINVAL;
	}
	if (!dp->workers_given)
		c->site.workers = have < 3                  ? 1
				  : have > SITE_MAX_WORKERS ? SITE_MAX_WORKERS
							    : have - 1;
	if (!dp->cpus_given && c->site.workers > have)
		decode_warning(&d, &m, "%u workers share %u CPUs", c->site.workers, have);
	assign_cpus(c, dp->cpus_given ? &dp->cpus : affinity);
	check_idle(&d, &n, affinity);
	if (d.no_memory)
		return -ENOMEM;
	return report->n_faults > before ? -EINVAL : 0;
}
