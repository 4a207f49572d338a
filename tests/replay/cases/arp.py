# SPDX-License-Identifier: Apache-2.0
# ARP: whose addresses are answered, what is refused.
from suite import case


@case()
def the_ports_address_is_answered(t):
    t.play("""
        wan> ARP who-has wan tell gw
        wan< ARP wan is-at wan to gw tha=gw dmac=gw           ; answered-arp
        lan> ARP who-has lan tell b1
        lan< ARP lan is-at lan to b1 tha=b1 dmac=b1           ; answered-arp
        lan> ARP who-has lan tell b1 dmac=lan
        lan< ARP lan is-at lan to b1 tha=b1 dmac=b1           ; answered-arp
    """)


@case()
def a_virtual_address_on_the_subnet_is_answered(t):
    t.service("web", vip="near", backends="b1")
    t.play("""
        wan> ARP who-has near tell gw
        wan< ARP near is-at wan to gw                         ; answered-arp
    """)


@case()
def a_snat_address_is_answered_on_its_subnet(t):
    t.play("""
        lan> ARP who-has snat tell b1
        lan< ARP snat is-at lan to b1                         ; answered-arp
    """)


@case()
def others_are_not_answered_for(t):
    t.service("web", vip="near", backends="b1")
    t.play("""
        wan> ARP who-has 192.0.2.50 tell gw
        drop arp-other
        wan> ARP who-has gw tell neighbor
        drop arp-other
        wan> ARP who-has 192.0.2.101 tell gw
        drop arp-other
        lan> ARP who-has b2 tell b1
        drop arp-other
        lan> ARP who-has wan tell b1
        drop arp-other
    """)


@case()
def a_virtual_address_is_answered_only_while_its_service_exists(t):
    t.play("wan> ARP who-has near tell gw\ndrop arp-other")
    t.change(1)
    t.service("web", vip="near", backends="b1")
    t.play("at 1\nwan> ARP who-has near tell gw\nwan< ARP near is-at wan to gw    ; answered-arp")
    t.change(2)
    t.delete("web")
    t.play("at 2\nwan> ARP who-has near tell gw\ndrop arp-other")


@case()
def a_probe_for_our_address_is_answered(t):
    t.play("""
        wan> ARP who-has wan tell 0.0.0.0 sha=neighbor
        wan< ARP wan is-at wan to 0.0.0.0 dmac=neighbor       ; answered-arp
    """)


@case()
def an_answer_nobody_asked_for_is_harmless(t):
    t.service("web", backends="b1")
    t.play("""
        lan> ARP b1 is-at other to lan dmac=lan               # b1 is static: it can't be moved
        any
        lan> ARP b1 is-at other to b1 dmac=broadcast
        any
        lan> ARP who-has b1 tell b1 sha=other
        any
        wan> client:40000 > vip:80 TCP S
        lan< snat:* > b1:8080 TCP S dmac=b1
    """)


@case()
def malformed_arp_is_dropped(t):
    t.play("""
        wan> ARP who-has wan tell gw hrd=2
        drop arp-malformed
        wan> ARP who-has wan tell gw pro=0x86dd
        drop arp-malformed
        wan> ARP who-has wan tell gw hln=8
        drop arp-malformed
        wan> ARP who-has wan tell gw pln=16
        drop arp-malformed
        wan> ARP who-has wan tell gw sha=01:00:5e:00:00:01 smac=gw
        drop arp-malformed
        wan> ARP who-has wan tell gw trunc=41
        drop truncated|arp-malformed
    """)
    for op in (0, 3, 8, 9, 65535):
        t.play(f"wan> ARP who-has wan tell gw op={op}\ndrop arp-malformed|arp-other")


@case()
def padding_of_short_frames_is_ignored(t):
    t.service("web", backends="b1")
    t.play("""
        wan> ARP who-has wan tell gw pad=18
        wan< ARP wan is-at wan to gw           ; answered-arp
        wan> client:40000 > vip:80 TCP S pad=6
        lan< snat:$p > b1:8080 TCP S
        wan> client:40000 > vip:80 TCP A seq=9 ack=9 pad=6
        lan< snat:$p > b1:8080 TCP A
    """)
