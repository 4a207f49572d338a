# SPDX-License-Identifier: Apache-2.0
# Ethernet: MAC addresses, VLAN tags, other protocols, several ports.
import net
from suite import case


@case(family=(4, 6))
def a_frame_to_another_mac_is_dropped(t):
    t.service("web", backends="b1")
    t.play("""
        wan> client:40000 > vip:80 TCP S dmac=other
        drop mac-other
        wan> client:40000 > vip:80 TCP S dmac=lan
        drop mac-other
        lan> b1:8080 > snat:2000 TCP SA dmac=wan
        drop mac-other
        flows 0
    """)


@case(family=(4, 6))
def a_frame_from_an_impossible_mac_is_dropped(t):
    t.service("web", backends="b1")
    t.play("""
        wan> client:40000 > vip:80 TCP S smac=01:00:5e:00:00:01
        drop mac-source
        wan> client:40000 > vip:80 TCP S smac=broadcast
        drop mac-source
        wan> client:40000 > vip:80 TCP S smac=wan
        drop mac-source
    """)


@case(family=(4, 6), mode=("fullnat", "dsr"))
def a_tagged_port_wants_its_tag_and_sends_it(t):
    t.config["ports"][0]["vlan"] = 100
    t.service("web", backends="b1")
    t.play("""
        wan> client:40000 > vip:80 TCP S vlan=100
        lan< $s:$p > *:* TCP S vlan=0
        wan> client:40000 > vip:80 TCP S vlan=0
        drop vlan-untagged
        wan> client:40000 > vip:80 TCP S vlan=101
        drop vlan-other
        wan> client:40000 > vip:80 TCP A vlan=101        # of the known flow
        drop vlan-other
        wan> client:40001 > vip:80 TCP S vlan=101        # of a new one
        drop vlan-other
        wan> client > wan ICMP echo ident=1 number=2 vlan=100
        wan< wan > client ICMP echo-reply vlan=100
    """)
    if t.mode == "fullnat":
        t.play("""
            lan> b1:8080 > $s:$p TCP SA
            wan< vip:80 > client:40000 TCP SA vlan=100
        """)
    if t.family == 4:
        t.play("""
            wan> ARP who-has wan tell gw vlan=100
            wan< ARP wan is-at wan to gw vlan=100
            wan> ARP who-has wan tell gw vlan=0
            drop vlan-untagged
        """)
    else:
        t.play("""
            wan> gw > ff02::1:ff00:2 NS wan lla=gw vlan=100
            wan< wan > gw NA wan vlan=100
        """)


@case(family=(4, 6), mode=("fullnat", "dsr"))
def a_tag_is_put_on_towards_the_backend(t):
    t.config["ports"][1]["vlan"] = 4094
    t.service("web", backends="b1")
    t.play("""
        wan> client:40000 > vip:80 TCP S mss=1460
        lan< $s:$p > *:* TCP S vlan=4094 dmac=b1
    """)
    if t.mode == "fullnat":
        t.play("""
            lan> b1:8080 > $s:$p TCP SA vlan=4094
            wan< vip:80 > client:40000 TCP SA vlan=0
        """)


@case(family=(4, 6))
def a_neighbour_behind_a_tag_is_asked_with_the_tag(t):
    t.config["ports"][1]["vlan"] = 7
    t.service("web", backends="new1")
    if t.family == 4:
        t.play("""
            wan> client:40000 > vip:80 TCP S
            lan< ARP who-has new1 tell lan vlan=7
            held
            lan> ARP new1 is-at new1 to lan vlan=7
            lan< snat:* > new1:8080 TCP S vlan=7
            neighbor
        """)
    else:
        t.play("""
            wan> client:40000 > vip:80 TCP S
            lan< $asker > * NS new1 vlan=7
            held
            lan> new1 > $asker NA new1 lla=new1 naflags=SO vlan=7
            lan< snat:* > new1:8080 TCP S vlan=7
            neighbor
        """)


@case(family=(4, 6))
def a_tagged_frame_on_an_untagged_port_is_dropped(t):
    t.service("web", backends="b1")
    t.play("""
        wan> client:40000 > vip:80 TCP S vlan=100
        drop vlan-tagged
        wan> client:40000 > vip:80 TCP S priority=5      # VLAN id 0: a priority, no VLAN
        lan< snat:* > b1:8080 TCP S vlan=0
    """)


@case()
def other_protocols_are_dropped_by_name(t):
    t.service("web", backends="b1")
    t.play("""
        wan> RAW 0180c200000e 020000000afe 88cc 0207 0402 0000 0afe 0406 0502 0001 0602 0078 0000
        drop ethertype-unsupported
        wan> RAW 0180c2000000 020000000afe 0026 424203000000000080000200 00000afe00000000 8000
        drop ethertype-unsupported
        wan> RAW ffffffffffff 020000000afe 8863 1109 0000 0004 0101 0000
        drop ethertype-unsupported
        wan> RAW 020000000001 020000000afe 8847 00001fff
        drop ethertype-unsupported
        wan> client:40000 > vip:80 TCP S ethertype=0x0801
        drop ethertype-unsupported
    """)


@case()
def runts_and_empty_frames_are_dropped(t):
    for length in range(0, 14):
        t.send("wan", bytes.fromhex("020000000001" "020000000afe" "0800")[:length])
        t.play("drop *")


@case()
def a_frame_larger_than_any_mtu_is_survived(t):
    t.service("dns", proto="UDP", port=53, backends="b1")
    for length in (1473, 2000, 4000, 8972, 9000):
        t.play(f"wan> client:40000 > vip:53 UDP len={length}\nany")
    t.play("wan> client:40000 > vip:53 UDP len=1472\nlan< snat:* > b1:8080 UDP len=1472")


@case(family=(4, 6))
def several_ports_lead_to_their_own_subnets(t):
    t.config["ports"].append({"name": "more", "device": "net_ring2", "mac": "02:00:00:00:00:03",
                              "addresses": ["10.1.0.2/24", "fd00:11::2/64"]})
    host = "10.1.0.5" if t.family == 4 else "fd00:11::5"
    t.macs[host] = "02:00:00:00:0e:05"
    t.config["neighbors"].append({"address": host, "mac": t.macs[host], "port": "more"})
    t.service("web", backends="b1")
    t.service("shop", vip="vip2", backends=[host])
    end = host if t.family == 4 else f"[{host}]"
    t.play(f"""
        wan> client:40000 > vip:80 TCP S
        lan< snat:* > b1:8080 TCP S
        wan> client:40000 > vip2:80 TCP S
        more< snat:$p > {end}:8080 TCP S smac=02:00:00:00:00:03
        more> {end}:8080 > snat:$p TCP SA smac={t.macs[host]} dmac=02:00:00:00:00:03
        wan< vip2:80 > client:40000 TCP SA
        more> client:40001 > vip:80 TCP S dmac=02:00:00:00:00:03
        lan< snat:* > b1:8080 TCP S
    """)


@case(family=(4, 6))
def one_port_is_enough(t):
    t.config["ports"].pop()
    t.config["ports"][0]["addresses"] += ["10.0.0.2/24", "fd00:10::2/64"]
    t.config["neighbors"] = [dict(n, port="wan") for n in t.config["neighbors"]]
    t.service("web", backends="b1")
    t.play("""
        wan> client:40000 > vip:80 TCP S
        wan< snat:$p > b1:8080 TCP S dmac=b1
        wan> b1:8080 > snat:$p TCP SA smac=b1
        wan< vip:80 > client:40000 TCP SA dmac=gw
    """)


@case(family=(4, 6))
def the_most_specific_route_is_taken(t):
    prefix = "198.51.100.8/32" if t.family == 4 else "2001:db8:c::8/128"
    t.config["routes"].append({"prefix": prefix, "via": net.address("b9", t.family)})
    t.macs[net.address("client2", t.family)] = net.MACS["b9"]  # its next hop's
    t.service("web", backends="b1")
    t.play("""
        wan> client:40000 > vip:80 TCP S
        lan< snat:$p > b1:8080 TCP S
        wan> client2:40000 > vip:80 TCP S
        lan< snat:$q > b1:8080 TCP S
        lan> b1:8080 > snat:$p TCP SA
        wan< vip:80 > client:40000 TCP SA dmac=gw
        lan> b1:8080 > snat:$q TCP SA
        lan< vip:80 > client2:40000 TCP SA dmac=b9
    """)
