# SPDX-License-Identifier: Apache-2.0
# Which backend a new flow gets: even shares, few moves, equal on every appliance.
import collections

import net
from suite import case

ALL = "b1 b2 b3 b4 b5 b6 b7 b8 b9"


def choices(t, count, port=80, proto="UDP"):
    """[backend] of `count` clients' first packets."""
    first = len(t.inputs)
    vip = net.address("vip", t.family)
    for n in range(count):
        client = f"198.51.{100 + n % 7}.{1 + n // 7 % 250}" if t.family == 4 else f"2001:db8:c:{n % 7}::{1 + n // 7:x}"
        t.send("wan", {"kind": proto, "src": client, "dst": vip, "sport": 20000 + n % 30011, "dport": port,
                       "flags": "S", "data": b"" if proto == "TCP" else b"x"}).verb = "any"
    t.sync()
    return [t.decision(i)["backend"] for i in t.inputs[first:]]


@case(family=(4, 6), mode=("fullnat", "dsr"))
def many_clients_spread_evenly(t):
    t.service("web", proto="UDP", backends="b1 b2 b3 b4")
    share = collections.Counter(choices(t, 2000))
    t.require(len(share) == 4 and all(420 <= n <= 580 for n in share.values()), f"shares of 2000: {dict(share)}")


@case(family=(4, 6))
def the_choice_does_not_depend_on_order_or_neighbours(t):
    t.service("web", proto="UDP", backends=ALL)
    one = choices(t, 300)
    other = t.twin()
    other.service("aaa", vip="vip2", backends="b3 b1", ns="before")
    other.service("web", proto="UDP", backends=" ".join(reversed(ALL.split())))
    other.service("zzz", vip="vip3", backends="b2")
    t.require(choices(other, 300) == one, "another order of endpoints and more services changed choices")


@case(family=(4, 6))
def the_choice_does_not_depend_on_history(t):
    t.service("web", proto="UDP", backends=ALL)
    one = choices(t, 300)
    other = t.twin()
    other.service("web", proto="UDP", backends="b2 b4")
    other.play("at 0\nwan> client:1 > vip:80 UDP len=1\nany")
    other.change(1)
    other.service("web", backends="b1 b2 b3 b5 b7 b8")
    other.change(2)
    other.service("web", backends=ALL)
    other.play("at 3")
    t.require(choices(other, 300) == one, "the way to the same backends changed choices")


@case(mode=("fullnat", "dnat"), heavy=True)
def removing_a_backend_moves_few_choices_of_the_others(t):
    t.service("web", proto="UDP", backends=ALL)
    before = choices(t, 3000)
    other = t.twin()
    other.service("web", proto="UDP", backends="b1 b2 b3 b4 b5 b6 b7 b8")
    after = choices(other, 3000)
    kept = [(a, b) for a, b in zip(before, after) if not a.startswith("10.0.0.19:")]
    moved = sum(a != b for a, b in kept)
    t.require(moved <= len(kept) * 0.012, f"{moved} of {len(kept)} moved")


@case()
def another_seed_makes_other_choices(t):
    t.service("web", proto="UDP", backends=ALL)
    one = choices(t, 200)
    other = t.twin()
    other.config["dataplane"]["hashSeed"] = 1234567890123456789
    other.service("web", proto="UDP", backends=ALL)
    two = choices(other, 200)
    same = sum(a == b for a, b in zip(one, two))
    t.require(same < 60, f"{same} of 200 choices are the same with another seed, about 22 by chance")


@case()
def modes_choose_alike(t):
    t.service("web", proto="UDP", to=80, mode="dsr", backends=ALL)
    one = choices(t, 200)
    for mode in ("dnat", "fullnat"):
        other = t.twin()
        other.service("web", proto="UDP", to=80, mode=mode, backends=ALL)
        t.require(choices(other, 200) == one, f"{mode} chooses otherwise than dsr")


@case(family=(4, 6), heavy=True)
def a_hundred_backends_stay_within_two_percent_of_their_share_or_chance(t):
    hosts = [f"10.0.0.{100 + n}" if t.family == 4 else f"fd00:10::{100 + n}" for n in range(100)]
    t.hosts({host: f"02:00:00:00:0f:{n:02x}" for n, host in enumerate(hosts)})
    t.service("web", proto="UDP", backends=hosts)
    share = collections.Counter(choices(t, 10000))
    busiest = max(share.values())
    t.require(len(share) == 100 and busiest < 100 * 1.02 + 40, f"the busiest of 100 has {busiest} of 10000")
