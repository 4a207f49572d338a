# SPDX-License-Identifier: Apache-2.0
# Backends that leave, terminate, come; services without any.
import collections

import text
from cases.tcp import establish, source
from suite import case

EVERY = dict(family=(4, 6), mode=("fullnat", "dnat"))


@case(**EVERY)
def a_removed_backends_tcp_flow_is_reset_from_the_clients_own_packet(t):
    t.service("web", backends="b1")
    s = establish(t, "b1")
    t.change(5)
    t.service("web", backends="b2")
    again = source(t, name="q")
    t.play(f"""
        at 6
        wan> client:40000 > vip:80 TCP PA seq=1001 ack=5001 len=20
        wan< vip:80 > client:40000 TCP R seq=5001 len=0                 ; answered-rst
        flows 0
        wan> client:40000 > vip:80 TCP S seq=4000
        lan< {again} > b2:8080 TCP S                                    ; new
    """)


@case(**EVERY)
def a_syn_to_a_removed_backend_is_reset_or_chooses_anew(t):
    t.service("web", backends="b1")
    t.play(f"""
        wan> client:40000 > vip:80 TCP S seq=1000
        lan< {source(t)} > b1:8080 TCP S
    """)
    t.change(5)
    t.service("web", backends="b2")
    t.play(f"""
        at 6
        wan> client:40000 > vip:80 TCP S seq=1000
        any
        wan> client:40000 > vip:80 TCP S seq=1000
        lan< {source(t, name="q")} > b2:8080 TCP S                      ; new|tracked
        flows 1
    """)
    port, f = t.outputs(t.inputs[1])[0]
    t.require(port == "lan" or (f["flags"], f["seq"], f["ack"]) == ("RA", 0, 1001), text.describe(f))


@case(**EVERY)
def a_reset_to_a_removed_backend_is_never_answered(t):
    t.service("web", backends="b1")
    establish(t, "b1")
    t.change(5)
    t.service("web", backends="b2")
    t.play("""
        at 6
        wan> client:40000 > vip:80 TCP R seq=1001
        drop backend-gone
        flows 0
    """)


@case(**EVERY)
def a_departed_backends_packets_are_dropped(t):
    t.service("web", backends="b1")
    s = establish(t, "b1")
    t.change(5)
    t.service("web", backends="b2")
    t.play(f"""
        at 6
        lan> b1:8080 > {s} TCP PA seq=5001 ack=1001 len=100
        drop no-flow-reverse|backend-gone|not-for-us
    """)


@case(**EVERY)
def a_removed_backends_udp_flow_chooses_anew(t):
    t.service("dns", proto="UDP", port=53, to=5353, backends="b1")
    t.play(f"""
        wan> client:40000 > vip:53 UDP len=8
        lan< {source(t)} > b1:5353 UDP           ; new
    """)
    t.change(5)
    t.service("dns", backends="b2")
    again = source(t, name="q")
    t.play(f"""
        at 6
        wan> client:40000 > vip:53 UDP len=8
        lan< {again} > b2:5353 UDP               ; new
        lan> b2:5353 > {again} UDP len=8
        wan< vip:53 > client:40000 UDP len=8
        flows 1
    """)


@case(family=(4, 6), mode="dsr")
def a_removed_backend_in_dsr_is_answered_the_same_way(t):
    t.service("web", backends="b1")
    t.service("dns", vip="vip2", proto="UDP", port=53, backends="b1")
    t.play("""
        wan> client:40000 > vip:80 TCP S seq=1000
        lan< client:40000 > vip:80 TCP S dmac=b1
        wan> client:40000 > vip:80 TCP A seq=1001 ack=5001
        lan< client:40000 > vip:80 TCP A dmac=b1
        wan> client:40000 > vip2:53 UDP len=5
        lan< client:40000 > vip2:53 UDP dmac=b1
    """)
    t.change(5)
    t.service("web", backends="b2")
    t.service("dns", backends="b2")
    t.play("""
        at 6
        wan> client:40000 > vip:80 TCP A seq=1001 ack=5001
        wan< vip:80 > client:40000 TCP R seq=5001                ; answered-rst
        wan> client:40000 > vip2:53 UDP len=5
        lan< client:40000 > vip2:53 UDP dmac=b2                  ; new
        flows 1
    """)


@case(**EVERY)
def a_terminating_backend_keeps_its_flows_and_gets_no_new_ones(t):
    t.service("web", backends="b1")
    s = establish(t, "b1")
    t.change(5)
    t.service("web", backends="b1:terminating b2")
    t.play(f"""
        at 6
        wan> client:40000 > vip:80 TCP PA seq=1001 ack=5001 len=20
        lan< {s} > b1:8080 TCP PA len=20                         ; tracked
        lan> b1:8080 > {s} TCP A seq=5001 ack=1021 len=30
        wan< vip:80 > client:40000 TCP A len=30
    """)
    for port in range(41000, 41030):
        t.play(f"""
            wan> client:{port} > vip:80 TCP S
            lan< {source(t, port, f"p{port}")} > b2:8080 TCP S   ; new
        """)
    t.play("flows 31")


@case(family=(4, 6))
def serving_terminating_backends_are_used_where_none_is_ready(t):
    t.service("web", backends="b1:terminating b2:stopped b3:notready")
    for port in range(41000, 41020):
        t.play(f"wan> client:{port} > vip:80 TCP S\nlan< snat:* > b1:8080 TCP S    ; new")


@case(family=(4, 6))
def an_endpoint_without_conditions_is_ready(t):
    t.service("web", backends="b1:unknown b2:notready")
    t.play("wan> client:40000 > vip:80 TCP S\nlan< snat:* > b1:8080 TCP S    ; new")


@case(**EVERY)
def a_service_without_backends_resets_tcp(t):
    t.service("web", backends="b1:notready")
    t.play("""
        wan> client:40000 > vip:80 TCP S seq=1000
        wan< vip:80 > client:40000 TCP RA seq=0 ack=1001 len=0    ; answered-rst service=default/web
        wan> client:40000 > vip:80 TCP A seq=1001 ack=600
        wan< vip:80 > client:40000 TCP R seq=600 len=0            ; answered-rst
        wan> client:40000 > vip:80 TCP R seq=1001
        drop no-backend|no-flow
        flows 0
    """)


@case(**EVERY)
def a_service_without_backends_answers_udp_with_port_unreachable(t):
    t.service("dns", proto="UDP", port=53, backends="")
    t.play("""
        wan> client:40000 > vip:53 UDP len=12
        wan< vip > client ICMP port-unreachable quoting client:40000 > vip:53 UDP     ; answered-unreachable
        flows 0
    """)


@case(**EVERY)
def no_backend_drop_is_silent(t):
    t.config["services"]["noBackend"] = "drop"
    t.service("web", backends="")
    t.service("dns", vip="vip2", proto="UDP", port=53, backends="")
    t.play("""
        wan> client:40000 > vip:80 TCP S
        drop no-backend
        wan> client:40000 > vip2:53 UDP len=9
        drop no-backend
        flows 0
    """)


@case(family=(4, 6))
def resets_are_limited_in_their_rate(t):
    t.service("web", backends="")
    for _ in range(20000):
        t.now = len(t.inputs) * 10_000  # 100,000 a second
        t.play("wan> client:40000 > vip:80 TCP S\nany")
    t.sync()
    reasons = collections.Counter(d["reason"] for d in t.result.report["decisions"])
    answered, silent = reasons["answered-rst"], reasons["no-backend"]
    t.require(answered + silent == 20000 and answered and silent, f"{dict(reasons)}")


@case(**EVERY)
def an_added_backend_moves_no_tracked_flow(t):
    t.service("web", backends="b1 b2 b3")
    ports = range(41000, 41060)
    for port in ports:
        t.play(f"wan> client:{port} > vip:80 TCP S\nlan< $s{port}:$p{port} > $b{port}:8080 TCP S    ; new")
    t.change(5)
    t.service("web", backends="b1 b2 b3 b4 b5")
    t.play("at 6")
    for port in ports:
        t.play(f"wan> client:{port} > vip:80 TCP S\nlan< $s{port}:$p{port} > $b{port}:8080 TCP S    ; tracked")
    t.play("flows 60")


@case(**EVERY)
def a_removed_backend_moves_no_flow_of_the_others(t):
    t.service("web", backends="b1 b2 b3 b4 b5")
    ports = range(41000, 41060)
    for port in ports:
        t.play(f"wan> client:{port} > vip:80 TCP S\nlan< $s{port}:$p{port} > $b{port}:8080 TCP S")
    t.sync()
    gone = [port for port in ports if t.values[f"b{port}"].endswith("15")]
    t.require(0 < len(gone) < 40, f"{len(gone)} of 60 flows on one of five backends")
    t.change(5)
    t.service("web", backends="b1 b2 b3 b4")
    t.play("at 6")
    for port in ports:
        t.play(f"wan> client:{port} > vip:80 TCP A ack=7")
        if port in gone:
            t.play(f"wan< vip:80 > client:{port} TCP R seq=7")
        else:
            t.play(f"lan< $s{port}:$p{port} > $b{port}:8080 TCP A    ; tracked")


@case(**EVERY)
def a_backend_that_comes_back_does_not_inherit_old_flows(t):
    t.service("web", backends="b1")
    s = establish(t, "b1")
    t.change(5)
    t.service("web", backends="b2")
    t.play("at 6\nwan> client:40001 > vip:80 TCP S\nany")
    t.change(7)
    t.service("web", backends="b1")
    t.play(f"""
        at 8
        wan> client:40000 > vip:80 TCP A seq=1001 ack=5001
        wan< vip:80 > client:40000 TCP R seq=5001                ; answered-rst
        lan> b1:8080 > {s} TCP A seq=5001 ack=1001 len=9
        drop no-flow-reverse|backend-gone
    """)
