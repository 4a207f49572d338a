# SPDX-License-Identifier: Apache-2.0
# ICMP errors from routers on the way: path MTU discovery must reach the one that sent the big packet.
from cases.tcp import establish, source
from suite import case

EVERY = dict(family=(4, 6), mode=("fullnat", "dnat"))


@case(**EVERY)
def too_big_reaches_the_backend_translated(t):
    t.service("web", backends="b1 b2 b3")
    s = establish(t)
    t.play(f"""
        wan> router > vip ICMP too-big mtu=1400 quoting vip:80 > client:40000 TCP A seq=5001 ack=1001 len=1300 ttl=55
        lan< * > $b ICMP too-big mtu=1400 quoting $b:8080 > {s} TCP seq=5001            ; icmp-related
    """)


@case(**EVERY)
def too_big_with_eight_quoted_bytes_is_enough(t):
    t.service("web", backends="b1 b2 b3")
    s = establish(t)
    t.play(f"""
        wan> router > vip ICMP too-big mtu=1400 quoting vip:80 > client:40000 TCP A seq=5001 len=1300 cut=8
        lan< * > $b ICMP too-big mtu=1400 quoting $b:8080 > {s} TCP seq=5001            ; icmp-related
    """)


@case(**EVERY)
def too_big_of_udp_is_translated_too(t):
    t.service("dns", proto="UDP", port=53, to=5353, backends="b1 b2 b3")
    s = source(t)
    t.play(f"""
        wan> client:40000 > vip:53 UDP len=12
        lan< {s} > $b:5353 UDP
        wan> router > vip ICMP too-big mtu=1300 quoting vip:53 > client:40000 UDP len=1400
        lan< * > $b ICMP too-big mtu=1300 quoting $b:5353 > {s} UDP                     ; icmp-related
        wan> router > vip ICMP too-big mtu=1300 quoting vip:53 > client:40000 UDP len=1400 cut=8
        lan< * > $b ICMP too-big mtu=1300 quoting $b:5353 > {s} UDP                     ; icmp-related
    """)


@case(mode=("fullnat", "dnat"))
def too_big_that_quotes_udp_without_a_checksum_keeps_none(t):
    t.service("dns", proto="UDP", port=53, to=5353, backends="b1")
    s = source(t)
    t.play(f"""
        wan> client:40000 > vip:53 UDP len=12
        lan< {s} > b1:5353 UDP
        wan> router > vip ICMP too-big mtu=1300 quoting vip:53 > client:40000 UDP len=900 csum=0
        lan< * > b1 ICMP too-big quoting b1:5353 > {s} UDP csum=0                       ; icmp-related
    """)


@case(**EVERY)
def too_big_from_the_backends_side_reaches_the_client(t):
    t.service("web", backends="b1")
    s = establish(t, "b1")
    to = s.partition(":")[0]
    t.play(f"""
        lan> b9 > {to} ICMP too-big mtu=1400 quoting {s} > b1:8080 TCP A seq=1001 len=1300
        wan< * > client ICMP too-big mtu=1400 quoting client:40000 > vip:80 TCP seq=1001
    """)


@case(**EVERY)
def an_error_that_quotes_another_destinations_packet_is_dropped(t):
    t.service("web", backends="b1")
    t.service("shop", vip="vip2", backends="b1")
    establish(t, "b1")
    t.play("""
        wan> router > vip2 ICMP too-big mtu=1400 quoting vip:80 > client:40000 TCP A len=100
        drop icmp-mismatch
        wan> router > vip ICMP too-big mtu=1400 quoting client:40000 > vip:80 TCP A len=100
        drop icmp-mismatch
    """)


@case(**EVERY)
def an_error_for_no_flow_is_dropped(t):
    t.service("web", backends="b1")
    t.play("""
        wan> router > vip ICMP too-big mtu=1400 quoting vip:80 > client:40000 TCP A len=100
        drop no-flow
        wan> router > vip ICMP too-big mtu=1400 quoting vip:81 > client:40000 TCP A len=100
        drop no-flow|icmp-unsupported|not-for-us
        wan> router > vip2 ICMP too-big mtu=1400 quoting vip2:80 > client:40000 TCP A len=100
        drop no-flow|icmp-unsupported|not-for-us
        flows 0
    """)


@case(**EVERY)
def other_errors_are_dropped_by_name(t):
    t.service("web", backends="b1")
    establish(t, "b1")
    for what in ("time-exceeded", "host-unreachable", "port-unreachable", "prohibited", "parameter-problem"):
        t.play(f"wan> router > vip ICMP {what} quoting vip:80 > client:40000 TCP A len=100\ndrop icmp-unsupported")


@case(**EVERY)
def an_error_with_a_wrong_checksum_does_not_pass_as_right(t):
    t.service("web", backends="b1")
    establish(t, "b1")
    t.play("""
        wan> router > vip ICMP too-big mtu=1400 csum=bad quoting vip:80 > client:40000 TCP A len=100
        any
    """)


@case(**EVERY)
def an_error_whose_quote_is_cut_short_is_safe(t):
    t.service("web", backends="b1")
    establish(t, "b1")
    size = 14 + (20 + 8 + 20 + 8 if t.family == 4 else 40 + 8 + 40 + 8)
    whole = 14 + (20 if t.family == 4 else 40)
    for cut in range(0, 8):
        t.play(f"""
            wan> router > vip ICMP too-big mtu=1400 quoting vip:80 > client:40000 TCP A cut={cut}
            drop icmp-malformed|truncated|l4-truncated
        """)
    for length in range(whole, size):
        t.play(f"""
            wan> router > vip ICMP too-big mtu=1400 trunc={length} quoting vip:80 > client:40000 TCP A cut=8
            drop *
        """)


@case(mode=("fullnat", "dnat"))
def a_quoted_packet_with_options_is_translated(t):
    t.service("web", backends="b1")
    s = establish(t, "b1")
    t.play(f"""
        wan> router > vip ICMP too-big mtu=1400 quoting vip:80 > client:40000 TCP A seq=5001 len=90 ipopt=94040000
        lan< * > b1 ICMP too-big mtu=1400 quoting b1:8080 > {s} TCP seq=5001           ; icmp-related
    """)


@case(family=(4, 6))
def an_error_belongs_to_the_flow_it_quotes(t):
    t.service("web", backends="b1 b2 b3 b4 b5")
    for port in range(40000, 40010):
        t.play(f"wan> client:{port} > vip:80 TCP S\nlan< snat:$p{port} > $b{port}:8080 TCP S")
    for port in range(40000, 40010):
        t.play(f"""
            wan> router > vip ICMP too-big mtu=1280 quoting vip:80 > client:{port} TCP A cut=8
            lan< * > $b{port} ICMP too-big mtu=1280 quoting $b{port}:8080 > snat:$p{port} TCP
        """)


@case(**EVERY)
def an_error_makes_no_flow_and_keeps_none(t):
    t.service("dns", proto="UDP", port=53, to=5353, backends="b1")
    s = source(t)
    t.play(f"""
        wan> client:40000 > vip:53 UDP len=12
        lan< {s} > b1:5353 UDP
        at 20
        wan> router > vip ICMP too-big mtu=1300 quoting vip:53 > client:40000 UDP cut=8
        lan< * > b1 ICMP too-big
        at 40
        lan> b1:5353 > {s} UDP len=3
        drop no-flow-reverse
    """)
