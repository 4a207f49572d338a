# SPDX-License-Identifier: Apache-2.0
# UDP: both directions, the checksum that may be missing, the one that comes out as zero.
import net
import packet
from cases.tcp import source
from suite import case

EVERY = dict(family=(4, 6), mode=("fullnat", "dnat"))


@case(**EVERY)
def a_query_and_its_answer_are_carried(t):
    t.service("dns", proto="UDP", port=53, to=5353, backends="b1 b2 b3")
    s = source(t)
    t.play(f"""
        wan> client:40000 > vip:53 UDP len=31
        lan< {s} > $b:5353 UDP len=31               ; new service=default/dns backend=$b:5353
        lan> $b:5353 > {s} UDP len=120
        wan< vip:53 > client:40000 UDP len=120      ; reverse
        wan> client:40000 > vip:53 UDP len=0
        lan< {s} > $b:5353 UDP len=0                ; tracked
        flows 1
    """)


@case(mode=("fullnat", "dnat", "dsr"))
def a_missing_checksum_stays_missing(t):
    t.service("dns", proto="UDP", port=53, to=53, backends="b1")
    t.play("""
        wan> client:40000 > vip:53 UDP len=40 csum=0
        lan< $s:$p > $d:53 UDP len=40 csum=0
    """)
    if t.mode != "dsr":
        t.play("""
            lan> b1:53 > $s:$p UDP len=40 csum=0
            wan< vip:53 > client:40000 UDP len=40 csum=0
        """)


@case(family=6, mode=("fullnat", "dnat", "dsr"))
def a_missing_checksum_in_ipv6_is_never_invented(t):
    t.service("dns", proto="UDP", port=53, backends="b1")
    t.play("""
        wan> client:40000 > vip:53 UDP len=40 csum=0
        any
    """)


@case(family=(4, 6), mode="dnat")
def a_checksum_that_comes_out_as_zero_is_written_as_ffff(t):
    t.service("dns", proto="UDP", port=53, to=5353, backends="b1")
    t.play("wan> client:40000 > vip:53 UDP len=2\nany")
    fields = dict(t.inputs.pop().given)  # made anew, so that what leaves sums up to zero
    t.now = 0
    leaves = dict(fields, dst=net.address("b1", t.family), dport=5353, data=b"\0\0")
    sum_at = (20 if t.family == 4 else 40) + 6
    rest = int.from_bytes(packet.ip_packet(leaves)[sum_at:sum_at + 2], "big")
    t.send("wan", dict(fields, data=rest.to_bytes(2, "big")))
    t.play("""
        lan< client:40000 > b1:5353 UDP csum=0xffff
    """)


@case(family=(4, 6), mode=("fullnat", "dnat", "dsr"))
def a_wrong_checksum_is_never_repaired(t):
    t.service("dns", vip="vip2", proto="UDP", port=53, backends="b1")
    t.service("web", backends="b1")
    t.play("""
        wan> client:40000 > vip2:53 UDP len=40 csum=bad
        any
        wan> client:40000 > vip:80 TCP S csum=bad
        any
        wan> client:40000 > vip:80 TCP PA len=301 csum=bad
        any
    """)


@case(**EVERY)
def a_datagram_of_every_small_length_is_carried(t):
    t.service("dns", proto="UDP", port=53, to=5353, backends="b1")
    for length in range(0, 70):
        t.play(f"""
            wan> client:40000 > vip:53 UDP len={length}
            lan< {source(t)} > b1:5353 UDP len={length}
        """)
