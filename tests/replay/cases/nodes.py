# SPDX-License-Identifier: Apache-2.0
# target: node. Traffic goes to a node's address and nodePort, and kube-proxy does the rest.
import collections

from cases.choice import choices
from suite import case

EVERY = dict(family=(4, 6), mode=("fullnat", "dnat"))


@case(**EVERY)
def the_node_port_of_a_node_is_the_backend(t):
    t.service("web", target="node", node_port=30080, backends="b1")
    t.node("n1")
    t.play("""
        wan> client:40000 > vip:80 TCP S
        lan< $s:$p > n1:30080 TCP S           ; new backend=n1:30080
        lan> n1:30080 > $s:$p TCP SA
        wan< vip:80 > client:40000 TCP SA
    """)


@case(family=(4, 6))
def all_nodes_but_the_excluded_ones_are_backends(t):
    exclude = "node.kubernetes.io/exclude-from-external-load-balancers"
    t.service("web", proto="UDP", target="node", node_port=30080, backends="b1")
    t.node("n1", unschedulable=True)
    t.node("n2", ready=False)
    t.node("n3", labels={exclude: "false"})
    t.node("n4", labels={exclude: ""})
    t.node("n5", labels={exclude: "true"})
    got = {b.rpartition(":")[0].strip("[]") for b in choices(t, 200)}
    want = {f"10.0.0.2{n}" if t.family == 4 else f"fd00:10::{20 + n}" for n in (1, 2, 3)}
    t.require(got == want, f"nodes chosen: {sorted(got)}")


@case(family=(4, 6))
def with_local_only_nodes_with_endpoints_are_used_by_their_number(t):
    t.service("web", proto="UDP", target="node", node_port=30080, local=True, backends="b1 b2 b3 b4 b5:notready",
              nodes={"b1": "n1", "b2": "n1", "b3": "n1", "b4": "n2", "b5": "n3"})
    for n in range(1, 5):
        t.node(f"n{n}")
    share = collections.Counter(choices(t, 2000))
    last = sorted(share)
    t.require(len(share) == 2 and 1400 <= share[last[0]] <= 1600, f"shares of 2000: {dict(share)}")


@case()
def a_service_without_node_port_has_no_nodes_to_go_to(t):
    t.service("web", target="node", backends="b1")
    t.node("n1")
    t.play("wan> client:40000 > vip:80 TCP S\nany\nflows 0")
    t.require(not any(p == "lan" for p, _ in t.outputs(t.inputs[0])), "forwarded without a nodePort")


@case()
def a_node_that_is_gone_loses_its_flows(t):
    t.service("web", target="node", node_port=30080, backends="b1")
    t.node("n1")
    t.play("wan> client:40000 > vip:80 TCP S seq=1\nlan< snat:* > n1:30080 TCP S")
    t.change(5)
    del t.nodes["n1"]
    t.node("n2")
    t.play("""
        at 5
        wan> client:40000 > vip:80 TCP A seq=2 ack=9
        wan< vip:80 > client:40000 TCP R seq=9                ; answered-rst
        wan> client:40001 > vip:80 TCP S seq=1
        lan< snat:* > n2:30080 TCP S
    """)
