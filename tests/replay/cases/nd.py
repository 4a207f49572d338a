# SPDX-License-Identifier: Apache-2.0
# IPv6 neighbour discovery: whose addresses are answered, which messages RFC 4861 and 4862 refuse.
from suite import case


@case(family=6)
def the_ports_address_is_answered(t):
    t.play("""
        wan> gw > ff02::1:ff00:2 NS wan lla=gw
        wan< wan > gw NA wan lla=wan naflags=SO dmac=gw           ; answered-nd
        wan> gw > wan NS wan lla=gw
        wan< wan > gw NA wan lla=wan naflags=SO                   ; answered-nd
        lan> b1 > ff02::1:ff00:2 NS lan lla=b1
        lan< lan > b1 NA lan lla=lan naflags=SO dmac=b1           ; answered-nd
    """)


@case(family=6)
def a_virtual_and_a_snat_address_are_answered(t):
    t.service("web", vip="near", backends="b1")
    t.play("""
        wan> gw > ff02::1:ff00:100 NS near lla=gw
        wan< near > gw NA near lla=wan naflags=SO                 ; answered-nd
        lan> b1 > ff02::1:ff00:10 NS snat lla=b1
        lan< snat > b1 NA snat lla=lan naflags=SO                 ; answered-nd
    """)


@case(family=6)
def duplicate_address_detection_is_answered_to_all_nodes(t):
    t.play("""
        wan> :: > ff02::1:ff00:2 NS wan smac=neighbor
        wan< wan > ff02::1 NA wan lla=wan naflags=O dmac=33:33:00:00:00:01    ; answered-nd
    """)


@case(family=6)
def others_are_not_answered_for(t):
    t.play("""
        wan> gw > ff02::1:ff00:50 NS 2001:db8:2::50 lla=gw
        drop nd-other
        wan> gw > ff02::1:ff00:100 NS near lla=gw
        drop nd-other
        wan> :: > ff02::1:ff00:50 NS 2001:db8:2::50 smac=neighbor
        drop nd-other
        lan> b1 > ff02::1:ff00:2 NS wan lla=b1
        drop nd-other
    """)


@case(family=6)
def messages_that_fail_the_checks_are_dropped(t):
    t.play("""
        wan> gw > ff02::1:ff00:2 NS wan lla=gw ttl=254             # came through a router
        drop nd-malformed
        wan> gw > ff02::1:ff00:2 NS wan lla=gw code=1
        drop nd-malformed
        wan> gw > ff02::1:ff00:2 NS wan lla=gw csum=bad
        drop nd-malformed|icmp-malformed
        wan> gw > ff02::1:ff00:2 NS ff02::1 lla=gw                 # a group as target
        drop nd-malformed
        wan> gw > ff02::1:ff00:2 NS wan data=0100000000000000      # an option of no length
        drop nd-malformed
        wan> gw > ff02::1:ff00:2 NS wan data=0102000000000000      # an option beyond the end
        drop nd-malformed
        wan> :: > ff02::1:ff00:2 NS wan lla=neighbor smac=neighbor # DAD with a link-layer address
        drop nd-malformed
        wan> :: > wan NS wan smac=neighbor                         # DAD to no solicited-node group
        drop nd-malformed
        wan> gw > wan NA gw lla=gw naflags=SO ttl=254
        drop nd-malformed
        wan> gw > ff02::1 NA gw lla=gw naflags=SO                  # solicited, to a group
        drop nd-malformed
    """)


@case(family=6)
def routers_messages_are_ignored(t):
    t.play("""
        wan> fe80::1 > ff02::1 ICMP router-advertisement ttl=255 data=0000000000000000 dmac=33:33:00:00:00:01
        drop *
        wan> fe80::1 > ff02::2 ICMP router-solicitation ttl=255 dmac=33:33:00:00:00:02
        drop *
        wan> gw > wan ICMP redirect ttl=255
        drop *
    """)


@case(family=6)
def a_static_neighbour_can_not_be_moved(t):
    t.service("web", backends="b1")
    t.play("""
        lan> b1 > lan NA b1 lla=other naflags=SO
        any
        lan> b1 > ff02::1 NA b1 lla=other naflags=O
        any
        wan> client:40000 > vip:80 TCP S
        lan< snat:* > b1:8080 TCP S dmac=b1
    """)


@case(family=6)
def a_solicitation_of_every_length_is_safe(t):
    t.service("web", backends="b1")
    for length in range(0, 86):
        t.play(f"wan> gw > ff02::1:ff00:2 NS wan lla=gw trunc={length}\ndrop *")
    t.play("""
        wan> gw > ff02::1:ff00:2 NS wan lla=gw
        wan< wan > gw NA wan
    """)
