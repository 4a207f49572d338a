# SPDX-License-Identifier: Apache-2.0
# More is offered than a worker carries: what it carries goes on, what it answers is answered, what is lost has a name.
"""
                                 sends without pause, as clients 198.18.0.0/15
   flooder ---- uplink [         ]
 198.51.100.2          [ sluiced ] lan ---- switch ---- s1   serves
   client ------- wan  [         ]                +---- s2   takes all, says nothing
 192.0.2.100
"""
import contextlib

from beds import Conversation, expect, test
from flood import PACKET_FLOODED, XDP_FLOODED

WINDOW = 10_000    # packets: some times what a device holds
ENOUGH = 200_000   # some times what there are buffers
ALIVE = "answer still there?"


def conversations(c, stack):
    """Connections of the other cable, made before the flood: both modes of NAT, both families."""
    pod = c.pods[0].serve("echo-tcp")
    return [stack.enter_context(Conversation(c, vip)) for mode in ("fullnat", "dnat")
            for vip in c.service(f"echo-{mode}", [pod], ports=("echo-tcp",), mode=mode).values()]


def expect_alive(talks):
    for talk in talks:
        said = talk.go_on()
        expect(said == ALIVE, "a connection made before the flood:", said)


@test(XDP_FLOODED, PACKET_FLOODED)
def beyond_its_capacity_it_carries_on_and_answers(c):
    vip = c.victim_service("echo-udp")
    with contextlib.ExitStack() as stack:
        talks = conversations(c, stack)
        with c.flood("udp", vip, 7000):
            for _ in range(2):
                c.wait_for_more("delivered", c.delivered, WINDOW)
                c.expect_control(vip)
            c.wait_for_more("offered", c.offered, ENOUGH)
            c.wait_for_more("delivered", c.delivered, WINDOW)
            expect_alive(talks)
            c.wait_for_more("delivered", c.delivered, WINDOW)
    c.expect_rest()


def lost(stats, before):
    return sum(stats["drops"].values()) - sum(before["drops"].values())


@test(XDP_FLOODED)  # af_packet does not count what its ring had no room for
def what_is_offered_and_not_carried_has_a_name(c):
    vip = c.victim_service("echo-udp")
    offered, delivered, stats, port = c.offered(), c.delivered(), c.stats(), c.port("uplink")
    with c.flood("udp", vip, 7000):
        with c.standing_still():  # there is too much, however fast this machine is
            c.wait_for_more("offered", c.offered, WINDOW)
        c.wait_for_more("offered", c.offered, ENOUGH)

    def accounts():
        """Of what was offered, and of what of it was received, the part that is explained."""
        now, uplink = c.stats(), c.port("uplink")
        received = uplink["rx"]["packets"] - port["rx"]["packets"]
        missed = uplink["drops"]["rxMissed"] - port["drops"]["rxMissed"]
        expect(now["lostAt"]["device"]["rxMissed"] == sum(p["drops"]["rxMissed"] for p in c.sluice.items("ports")))
        return ((received + missed) / (c.offered() - offered), (c.delivered() - delivered + lost(now, stats)) / received)
    c.sluice.wait("99 % of the packets to be accounted for", lambda: min(accounts()) > 0.99)
    expect(c.port("uplink")["drops"]["rxMissed"] > port["drops"]["rxMissed"], "the device lost nothing:", c.port("uplink"))
    expect(max(accounts()) < 1.01, "more is accounted for than there was:", accounts())
    c.expect_rest()


@test(PACKET_FLOODED)
def a_flood_of_syns_ends_no_connection_and_is_counted(c):
    vip = c.victim_service("http")
    with contextlib.ExitStack() as stack:
        talks = conversations(c, stack)
        before = c.stats()["lostAt"]["table"]["half-open-limit"]
        with c.flood("syn", vip, 80):
            c.sluice.wait("half-open-limit to be counted", lambda: c.stats()["lostAt"]["table"]["half-open-limit"] > before, 15)
            c.expect_control(vip)
            expect_alive(talks)
    c.expect_rest()
