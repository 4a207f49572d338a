// SPDX-License-Identifier: Apache-2.0
// The neighbour table: entries that never move, a map that readers walk while it grows, and the timers of asking.
#include "neighbor/neighbor.h"

#include <stdlib.h>

#define TRIES 3 // requests, a second apart
#define ASK_MS 1000
#define PROBE_MS 25000     // after it was confirmed: asked again, when used
#define REACHABLE_MS 30000 // after it was confirmed: forgotten, when not used
#define IDLE_MS 60000      // an unheld entry without a MAC is given up
#define FAILED_MS 10000    // an unheld entry that failed is given up

enum state {
	FREE,
	NONE,  // nothing known, nobody asked
	ASKED, // requests are out; the word is 0 or, after a failure, still FAILED
	FAILED,
	KNOWN,
	PROBING, // known; asked again, by unicast, then to all
	STATIC,
	LIMBO, // given up; readers may still hold the id
};

struct neighbor_entry { // what only control reads and writes, but for addr: fixed while a reader can reach the entry
	struct ip_addr addr;
	uint8_t state, tries;
	uint32_t holds;
	uint64_t due, confirmed, limbo; // ms, ms, number of the giving up
};

enum { EMPTY, DELETED, FIRST };

static uint32_t load_slot(const struct neighbor_table *t, uint32_t i) {
	return __atomic_load_n(&t->slots[i & t->mask], __ATOMIC_ACQUIRE);
}

static void store_slot(struct neighbor_table *t, uint32_t i, uint32_t value) {
	__atomic_store_n(&t->slots[i & t->mask], value, __ATOMIC_RELEASE);
}

static uint32_t hash(const struct neighbor_table *t, uint16_t port, uint8_t family,
		     const uint32_t addr[4]) {
	uint64_t h = t->secret ^ ((uint64_t)port << 8 | family);

	for (int i = 0; i < (family == 4 ? 1 : 4); i++) {
		unsigned __int128 product = (unsigned __int128)(h ^ addr[i]) * 0x9e3779b97f4a7c15u;

		h = (uint64_t)product ^ (uint64_t)(product >> 64) ^ t->secret;
	}
	return (uint32_t)(h >> 32);
}

static struct neighbor_hot *hot_of(const struct neighbor_table *t, const struct neighbor_entry *e) {
	return &t->hot[e - t->entries];
}

static bool is_entry_of(const struct neighbor_table *t, uint32_t id, uint16_t port, uint8_t family,
			const uint32_t addr[4]) {
	const struct neighbor_entry *e = &t->entries[id];

	return t->hot[id].port == port && e->addr.family == family &&
	       memcmp(e->addr.b, addr, family == 4 ? 4 : 16) == 0;
}

// The slot of an entry, or NEIGHBOR_NONE. *room: where it would be put.
static uint32_t find_slot(const struct neighbor_table *t, uint16_t port, uint8_t family,
			  const uint32_t addr[4], uint32_t *room) {
	uint32_t start = hash(t, port, family, addr), free_slot = NEIGHBOR_NONE;

	for (uint32_t n = 0; n <= t->mask; n++) {
		uint32_t i = (start + n) & t->mask, value = load_slot(t, i);

		if (value >= FIRST && is_entry_of(t, value - FIRST, port, family, addr))
			return i;
		if (value < FIRST && free_slot == NEIGHBOR_NONE)
			free_slot = i;
		if (value == EMPTY)
			break;
	}
	if (room != NULL)
		*room = free_slot;
	return NEIGHBOR_NONE;
}

struct neighbor_table *neighbor_create(uint32_t max, uint64_t secret, neighbor_send *send,
				       void *ctx) {
	struct neighbor_table *t = calloc(1, sizeof(*t));
	uint32_t slots = 4;

	if (t == NULL)
		return NULL;
	while (slots < 2 * max)
		slots *= 2;
	*t = (struct neighbor_table){
		.max = max, .mask = slots - 1, .secret = secret, .send = send, .ctx = ctx};
	t->entries = calloc(max, sizeof(*t->entries));
	t->hot = calloc(max, sizeof(*t->hot));
	t->slots = calloc(slots, sizeof(*t->slots));
	if (t->entries == NULL || t->hot == NULL || t->slots == NULL) {
		neighbor_destroy(t);
		return NULL;
	}
	return t;
}

void neighbor_destroy(struct neighbor_table *t) {
	if (t == NULL)
		return;
	free(t->hot);
	free(t->entries);
	free(t->slots);
	free(t);
}

static void store_word(struct neighbor_table *t, struct neighbor_entry *e, uint64_t word) {
	if (hot_of(t, e)->word == word)
		return;
	__atomic_store_n(&hot_of(t, e)->word, word, __ATOMIC_RELAXED);
	__atomic_store_n(&t->changes, t->changes + 1, __ATOMIC_RELEASE);
}

static uint64_t word_of(const struct mac_addr *mac) {
	uint64_t word = 0;

	for (int i = 0; i < 6; i++)
		word = word << 8 | mac->b[i];
	return word | NEIGHBOR_KNOWN;
}

static struct mac_addr mac_of(uint64_t word) {
	struct mac_addr mac;

	for (int i = 0; i < 6; i++)
		mac.b[i] = (uint8_t)(word >> (40 - 8 * i));
	return mac;
}

// A deleted slot before an empty one ends no chain: it becomes empty again, and so do those before it.
static void clear_slot(struct neighbor_table *t, uint32_t i) {
	store_slot(t, i, DELETED);
	while (load_slot(t, i) == DELETED && load_slot(t, i + 1) == EMPTY) {
		store_slot(t, i, EMPTY);
		i--;
	}
}

static void give_up(struct neighbor_table *t, struct neighbor_entry *e) {
	uint32_t addr[4];

	memcpy(addr, e->addr.b, sizeof(addr));
	clear_slot(t, find_slot(t, hot_of(t, e)->port, e->addr.family, addr, NULL));
	e->state = LIMBO;
	e->due = UINT64_MAX;
	e->limbo = ++t->limbo;
}

static struct neighbor_entry *take_free(struct neighbor_table *t) {
	if (t->high < t->max)
		return &t->entries[t->high++];
	for (uint32_t i = 0; i < t->max; i++)
		if (t->entries[i].state == FREE)
			return &t->entries[i];
	return NULL;
}

// The table is full: an unheld entry that leads nowhere goes to limbo, for the next one who asks.
static void make_room(struct neighbor_table *t) {
	for (uint32_t i = 0; i < t->high; i++) {
		struct neighbor_entry *e = &t->entries[i];

		if (e->holds == 0 && (e->state == FAILED || e->state == NONE)) {
			give_up(t, e);
			return;
		}
	}
}

static struct neighbor_entry *find(const struct neighbor_table *t, uint16_t port,
				   const struct ip_addr *addr) {
	uint32_t words[4], id;

	memcpy(words, addr->b, sizeof(words));
	id = neighbor_find(t, port, addr->family, words);
	return id == NEIGHBOR_NONE ? NULL : &t->entries[id];
}

static struct neighbor_entry *find_or_make(struct neighbor_table *t, uint16_t port,
					   const struct ip_addr *addr) {
	struct neighbor_entry *e = find(t, port, addr);
	uint32_t words[4], room;

	if (e != NULL)
		return e;
	e = take_free(t);
	if (e == NULL) {
		make_room(t);
		return NULL;
	}
	memcpy(words, addr->b, sizeof(words));
	find_slot(t, port, addr->family, words, &room);
	*e = (struct neighbor_entry){.state = NONE, .addr = *addr, .due = UINT64_MAX};
	*hot_of(t, e) = (struct neighbor_hot){.port = port};
	store_slot(t, room, (uint32_t)(e - t->entries) + FIRST);
	return e;
}

uint32_t neighbor_hold(struct neighbor_table *t, uint16_t port, const struct ip_addr *addr) {
	struct neighbor_entry *e = find_or_make(t, port, addr);

	if (e == NULL)
		return NEIGHBOR_NONE;
	e->holds++;
	return (uint32_t)(e - t->entries);
}

void neighbor_release(struct neighbor_table *t, uint32_t id) {
	struct neighbor_entry *e = &t->entries[id];

	if (--e->holds == 0 && (e->state == NONE || e->state == FAILED))
		e->due = 0; // given up by the next run
}

int neighbor_set_static(struct neighbor_table *t, uint16_t port, const struct ip_addr *addr,
			const struct mac_addr *mac) {
	struct neighbor_entry *e = find_or_make(t, port, addr);

	if (e == NULL)
		return -1;
	e->state = STATIC;
	e->due = UINT64_MAX;
	store_word(t, e, word_of(mac));
	return 0;
}

static void ask(struct neighbor_table *t, struct neighbor_entry *e, uint64_t now, bool unicast) {
	struct neighbor_request r = {.port = hot_of(t, e)->port,
				     .has_mac = unicast,
				     .target = e->addr};

	if (unicast)
		r.mac = mac_of(hot_of(t, e)->word);
	e->tries++;
	e->due = now + ASK_MS;
	t->send(t->ctx, &r);
}

static void start_asking(struct neighbor_table *t, struct neighbor_entry *e, uint64_t now) {
	e->state = ASKED;
	e->tries = 0;
	ask(t, e, now, false);
}

void neighbor_want(struct neighbor_table *t, uint16_t port, const struct ip_addr *addr,
		   uint64_t now) {
	struct neighbor_entry *e = find_or_make(t, port, addr);

	if (e == NULL)
		return;
	if (e->state == NONE || (e->state == FAILED && now - e->confirmed >= ASK_MS))
		start_asking(t, e, now);
}

static void confirm(struct neighbor_table *t, struct neighbor_entry *e, const struct mac_addr *mac,
		    uint64_t now) {
	e->state = KNOWN;
	e->confirmed = now;
	e->due = now + PROBE_MS;
	__atomic_store_n(&hot_of(t, e)->used, 0, __ATOMIC_RELAXED);
	store_word(t, e, word_of(mac));
}

bool neighbor_heard(struct neighbor_table *t, uint16_t port, const struct ip_addr *addr,
		    const struct mac_addr *mac, bool answer, uint64_t now) {
	struct neighbor_entry *e = find(t, port, addr);
	bool known;

	if (e == NULL || e->state == STATIC || (mac->b[0] & 1))
		return false;
	known = hot_of(t, e)->word & NEIGHBOR_KNOWN;
	if (!answer && !known && e->state != ASKED)
		return false;
	if (!answer && hot_of(t, e)->word == word_of(mac))
		return false; // it has said nothing new, and not to us
	confirm(t, e, mac, now);
	return !known;
}

static void fail(struct neighbor_table *t, struct neighbor_entry *e, uint64_t now) {
	e->state = FAILED;
	e->confirmed = now; // when it failed
	e->due = e->holds == 0 ? now + FAILED_MS : UINT64_MAX;
	store_word(t, e, NEIGHBOR_FAILED);
}

static void grow_old(struct neighbor_table *t, struct neighbor_entry *e, uint64_t now) {
	if (__atomic_load_n(&hot_of(t, e)->used, __ATOMIC_RELAXED)) {
		e->state = PROBING;
		e->tries = 0;
		ask(t, e, now, true);
	} else if (now >= e->confirmed + REACHABLE_MS) {
		e->state = NONE;
		e->due = e->holds == 0 ? now + IDLE_MS : UINT64_MAX;
		store_word(t, e, 0);
	} else {
		e->due = now + ASK_MS;
	}
}

static void run_entry(struct neighbor_table *t, struct neighbor_entry *e, uint64_t now) {
	switch (e->state) {
	case ASKED:
		if (e->tries < TRIES)
			ask(t, e, now, false);
		else
			fail(t, e, now);
		break;
	case KNOWN:
		grow_old(t, e, now);
		break;
	case PROBING:
		if (e->tries < 2 * TRIES)
			ask(t, e, now, e->tries < TRIES);
		else
			fail(t, e, now);
		break;
	default:
		if (e->holds == 0)
			give_up(t, e);
		else
			e->due = UINT64_MAX;
	}
}

uint64_t neighbor_run(struct neighbor_table *t, uint64_t now) {
	uint64_t next = UINT64_MAX;

	for (uint32_t i = 0; i < t->high; i++) {
		struct neighbor_entry *e = &t->entries[i];

		if (e->state == FREE || e->state == LIMBO)
			continue;
		if (e->due <= now)
			run_entry(t, e, now);
		if (e->due < next)
			next = e->due;
	}
	return next;
}

uint64_t neighbor_limbo_mark(const struct neighbor_table *t) {
	return t->limbo;
}

void neighbor_reclaim(struct neighbor_table *t, uint64_t mark) {
	for (uint32_t i = 0; i < t->high; i++)
		if (t->entries[i].state == LIMBO && t->entries[i].limbo <= mark)
			t->entries[i].state = FREE;
}

uint32_t neighbor_find(const struct neighbor_table *t, uint16_t port, uint8_t family,
		       const uint32_t addr[4]) {
	uint32_t slot = find_slot(t, port, family, addr, NULL);

	return slot == NEIGHBOR_NONE ? NEIGHBOR_NONE : load_slot(t, slot) - FIRST;
}

uint32_t neighbor_ids(const struct neighbor_table *t) {
	return t->high;
}

uint64_t neighbor_peek(const struct neighbor_table *t, uint32_t id) {
	return id < t->high ? t->hot[id].word : 0;
}

const struct ip_addr *neighbor_addr(const struct neighbor_table *t, uint32_t id) {
	return &t->entries[id].addr;
}

uint64_t neighbor_changes(const struct neighbor_table *t) {
	return __atomic_load_n(&t->changes, __ATOMIC_ACQUIRE);
}
