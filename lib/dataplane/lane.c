// SPDX-License-Identifier: Apache-2.0
// The short way: plain TCP and UDP packets that need nothing but their flow, in passes over the burst.
//
//     read      frame -> addresses, ports; the frontend map's slot is on its way, or the endpoint map's where there is no such frontend
//     name      frontend -> hash; the flow's bucket is on its way
//     answers   endpoint -> hash of the flow's key (dnat), or of the snat entry, which names the key and may vouch for the flow, which is then
//               let alone (fullnat); only where there are some
//     find      the flow; its backend is on its way
//     choose    for new flows: slot of the look-up table -> backend -> SNAT port; only where there are some
//     deliver   backend -> next hop -> bytes -> transmit buffer
//
// Another worker's packets leave for it in name and answers, as soon as their owner is known.
//
// Most packets are of this kind: no options, the port's own tag or none, no affinity, no source ranges, a next hop that is known. Whatever
// a pass finds out of the ordinary it leaves alone, untouched, for the stages (burst.c), which do everything from the start. So
// each rule is decided in one place, the stages; here stands only how the usual case passes them. What a known flow vouches for, that
// its client's address is a host's, say, is not asked again: parse_brief4(), parse_brief6().
//
// The two families' packets of a burst go through apart: IPv4 from the front of worker.lanes, IPv6 from its end, each through a
// variant of its own out of one inline core.
#include "dataplane/lane.h"

#ifdef SLUICE_LAPS // tests/bench builds this file once more, to count the cycles of each pass
void bench_lap(const char *pass);
#define LAP(pass) bench_lap(pass)
#else
#define LAP(pass)
#endif

static uint16_t pass_all(const struct lane_burst *b, struct lane *lanes, uint16_t n,
			 uint16_t answers, struct rte_mbuf **rest, uint16_t n_rest,
			 uint8_t family) {
	bool others = true, sought = answers < n;

	if (sought)
		others = lane_name(b, lanes, n, family);
	LAP("name");
	if (others)
		sought |= lane_name_answers(b, lanes, n, family);
	LAP("answers");
	if (sought && lane_find(b, lanes, n, family))
		lane_choose(b, lanes, n, family);
	LAP("find");
	n_rest = lane_deliver(b, lanes, n, rest, n_rest, family);
	LAP("deliver");
	return n_rest;
}

uint16_t lane_burst(struct worker *w, const struct tables *t, struct rte_mbuf **m, uint16_t n,
		    bool handed_over, struct rte_mbuf **rest) {
	const struct lane_burst b = {.w = w,
				     .t = t,
				     .flows = w->flows,
				     .now = w->now,
				     .any_owner = t->workers == 1 || handed_over,
				     .traced = w->dp->trace != NULL};
	struct lanes lanes = lane_read(t, w->lanes, m, n, rest);
	uint16_t n4 = (uint16_t)(lanes.end4 - w->lanes),
		 n6 = (uint16_t)(w->lanes + BURST - lanes.begin6);

	LAP("read");
	if (n4 > 0)
		lanes.rest = pass_all(&b, w->lanes, n4, lanes.answers[0], rest, lanes.rest, 4);
	if (n6 > 0)
		lanes.rest = pass_all(&b, lanes.begin6, n6, lanes.answers[1], rest, lanes.rest, 6);
	return lanes.rest;
}
