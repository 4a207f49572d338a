// SPDX-License-Identifier: Apache-2.0
// Decode and find driver profiles.
#include "port/profile.h"

#include <dirent.h>
#include <errno.h>
#include <rte_ethdev.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "doc/doc.h"

#define MAX_FILE (64 << 10)
#define DIM(a) (sizeof(a) / sizeof((a)[0]))

struct bit_name {
	const char *name;
	uint64_t bits;
};

static const struct bit_name rss_names[] = {
	{"ipv4", RTE_ETH_RSS_IPV4},
	{"ipv4-frag", RTE_ETH_RSS_FRAG_IPV4},
	{"ipv4-tcp", RTE_ETH_RSS_NONFRAG_IPV4_TCP},
	{"ipv4-udp", RTE_ETH_RSS_NONFRAG_IPV4_UDP},
	{"ipv4-sctp", RTE_ETH_RSS_NONFRAG_IPV4_SCTP},
	{"ipv4-other", RTE_ETH_RSS_NONFRAG_IPV4_OTHER},
	{"ipv6", RTE_ETH_RSS_IPV6},
	{"ipv6-frag", RTE_ETH_RSS_FRAG_IPV6},
	{"ipv6-tcp", RTE_ETH_RSS_NONFRAG_IPV6_TCP},
	{"ipv6-udp", RTE_ETH_RSS_NONFRAG_IPV6_UDP},
	{"ipv6-sctp", RTE_ETH_RSS_NONFRAG_IPV6_SCTP},
	{"ipv6-other", RTE_ETH_RSS_NONFRAG_IPV6_OTHER},
	{"ipv6-ex", RTE_ETH_RSS_IPV6_EX},
	{"ipv6-tcp-ex", RTE_ETH_RSS_IPV6_TCP_EX},
	{"ipv6-udp-ex", RTE_ETH_RSS_IPV6_UDP_EX},
};

static const struct bit_name rx_offload_names[] = {
	{"rss-hash", RTE_ETH_RX_OFFLOAD_RSS_HASH},
	{"scatter", RTE_ETH_RX_OFFLOAD_SCATTER},
};

static const struct bit_name tx_offload_names[] = {
	{"mbuf-fast-free", RTE_ETH_TX_OFFLOAD_MBUF_FAST_FREE},
	{"multi-segs", RTE_ETH_TX_OFFLOAD_MULTI_SEGS},
};

const char *profile_dir(void) {
	const char *dir = getenv("SLUICE_DRIVERS");

	if (dir != NULL && dir[0] != '\0')
		return dir;
	return access(SLUICE_DRIVERS_INSTALLED, R_OK) == 0 ? SLUICE_DRIVERS_INSTALLED
							   : SLUICE_DRIVERS_SOURCE;
}

void profile_default(struct profile *out) {
	*out = (struct profile){
		.name = "default",
		.rx_descriptors = 1024,
		.tx_descriptors = 1024,
		.burst = 32,
		.rss_types = RTE_ETH_RSS_IP | RTE_ETH_RSS_TCP | RTE_ETH_RSS_UDP,
	};
}

static int copy_name(char *out, size_t size, const struct doc_node *n, const char *text,
		     struct error *err) {
	if (text[0] == '\0' || strlen(text) >= size)
		return doc_fault(n, err, -EINVAL, "not a text of 1 to %zu bytes", size - 1);
	snprintf(out, size, "%s", text);
	return 0;
}

static int decode_bits(uint64_t *out, const struct doc_node *root, const char *key,
		       const struct bit_name *names, size_t n_names, struct error *err) {
	struct doc_node list, item;
	const char *text[32];
	size_t n = 0;
	int which = 0, ret;

	for (size_t i = 0; i < n_names; i++)
		text[i] = names[i].name;
	ret = doc_member(&list, root, key, err);
	if (ret == 0)
		ret = doc_array_size(&list, &n, err);
	if (ret < 0 || !doc_present(&list))
		return ret;
	*out = 0;
	for (size_t i = 0; i < n; i++) {
		item = doc_element(&list, i);
		if (!doc_present(&item))
			return doc_fault(&item, err, -EINVAL, "not a string");
		ret = doc_enum(&item, &which, text, n_names, err);
		if (ret < 0)
			return ret;
		*out |= names[which].bits;
	}
	return 0;
}

static int decode_drivers(struct profile *p, const struct doc_node *root, struct error *err) {
	struct doc_node list, item;
	size_t n = 0;
	int ret = doc_member(&list, root, "drivers", err);

	if (ret == 0)
		ret = doc_array_size(&list, &n, err);
	if (ret < 0)
		return ret;
	if (n == 0 || n > PROFILE_MAX_DRIVERS)
		return doc_fault(&list, err, -EINVAL, "not a list of 1 to %d driver names",
				 PROFILE_MAX_DRIVERS);
	for (size_t i = 0; i < n; i++) {
		const char *text = "";

		item = doc_element(&list, i);
		ret = doc_string(&item, &text, err);
		if (ret == 0)
			ret = copy_name(p->drivers[i], sizeof(p->drivers[i]), &item, text, err);
		if (ret < 0)
			return ret;
	}
	p->n_drivers = (uint16_t)n;
	return 0;
}

static int decode_devargs(struct profile *p, const struct doc_node *root, struct error *err) {
	struct doc_node map, item;
	const char *key;
	json_t *unused;
	int ret = doc_member(&map, root, "devargs", err);

	if (ret < 0 || !doc_present(&map))
		return ret;
	if (!json_is_object(map.json))
		return doc_fault(&map, err, -EINVAL, "not an object");
	json_object_foreach(map.json, key, unused) {
		struct profile_devarg *d = &p->devargs[p->n_devargs];
		const char *text = "";

		if (p->n_devargs == PROFILE_MAX_DEVARGS)
			return doc_fault(&map, err, -EINVAL, "more than %d", PROFILE_MAX_DEVARGS);
		ret = doc_member(&item, &map, key, err);
		if (ret == 0)
			ret = doc_string(&item, &text, err);
		if (ret == 0)
			ret = copy_name(d->key, sizeof(d->key), &item, key, err);
		if (ret == 0)
			ret = copy_name(d->value, sizeof(d->value), &item, text, err);
		if (ret < 0)
			return ret;
		p->n_devargs++;
	}
	return 0;
}

static int get_u16(uint16_t *out, const struct doc_node *n, const char *key, int min, int max,
		   struct error *err) {
	int64_t v = *out;
	int ret = doc_get_int(n, key, &v, min, max, err);

	if (ret == 0)
		*out = (uint16_t)v;
	return ret;
}

static int get_choice(bool *out, const struct doc_node *n, const char *key,
		      const char *const names[2], struct error *err) {
	struct doc_node item;
	int which = *out, ret = doc_member(&item, n, key, err);

	if (ret == 0)
		ret = doc_enum(&item, &which, names, 2, err);
	if (ret == 0)
		*out = which == 1;
	return ret;
}

static int decode_numbers(struct profile *p, const struct doc_node *n, struct error *err) {
	static const char *const queues[2] = {"workers", "device"};
	static const char *const reta[2] = {"device", "spread"};
	static const char *const interrupts[2] = {"enabled", "level"};
	int64_t room = 0, held = 0;
	int ret = get_choice(&p->all_queues, n, "queues", queues, err);

	if (ret == 0)
		ret = get_choice(&p->reta_spread, n, "reta", reta, err);
	if (ret == 0)
		ret = get_choice(&p->rx_level, n, "rxInterrupts", interrupts, err);
	if (ret == 0)
		ret = get_u16(&p->max_queues, n, "maxQueues", 0, 1024, err);
	if (ret == 0)
		ret = get_u16(&p->rx_descriptors, n, "rxDescriptors", 16, 32768, err);
	if (ret == 0)
		ret = get_u16(&p->tx_descriptors, n, "txDescriptors", 16, 32768, err);
	if (ret == 0)
		ret = get_u16(&p->burst, n, "burst", 1, 32, err);
	if (ret == 0)
		ret = doc_get_int(n, "dataRoom", &room, 0, 16384, err);
	if (ret == 0)
		ret = doc_get_int(n, "heldBuffers", &held, 0, 1 << 24, err);
	if (ret < 0)
		return ret;
	if (room > 0 && room < RTE_PKTMBUF_HEADROOM + 128)
		return doc_fault(n, err, -EINVAL, "dataRoom: not 0 nor at least %d",
				 RTE_PKTMBUF_HEADROOM + 128);
	p->data_room = (uint32_t)room;
	p->held_buffers = (uint32_t)held;
	return 0;
}

static int decode(struct profile *p, const struct doc_node *n, struct error *err) {
	static const char *const keys[] = {
		"description",   "drivers", "queues",   "maxQueues",   "rxDescriptors",
		"txDescriptors", "burst",   "dataRoom", "heldBuffers", "rxOffloads",
		"txOffloads",    "rss",     "reta",     "devargs",     "rxInterrupts",
	};
	const char *description = NULL;
	int ret = json_is_object(n->json) ? doc_only(n, keys, DIM(keys), err)
					  : doc_fault(n, err, -EINVAL, "not an object");

	if (ret == 0)
		ret = doc_get_string(n, "description", &description, err);
	if (ret == 0)
		ret = decode_drivers(p, n, err);
	if (ret == 0)
		ret = decode_numbers(p, n, err);
	if (ret == 0)
		ret = decode_bits(&p->rx_offloads, n, "rxOffloads", rx_offload_names,
				  DIM(rx_offload_names), err);
	if (ret == 0)
		ret = decode_bits(&p->tx_offloads, n, "txOffloads", tx_offload_names,
				  DIM(tx_offload_names), err);
	if (ret == 0)
		ret = decode_bits(&p->rss_types, n, "rss", rss_names, DIM(rss_names), err);
	if (ret == 0)
		ret = decode_devargs(p, n, err);
	return ret;
}

// "drivers-config/mlx5.json" -> "mlx5"
static int name_from_path(char *out, size_t size, const char *path, struct error *err) {
	const char *slash = strrchr(path, '/');
	const char *base = slash != NULL ? slash + 1 : path;
	size_t n = strcspn(base, ".");

	if (n == 0 || n >= size)
		return error_set(err, -EINVAL, "%s: no usable profile name", path);
	memcpy(out, base, n);
	out[n] = '\0';
	return 0;
}

int profile_load(struct profile *out, const char *path, struct error *err) {
	struct profile p;
	struct doc_node root;
	struct doc *d = NULL;
	int ret;

	profile_default(&p);
	p.rss_types = 0;
	ret = name_from_path(p.name, sizeof(p.name), path, err);
	if (ret == 0)
		ret = doc_load(&d, path, MAX_FILE, err);
	if (ret < 0)
		return ret;
	if (doc_count(d) != 1) {
		ret = error_set(err, -EINVAL, "%s: not one JSON object", path);
	} else {
		root = doc_root(d, 0);
		ret = decode(&p, &root, err);
	}
	doc_destroy(d);
	if (ret == 0)
		*out = p;
	return ret;
}

static int is_profile(const struct dirent *e) {
	const char *dot = strrchr(e->d_name, '.');

	return e->d_name[0] != '.' && dot != NULL && strcmp(dot, ".json") == 0;
}

static int list_profiles(const char *dir, struct dirent ***files, struct error *err) {
	int n = scandir(dir, files, is_profile, alphasort);

	if (n < 0)
		return error_set(err, -errno, "profiles: %s: %s", dir, strerror(errno));
	return n;
}

static void free_list(struct dirent **files, int n) {
	for (int i = 0; i < n; i++)
		free(files[i]);
	free(files);
}

static int no_such_name(const char *dir, const char *name, struct error *err) {
	struct dirent **files = NULL;
	char known[512] = "";
	size_t used = 0;
	int n = list_profiles(dir, &files, err);

	if (n < 0)
		return n;
	for (int i = 0; i < n && used < sizeof(known); i++)
		used += (size_t)snprintf(known + used, sizeof(known) - used, "%s%.*s",
					 i > 0 ? ", " : "", (int)strcspn(files[i]->d_name, "."),
					 files[i]->d_name);
	free_list(files, n);
	return error_set(err, -ENOENT, "no profile \"%s\" in %s; there are: %s", name, dir, known);
}

int profile_by_name(struct profile *out, const char *dir, const char *name, struct error *err) {
	char path[4096];

	if (strpbrk(name, "/.") != NULL || name[0] == '\0' ||
	    snprintf(path, sizeof(path), "%s/%s.json", dir, name) >= (int)sizeof(path))
		return error_set(err, -EINVAL, "\"%s\" is no profile name", name);
	if (access(path, F_OK) < 0)
		return no_such_name(dir, name, err);
	return profile_load(out, path, err);
}

static bool lists_driver(const struct profile *p, const char *driver) {
	for (unsigned i = 0; i < p->n_drivers; i++)
		if (strcmp(p->drivers[i], driver) == 0)
			return true;
	return false;
}

int profile_by_driver(struct profile *out, const char *dir, const char *driver, struct error *err) {
	struct dirent **files = NULL;
	struct profile p;
	char path[4096];
	int ret = -ENOENT, n = list_profiles(dir, &files, err);

	if (n < 0)
		return n;
	for (int i = 0; i < n && ret == -ENOENT; i++) {
		snprintf(path, sizeof(path), "%s/%s", dir, files[i]->d_name);
		ret = profile_load(&p, path, err);
		if (ret == 0 && !lists_driver(&p, driver))
			ret = -ENOENT;
	}
	free_list(files, n);
	if (ret == 0)
		*out = p;
	return ret == -ENOENT ? error_set(err, ret, "no profile lists the driver %s", driver) : ret;
}

int profile_by_device(struct profile *out, const char *dir, const char *device, struct error *err) {
	char driver[PROFILE_NAME];
	size_t n = strcspn(device, ",");

	while (n > 0 && device[n - 1] >= '0' && device[n - 1] <= '9')
		n--;
	if (n == 0 || n >= sizeof(driver))
		return error_set(err, -ENOENT, "\"%s\" names no driver", device);
	memcpy(driver, device, n);
	driver[n] = '\0';
	return profile_by_driver(out, dir, driver, err);
}

// The arguments after the first comma hold "key=" at the start of one of them.
static bool names_key(const char *device, const char *key) {
	size_t len = strlen(key);
	const char *at = strchr(device, ',');

	for (; at != NULL; at = strchr(at + 1, ','))
		if (strncmp(at + 1, key, len) == 0 && at[1 + len] == '=')
			return true;
	return false;
}

int profile_device_string(const struct profile *p, const char *device, char *buf, size_t size) {
	char text[512];
	size_t n = (size_t)snprintf(text, sizeof(text), "%s", device);

	for (unsigned i = 0; i < p->n_devargs && n < sizeof(text); i++)
		if (!names_key(device, p->devargs[i].key))
			n += (size_t)snprintf(text + n, sizeof(text) - n, ",%s=%s",
					      p->devargs[i].key, p->devargs[i].value);
	if (n >= sizeof(text) || n >= size)
		return -ENAMETOOLONG;
	memcpy(buf, text, n + 1);
	return 0;
}
