# SPDX-License-Identifier: Apache-2.0
# dsr: the packet as it came, to the backend's MAC address; the backend answers the client itself.
import manifests
import net
from suite import case

BOTH = dict(family=(4, 6), mode="dsr")


@case(**BOTH)
def a_packet_reaches_the_backend_unchanged(t):
    t.service("web", backends="b1 b2 b3")
    t.play("""
        wan> client:40000 > vip:80 TCP S seq=7 mss=1460 tos=0x88
        lan< client:40000 > vip:80 TCP S seq=7 mss=1460 tos=0x88 ttl=64 dmac=$b      ; new service=default/web
        wan> client:40000 > vip:80 TCP PA seq=8 len=1000
        lan< client:40000 > vip:80 TCP PA seq=8 len=1000 dmac=$b                     ; tracked
        wan> client:40000 > vip:80 TCP FA seq=1008
        lan< client:40000 > vip:80 TCP FA seq=1008 dmac=$b                           ; tracked
        flows 1
    """)


@case(**BOTH)
def udp_too(t):
    t.service("dns", proto="UDP", port=53, backends="b1 b2 b3")
    t.play("""
        wan> client:40000 > vip:53 UDP len=100
        lan< client:40000 > vip:53 UDP len=100 dmac=$b      ; new
        wan> client:40000 > vip:53 UDP len=101
        lan< client:40000 > vip:53 UDP len=101 dmac=$b      ; tracked
    """)


@case(**BOTH)
def the_target_port_is_ignored(t):
    t.service("web", to=9999, backends="b1")
    t.play("""
        wan> client:40000 > vip:80 TCP S
        lan< client:40000 > vip:80 TCP S dmac=b1            ; new backend=b1:80
    """)


@case(**BOTH)
def a_backends_answer_through_us_is_not_forwarded(t):
    t.service("web", backends="b1")
    t.play("""
        wan> client:40000 > vip:80 TCP S
        lan< client:40000 > vip:80 TCP S
        lan> vip:80 > client:40000 TCP SA smac=b1
        drop *
        lan> b1:80 > client:40000 TCP SA
        drop *
    """)


@case(**BOTH)
def a_backend_behind_the_default_gateway_is_not_used(t):
    far = "100.64.0.5" if t.family == 4 else "2001:db8:77::5"
    t.service("loop", backends=[far])
    t.service("mixed", vip="vip2", backends=[far, net.address("b1", t.family)])
    t.play("""
        wan> client:40000 > vip:80 TCP S seq=1
        wan< vip:80 > client:40000 TCP RA ack=2               ; answered-rst
    """)
    for port in range(40000, 40020):
        t.play(f"""
            wan> client:{port} > vip2:80 TCP S
            lan< client:{port} > vip2:80 TCP S dmac=b1        ; new
        """)


@case(family=(4, 6))
def the_same_backend_serves_other_modes_from_behind_the_gateway(t):
    far = "100.64.0.5" if t.family == 4 else "2001:db8:77::5"
    t.service("web", mode="dnat", backends=[far])
    t.play(f"""
        wan> client:40000 > vip:80 TCP S
        wan< client:40000 > {far if t.family == 4 else f"[{far}]"}:8080 TCP S dmac=gw
    """)


@case(**BOTH)
def options_are_carried(t):
    t.service("web", backends="b1")
    what = ["ipopt=94040000", "ipopt=0101010100", "ipopt=070b04" + "00" * 8] if t.family == 4 else \
        ["ext=hbh", "ext=dst", "ext=hbh,dst", "ext=rh:0"]
    for n, options in enumerate(what):
        t.play(f"""
            wan> client:{40000 + n} > vip:80 TCP S {options}
            lan< client:{40000 + n} > vip:80 TCP S dmac=b1    ; new
        """)


@case(**BOTH)
def two_ports_to_one_address_are_one_backend(t):
    t.service("web", backends="b1 b2")
    slices = t.services["web"].slice(t.family)
    slices["metadata"]["name"] = "web-more"
    slices["ports"][0]["port"] = 9090
    t.files["more.yaml"] = manifests.document(slices)
    for port in range(40000, 40030):
        t.play(f"wan> client:{port} > vip:80 TCP S\nlan< client:{port} > vip:80 TCP S dmac=$b{port}")
