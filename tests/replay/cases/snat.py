# SPDX-License-Identifier: Apache-2.0
# fullnat's source ports: unique towards a backend, shared between backends, enough of them.
import net
from case import STEP
from suite import case


def flood(t, count, vip="vip", proto="UDP", start=0):
    """First packets of `count` flows. Returns their inputs."""
    dst = net.address(vip, t.family)
    inputs = []
    for n in range(start, start + count):
        client = f"198.18.{n // 200 % 256}.{1 + n // 51200}" if t.family == 4 else f"2001:db8:c:{n // 200:x}::1"
        i = t.send("wan", {"kind": proto, "src": client, "dst": dst, "sport": 20000 + n % 200, "dport": 53,
                           "flags": "S", "data": b"q"})
        i.verb = "any"
        t.now = t.now - STEP + 10_000  # 100,000 a second
        inputs.append(i)
    return inputs


def sources(t, inputs):
    """[(address, port, backend)] of those that were forwarded."""
    return [(f["src"], f["sport"], f["dst"]) for i in inputs for port, f in t.outputs(i) if port == "lan"]


@case(family=(4, 6))
def ports_are_unique_towards_a_backend(t):
    t.service("dns", proto="UDP", port=53, to=53, backends="b1 b2")
    inputs = flood(t, 2000)
    t.sync()
    got = sources(t, inputs)
    t.require(len(got) == 2000 and len(set(got)) == 2000, f"{len(got)} forwarded with {len(set(got))} different ends")


@case()
def several_addresses_are_used(t):
    t.config["services"]["snatAddresses"] = ["10.0.0.10", "10.0.0.9"]
    t.service("dns", proto="UDP", port=53, to=53, backends="b1")
    inputs = flood(t, 2000)
    t.sync()
    got = sources(t, inputs)
    t.require(len(set(got)) == 2000, "source and port are not unique")


@case(workers=(1,), heavy=True)
def one_address_gives_fifty_thousand_flows_to_each_of_two_backends(t):
    t.config["dataplane"]["flowsPerWorker"] = 262144
    t.service("dns", proto="UDP", port=53, to=53, backends="b1")
    t.service("more", proto="UDP", vip="vip2", port=53, to=53, backends="b2")
    first, second = flood(t, 65000), flood(t, 15000, "vip2")
    t.sync()
    got = sources(t, first)
    t.require(len(got) >= 50000, f"only {len(got)} flows to one backend")
    t.require(len(set(got)) == len(got), "a source port is used twice")
    drops = {t.decision(i)["reason"] for i in first if t.decision(i)["out"] is None}
    t.require(drops == {"snat-exhausted"}, f"the others are dropped as {drops}")
    t.require(len(sources(t, second)) == 15000, "ports are not reused towards another backend")


@case(family=(4, 6))
def fullnat_without_an_address_of_the_family_is_a_named_drop(t):
    t.config["services"]["snatAddresses"] = ["fd00:10::10"] if t.family == 4 else ["10.0.0.10"]
    t.service("web", backends="b1")
    t.play("wan> client:40000 > vip:80 TCP S\nany")
    t.sync()
    t.require(not t.outputs(t.inputs[0]) or t.decision(t.inputs[0])["reason"] == "answered-rst", "forwarded")


@case(family=(4, 6))
def tcp_and_udp_may_have_the_same_port(t):
    t.service("dns", ports=[("udp", 53, 53, "UDP"), ("tcp", 53, 53, "TCP")], backends="b1")
    t.play("""
        wan> client:40000 > vip:53 TCP S
        lan< snat:$p > b1:53 TCP S
        wan> client:40000 > vip:53 UDP len=20
        lan< snat:$q > b1:53 UDP len=20
        lan> b1:53 > snat:$q UDP len=60
        wan< vip:53 > client:40000 UDP len=60
        lan> b1:53 > snat:$p TCP SA
        wan< vip:53 > client:40000 TCP SA
        flows 2
    """)
