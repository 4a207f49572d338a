// SPDX-License-Identifier: Apache-2.0
// TCP and UDP states: packets in order, and the state after each.
#include <stdio.h>

#include "flow_fixture.h"

#define SYN FLOW_TCP_FLAG_SYN
#define ACK FLOW_TCP_FLAG_ACK
#define FIN FLOW_TCP_FLAG_FIN
#define RST FLOW_TCP_FLAG_RST
#define SYN_ACK (SYN | ACK)
#define FIN_ACK (FIN | ACK)

enum { CLIENT = 0, BACKEND = 1 };

struct step {
	bool from_backend;
	uint8_t flags;
	enum flow_state is; // FLOW_FREE ends the list
};

struct lifecycle {
	const char *name;
	enum flow_ways ways;
	uint8_t protocol;
	struct step steps[8];
};

static const struct lifecycle lifecycles[] = {
	{"two ways, from SYN to both FINs",
	 FLOW_TWO_WAYS,
	 6,
	 {{BACKEND, SYN_ACK, FLOW_TCP_SYN_RECV},
	  {CLIENT, ACK, FLOW_TCP_ESTABLISHED},
	  {BACKEND, ACK, FLOW_TCP_ESTABLISHED},
	  {CLIENT, FIN_ACK, FLOW_TCP_FIN_WAIT},
	  {BACKEND, ACK, FLOW_TCP_FIN_WAIT},
	  {BACKEND, FIN_ACK, FLOW_TCP_TIME_WAIT},
	  {CLIENT, ACK, FLOW_TCP_TIME_WAIT}}},
	{"the backend closes first",
	 FLOW_TWO_WAYS,
	 6,
	 {{BACKEND, SYN_ACK, FLOW_TCP_SYN_RECV},
	  {CLIENT, ACK, FLOW_TCP_ESTABLISHED},
	  {BACKEND, FIN_ACK, FLOW_TCP_FIN_WAIT},
	  {BACKEND, FIN_ACK, FLOW_TCP_FIN_WAIT},
	  {CLIENT, FIN_ACK, FLOW_TCP_TIME_WAIT}}},
	{"SYN again and SYN-ACK again change nothing",
	 FLOW_TWO_WAYS,
	 6,
	 {{CLIENT, SYN, FLOW_TCP_SYN_SENT},
	  {BACKEND, SYN_ACK, FLOW_TCP_SYN_RECV},
	  {CLIENT, SYN, FLOW_TCP_SYN_RECV},
	  {BACKEND, SYN_ACK, FLOW_TCP_SYN_RECV},
	  {CLIENT, ACK, FLOW_TCP_ESTABLISHED},
	  {CLIENT, SYN, FLOW_TCP_ESTABLISHED}}},
	{"a refused connection is closed",
	 FLOW_TWO_WAYS,
	 6,
	 {{BACKEND, RST | ACK, FLOW_TCP_CLOSE},
	  {CLIENT, ACK, FLOW_TCP_CLOSE},
	  {BACKEND, SYN_ACK, FLOW_TCP_CLOSE}}},
	{"a RST closes from everywhere",
	 FLOW_TWO_WAYS,
	 6,
	 {{BACKEND, SYN_ACK, FLOW_TCP_SYN_RECV},
	  {CLIENT, ACK, FLOW_TCP_ESTABLISHED},
	  {CLIENT, FIN_ACK, FLOW_TCP_FIN_WAIT},
	  {BACKEND, FIN_ACK, FLOW_TCP_TIME_WAIT},
	  {CLIENT, RST, FLOW_TCP_CLOSE}}},
	{"dnat from the middle: the client's second packet establishes",
	 FLOW_TWO_WAYS,
	 6,
	 {{CLIENT, ACK, FLOW_TCP_ESTABLISHED}}},
	{"dnat from the middle: the backend's packet establishes",
	 FLOW_TWO_WAYS,
	 6,
	 {{BACKEND, ACK, FLOW_TCP_ESTABLISHED}}},
	{"one way",
	 FLOW_ONE_WAY,
	 6,
	 {{CLIENT, SYN, FLOW_TCP_SYN_SENT},
	  {CLIENT, ACK, FLOW_TCP_ESTABLISHED},
	  {CLIENT, ACK, FLOW_TCP_ESTABLISHED},
	  {CLIENT, FIN_ACK, FLOW_TCP_FIN_WAIT},
	  {CLIENT, ACK, FLOW_TCP_FIN_WAIT},
	  {CLIENT, RST, FLOW_TCP_CLOSE}}},
	{"one way, FIN as second packet", FLOW_ONE_WAY, 6, {{CLIENT, FIN_ACK, FLOW_TCP_FIN_WAIT}}},
	{"fullnat: SYN and ACK of a flood stay half-open",
	 FLOW_CONFIRMED,
	 6,
	 {{CLIENT, ACK, FLOW_TCP_SYN_SENT},
	  {CLIENT, FIN_ACK, FLOW_TCP_SYN_SENT},
	  {CLIENT, ACK, FLOW_TCP_SYN_SENT},
	  {BACKEND, SYN_ACK, FLOW_TCP_SYN_RECV},
	  {CLIENT, ACK, FLOW_TCP_ESTABLISHED},
	  {BACKEND, FIN_ACK, FLOW_TCP_FIN_WAIT},
	  {CLIENT, FIN_ACK, FLOW_TCP_TIME_WAIT}}},
	{"fullnat: a challenge ACK and its RST",
	 FLOW_CONFIRMED,
	 6,
	 {{BACKEND, ACK, FLOW_TCP_SYN_SENT}, {CLIENT, RST, FLOW_TCP_CLOSE}}},
	{"data before the client's ACK leaves tcpSynRecv",
	 FLOW_CONFIRMED,
	 6,
	 {{BACKEND, SYN_ACK, FLOW_TCP_SYN_RECV},
	  {BACKEND, ACK, FLOW_TCP_SYN_RECV},
	  {CLIENT, ACK, FLOW_TCP_ESTABLISHED}}},
	{"SYN and RST, SYN and FIN at once",
	 FLOW_TWO_WAYS,
	 6,
	 {{CLIENT, SYN | FIN, FLOW_TCP_SYN_SENT}, {CLIENT, SYN | RST, FLOW_TCP_CLOSE}}},
	{"udp until an answer",
	 FLOW_TWO_WAYS,
	 17,
	 {{CLIENT, 0, FLOW_UDP},
	  {CLIENT, 0, FLOW_UDP},
	  {BACKEND, 0, FLOW_UDP_STREAM},
	  {CLIENT, 0, FLOW_UDP_STREAM}}},
	{"udp one way stays udp", FLOW_ONE_WAY, 17, {{CLIENT, 0, FLOW_UDP}, {CLIENT, 0, FLOW_UDP}}},
};

static void run(struct flow_table *t, uint8_t family, const struct lifecycle *l) {
	const struct flow_key k = fixture_key(family, 1, 2);
	const struct flow_new n = {.backend = 3, .protocol = l->protocol, .starts = true};
	struct flow *f;

	assert_int_equal(fixture_create(t, &k, &n, 0, &f), 0);
	assert_int_equal(f->state, l->protocol == 6 ? FLOW_TCP_SYN_SENT : FLOW_UDP);
	for (const struct step *s = l->steps; s < l->steps + 8 && s->is != FLOW_FREE; s++) {
		flow_touch(t, family, f, l->ways, s->from_backend, s->flags, 0);
		if (f->state != s->is)
			fail_msg("%s, step %td: %s, expected %s", l->name, s - l->steps,
				 flow_state_name(f->state), flow_state_name(s->is));
		assert_int_equal(flow_stats(t)->half_open, flow_state_is_half_open(f->state));
	}
	flow_remove(t, family, f, 0);
	assert_int_equal(flow_stats(t)->half_open, 0);
}

static void packets_move_a_flow_through_its_states(void **state) {
	struct flow_config c = fixture_config(64);
	struct flow_table *t = fixture_table(&c);

	for (size_t i = 0; i < sizeof(lifecycles) / sizeof(lifecycles[0]); i++) {
		run(t, 4, &lifecycles[i]);
		run(t, 6, &lifecycles[i]);
	}
	free(t);
}

static void every_state_has_its_conntrack_name(void **state) {
	static const char *const names[FLOW_STATES] = {
		[FLOW_FREE] = "free",
		[FLOW_TCP_SYN_SENT] = "tcpSynSent",
		[FLOW_TCP_SYN_RECV] = "tcpSynRecv",
		[FLOW_TCP_ESTABLISHED] = "tcpEstablished",
		[FLOW_TCP_FIN_WAIT] = "tcpFinWait",
		[FLOW_TCP_TIME_WAIT] = "tcpTimeWait",
		[FLOW_TCP_CLOSE] = "tcpClose",
		[FLOW_UDP] = "udp",
		[FLOW_UDP_STREAM] = "udpStream",
	};

	for (unsigned i = 0; i < FLOW_STATES; i++)
		assert_string_equal(flow_state_name((enum flow_state)i), names[i]);
	assert_string_equal(flow_state_name(FLOW_STATES), "unknown");
}

static void any_flags_lead_from_any_state_to_one_of_its_protocol(void **state) {
	for (unsigned s = FLOW_TCP_SYN_SENT; s < FLOW_STATES; s++) {
		for (unsigned i = 0; i < 256 * 6; i++) {
			enum flow_state next = flow_state_next((enum flow_state)s,
							       (enum flow_ways)(i % 3), i / 3 % 2,
							       (uint8_t)(i / 6));

			assert_in_range(next, FLOW_TCP_SYN_SENT, FLOW_UDP_STREAM);
			assert_int_equal(next >= FLOW_UDP, s >= FLOW_UDP);
			assert_true(s >= FLOW_UDP || !flow_state_is_half_open(next) ||
				    flow_state_is_half_open((enum flow_state)s));
		}
	}
}

static void a_syn_starts_a_closed_flow_anew(void **state) {
	static const struct {
		struct flow f;
		bool is_reusable;
	} cases[] = {
		{{.state = FLOW_TCP_TIME_WAIT}, true},
		{{.state = FLOW_TCP_CLOSE}, true},
		{{.state = FLOW_TCP_FIN_WAIT, .fin_client = 1}, true},
		{{.state = FLOW_TCP_FIN_WAIT, .fin_backend = 1}, false},
		{{.state = FLOW_TCP_ESTABLISHED}, false},
		{{.state = FLOW_TCP_SYN_SENT}, false},
		{{.state = FLOW_UDP_STREAM}, false},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_int_equal(flow_is_reusable(&cases[i].f), cases[i].is_reusable);
}

int main(void) {
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(packets_move_a_flow_through_its_states),
		cmocka_unit_test(every_state_has_its_conntrack_name),
		cmocka_unit_test(any_flags_lead_from_any_state_to_one_of_its_protocol),
		cmocka_unit_test(a_syn_starts_a_closed_flow_anew),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
