// SPDX-License-Identifier: Apache-2.0
// Driver profiles: strict decoding, selection by name, driver and device string.
#include <errno.h>
#include <rte_ethdev.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "port/profile.h"

static char dir[] = "/tmp/sluice-profile-XXXXXX";

static int setup(void **state) {
	return mkdtemp(dir) != NULL ? 0 : -1;
}

static int teardown(void **state) {
	return rmdir(dir);
}

// Load one text as a profile file "t.json".
static int load(struct profile *p, const char *text, struct error *err) {
	char path[64];
	FILE *f;
	int ret;

	snprintf(path, sizeof(path), "%s/t.json", dir);
	f = fopen(path, "w");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
	ret = profile_load(p, path, err);
	unlink(path);
	return ret;
}

static void every_shipped_profile_loads_and_is_found_by_its_drivers(void **state) {
	static const char *const names[] = {"mlx5", "ice",    "i40e",      "ixgbe", "virtio",
					    "ena",  "af_xdp", "af_packet", "tap",   "memif",
					    "pcap", "ring",   "iavf"};
	struct profile p, q;
	struct error err = {""};

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (profile_by_name(&p, profile_dir(), names[i], &err) < 0)
			fail_msg("%s: %s", names[i], err.text);
		assert_string_equal(p.name, names[i]);
		for (unsigned d = 0; d < p.n_drivers; d++) {
			assert_int_equal(profile_by_driver(&q, profile_dir(), p.drivers[d], &err),
					 0);
			assert_string_equal(q.name, p.name);
		}
	}
}

static void a_device_string_leads_to_its_drivers_profile(void **state) {
	static const struct {
		const char *device, *profile;
	} cases[] = {
		{"net_af_xdp0,iface=eth1", "af_xdp"},
		{"net_af_xdp12", "af_xdp"},
		{"net_null0", "ring"},
		{"net_virtio_user3,path=/x", "virtio"},
		{"net_unheard_of0", NULL},
		{"0", NULL},
	};
	struct profile p;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int ret = profile_by_device(&p, profile_dir(), cases[i].device, NULL);

		assert_int_equal(ret, cases[i].profile != NULL ? 0 : -ENOENT);
		if (ret == 0)
			assert_string_equal(p.name, cases[i].profile);
	}
}

static void all_fields_are_read(void **state) {
	struct profile p;
	struct error err = {""};

	if (load(&p,
		 "{\"drivers\": [\"net_a\", \"net_b\"], \"queues\": \"device\", \"maxQueues\": 4,"
		 " \"rxDescriptors\": 512, \"txDescriptors\": 256, \"burst\": 16, \"dataRoom\": 2048, \"heldBuffers\": 70000,"
		 " \"rss\": [\"ipv4-tcp\", \"ipv6-udp\"], \"reta\": \"spread\", \"rxInterrupts\": \"level\","
		 " \"rxOffloads\": [\"rss-hash\"], \"txOffloads\": [],"
		 " \"devargs\": {\"k\": \"v\"}}",
		 &err) < 0)
		fail_msg("%s", err.text);
	assert_string_equal(p.name, "t");
	assert_int_equal(p.n_drivers, 2);
	assert_string_equal(p.drivers[1], "net_b");
	assert_true(p.all_queues && p.reta_spread && p.rx_level);
	assert_int_equal(p.max_queues, 4);
	assert_int_equal(p.rx_descriptors, 512);
	assert_int_equal(p.tx_descriptors, 256);
	assert_int_equal(p.burst, 16);
	assert_int_equal(p.data_room, 2048);
	assert_int_equal(p.held_buffers, 70000);
	assert_true(p.rss_types == (RTE_ETH_RSS_NONFRAG_IPV4_TCP | RTE_ETH_RSS_NONFRAG_IPV6_UDP));
	assert_true(p.rx_offloads == RTE_ETH_RX_OFFLOAD_RSS_HASH);
	assert_int_equal(p.tx_offloads, 0);
	assert_string_equal(p.devargs[0].key, "k");
	assert_string_equal(p.devargs[0].value, "v");
}

static void faults_name_their_place_and_leave_the_output_alone(void **state) {
	static const struct {
		const char *text, *says;
	} cases[] = {
		{"[]", "not"},
		{"{}", "drivers"},
		{"{\"drivers\": []}", "drivers"},
		{"{\"drivers\": [\"\"]}", "drivers[0]"},
		{"{\"drivers\": [7]}", "drivers[0]: not a string"},
		{"{\"drivers\": [\"n\"], \"nope\": 1}", "nope"},
		{"{\"drivers\": [\"n\"], \"burst\": 33}", "burst"},
		{"{\"drivers\": [\"n\"], \"burst\": \"32\"}", "burst: not an integer"},
		{"{\"drivers\": [\"n\"], \"rxDescriptors\": 1}", "rxDescriptors"},
		{"{\"drivers\": [\"n\"], \"dataRoom\": 100}", "dataRoom"},
		{"{\"drivers\": [\"n\"], \"heldBuffers\": -1}", "heldBuffers"},
		{"{\"drivers\": [\"n\"], \"rss\": [\"ipv5\"]}", "rss[0]"},
		{"{\"drivers\": [\"n\"], \"rss\": \"ipv4\"}", "rss: not an array"},
		{"{\"drivers\": [\"n\"], \"rss\": [null]}", "rss[0]"},
		{"{\"drivers\": [\"n\"], \"queues\": \"all\"}", "queues"},
		{"{\"drivers\": [\"n\"], \"devargs\": [\"a\"]}", "devargs: not an object"},
		{"{\"drivers\": [\"n\"], \"devargs\": {\"a\": 1}}", "devargs.a: not a string"},
		{"{\"drivers\": [\"0123456789012345678901234567890123456789\"]}", "drivers[0]"},
		{"{\"drivers\": ", "t.json"},
	};
	struct profile p, before;
	struct error err;

	memset(&before, 0x5a, sizeof(before));
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		p = before;
		assert_int_equal(load(&p, cases[i].text, &err), -EINVAL);
		if (strstr(err.text, cases[i].says) == NULL || strstr(err.text, "t.json") == NULL)
			fail_msg("%s: says \"%s\"", cases[i].text, err.text);
		assert_memory_equal(&p, &before, sizeof(p));
	}
}

static void an_unknown_name_is_told_the_known_ones(void **state) {
	struct profile p;
	struct error err = {""};

	assert_int_equal(profile_by_name(&p, profile_dir(), "mlx9", &err), -ENOENT);
	assert_non_null(strstr(err.text, "mlx5"));
	assert_int_equal(profile_by_name(&p, profile_dir(), "../ring", &err), -EINVAL);
	assert_int_equal(profile_by_name(&p, profile_dir(), "", &err), -EINVAL);
}

static void devargs_are_added_but_for_those_the_user_wrote(void **state) {
	static const struct {
		const char *device, *full;
	} cases[] = {
		{"0000:3b:00.0", "0000:3b:00.0,a=1,bb=2"},
		{"net_x0,a=9", "net_x0,a=9,bb=2"},
		{"net_x0,bb=9,a=8", "net_x0,bb=9,a=8"},
		{"net_x0,xa=1,b=2", "net_x0,xa=1,b=2,a=1,bb=2"},
	};
	struct profile p = {.n_devargs = 2, .devargs = {{"a", "1"}, {"bb", "2"}}};
	char buf[64], small[8] = "as was";

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(profile_device_string(&p, cases[i].device, buf, sizeof(buf)), 0);
		assert_string_equal(buf, cases[i].full);
	}
	assert_int_equal(profile_device_string(&p, "net_x0", small, sizeof(small)), -ENAMETOOLONG);
	assert_string_equal(small, "as was");
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_shipped_profile_loads_and_is_found_by_its_drivers),
		cmocka_unit_test(a_device_string_leads_to_its_drivers_profile),
		cmocka_unit_test(all_fields_are_read),
		cmocka_unit_test(faults_name_their_place_and_leave_the_output_alone),
		cmocka_unit_test(an_unknown_name_is_told_the_known_ones),
		cmocka_unit_test(devargs_are_added_but_for_those_the_user_wrote),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
