// SPDX-License-Identifier: Apache-2.0
// What passes the gate between an API server and the store, and when.
#include <errno.h>

#include "feed_case.h"

#define BOTH (1u << KUBE_SERVICE | 1u << KUBE_SLICE)
#define TEN "a b c d e f g h i j"

static struct feed_case c;

static int setup(void **state) {
	feed_case_init(&c, BOTH);
	return 0;
}

static int teardown(void **state) {
	feed_case_fini(&c);
	return 0;
}

static int name_cmp(const void *x, const void *y) {
	const struct kube_record *const *a = x, *const *b = y;

	return strcmp((*a)->object->meta.name, (*b)->object->meta.name);
}

// Names of the live objects of a kind, in order; the store holds as many.
static void lives(enum kube_kind kind, const char *wanted) {
	struct kube_record **list;
	char names[1024] = "";
	size_t len = 0;
	int n = feed_live(c.feed, &list);

	assert_true(n >= 0);
	qsort(list, (size_t)n, sizeof(*list), name_cmp);
	for (int i = 0; i < n; i++) {
		if (list[i]->object->meta.kind == kind)
			len += (size_t)snprintf(names + len, sizeof(names) - len, "%s%s",
						len > 0 ? " " : "", list[i]->object->meta.name);
		kube_record_put(list[i]);
	}
	free(list);
	assert_string_equal(names, wanted);
}

static void store_has(size_t services, size_t slices) {
	assert_int_equal(kube_count(c.kube, KUBE_SERVICE), services);
	assert_int_equal(kube_count(c.kube, KUBE_SLICE), slices);
}

static struct feed_stats stats(enum kube_kind kind, int64_t now) {
	struct feed_stats s;

	feed_stats(c.feed, kind, now, &s);
	return s;
}

static void synced(const char *services, const char *slices) {
	feed_case_set(&c, KUBE_SERVICE, services, 80, 0);
	feed_case_set(&c, KUBE_SLICE, slices, 1, 0);
	assert_true(feed_take_changed(c.feed));
}

static void nothing_reaches_the_store_before_every_kind_is_there(void **state) {
	feed_case_set(&c, KUBE_SERVICE, "a b", 80, 0);
	feed_case_put(&c, KUBE_SERVICE, "c", 80); // its watch goes on meanwhile
	assert_int_equal(feed_case_say(&c, false, KUBE_SERVICE,
				       feed_case_text(KUBE_SERVICE, "a", 80)),
			 0);
	store_has(0, 0);
	assert_false(feed_is_synced(c.feed));
	assert_true(stats(KUBE_SERVICE, 0).synced);
	assert_false(feed_take_changed(c.feed));
	assert_int_equal(feed_begin(c.feed, KUBE_SLICE), 0);
	feed_case_put(&c, KUBE_SLICE, "s", 3);
	store_has(0, 0);
	assert_int_equal(feed_end(c.feed, KUBE_SLICE, 0), 0);
	store_has(2, 1);
	lives(KUBE_SERVICE, "b c");
	assert_true(feed_is_synced(c.feed));
	assert_true(feed_is_complete(c.feed));
	assert_true(feed_take_changed(c.feed));
	assert_int_equal(c.told[FEED_SYNCED], 1);
}

static void later_each_kind_is_replaced_on_its_own(void **state) {
	synced("a b", "s t");
	feed_case_set(&c, KUBE_SLICE, "t u", 1, 0);
	lives(KUBE_SLICE, "t u");
	lives(KUBE_SERVICE, "a b");
	store_has(2, 2);
	assert_true(feed_take_changed(c.feed));
	feed_case_set(&c, KUBE_SLICE, "t u", 1, 0);
	assert_false(feed_take_changed(c.feed)); // equal content is no change
}

static void an_object_that_is_told_again_is_kept_once(void **state) {
	struct kube_record **before, **after;

	synced("a", "s");
	assert_int_equal(feed_live(c.feed, &before), 2);
	feed_case_set(&c, KUBE_SERVICE, "a", 80, 0);
	feed_case_set(&c, KUBE_SLICE, "s", 2, 0);
	feed_case_put(&c, KUBE_SERVICE, "a", 80);
	assert_int_equal(feed_live(c.feed, &after), 2);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(after[i] == before[i],
				 after[i]->object->meta.kind == KUBE_SERVICE);
		kube_record_put(before[i]);
		kube_record_put(after[i]);
	}
	free(before);
	free(after);
}

static void changes_are_applied_at_once(void **state) {
	synced("a b", "s");
	feed_case_put(&c, KUBE_SERVICE, "c", 80);
	store_has(3, 1);
	assert_int_equal(feed_case_say(&c, false, KUBE_SERVICE,
				       feed_case_text(KUBE_SERVICE, "a", 80)),
			 0);
	lives(KUBE_SERVICE, "b c");
	store_has(2, 1);
	assert_true(feed_take_changed(c.feed));
}

static void a_set_that_is_begun_again_forgets_what_it_had(void **state) {
	synced("a", "s");
	assert_int_equal(feed_begin(c.feed, KUBE_SERVICE), 0);
	feed_case_put(&c, KUBE_SERVICE, "x", 80);
	lives(KUBE_SERVICE, "a");
	feed_case_set(&c, KUBE_SERVICE, "a b", 80, 0);
	lives(KUBE_SERVICE, "a b");
}

static void removals_during_a_set_are_of_the_set(void **state) {
	synced("a b", "s");
	assert_int_equal(feed_begin(c.feed, KUBE_SERVICE), 0);
	feed_case_put(&c, KUBE_SERVICE, "a", 80);
	feed_case_put(&c, KUBE_SERVICE, "c", 80);
	assert_int_equal(feed_case_say(&c, false, KUBE_SERVICE,
				       feed_case_text(KUBE_SERVICE, "c", 80)),
			 0);
	lives(KUBE_SERVICE, "a b");
	assert_int_equal(feed_end(c.feed, KUBE_SERVICE, 0), 0);
	lives(KUBE_SERVICE, "a");
}

static void a_set_without_most_objects_is_held_for_a_minute(void **state) {
	synced(TEN, "s");
	feed_case_set(&c, KUBE_SERVICE, "a b c x", 80, 1000); // seven of ten are gone, one is new
	lives(KUBE_SERVICE, TEN " x");
	store_has(11, 1);
	assert_int_equal(c.told[FEED_HELD], 1);
	assert_false(feed_is_complete(c.feed));
	assert_int_equal(stats(KUBE_SERVICE, 31000).held, 7);
	assert_int_equal(stats(KUBE_SERVICE, 31000).hold_left_ms, 30000);
	assert_int_equal(feed_due(c.feed, 31000), 30000);
	feed_take_changed(c.feed);
	assert_int_equal(feed_step(c.feed, 60999), 0);
	assert_false(feed_take_changed(c.feed));
	assert_int_equal(feed_due(c.feed, 61000), 0);
	assert_int_equal(feed_step(c.feed, 61000), 0);
	lives(KUBE_SERVICE, "a b c x");
	store_has(4, 1);
	assert_true(feed_take_changed(c.feed));
	assert_true(feed_is_complete(c.feed));
	assert_int_equal(c.told[FEED_RELEASED], 1);
	assert_int_equal(feed_due(c.feed, 61000), -1);
}

static void a_held_set_is_let_go_when_its_objects_return(void **state) {
	synced(TEN, "s");
	feed_case_set(&c, KUBE_SERVICE, "", 80, 1000);
	feed_case_set(&c, KUBE_SERVICE, "a", 80, 30000); // still: the minute is that of the first
	assert_int_equal(c.told[FEED_HELD], 1);
	assert_int_equal(feed_due(c.feed, 30000), 31000);
	feed_case_set(&c, KUBE_SERVICE, "a b c d e f g h i", 80, 40000);
	lives(KUBE_SERVICE, "a b c d e f g h i"); // one may be gone for good
	assert_int_equal(c.told[FEED_RELEASED], 1);
	assert_true(feed_is_complete(c.feed));
	assert_int_equal(feed_due(c.feed, 40000), -1);
}

static void what_a_watch_says_counts_during_a_hold(void **state) {
	synced(TEN, "s");
	feed_case_set(&c, KUBE_SERVICE, "a", 80, 0);
	feed_case_put(&c, KUBE_SERVICE, "b", 81); // one returns
	assert_int_equal(feed_case_say(&c, false, KUBE_SERVICE,
				       feed_case_text(KUBE_SERVICE, "a", 80)),
			 0);
	assert_int_equal(feed_case_say(&c, false, KUBE_SERVICE,
				       feed_case_text(KUBE_SERVICE, "c", 80)),
			 0); // and what is said to be gone is gone
	lives(KUBE_SERVICE, "b d e f g h i j");
	assert_int_equal(feed_step(c.feed, 60000), 0);
	lives(KUBE_SERVICE, "b");
	store_has(1, 1);
}

static void each_kind_has_its_own_hold(void **state) {
	synced("a", TEN);
	feed_case_set(&c, KUBE_SLICE, "", 1, 0);
	assert_int_equal(c.told[FEED_HELD], 1);
	assert_true(feed_is_complete(c.feed)); // addresses are of Services
	store_has(1, 10);
	feed_case_set(&c, KUBE_SERVICE, "b", 80, 0); // few are never held
	lives(KUBE_SERVICE, "b");
}

static void half_of_the_objects_may_go(void **state) {
	synced(TEN, "s");
	feed_case_set(&c, KUBE_SERVICE, "a b c d e", 80, 0);
	lives(KUBE_SERVICE, "a b c d e");
	assert_int_equal(c.told[FEED_HELD], 0);
}

static void an_object_that_cant_be_decoded_keeps_its_last_good_content(void **state) {
	synced("a b", "s");
	feed_case_put(&c, KUBE_SERVICE, "a", 0); // port 0
	assert_int_equal(c.told[FEED_BROKEN], 1);
	assert_non_null(strstr(c.last.text, "Service n/a: "));
	assert_non_null(strstr(c.last.text, "spec.ports[0].port: not within 1..65535"));
	assert_non_null(strstr(c.last.text, "last good content stays"));
	lives(KUBE_SERVICE, "a b");
	assert_false(feed_take_changed(c.feed));
	// The same in a set, where it would be missing otherwise; a new one is left out.
	assert_int_equal(feed_begin(c.feed, KUBE_SERVICE), 0);
	feed_case_put(&c, KUBE_SERVICE, "a", 0);
	feed_case_put(&c, KUBE_SERVICE, "new", 0);
	assert_int_equal(feed_end(c.feed, KUBE_SERVICE, 0), 0);
	lives(KUBE_SERVICE, "a");
	assert_int_equal(stats(KUBE_SERVICE, 0).broken, 3);
}

static void where_a_name_is_missing_nothing_is_taken_away(void **state) {
	const struct error why = {"no"};

	synced("a b", "s t");
	assert_int_equal(feed_begin(c.feed, KUBE_SERVICE), 0);
	feed_case_put(&c, KUBE_SERVICE, "c", 80);
	assert_int_equal(feed_case_say(&c, true, KUBE_SERVICE, "{\"metadata\":{\"name\":1}}"), 0);
	assert_int_equal(feed_end(c.feed, KUBE_SERVICE, 0), 0);
	lives(KUBE_SERVICE, "a b c");
	assert_int_equal(feed_begin(c.feed, KUBE_SLICE), 0);
	feed_broken(c.feed, KUBE_SLICE, &why);
	assert_int_equal(feed_end(c.feed, KUBE_SLICE, 0), 0);
	lives(KUBE_SLICE, "s t");
	feed_case_set(&c, KUBE_SLICE, "t", 1, 0); // the next whole set counts again
	lives(KUBE_SLICE, "t");
}

static void a_snapshot_is_content_until_everything_is_there(void **state) {
	static const char *const names[] = {"a", "b", "old"};
	struct kube_record *r;

	for (int i = 0; i < 3; i++) {
		const char *text = feed_case_text(KUBE_SERVICE, names[i], 80);
		json_t *json = json_loads(text, 0, NULL);
		struct doc_node n = doc_root_json(json);

		assert_int_equal(kube_record_create(&r, KUBE_SERVICE, &n, text, strlen(text), NULL),
				 0);
		assert_int_equal(feed_seed(c.feed, r), 0);
		kube_record_put(r);
		json_decref(json);
	}
	store_has(3, 0);
	assert_true(feed_take_changed(c.feed));
	assert_false(feed_is_complete(c.feed));
	feed_case_set(&c, KUBE_SERVICE, "a b", 80, 0);
	lives(KUBE_SERVICE, "a b old");
	feed_case_set(&c, KUBE_SLICE, "s", 1, 0);
	lives(KUBE_SERVICE, "a b");
	store_has(2, 1);
}

static void an_empty_cluster_behind_a_full_snapshot_is_held(void **state) {
	synced(TEN, "s");
	feed_destroy(c.feed); // another feed over a store that is full: as after a snapshot
	c.feed = feed_create(c.kube, BOTH, feed_case_report, &c);
	for (const char *name = TEN; *name != '\0'; name++) {
		const char one[2] = {*name, '\0'}, *text = feed_case_text(KUBE_SERVICE, one, 80);
		json_t *json = json_loads(text, 0, NULL);
		struct doc_node n = doc_root_json(json);
		struct kube_record *r;

		if (*name != ' ') {
			assert_int_equal(kube_record_create(&r, KUBE_SERVICE, &n, text,
							    strlen(text), NULL),
					 0);
			feed_seed(c.feed, r);
			kube_record_put(r);
		}
		json_decref(json);
	}
	feed_case_set(&c, KUBE_SERVICE, "", 80, 0);
	feed_case_set(&c, KUBE_SLICE, "", 1, 0);
	assert_true(feed_is_synced(c.feed));
	assert_false(feed_is_complete(c.feed));
	store_has(10, 0);
	assert_int_equal(feed_step(c.feed, 60000), 0);
	store_has(0, 0);
}

static void a_kind_that_is_not_needed_any_more_leaves(void **state) {
	synced("a", "s t");
	assert_int_equal(feed_need(c.feed, 1u << KUBE_SERVICE | 1u << KUBE_ENDPOINTS, 0), 0);
	store_has(1, 0);
	assert_true(feed_is_synced(c.feed));
	assert_true(feed_take_changed(c.feed));
}

static void needing_less_may_open_the_gate(void **state) {
	feed_case_set(&c, KUBE_SERVICE, "a", 80, 0);
	assert_false(feed_is_synced(c.feed));
	assert_int_equal(feed_need(c.feed, 1u << KUBE_SERVICE, 0), 0);
	assert_true(feed_is_synced(c.feed));
	store_has(1, 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void) {
	const struct CMUnitTest tests[] = {
		TEST(nothing_reaches_the_store_before_every_kind_is_there),
		TEST(later_each_kind_is_replaced_on_its_own),
		TEST(an_object_that_is_told_again_is_kept_once),
		TEST(an_object_that_is_told_again_is_kept_once),
		TEST(changes_are_applied_at_once),
		TEST(a_set_that_is_begun_again_forgets_what_it_had),
		TEST(removals_during_a_set_are_of_the_set),
		TEST(a_set_without_most_objects_is_held_for_a_minute),
		TEST(a_held_set_is_let_go_when_its_objects_return),
		TEST(what_a_watch_says_counts_during_a_hold),
		TEST(each_kind_has_its_own_hold),
		TEST(half_of_the_objects_may_go),
		TEST(an_object_that_cant_be_decoded_keeps_its_last_good_content),
		TEST(where_a_name_is_missing_nothing_is_taken_away),
		TEST(a_snapshot_is_content_until_everything_is_there),
		TEST(an_empty_cluster_behind_a_full_snapshot_is_held),
		TEST(a_kind_that_is_not_needed_any_more_leaves),
		TEST(needing_less_may_open_the_gate),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
