# SPDX-License-Identifier: Apache-2.0
# TCP connections from their first to their last segment, in the modes that see both directions.
from suite import case

EVERY = dict(family=(4, 6), mode=("fullnat", "dnat"))


def source(t, port=40000, name="p"):
    """The client's side as the backend sees it."""
    return f"snat:${name}" if t.mode == "fullnat" else f"client:{port}"


def establish(t, backend="$b"):
    """A handshake from client:40000; $b is the backend."""
    s = source(t)
    t.play(f"""
        wan> client:40000 > vip:80 TCP S seq=1000 mss=1400
        lan< {s} > {backend}:8080 TCP S seq=1000 mss=1400                  ; new
        lan> {backend}:8080 > {s} TCP SA seq=5000 ack=1001 mss=1400
        wan< vip:80 > client:40000 TCP SA seq=5000 ack=1001 mss=1400       ; reverse
        wan> client:40000 > vip:80 TCP A seq=1001 ack=5001
        lan< {s} > {backend}:8080 TCP A seq=1001 ack=5001                  ; tracked
    """)
    return s


@case(**EVERY)
def a_connection_is_carried_both_ways(t):
    t.service("web", backends="b1 b2 b3")
    s = source(t)
    t.play(f"""
        wan> client:40000 > vip:80 TCP S seq=1000 mss=1400
        lan< {s} > $b:8080 TCP S seq=1000           ; new service=default/web backend=$b:8080
        lan> $b:8080 > {s} TCP SA seq=5000 ack=1001
        wan< vip:80 > client:40000 TCP SA seq=5000 ack=1001
        wan> client:40000 > vip:80 TCP A seq=1001 ack=5001
        lan< {s} > $b:8080 TCP A seq=1001 ack=5001   ; tracked service=default/web backend=$b:8080
        wan> client:40000 > vip:80 TCP PA seq=1001 ack=5001 len=300 tos=0xb8
        lan< {s} > $b:8080 TCP PA seq=1001 ack=5001 len=300 tos=0xb8
        lan> $b:8080 > {s} TCP A seq=5001 ack=1301 len=1400
        wan< vip:80 > client:40000 TCP A seq=5001 ack=1301 len=1400
        lan> $b:8080 > {s} TCP FA seq=6401 ack=1301
        wan< vip:80 > client:40000 TCP FA seq=6401 ack=1301
        wan> client:40000 > vip:80 TCP FA seq=1301 ack=6402
        lan< {s} > $b:8080 TCP FA seq=1301 ack=6402
        lan> $b:8080 > {s} TCP A seq=6402 ack=1302
        wan< vip:80 > client:40000 TCP A seq=6402 ack=1302
        flows 1
    """)


@case(**EVERY)
def a_repeated_syn_goes_the_same_way(t):
    t.service("web", backends="b1 b2 b3")
    s = source(t)
    t.play(f"""
        wan> client:40000 > vip:80 TCP S seq=1000
        lan< {s} > $b:8080 TCP S seq=1000            ; new
        at 1
        wan> client:40000 > vip:80 TCP S seq=1000
        lan< {s} > $b:8080 TCP S seq=1000            ; tracked
        at 3
        wan> client:40000 > vip:80 TCP S seq=1000
        lan< {s} > $b:8080 TCP S seq=1000            ; tracked
        flows 1
    """)


@case(**EVERY)
def a_syn_in_time_wait_is_a_new_flow(t):
    t.service("web", backends="b1")
    s = establish(t)
    again = source(t, name="q")
    t.play(f"""
        wan> client:40000 > vip:80 TCP FA seq=1001 ack=5001
        lan< {s} > b1:8080 TCP FA seq=1001 ack=5001
        lan> b1:8080 > {s} TCP FA seq=5001 ack=1002
        wan< vip:80 > client:40000 TCP FA seq=5001 ack=1002
        wan> client:40000 > vip:80 TCP A seq=1002 ack=5002
        lan< {s} > b1:8080 TCP A seq=1002 ack=5002    ; tracked
        at 2
        wan> client:40000 > vip:80 TCP S seq=900000
        lan< {again} > b1:8080 TCP S seq=900000       ; new
        lan> b1:8080 > {again} TCP SA seq=7000 ack=900001
        wan< vip:80 > client:40000 TCP SA seq=7000 ack=900001
        flows 1
    """)


@case(**EVERY)
def a_syn_after_a_reset_is_a_new_flow(t):
    t.service("web", backends="b1")
    s = establish(t)
    again = source(t, name="q")
    t.play(f"""
        lan> b1:8080 > {s} TCP RA seq=5001 ack=1001
        wan< vip:80 > client:40000 TCP RA seq=5001 ack=1001
        wan> client:40000 > vip:80 TCP S seq=900000
        lan< {again} > b1:8080 TCP S seq=900000       ; new
        flows 1
    """)


@case(**EVERY)
def a_reset_of_the_client_reaches_the_backend(t):
    t.service("web", backends="b1 b2")
    s = establish(t)
    t.play(f"""
        wan> client:40000 > vip:80 TCP R seq=1001
        lan< {s} > $b:8080 TCP R seq=1001            ; tracked
    """)


@case(**EVERY)
def a_half_closed_connection_still_carries_data(t):
    t.service("web", backends="b1 b2")
    s = establish(t)
    t.play(f"""
        wan> client:40000 > vip:80 TCP FA seq=1001 ack=5001
        lan< {s} > $b:8080 TCP FA seq=1001 ack=5001
        at 20
        lan> $b:8080 > {s} TCP PA seq=5001 ack=1002 len=900
        wan< vip:80 > client:40000 TCP PA seq=5001 ack=1002 len=900
        wan> client:40000 > vip:80 TCP A seq=1002 ack=5901
        lan< {s} > $b:8080 TCP A seq=1002 ack=5901
        at 45
        lan> $b:8080 > {s} TCP FA seq=5901 ack=1002
        wan< vip:80 > client:40000 TCP FA seq=5901 ack=1002
    """)


@case(**EVERY)
def ports_of_one_client_are_flows_of_their_own(t):
    t.service("web", backends="b1")
    p, q = source(t), source(t, 40001, "q")
    t.play(f"""
        wan> client:40000 > vip:80 TCP S
        lan< {p} > b1:8080 TCP S
        wan> client:40001 > vip:80 TCP S
        lan< {q} > b1:8080 TCP S
        lan> b1:8080 > {q} TCP SA
        wan< vip:80 > client:40001 TCP SA
        lan> b1:8080 > {p} TCP SA
        wan< vip:80 > client:40000 TCP SA
        flows 2
    """)


@case(family=(4, 6))
def two_ports_of_a_service_lead_to_their_own_target_ports(t):
    t.service("web", backends="b1", ports=[("http", 80, 8080, "TCP"), ("https", 443, 8443, "TCP"),
                                           ("dns", 53, 5353, "UDP")])
    t.play("""
        wan> client:40000 > vip:80 TCP S
        lan< snat:* > b1:8080 TCP S
        wan> client:40000 > vip:443 TCP S
        lan< snat:* > b1:8443 TCP S
        wan> client:40000 > vip:53 UDP len=30
        lan< snat:* > b1:5353 UDP len=30
        wan> client:40000 > vip:443 UDP len=30
        drop not-for-us
        wan> client:40000 > vip:81 TCP S
        drop not-for-us
        flows 3
    """)
