# SPDX-License-Identifier: Apache-2.0
# A table that is too small: users before floods, names for what is dropped.
import collections

import net
from suite import case


def syns(t, count, vip="vip", flags="S"):
    """First packets of many clients. Returns their inputs."""
    inputs = []
    for n in range(count):
        client = f"198.18.{n // 250}.{1 + n % 250}" if t.family == 4 else f"2001:db8:c:{n:x}::1"
        i = t.send("wan", {"kind": "TCP", "src": client, "dst": net.address(vip, t.family), "sport": 20000 + n,
                           "dport": 80, "flags": flags, "seq": n, "ack": 1})
        i.verb = "any"
        inputs.append(i)
    return inputs


def reasons(t, inputs):
    return collections.Counter(t.decision(i)["reason"] for i in inputs)


@case(family=(4, 6), mode=("fullnat", "dnat", "dsr"), workers=(1,))
def a_syn_flood_does_not_displace_established_flows(t):
    t.config["dataplane"]["flowsPerWorker"] = 1024
    t.service("web", backends="b1 b2 b3")
    ports = range(40000, 40100)
    for port in ports:
        t.play(f"wan> client:{port} > vip:80 TCP S\nlan< $s{port}:$p{port} > $d{port}:* TCP S")
    for port in ports:
        if t.mode != "dsr":
            t.play(f"lan> $d{port}:8080 > $s{port}:$p{port} TCP SA\nwan< vip:80 > client:{port} TCP SA")
        t.play(f"wan> client:{port} > vip:80 TCP A\nlan< $s{port}:$p{port} > $d{port}:* TCP A    ; tracked")
    t.now = 10**9
    syns(t, 5000)
    t.play("at 8")
    for port in ports:
        t.play(f"wan> client:{port} > vip:80 TCP PA len=5\nlan< $s{port}:$p{port} > $d{port}:* TCP PA    ; tracked")


@case(family=(4, 6), mode=("fullnat", "dnat"), workers=(1,))
def half_open_flows_have_a_bounded_share(t):
    t.config["dataplane"]["flowsPerWorker"] = 1024
    t.service("web", backends="b1")
    inputs = syns(t, 3000)
    t.sync()
    flows = t.result.report["flows"]
    t.require(100 <= flows <= 1024, f"{flows} half-open flows in a table for 1024")
    allowed = {"new", "half-open-limit", "flow-table-full"}
    t.require(set(reasons(t, inputs)) <= allowed, f"{reasons(t, inputs)}")


@case(family=(4, 6), mode="dsr", workers=(1,))
def dsr_goes_on_without_entries_when_the_table_is_full(t):
    t.config["dataplane"]["flowsPerWorker"] = 256
    t.service("web", backends="b1 b2 b3 b4 b5")
    first, second, third = syns(t, 2000), syns(t, 2000, flags="A"), syns(t, 2000, flags="A")
    t.sync()
    sent = [[f["dmac"] for i in inputs for _, f in t.outputs(i)] for inputs in (first, second, third)]
    t.require(len(sent[0]) == 2000 and sent[0] == sent[1] == sent[2], "not all reached the backend of their SYN")
    t.require(reasons(t, first)["stateless"] > 0, f"{reasons(t, first)}")


@case(family=(4, 6), mode="dnat", workers=(1,))
def a_full_table_in_dnat_is_a_named_drop(t):
    t.config["dataplane"]["flowsPerWorker"] = 256
    t.service("web", backends="b1")
    for port in range(20000, 22000):  # two segments establish a flow found in its middle
        t.play(f"wan> client2:{port} > vip:80 TCP A\nany\nwan> client2:{port} > vip:80 TCP A\nany")
    last = []
    for n in range(500):
        t.play(f"wan> client:{1024 + n} > vip:80 TCP S\nany")
        last.append(t.inputs[-1])
    t.sync()
    got = reasons(t, last)
    t.require(set(got) <= {"new", "flow-table-full", "half-open-limit"}, f"{dict(got)}")
    t.require(got["flow-table-full"] > 250, f"{dict(got)}")


@case(family=(4, 6))
def an_answer_without_a_route_is_a_named_drop(t):
    t.config["routes"] = []
    t.service("web", backends="b1")
    t.play("""
        wan> client:40000 > vip:80 TCP S
        lan< snat:$p > b1:8080 TCP S
        lan> b1:8080 > snat:$p TCP SA
        drop no-route
    """)


@case(family=(4, 6))
def a_backend_without_a_route_is_not_used(t):
    t.config["routes"] = []
    far = "100.64.0.5" if t.family == 4 else "2001:db8:77::5"
    t.service("web", backends=[far])
    t.service("mixed", vip="vip2", backends=[far, net.address("b1", t.family)])
    t.play("wan> client:40000 > vip:80 TCP S\ndrop no-route|no-backend")
    for port in range(40000, 40010):
        t.play(f"wan> client:{port} > vip2:80 TCP S\nlan< snat:* > b1:8080 TCP S")


@case(family=(4, 6), workers=(1,))
def affinity_is_bounded_and_its_eviction_harms_no_flow(t):
    t.config["dataplane"]["flowsPerWorker"] = 256
    t.service("web", affinity=10000, mode="dsr", backends="b1 b2 b3 b4 b5")
    inputs = syns(t, 3000)
    t.sync()
    t.require(set(reasons(t, inputs)) <= {"new", "stateless", "affinity"}, f"{reasons(t, inputs)}")
