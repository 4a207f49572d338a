# SPDX-License-Identifier: Apache-2.0
# Packets from inside a connection that is not known, from both sides.
import net
from suite import case


@case(family=(4, 6), mode="dnat")
def dnat_chooses_for_a_segment_as_for_its_syn(t):
    t.service("web", backends="b1 b2 b3 b4 b5 b6 b7 b8 b9")
    for port in range(40000, 40020):
        t.play(f"wan> client:{port} > vip:80 TCP S\nlan< client:{port} > $b{port}:8080 TCP S    ; new")
    t.play("at 20")  # the half-open flows are gone
    for port in range(40000, 40020):
        t.play(f"wan> client:{port} > vip:80 TCP A seq=9 ack=9\nlan< client:{port} > $b{port}:8080 TCP A    ; new")


@case(family=(4, 6), mode="dsr")
def dsr_chooses_for_a_segment_as_for_its_syn(t):
    t.service("web", backends="b1 b2 b3 b4 b5 b6 b7 b8 b9")
    for port in range(40000, 40020):
        t.play(f"wan> client:{port} > vip:80 TCP S\nlan< client:{port} > vip:80 TCP S dmac=$b{port}    ; new")
    t.play("at 20")
    for port in range(40000, 40020):
        t.play(f"wan> client:{port} > vip:80 TCP PA len=7\nlan< client:{port} > vip:80 TCP PA dmac=$b{port}    ; new")


@case(mode=("dnat", "dsr"))
def a_flow_found_in_its_middle_is_established_by_its_second_packet(t):
    t.service("web", backends="b1", to=80)
    to = "vip" if t.mode == "dsr" else "b1"
    t.play(f"""
        wan> client:40000 > vip:80 TCP A len=5
        lan< client:40000 > {to}:80 TCP A               ; new
        wan> client:40001 > vip:80 TCP A len=5
        lan< client:40001 > {to}:80 TCP A               ; new
        wan> client:40001 > vip:80 TCP A len=5
        lan< client:40001 > {to}:80 TCP A               ; tracked
        at 12
        wan> client:40000 > vip:80 TCP A len=5
        lan< client:40000 > {to}:80 TCP A               ; new
        at 800
        wan> client:40001 > vip:80 TCP A len=5
        lan< client:40001 > {to}:80 TCP A               ; tracked
    """)


@case(family=(4, 6))
def fullnat_resets_a_segment_without_a_flow(t):
    t.service("web", backends="b1")
    t.play("""
        wan> client:40000 > vip:80 TCP A seq=1001 ack=77777 len=100
        wan< vip:80 > client:40000 TCP R seq=77777                     ; answered-rst
        wan> client:40000 > vip:80 TCP PA seq=1001 ack=4294967295 len=100
        wan< vip:80 > client:40000 TCP R seq=4294967295                ; answered-rst
        flows 0
    """)


@case(family=(4, 6))
def fullnat_drops_a_reset_or_fin_without_a_flow(t):
    t.service("web", backends="b1")
    t.play("""
        wan> client:40000 > vip:80 TCP R seq=1001
        drop no-flow
        wan> client:40000 > vip:80 TCP RA seq=1001 ack=5
        drop no-flow
        wan> client:40000 > vip:80 TCP FA seq=1001 ack=5
        drop no-flow
        flows 0
    """)


@case(family=(4, 6), mode="dnat")
def dnat_forwards_a_reset_or_fin_without_a_flow_and_keeps_none(t):
    t.service("web", backends="b1 b2 b3")
    t.play("""
        wan> client:40000 > vip:80 TCP R seq=1001
        lan< client:40000 > $b:8080 TCP R seq=1001           ; stateless
        wan> client:40000 > vip:80 TCP FA seq=1001 ack=5
        lan< client:40000 > $b:8080 TCP FA seq=1001 ack=5    ; stateless
        flows 0
        wan> client:40000 > vip:80 TCP S seq=1
        lan< client:40000 > $b:8080 TCP S                    ; new
    """)


@case(family=(4, 6), mode="dsr")
def dsr_forwards_a_reset_or_fin_without_a_flow_and_keeps_none(t):
    t.service("web", backends="b1 b2 b3")
    t.play("""
        wan> client:40000 > vip:80 TCP R seq=1001
        lan< client:40000 > vip:80 TCP R dmac=$b           ; stateless
        wan> client:40000 > vip:80 TCP FA seq=1001 ack=5
        lan< client:40000 > vip:80 TCP FA dmac=$b          ; stateless
        flows 0
    """)


@case(family=(4, 6))
def an_answer_without_a_flow_is_dropped(t):
    t.service("full", mode="fullnat", backends="b1")
    t.service("direct", vip="vip2", mode="dnat", backends="b2")
    t.play("""
        lan> b1:8080 > snat:2000 TCP SA
        drop no-flow-reverse
        lan> b1:8080 > snat:2000 TCP A len=9
        drop no-flow-reverse
        lan> b1:8080 > snat:2000 TCP R
        drop no-flow-reverse
        lan> b2:8080 > client:40000 TCP SA
        drop no-flow-reverse
        lan> b2:8080 > client:40000 TCP R
        drop no-flow-reverse
        flows 0
    """)


@case(family=(4, 6))
def a_host_that_is_no_backend_is_not_translated(t):
    t.service("full", mode="fullnat", backends="b1")
    t.service("direct", vip="vip2", mode="dnat", backends="b2")
    t.play("""
        lan> b9:8080 > client:40000 TCP SA
        drop not-for-us|no-flow-reverse
        lan> b1:9 > snat:2000 TCP SA
        drop not-for-us|no-flow-reverse
        lan> b2:9 > client:40000 TCP SA
        drop not-for-us|no-flow-reverse
        lan> b9:8080 > snat:2000 UDP len=3
        drop not-for-us|no-flow-reverse
    """)


@case(family=(4, 6), mode=("fullnat", "dnat"))
def another_backend_can_not_answer_in_a_flow(t):
    t.service("web", backends="b1 b2")
    t.play("""
        wan> client:40000 > vip:80 TCP S
        lan< $s:$p > $b:8080 TCP S
        lan> b3:8080 > $s:$p TCP SA
        drop no-flow-reverse|not-for-us
    """)
    other = "b2" if t.values["b"] == net.address("b1", t.family) else "b1"
    t.play(f"""
        lan> {other}:8080 > $s:$p TCP SA
        drop no-flow-reverse
        lan> {other}:8080 > $s:$p TCP A len=30
        drop no-flow-reverse
        lan> $b:8080 > $s:$p UDP len=8
        drop no-flow-reverse|not-for-us
        lan> $b:8080 > $s:$p TCP SA
        wan< vip:80 > client:40000 TCP SA
    """)
