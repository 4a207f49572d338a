# SPDX-License-Identifier: Apache-2.0
# The MSS of SYN and SYN-ACK is clamped to what the way out carries.
from cases.tcp import source
from suite import case

EVERY = dict(family=(4, 6), mode=("fullnat", "dnat"))


def fits(t, mtu):
    return mtu - (40 if t.family == 4 else 60)


@case(**EVERY)
def the_mss_of_a_syn_is_clamped_to_the_backends_port(t):
    t.config["ports"][1]["mtu"] = 1400
    t.service("web", backends="b1")
    t.play(f"""
        wan> client:40000 > vip:80 TCP S mss=1460
        lan< {source(t)} > b1:8080 TCP S mss={fits(t, 1400)}
        wan> client:40001 > vip:80 TCP S mss=536
        lan< *:* > b1:8080 TCP S mss=536
        wan> client:40002 > vip:80 TCP S mss={fits(t, 1400)}
        lan< *:* > b1:8080 TCP S mss={fits(t, 1400)}
        wan> client:40003 > vip:80 TCP S mss=65535
        lan< *:* > b1:8080 TCP S mss={fits(t, 1400)}
    """)


@case(**EVERY)
def the_mss_of_a_syn_ack_is_clamped_to_the_clients_port(t):
    t.config["ports"][0]["mtu"] = 1300
    t.service("web", backends="b1")
    t.play(f"""
        wan> client:40000 > vip:80 TCP S mss=1000
        lan< {source(t)} > b1:8080 TCP S mss=1000
        lan> b1:8080 > {source(t)} TCP SA mss=1460
        wan< vip:80 > client:40000 TCP SA mss={fits(t, 1300)}
    """)


@case(**EVERY)
def an_mss_between_other_options_at_an_odd_place_is_clamped(t):
    t.config["ports"][1]["mtu"] = 1400
    t.service("web", backends="b1")
    for n, options in enumerate(("01020405b4", "0402020405b4", "01010101020405b40402", "0303070402020405b401",
                                 "080a00000000000000000303070204ffff")):
        t.play(f"""
            wan> client:{40000 + n} > vip:80 TCP S tcpopt={options}
            lan< *:* > b1:8080 TCP S mss={fits(t, 1400)}
        """)


@case(**EVERY)
def a_syn_without_the_option_gets_none(t):
    t.config["ports"][1]["mtu"] = 1400
    t.service("web", backends="b1")
    t.play(f"""
        wan> client:40000 > vip:80 TCP S
        lan< {source(t)} > b1:8080 TCP S tcpopt=
        wan> client:40001 > vip:80 TCP S tcpopt=04020303
        lan< *:* > b1:8080 TCP S
    """)


@case(**EVERY)
def broken_options_are_left_as_they_are(t):
    t.config["ports"][1]["mtu"] = 1400
    t.service("web", backends="b1")
    for n, options in enumerate(("02000000", "02010000", "0204", "02030505", "03000000", "05ff0000", "0205ffff01",
                                 "01010102")):
        t.play(f"""
            wan> client:{40000 + n} > vip:80 TCP S tcpopt={options}
            any
        """)


@case(**EVERY)
def segments_without_syn_are_left_alone(t):
    t.config["ports"][1]["mtu"] = 1400
    t.service("web", backends="b1")
    t.play(f"""
        wan> client:40000 > vip:80 TCP S
        lan< {source(t)} > b1:8080 TCP S
        wan> client:40000 > vip:80 TCP A mss=1460
        lan< {source(t)} > b1:8080 TCP A mss=1460
    """)


@case(family=(4, 6), mode="dsr")
def dsr_changes_nothing_but_mac_addresses(t):
    t.config["ports"][1]["mtu"] = 1400
    t.service("web", backends="b1")
    t.play("""
        wan> client:40000 > vip:80 TCP S mss=1460
        lan< client:40000 > vip:80 TCP S mss=1460 dmac=b1
    """)


@case(family=(4, 6), mode=("fullnat", "dnat"))
def what_is_larger_than_the_way_outs_mtu_never_leaves(t):
    t.config["ports"][1]["mtu"] = 1300
    t.service("web", backends="b1")
    t.play(f"""
        wan> client:40000 > vip:80 TCP S
        lan< {source(t)} > b1:8080 TCP S
        wan> client:40000 > vip:80 TCP A len=1400 df
        any
        wan> client:40000 > vip:80 TCP A len=1400
        any
    """)
    t.sync()
    for i in t.inputs[1:]:
        t.require(not any(port == "lan" for port, _ in t.outputs(i)), "it left")
