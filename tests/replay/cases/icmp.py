# SPDX-License-Identifier: Apache-2.0
# ICMP and ICMPv6 that Sluice answers itself: echo, time exceeded.
from suite import case


@case(family=(4, 6))
def ping_to_a_ports_address_is_answered(t):
    t.play("""
        wan> client > wan ICMP echo ident=7 number=1 len=56
        wan< wan > client ICMP echo-reply ident=7 number=1 len=56      ; answered-echo
        wan> client > wan ICMP echo ident=7 number=2 len=0
        wan< wan > client ICMP echo-reply ident=7 number=2 len=0       ; answered-echo
        wan> client > wan ICMP echo ident=7 number=3 len=1401
        wan< wan > client ICMP echo-reply ident=7 number=3 len=1401    ; answered-echo
        lan> b1 > lan ICMP echo ident=8 number=1 len=56
        lan< lan > b1 ICMP echo-reply ident=8 number=1 len=56          ; answered-echo
    """)


@case(family=(4, 6), mode=("fullnat", "dsr"))
def ping_to_a_virtual_address_is_answered(t):
    t.service("web", backends="b1")
    t.play("""
        wan> client > vip ICMP echo ident=7 number=1 len=56
        wan< vip > client ICMP echo-reply ident=7 number=1 len=56      ; answered-echo
        wan> client > vip2 ICMP echo ident=7 number=1 len=56
        drop not-for-us
    """)


@case(family=(4, 6))
def ping_with_a_low_ttl_is_answered(t):
    t.play("""
        wan> client > wan ICMP echo ident=7 number=1 len=5 ttl=1
        wan< wan > client ICMP echo-reply ident=7 number=1 len=5       ; answered-echo
    """)


@case(family=(4, 6))
def ping_with_a_wrong_checksum_is_dropped(t):
    t.play("""
        wan> client > wan ICMP echo ident=7 number=1 len=56 csum=bad
        drop icmp-malformed
    """)


@case(family=(4, 6))
def other_messages_are_not_answered(t):
    t.service("web", backends="b1")
    t.play("""
        wan> client > wan ICMP timestamp len=12
        drop icmp-unsupported|not-for-us
        wan> client > vip ICMP timestamp len=12
        drop icmp-unsupported|not-for-us
        wan> client > wan ICMP echo-reply ident=7 number=1
        drop icmp-unsupported|not-for-us
        wan> client > vip ICMP type=200 code=0
        drop icmp-unsupported|not-for-us
    """)


@case(family=(4, 6), mode=("fullnat", "dnat"))
def a_packet_whose_ttl_runs_out_is_answered(t):
    t.service("web", backends="b1")
    t.service("dns", vip="vip2", proto="UDP", port=53, backends="b1")
    t.play("""
        wan> client:40000 > vip:80 TCP S ttl=1
        wan< * > client ICMP time-exceeded quoting client:40000 > vip:80 TCP          ; answered-time-exceeded
        wan> client:40000 > vip2:53 UDP len=8 ttl=1
        wan< * > client ICMP time-exceeded quoting client:40000 > vip2:53 UDP         ; answered-time-exceeded
        wan> client:40000 > vip:80 TCP S ttl=2
        lan< *:* > b1:8080 TCP S ttl=1
    """)


@case(family=(4, 6))
def a_backends_packet_whose_ttl_runs_out_is_answered(t):
    t.service("web", backends="b1")
    t.play("""
        wan> client:40000 > vip:80 TCP S
        lan< snat:$p > b1:8080 TCP S
        lan> b1:8080 > snat:$p TCP SA ttl=1
        lan< * > b1 ICMP time-exceeded quoting b1:8080 > snat:$p TCP                  ; answered-time-exceeded
    """)


@case(family=(4, 6), mode="dsr")
def dsr_leaves_the_ttl_alone(t):
    t.service("web", backends="b1")
    t.play("""
        wan> client:40000 > vip:80 TCP S ttl=1
        lan< client:40000 > vip:80 TCP S ttl=1 dmac=b1
        wan> client:40000 > vip:80 TCP S ttl=255
        lan< client:40000 > vip:80 TCP S ttl=255 dmac=b1
    """)


@case(family=(4, 6))
def nothing_is_answered_to_groups_or_for_errors(t):
    t.service("web", backends="")
    group, mac = ("224.0.0.1", "01:00:5e:00:00:01") if t.family == 4 else ("ff02::1", "33:33:00:00:00:01")
    t.play(f"""
        wan> client > {group} ICMP echo ident=7 number=1 dmac={mac}
        drop *
        wan> client:4000 > [{group}]:53 UDP len=4 dmac={mac}
        drop *
    """)
    if t.family == 4:
        t.play("wan> client > 255.255.255.255 ICMP echo ident=7 number=1 dmac=broadcast\ndrop *")
