# SPDX-License-Identifier: Apache-2.0
# Two frontends over the same pods: in dnat an answer must find the one that its client spoke to.
from suite import case


@case(family=(4, 6))
def answers_of_a_shared_pod_come_from_the_address_that_was_asked(t):
    t.service("web", mode="dnat", backends="b1")
    t.service("shop", mode="dnat", vip="vip2", backends="b1")
    t.play("""
        wan> client:40000 > vip:80 TCP S
        lan< client:40000 > b1:8080 TCP S
        wan> client:40001 > vip2:80 TCP S
        lan< client:40001 > b1:8080 TCP S
        wan> client2:40000 > vip2:80 TCP S
        lan< client2:40000 > b1:8080 TCP S
        lan> b1:8080 > client:40001 TCP SA
        wan< vip2:80 > client:40001 TCP SA
        lan> b1:8080 > client:40000 TCP SA
        wan< vip:80 > client:40000 TCP SA
        lan> b1:8080 > client2:40000 TCP SA
        wan< vip2:80 > client2:40000 TCP SA
        flows 3
    """)


@case(family=(4, 6))
def a_tuple_in_use_takes_another_backend(t):
    t.service("web", mode="dnat", backends="b1 b2")
    t.service("shop", mode="dnat", vip="vip2", backends="b1 b2")
    t.play("""
        wan> client:40000 > vip:80 TCP S
        lan< client:40000 > $b:8080 TCP S
        wan> client:40000 > vip2:80 TCP S
        lan< client:40000 > $c:8080 TCP S
        lan> $b:8080 > client:40000 TCP SA
        wan< vip:80 > client:40000 TCP SA
        lan> $c:8080 > client:40000 TCP SA
        wan< vip2:80 > client:40000 TCP SA
        flows 2
    """)


@case(family=(4, 6))
def a_tuple_in_use_on_every_backend_is_dropped(t):
    t.service("web", mode="dnat", backends="b1")
    t.service("shop", mode="dnat", vip="vip2", backends="b1")
    t.play("""
        wan> client:40000 > vip:80 TCP S
        lan< client:40000 > b1:8080 TCP S
        wan> client:40000 > vip2:80 TCP S
        drop tuple-in-use
        lan> b1:8080 > client:40000 TCP SA
        wan< vip:80 > client:40000 TCP SA
        flows 1
    """)


@case()
def a_tuple_is_free_again_when_its_flow_has_expired(t):
    t.service("web", mode="dnat", backends="b1")
    t.service("shop", mode="dnat", vip="vip2", backends="b1")
    t.play("""
        wan> client:40000 > vip:80 TCP S
        lan< client:40000 > b1:8080 TCP S
        at 12
        wan> client:40000 > vip2:80 TCP S
        lan< client:40000 > b1:8080 TCP S
        lan> b1:8080 > client:40000 TCP SA
        wan< vip2:80 > client:40000 TCP SA
        flows 1
    """)


@case(family=(4, 6))
def two_addresses_of_one_service_are_told_apart(t):
    t.service("web", mode="dnat", vip="vip vip2", backends="b1 b2 b3")
    t.play("""
        wan> client:40000 > vip:80 TCP S
        lan< client:40000 > $b:8080 TCP S
        wan> client:40000 > vip2:80 TCP S
        lan< client:40000 > $c:8080 TCP S
        lan> $c:8080 > client:40000 TCP SA
        wan< vip2:80 > client:40000 TCP SA
        lan> $b:8080 > client:40000 TCP SA
        wan< vip:80 > client:40000 TCP SA
    """)


@case(family=(4, 6))
def two_ports_with_one_target_port_are_told_apart(t):
    t.service("web", mode="dnat", ports=[("a", 80, 8080, "TCP"), ("b", 81, 8080, "TCP")], backends="b1 b2")
    t.play("""
        wan> client:40000 > vip:80 TCP S
        lan< client:40000 > $b:8080 TCP S
        wan> client:40000 > vip:81 TCP S
        lan< client:40000 > $c:8080 TCP S
        lan> $c:8080 > client:40000 TCP SA
        wan< vip:81 > client:40000 TCP SA
        lan> $b:8080 > client:40000 TCP SA
        wan< vip:80 > client:40000 TCP SA
    """)


@case(family=(4, 6))
def fullnat_tells_shared_pods_apart_by_its_ports(t):
    t.service("web", backends="b1")
    t.service("shop", vip="vip2", backends="b1")
    t.play("""
        wan> client:40000 > vip:80 TCP S
        lan< snat:$p > b1:8080 TCP S
        wan> client:40000 > vip2:80 TCP S
        lan< snat:$q > b1:8080 TCP S
        lan> b1:8080 > snat:$q TCP SA
        wan< vip2:80 > client:40000 TCP SA
        lan> b1:8080 > snat:$p TCP SA
        wan< vip:80 > client:40000 TCP SA
    """)


@case(family=(4, 6))
def a_pod_that_becomes_shared_keeps_answering_old_flows(t):
    t.service("web", mode="dnat", backends="b1")
    t.play("wan> client:40000 > vip:80 TCP S\nlan< client:40000 > b1:8080 TCP S")
    t.change(5)
    t.service("shop", mode="dnat", vip="vip2", backends="b1")
    t.play("""
        at 5
        lan> b1:8080 > client:40000 TCP SA
        wan< vip:80 > client:40000 TCP SA
        wan> client:40000 > vip:80 TCP A
        lan< client:40000 > b1:8080 TCP A       ; tracked
        wan> client:40001 > vip2:80 TCP S
        lan< client:40001 > b1:8080 TCP S
        lan> b1:8080 > client:40001 TCP SA
        wan< vip2:80 > client:40001 TCP SA
        lan> b1:8080 > client:40000 TCP A len=7
        wan< vip:80 > client:40000 TCP A len=7
    """)


@case(family=(4, 6))
def a_pod_that_becomes_shared_does_not_lend_out_a_tuple_in_use(t):
    t.service("web", mode="dnat", backends="b1")
    t.play("wan> client:40000 > vip:80 TCP S\nlan< client:40000 > b1:8080 TCP S")
    t.change(5)
    t.service("shop", mode="dnat", vip="vip2", backends="b1")
    t.play("""
        at 5
        wan> client:40000 > vip2:80 TCP S
        drop tuple-in-use
        lan> b1:8080 > client:40000 TCP SA
        wan< vip:80 > client:40000 TCP SA
    """)


@case(family=(4, 6))
def a_pod_that_is_no_longer_shared_answers_for_who_is_left(t):
    t.service("web", mode="dnat", backends="b1")
    t.service("shop", mode="dnat", vip="vip2", backends="b1")
    t.play("""
        wan> client:40000 > vip:80 TCP S
        lan< client:40000 > b1:8080 TCP S
        wan> client:40001 > vip2:80 TCP S
        lan< client:40001 > b1:8080 TCP S
    """)
    t.change(5)
    t.delete("web")
    t.play("""
        at 5
        lan> b1:8080 > client:40001 TCP SA
        wan< vip2:80 > client:40001 TCP SA
        lan> b1:8080 > client:40000 TCP SA
        drop no-flow-reverse
        wan> client:40000 > vip2:80 TCP S
        lan< client:40000 > b1:8080 TCP S
        lan> b1:8080 > client:40000 TCP SA
        wan< vip2:80 > client:40000 TCP SA
    """)


@case(family=(4, 6))
def one_pod_may_serve_in_two_modes(t):
    t.service("web", mode="dnat", backends="b1")
    t.service("shop", mode="fullnat", vip="vip2", backends="b1")
    t.service("cdn", mode="dsr", vip="vip3", backends="b1")
    t.play("""
        wan> client:40000 > vip:80 TCP S
        lan< client:40000 > b1:8080 TCP S
        wan> client:40000 > vip2:80 TCP S
        lan< snat:$p > b1:8080 TCP S
        wan> client:40000 > vip3:80 TCP S
        lan< client:40000 > vip3:80 TCP S dmac=b1
        lan> b1:8080 > snat:$p TCP SA
        wan< vip2:80 > client:40000 TCP SA
        lan> b1:8080 > client:40000 TCP SA
        wan< vip:80 > client:40000 TCP SA
    """)
