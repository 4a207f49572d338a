// SPDX-License-Identifier: Apache-2.0
// EAL's arguments, written in one place.
#include "port/eal.h"

#include <errno.h>
#include <pthread.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_lcore.h>
#include <rte_log.h>
#include <rte_pci.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "base/log.h"

#define MAX_ARGS 24
#define LCORES_SIZE 8192

struct args {
	char *argv[MAX_ARGS + 1];
	int argc;
	char lcores[LCORES_SIZE];
	char memory[16];
};

static FILE *quiet_log; // what EAL writes to in eal_init_replay(); closed by eal_fini()

static void arg(struct args *a, const char *text) {
	if (a->argc < MAX_ARGS)
		a->argv[a->argc++] = (char *)(uintptr_t)
			text; // EAL only reads them, getopt wants char *
}

// What both ways of starting share. The prefix is one for all: with no shared files it names
// nothing.
static void args_common(struct args *a, uint32_t memory_mib) {
	arg(a, "sluice");
	arg(a, "--lcores");
	arg(a, a->lcores);
	arg(a, "--main-lcore=0");
	arg(a, "--file-prefix=sluice");
	arg(a, "--no-telemetry");
	snprintf(a->memory, sizeof(a->memory), "%u", memory_mib);
	arg(a, "-m");
	arg(a, a->memory);
}

static void args_memory(struct args *a, bool huge) {
	if (huge) {
		arg(a, "--in-memory");
		return;
	}
	arg(a, "--no-huge");
	arg(a, "--no-shconf");
}

// "0@(0,3),1@1,2@2"
static int write_lcores(char *buf, size_t size, const struct eal_settings *s) {
	size_t n = (size_t)snprintf(buf, size, "0@(");

	for (unsigned i = 0; i < s->n_control_cpus && n < size; i++)
		n += (size_t)snprintf(buf + n, size - n, "%s%u", i > 0 ? "," : "",
				      s->control_cpus[i]);
	if (n < size)
		n += (size_t)snprintf(buf + n, size - n, ")");
	for (unsigned i = 0; i < s->n_workers && n < size; i++)
		n += (size_t)snprintf(buf + n, size - n, ",%u@%u", i + 1, s->worker_cpus[i]);
	return n < size ? 0 : -EINVAL;
}

// auto takes hugepages when all of it fits: half and half would fail in the middle of the start.
static int choose_pages(const struct eal_settings *s, bool *huge, struct error *err) {
	uint64_t free_mib = memory_free_hugepages() >> 20;
	bool enough = free_mib >= s->memory_mib;

	if (s->hugepages == HUGEPAGES_REQUIRED && !enough)
		return error_set(
			err, -ENOMEM,
			"hugepages: %u MiB of 2 MiB pages are required, %llu MiB are free: raise "
			"vm.nr_hugepages, or set dataplane.hugepages to auto",
			s->memory_mib, (unsigned long long)free_mib);
	if (s->hugepages == HUGEPAGES_AUTO && !enough)
		log_warn(
			"hugepages: %llu MiB free of %u MiB wanted: packet buffers are in 4 KiB pages, which "
			"costs speed with many flows (vm.nr_hugepages)",
			(unsigned long long)free_mib, s->memory_mib);
	*huge = s->hugepages != HUGEPAGES_OFF && enough;
	return 0;
}

static int start(struct args *a, struct error *err) {
	if (rte_eal_init(a->argc, a->argv) < 0)
		return error_set(err, rte_errno > 0 ? -rte_errno : -EIO,
				 "DPDK does not start: %s (its own words are above)",
				 rte_strerror(rte_errno));
	return 0;
}

// AF_XDP pins its packet buffers and loads a program: kernels before 5.11 count both against this.
static void raise_memlock(void) {
	const struct rlimit all = {RLIM_INFINITY, RLIM_INFINITY};

	if (setrlimit(RLIMIT_MEMLOCK, &all) < 0)
		log_debug("memory: locked memory stays limited; AF_XDP ports may be refused");
}

int eal_init(const struct eal_settings *s, bool *uses_hugepages, struct error *err) {
	struct args a = {.argc = 0};
	bool huge = false;
	int ret;

	if (s->n_workers == 0 || s->n_workers >= RTE_MAX_LCORE || s->n_control_cpus == 0 ||
	    write_lcores(a.lcores, sizeof(a.lcores), s) < 0)
		return error_set(err, -EINVAL,
				 "%u workers and %u control CPUs: 1 to %u and at least 1",
				 s->n_workers, s->n_control_cpus, RTE_MAX_LCORE - 1);
	ret = choose_pages(s, &huge, err);
	if (ret < 0)
		return ret;
	args_common(&a, s->memory_mib);
	args_memory(&a, huge);
	arg(&a, "--log-level=warning");
	// EAL would take every device that is bound to a user space driver. Allowing only the host
	// bridge, which is no NIC, leaves each to port_open().
	arg(&a, s->needs_pci ? "--allow=0000:00:00.0" : "--no-pci");
	raise_memlock();
	rte_openlog_stream(stderr); // else each line goes to syslog as well
	ret = start(&a, err);
	if (ret == 0 && uses_hugepages != NULL)
		*uses_hugepages = huge;
	return ret;
}

static int first_cpu(const cpu_set_t *set) {
	for (int i = 0; i < CPU_SETSIZE; i++)
		if (CPU_ISSET(i, set))
			return i;
	return 0;
}

int eal_init_replay(uint32_t memory_mib, struct error *err) {
	struct args a = {.argc = 0};
	cpu_set_t before;
	int ret;

	CPU_ZERO(&before);
	if (pthread_getaffinity_np(pthread_self(), sizeof(before), &before) != 0)
		return error_set(err, -EINVAL, "the CPUs of this process are not known");
	snprintf(a.lcores, sizeof(a.lcores), "0@%d", first_cpu(&before));
	args_common(&a, memory_mib);
	args_memory(&a, false);
	arg(&a, "--no-pci");
	arg(&a, "--iova-mode=va");
	arg(&a, "--log-level=error");
	quiet_log = fopen("/dev/null", "we");
	if (quiet_log != NULL)
		rte_openlog_stream(quiet_log);
	ret = start(&a, err);
	if (ret == 0)
		pthread_setaffinity_np(pthread_self(), sizeof(before), &before);
	return ret;
}

void eal_fini(void) {
	rte_eal_cleanup();
	rte_openlog_stream(NULL);
	if (quiet_log != NULL)
		fclose(quiet_log);
	quiet_log = NULL;
}

bool eal_is_pci_device(const char *device) {
	struct rte_pci_addr addr;
	char name[32];
	size_t n = strcspn(device, ",");

	if (n >= sizeof(name))
		return false;
	memcpy(name, device, n);
	name[n] = '\0';
	return rte_pci_addr_parse(name, &addr) == 0;
}
