# SPDX-License-Identifier: Apache-2.0
# What must not pass: broken headers, addresses nobody can have, fragments, frames cut at every length. And what must,
# though it is rare.
import packet
from cases.tcp import source
from suite import case

BOTH = dict(family=(4, 6))
MODES = dict(family=(4, 6), mode=("fullnat", "dnat"))


@case(family=(4, 6), mode=("fullnat", "dsr"))
def a_frame_cut_at_any_length_is_dropped(t):
    t.service("web", backends="b1")
    t.service("dns", vip="vip2", proto="UDP", port=53, backends="b1")
    head = 14 + (20 if t.family == 4 else 40)
    for line, size in (("client:40000 > vip:80 TCP S mss=1460", head + 24),
                       ("client:40000 > vip2:53 UDP len=9", head + 17),
                       ("client > vip ICMP echo ident=1 number=1 len=4", head + 12)):
        for length in range(size):
            t.play(f"wan> {line} trunc={length}\ndrop *")
    t.play("flows 0")


@case()
def an_arp_frame_cut_at_any_length_is_dropped(t):
    for length in range(42):
        t.play(f"wan> ARP who-has wan tell gw trunc={length}\ndrop *")


@case(**BOTH)
def a_wrong_version_or_length_is_dropped(t):
    t.service("web", backends="b1")
    what = "version=6 version=5 version=0 ihl=4 ihl=0 ihl=15 total=19 total=39 total=9000 total=0" \
        if t.family == 4 else "version=4 version=5 version=15 total=19 total=9000 total=0"
    for fault in what.split():
        t.play(f"""
            wan> client:40000 > vip:80 TCP S {fault}
            drop ip-header|truncated|l4-truncated|tcp-header|protocol-unsupported
        """)


@case(mode=("fullnat", "dnat", "dsr"))
def a_wrong_ip_checksum_is_dropped(t):
    t.service("web", backends="b1")
    t.play("""
        wan> client:40000 > vip:80 TCP S ipcsum=bad
        drop ip-checksum
        wan> client > vip ICMP echo ident=1 number=1 ipcsum=bad
        drop ip-checksum
        wan> client:40000 > vip:80 TCP S ipopt=94040000 ipcsum=bad
        drop ip-checksum
    """)


@case(**BOTH)
def a_martian_source_is_dropped(t):
    t.service("web", backends="b1")
    sources = ["127.0.0.1", "0.0.0.0", "224.0.0.5", "239.1.2.3", "255.255.255.255", "240.0.0.1"] if t.family == 4 else \
        ["::1", "::", "ff02::1", "ff0e::5", "::ffff:198.51.100.7"]
    for s in sources:
        end = s if t.family == 4 else f"[{s}]"
        t.play(f"wan> {end}:40000 > vip:80 TCP S\ndrop martian-source")


@case(**BOTH)
def a_packet_from_a_virtual_address_to_itself_is_dropped(t):
    t.service("web", backends="b1")
    for port in (80, 40000):
        t.play(f"wan> vip:{port} > vip:80 TCP S\ndrop martian-source")


@case(**BOTH)
def no_client_has_an_address_of_the_appliance(t):
    t.service("web", backends="b1")
    t.service("other", vip="vip2", backends="b2")
    for source in ("vip2", "wan", "lan", "snat"):
        t.play(f"wan> {source}:40000 > vip:80 TCP S\ndrop martian-source")
        t.play(f"wan> {source}:40000 > vip:80 TCP A\ndrop martian-source")


@case(**BOTH)
def a_martian_destination_is_dropped(t):
    t.service("web", backends="b1")
    what = ["127.0.0.1", "0.0.0.0", "224.0.0.5"] if t.family == 4 else ["::1", "::"]
    for d in what:
        end = d if t.family == 4 else f"[{d}]"
        t.play(f"wan> client:40000 > {end}:80 TCP S\ndrop martian-destination|not-for-us")


@case()
def source_routing_is_dropped(t):
    t.service("web", backends="b1")
    for option in ("8307040a00000b00", "8907040a00000b00", "0101830704c0000201"):
        t.play(f"wan> client:40000 > vip:80 TCP S ipopt={option}\ndrop source-route")


@case()
def options_that_can_not_be_walked_are_dropped(t):
    t.service("web", backends="b1")
    for option in ("94000000", "94010000", "94ff0000", "01010194", "07270400"):
        t.play(f"wan> client:40000 > vip:80 TCP S ipopt={option}\ndrop ip-options")


@case(family=4, mode=("fullnat", "dnat"))
def ipv4_options_are_carried(t):
    t.service("web", backends="b1")
    t.service("dns", vip="vip2", proto="UDP", port=53, to=5353, backends="b1")
    every = ("94040000", "01010101", "4408050000000000", "00000000", "070b04" + "00" * 8, "01" * 40)
    for n, option in enumerate(every):
        t.play(f"""
            wan> client:{40000 + n} > vip2:53 UDP len=20 ipopt={option}
            lan< $s{n}:$p{n} > b1:5353 UDP len=20
        """)
    for n, option in enumerate(every):
        t.play(f"""
            lan> b1:5353 > $s{n}:$p{n} UDP len=20 ipopt={option}
            wan< vip2:53 > client:{40000 + n} UDP len=20
        """)
    t.play("""
        wan> client:40000 > vip:80 TCP S ipopt=94040000 mss=1460
        lan< *:* > b1:8080 TCP S ipopt=94040000 mss=1460
    """)


@case(family=6, mode=("fullnat", "dnat"))
def ipv6_extension_headers_are_carried(t):
    t.service("dns", vip="vip2", proto="UDP", port=53, to=5353, backends="b1")
    every = ("hbh", "dst", "hbh,dst", "hbh,dst,rh:0,dst", "rh:0", "dst,dst,dst")
    for n, chain in enumerate(every):
        t.play(f"""
            wan> client:{40000 + n} > vip2:53 UDP len=20 ext={chain}
            lan< $s{n}:$p{n} > b1:5353 UDP len=20
        """)
    for n, chain in enumerate(every):
        t.play(f"""
            lan> b1:5353 > $s{n}:$p{n} UDP len=20 ext={chain}
            wan< vip2:53 > client:{40000 + n} UDP len=20
        """)


@case(family=6)
def a_routing_header_with_segments_left_is_dropped(t):
    t.service("web", backends="b1")
    t.play("""
        wan> client:40000 > vip:80 TCP S ext=rh:1
        drop routing-header
        wan> client:40000 > vip:80 TCP S ext=rh:1 rhtype=0
        drop routing-header
        wan> client:40000 > vip:80 TCP S ext=hbh,rh:255
        drop routing-header
    """)


@case(family=6)
def an_extension_chain_beyond_the_bound_is_dropped(t):
    t.service("web", backends="b1")
    for count in (9, 12, 40, 100):
        t.play(f"wan> client:40000 > vip:80 TCP S ext={','.join(['dst'] * count)}\ndrop extension-chain")
    t.play("wan> client:40000 > vip:80 TCP S ext=dst,hbh\ndrop extension-chain")


@case(family=6)
def an_extension_header_cut_at_any_length_is_dropped(t):
    t.service("web", backends="b1")
    for length in range(54, 54 + 24 + 20):
        t.play(f"wan> client:40000 > vip:80 TCP S ext=hbh,dst,rh:0 trunc={length}\ndrop *")


@case(family=(4, 6), mode=("fullnat", "dnat", "dsr"))
def fragments_are_dropped(t):
    t.service("web", backends="b1")
    t.service("dns", vip="vip2", proto="UDP", port=53, backends="b1")
    t.play("""
        wan> client:40000 > vip2:53 UDP len=800 mf id=7
        drop fragment
        wan> client:40000 > vip2:53 UDP len=800 frag=101 id=7
        drop fragment
        wan> client:40000 > vip2:53 UDP len=800 frag=101 mf id=7
        drop fragment
        wan> client:40000 > vip:80 TCP S mf id=8
        drop fragment
        wan> client > vip ICMP echo ident=1 number=1 len=80 mf id=8
        drop fragment
        flows 0
    """)


@case(**BOTH)
def fragments_of_backends_are_dropped(t):
    t.service("dns", vip="vip2", proto="UDP", port=53, to=5353, backends="b1")
    t.play("""
        wan> client:40000 > vip2:53 UDP len=8
        lan< snat:$p > b1:5353 UDP
        lan> b1:5353 > snat:$p UDP len=800 mf id=7
        drop fragment
        lan> b1:5353 > snat:$p UDP len=800 frag=101 id=7
        drop fragment
    """)


@case(**BOTH)
def an_impossible_tcp_header_is_dropped(t):
    t.service("web", backends="b1")
    t.play("""
        wan> client:40000 > vip:80 TCP S doff=4
        drop tcp-header
        wan> client:40000 > vip:80 TCP S doff=0
        drop tcp-header
        wan> client:40000 > vip:80 TCP S doff=15
        drop tcp-header
        wan> client:40000 > vip:80 TCP SF
        drop tcp-header
        wan> client:40000 > vip:80 TCP SR
        drop tcp-header
        flows 0
    """)


@case(**BOTH)
def a_udp_length_that_disagrees_is_dropped(t):
    t.service("dns", vip="vip2", proto="UDP", port=53, backends="b1")
    for length in (0, 7, 19, 65535):
        t.play(f"wan> client:40000 > vip2:53 UDP len=10 udplen={length}\ndrop udp-header")
    t.play("flows 0")


@case(**BOTH)
def port_zero_is_dropped(t):
    t.service("web", backends="b1")
    t.play("""
        wan> client:0 > vip:80 TCP S
        drop port-zero
        wan> client:40000 > vip:0 TCP S
        drop port-zero|not-for-us
        wan> client:0 > vip:80 UDP len=3
        drop port-zero|not-for-us
    """)


@case(**MODES)
def flag_combinations_make_no_trouble(t):
    t.service("web", backends="b1 b2")
    for bits in range(256):
        flags = "".join(c for n, c in enumerate(packet.FLAGS) if bits >> n & 1) or "-"
        t.play(f"wan> client:{30000 + bits} > vip:80 TCP {flags} seq=5 ack=9\nany")
        t.play(f"wan> client:40000 > vip:80 TCP {flags} seq=5 ack=9\nany")


@case(**MODES)
def ecn_and_dscp_are_carried(t):
    t.service("web", backends="b1")
    s = source(t)
    for tos in (0x01, 0x02, 0x03, 0xb8, 0xfc, 0xff):
        t.play(f"""
            wan> client:40000 > vip:80 TCP SEC tos={tos}
            lan< {s} > b1:8080 TCP SEC tos={tos}
        """)


@case(**MODES)
def packet_ids_flow_labels_and_windows_are_carried(t):
    t.service("web", backends="b1")
    extra = "id=54321 df" if t.family == 4 else "label=0xabcde"
    t.play(f"""
        wan> client:40000 > vip:80 TCP S win=12345 urg=7 {extra}
        lan< {source(t)} > b1:8080 TCP S win=12345 {extra}
        lan> b1:8080 > {source(t)} TCP SA win=54321 {extra}
        wan< vip:80 > client:40000 TCP SA win=54321 {extra}
    """)


@case(**BOTH)
def junk_of_every_kind_is_dropped(t):
    t.service("web", backends="b1")
    seed = 12345
    for n in range(300):
        seed = (seed * 1103515245 + 12345) & 0x7FFFFFFF
        body = bytes((seed >> (i % 23)) * (i + 7) & 0xFF for i in range(seed % 200))
        ethertype = (0x0800, 0x86DD, 0x0806, 0x8100, 0x1234)[n % 5]
        t.send("wan", bytes.fromhex("020000000001" "020000000afe") + ethertype.to_bytes(2, "big") + body).verb = "any"
    t.play("flows 0")
    t.sync()
    t.require(t.result.report["packets_out"] == 0, "something left")


@case(**MODES)
def changed_bytes_in_a_good_packet_are_survived(t):
    t.service("web", backends="b1")
    t.service("dns", vip="vip2", proto="UDP", port=53, backends="b1")
    for line in ("client:40000 > vip:80 TCP S mss=1460 " + ("ipopt=94040000" if t.family == 4 else "ext=hbh,dst"),
                 "client:40000 > vip2:53 UDP len=4"):
        t.play(f"wan> {line}\nany")
        good = t.inputs[-1].frame
        for at in range(12, len(good)):
            for value in (0x00, 0xFF, good[at] ^ 0x01, good[at] ^ 0x80):
                t.send("wan", good[:at] + bytes([value]) + good[at + 1:]).verb = "any"
