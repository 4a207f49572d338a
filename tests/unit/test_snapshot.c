// SPDX-License-Identifier: Apache-2.0
// Desired state on disk: what is written is read back, what is damaged is not believed.
#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "feed_case.h"
#include "kube/snapshot.h"

#define SOURCE "https://10.0.0.1:6443"
#define BOTH (1u << KUBE_SERVICE | 1u << KUBE_SLICE)

static struct feed_case c;
static char dir[64], path[128];
static struct error err;

struct found {
	struct kube_record *list[64];
	size_t n;
	int answer;
};

static int find(void *arg, struct kube_record *r) {
	struct found *f = arg;

	assert_true(f->n < 64);
	f->list[f->n++] = kube_record_get(r);
	return f->answer;
}

static void found_free(struct found *f) {
	for (size_t i = 0; i < f->n; i++)
		kube_record_put(f->list[i]);
	f->n = 0;
}

static int setup(void **state) {
	feed_case_init(&c, BOTH);
	strcpy(dir, "/tmp/test_snapshot.XXXXXX");
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/snapshot.json", dir);
	return 0;
}

static int teardown(void **state) {
	static const char *const names[] = {"", ".damaged", ".damaged.1", ".new"};
	char name[256];

	feed_case_fini(&c);
	for (size_t i = 0; i < 4; i++) {
		snprintf(name, sizeof(name), "%s%s", path, names[i]);
		unlink(name);
	}
	return rmdir(dir);
}

static void fill(void) {
	feed_case_set(&c, KUBE_SERVICE, "a b c", 80, 0);
	feed_case_set(&c, KUBE_SLICE, "s t", 2, 0);
}

static void save(void) {
	struct snapshot *s = snapshot_create(path, SOURCE);

	snapshot_mark(s, 0);
	assert_int_equal(snapshot_finish(s, c.feed, 1767323045, &err), 0);
	snapshot_destroy(s);
}

static int load(struct found *f, struct snapshot_info *info) {
	f->n = 0;
	return snapshot_load(info, path, SOURCE, find, f, &err);
}

// The property that the whole thing stands on.
static void what_is_read_back_equals_what_was_written(void **state) {
	static const char *const texts[] = {
		"{\"metadata\":{\"name\":\"full\",\"namespace\":\"n\",\"uid\":\"u-1\",\"resourceVersion\":\"77\","
		"\"generation\":3,\"creationTimestamp\":\"2026-01-02T03:04:05Z\","
		"\"deletionTimestamp\":\"2026-01-02T03:04:05Z\","
		"\"finalizers\":[\"service.kubernetes.io/load-balancer-cleanup\"],"
		"\"labels\":{\"tier\":\"gold\\n\\u00e4\"},\"annotations\":{\"sluice.dev/target\":\"node\","
		"\"sluice.dev/address-pool\":\"p\",\"sluice.dev/load-balancer-ips\":\"203.0.113.1, x\","
		"\"odd\":\"\\u0000\"}},"
		"\"spec\":{\"type\":\"LoadBalancer\",\"loadBalancerIP\":\"203.0.113.2\","
		"\"clusterIP\":\"10.96.0.1\",\"ipFamilies\":[\"IPv6\",\"IPv4\"],"
		"\"ipFamilyPolicy\":\"RequireDualStack\",\"externalTrafficPolicy\":\"Local\","
		"\"healthCheckNodePort\":30999,\"sessionAffinity\":\"ClientIP\","
		"\"loadBalancerSourceRanges\":[\" 198.51.100.0/24\",\"bad\"],"
		"\"selector\":{\"app\":\"a\"},\"externalIPs\":[\"203.0.113.9\"],"
		"\"ports\":[{\"name\":\"x\",\"port\":1,\"nodePort\":30001,\"protocol\":\"UDP\"}]},"
		"\"status\":{\"loadBalancer\":{\"ingress\":[{\"ip\":\"203.0.113.1\",\"ipMode\":\"Proxy\"},"
		"{\"hostname\":\"h\"}]},\"conditions\":[{\"type\":\"sluice.dev/Allocated\","
		"\"status\":\"True\",\"reason\":\"R\",\"message\":\"m\",\"observedGeneration\":2}]}}",
		"{ \"metadata\" : {\"name\":\"pretty\",\n \"namespace\":\"n\"},\n\n\"spec\":"
		"{\"type\":\"ExternalName\",\"clusterIP\":\"None\"}\n}",
	};
	struct found f = {.answer = 0};
	struct snapshot_info info;
	size_t equal = 0;

	assert_int_equal(feed_begin(c.feed, KUBE_SERVICE), 0);
	for (size_t i = 0; i < 2; i++)
		assert_int_equal(feed_case_say(&c, true, KUBE_SERVICE, texts[i]), 0);
	assert_int_equal(feed_end(c.feed, KUBE_SERVICE, 0), 0);
	feed_case_set(&c, KUBE_SLICE, "s t", 7, 0);
	assert_int_equal(c.told[FEED_BROKEN], 0);
	save();
	assert_int_equal(load(&f, &info), 0);
	assert_int_equal(info.saved_at, 1767323045);
	assert_int_equal(info.objects, 4);
	assert_int_equal(info.skipped, 0);
	for (size_t i = 0; i < f.n; i++) {
		struct kube_record **live;
		int n = feed_live(c.feed, &live);

		for (int j = 0; j < n; j++) {
			equal += kube_object_equal(live[j]->object, f.list[i]->object);
			kube_record_put(live[j]);
		}
		free(live);
	}
	assert_int_equal(equal, 4);
	found_free(&f);
}

static void a_written_file_is_whole_at_every_step(void **state) {
	struct snapshot *s = snapshot_create(path, SOURCE);
	struct found f = {.answer = 0};
	struct snapshot_info info;
	int64_t now = 0;
	int ret = 0;

	fill();
	assert_int_equal(snapshot_due(s, now), -1);
	snapshot_mark(s, now);
	assert_int_equal(snapshot_due(s, now), 1000); // more comes with it
	now = 1000;
	for (int i = 0; i < 20000 && ret == 0; i++) { // the thread is waited for, 1 ms at a time
		ret = snapshot_step(s, c.feed, now, 5, &err);
		now += 1;
		if (ret == 0)
			usleep(1000);
	}
	assert_int_equal(ret, 1);
	assert_int_equal(load(&f, &info), 0);
	assert_int_equal(f.n, 5);
	found_free(&f);
	assert_int_equal(snapshot_due(s, now), -1);
	snapshot_mark(s, now);
	assert_in_range(snapshot_due(s, now), 4000, 5000); // not more often than that
	snapshot_destroy(s);
}

static void changes_during_a_write_are_written_by_the_next(void **state) {
	struct snapshot *s = snapshot_create(path, SOURCE);
	struct found f = {.answer = 0};
	struct snapshot_info info;

	fill();
	snapshot_mark(s, 0);
	assert_int_equal(snapshot_step(s, c.feed, 1000, 5, &err), 0); // collected
	feed_case_put(&c, KUBE_SERVICE, "d", 80);
	snapshot_mark(s, 1001);
	assert_int_equal(snapshot_finish(s, c.feed, 6, &err), 0);
	assert_int_equal(load(&f, &info), 0);
	assert_int_equal(f.n, 6);
	assert_int_equal(info.saved_at, 6);
	found_free(&f);
	snapshot_destroy(s);
}

static void a_destroyed_writer_leaves_no_part_of_a_file(void **state) {
	for (int steps = 1; steps < 5; steps++) {
		struct snapshot *s = snapshot_create(path, SOURCE);
		struct found f = {.answer = 0};
		struct snapshot_info info;
		int ret;

		fill();
		snapshot_mark(s, 0);
		for (int i = 0; i < steps; i++)
			snapshot_step(s, c.feed, 1000 + i, 5, &err);
		snapshot_destroy(s);
		ret = load(&f, &info);
		assert_true(ret == 0 || ret == -ENOENT);
		found_free(&f);
	}
}

static void a_write_that_fails_is_tried_again(void **state) {
	struct snapshot *s;
	char missing[256];
	int64_t now = 0;
	int ret = 0;

	snprintf(missing, sizeof(missing), "%s/missing/snapshot.json", dir);
	s = snapshot_create(missing, SOURCE);
	fill();
	snapshot_mark(s, now);
	for (int i = 0; i < 20000 && ret == 0; i++) {
		now += 1000;
		ret = snapshot_step(s, c.feed, now, 5, &err);
		if (ret == 0)
			usleep(1000);
	}
	assert_int_equal(ret, -ENOENT);
	assert_non_null(strstr(err.text, "can't be written"));
	assert_in_range(snapshot_due(s, now), 1, 30000);
	assert_int_equal(snapshot_finish(s, c.feed, 5, &err), -ENOENT);
	snapshot_destroy(s);
}

static void a_torn_file_is_set_aside_whole(void **state) {
	struct found f = {.answer = 0};
	struct snapshot_info info;
	struct stat st;
	char aside[256];

	fill();
	save();
	assert_int_equal(stat(path, &st), 0);
	snprintf(aside, sizeof(aside), "%s.damaged", path);
	for (off_t n = 0; n < st.st_size; n++) {
		assert_int_equal(truncate(path, n), 0);
		assert_int_equal(load(&f, &info), 1);
		assert_int_equal(f.n, 0);
		assert_non_null(strstr(err.text, aside));
		assert_int_equal(unlink(aside), 0);
		save();
	}
}

static void any_flipped_byte_is_found(void **state) {
	struct found f = {.answer = 0};
	struct snapshot_info info;
	char *text;
	size_t len;

	fill();
	save();
	assert_int_equal(file_read(path, 1 << 20, &text, &len), 0);
	for (size_t i = 0; i < len; i++)
		for (int bit = 0; bit < 8; bit++) {
			text[i] ^= (char)(1 << bit);
			assert_int_equal(snapshot_parse(&info, text, len, SOURCE, find, &f, &err),
					 -EINVAL);
			assert_int_equal(f.n, 0);
			text[i] ^= (char)(1 << bit);
		}
	assert_int_equal(snapshot_parse(&info, text, len, SOURCE, find, &f, &err), 0);
	assert_int_equal(f.n, 5);
	found_free(&f);
	free(text);
}

static void another_servers_snapshot_is_left_alone(void **state) {
	struct found f = {.answer = 0};
	struct snapshot_info info;

	fill();
	save();
	assert_int_equal(snapshot_load(&info, path, "https://other", find, &f, &err), -ESTALE);
	assert_int_equal(f.n, 0);
	assert_int_equal(access(path, F_OK), 0);
	assert_int_equal(load(&f, &info), 0);
	found_free(&f);
}

static void a_file_that_is_not_there_is_no_fault(void **state) {
	struct found f = {.answer = 0};
	struct snapshot_info info;

	assert_int_equal(load(&f, &info), -ENOENT);
}

static void a_caller_may_end_the_reading(void **state) {
	struct found f = {.answer = -ENOMEM};
	struct snapshot_info info;

	fill();
	save();
	assert_int_equal(load(&f, &info), -ENOMEM);
	assert_int_equal(f.n, 1);
	found_free(&f);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void) {
	const struct CMUnitTest tests[] = {
		TEST(what_is_read_back_equals_what_was_written),
		TEST(a_written_file_is_whole_at_every_step),
		TEST(changes_during_a_write_are_written_by_the_next),
		TEST(a_destroyed_writer_leaves_no_part_of_a_file),
		TEST(a_write_that_fails_is_tried_again),
		TEST(a_torn_file_is_set_aside_whole),
		TEST(any_flipped_byte_is_found),
		TEST(another_servers_snapshot_is_left_alone),
		TEST(a_file_that_is_not_there_is_no_fault),
		TEST(a_caller_may_end_the_reading),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
