// SPDX-License-Identifier: Apache-2.0
// Table memory: hugetlb mappings bound to a node, else 4 KiB pages aligned for transparent ones.
#include "port/memory.h"

#include <errno.h>
#include <linux/mman.h>
#include <numa.h>
#include <numaif.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "base/log.h"

#define PAGE_4K 4096ul
#define PAGE_2M (2ul << 20)
#define FREE_PAGES "/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages"

static size_t round_up(size_t n, size_t unit) {
	return (n + unit - 1) & ~(unit - 1);
}

static bool has_nodes(void) {
	return numa_available() >= 0 && numa_max_node() > 0;
}

uint64_t memory_free_hugepages(void) {
	unsigned long long n = 0;
	FILE *f = fopen(FREE_PAGES, "re");

	if (f == NULL)
		return 0;
	if (fscanf(f, "%llu", &n) != 1)
		n = 0;
	fclose(f);
	return n * PAGE_2M;
}

int memory_cpu_node(unsigned cpu) {
	int node = has_nodes() ? numa_node_of_cpu((int)cpu) : 0;

	return node < 0 ? 0 : node;
}

int memory_node(const struct memory *m) {
	void *page = m->base;
	int node = -1;

	if (m->base == NULL || move_pages(0, 1, &page, NULL, &node, 0) < 0)
		return -1;
	return node < 0 ? -1 : node;
}

// Preferred, not strict: memory on the other node is slower, none at all would be an outage.
static void bind_to(void *base, size_t size, int socket) {
	unsigned long mask[NUMA_NUM_NODES / (8 * sizeof(unsigned long))] = {0};

	if (socket < 0 || socket >= NUMA_NUM_NODES || !has_nodes())
		return;
	mask[(size_t)socket / (8 * sizeof(mask[0]))] |= 1ul
							<< ((size_t)socket % (8 * sizeof(mask[0])));
	if (mbind(base, size, MPOL_PREFERRED, mask, NUMA_NUM_NODES, 0) < 0)
		log_warn("memory: not bound to NUMA node %d: %s", socket, strerror(errno));
}

static void *map_huge(size_t size) {
	void *base = mmap(NULL, size, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB | MAP_HUGE_2MB, -1, 0);

	return base == MAP_FAILED ? NULL : base;
}

// A mapping aligned to 2 MiB when it is at least as long: transparent hugepages need that.
static void *map_small(size_t size) {
	size_t slack = size >= PAGE_2M ? PAGE_2M : 0;
	char *base = mmap(NULL, size + slack, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	size_t head;

	if (base == MAP_FAILED)
		return NULL;
	if (slack == 0)
		return base;
	head = round_up((uintptr_t)base, PAGE_2M) - (uintptr_t)base;
	if (head > 0)
		munmap(base, head);
	if (slack > head)
		munmap(base + head + size, slack - head);
	madvise(base + head, size, MADV_HUGEPAGE);
	return base + head;
}

static void warn_once(size_t size) {
	static bool warned;

	if (!warned)
		log_warn(
			"memory: a table of %zu MiB is in 4 KiB pages, look-ups in large tables cost about "
			"twice as much; free 2 MiB hugepages would help (vm.nr_hugepages)",
			size >> 20);
	warned = true;
}

static void fault_in(const struct memory *m) {
	volatile char *byte = m->base;

	for (size_t i = 0; i < m->size; i += m->page)
		byte[i] = 0;
}

int memory_alloc(struct memory *out, size_t size, int socket, enum hugepages pages, bool touch,
		 struct error *err) {
	struct memory m = {.socket = socket};

	if (size == 0 || size > SIZE_MAX / 2)
		return error_set(err, -EINVAL, "memory: a block of %zu bytes", size);
	if (pages == HUGEPAGES_REQUIRED || (pages == HUGEPAGES_AUTO && size >= PAGE_2M)) {
		m.page = PAGE_2M;
		m.size = round_up(size, PAGE_2M);
		m.base = map_huge(m.size);
	}
	if (m.base == NULL && pages == HUGEPAGES_REQUIRED)
		return error_set(
			err, -ENOMEM,
			"memory: no hugepages for %zu MiB (%llu MiB are free): raise vm.nr_hugepages or "
			"set dataplane.hugepages to auto",
			m.size >> 20, (unsigned long long)(memory_free_hugepages() >> 20));
	if (m.base == NULL) {
		if (m.page == PAGE_2M)
			warn_once(m.size);
		m.page = PAGE_4K;
		m.size = round_up(size, PAGE_4K);
		m.base = map_small(m.size);
	}
	if (m.base == NULL)
		return error_set(err, -ENOMEM, "memory: no room for %zu MiB", size >> 20);
	bind_to(m.base, m.size, socket);
	if (touch)
		fault_in(&m);
	*out = m;
	return 0;
}

void memory_free(struct memory *m) {
	if (m->base != NULL)
		munmap(m->base, m->size);
	m->base = NULL;
	m->size = 0;
}
