# SPDX-License-Identifier: Apache-2.0
# Each timeout, exact to a second: two equal flows, one asked just before the time is over, the other just after it.
#
# Asked means: does an answer of the backend still find the flow?
from cases.tcp import source
from suite import case

NAT = dict(mode=("fullnat", "dnat"))


def steps_of(script):
    """A script cut before each packet that comes in and each time."""
    steps = []
    for line in filter(None, map(str.strip, script.splitlines())):
        if line.split()[0].endswith(">") or line.startswith("at "):
            steps.append([])
        steps[-1].append(line)
    return steps


def check(t, seconds, script, since=0.0, proto="TCP"):
    """Play script for clients A and B, with {c}, {s} for the client's side outside and inside, then ask."""
    sides = [(port, source(t, port, f"p{port}")) for port in (40000, 40001)]
    flag = "A " if proto == "TCP" else ""
    port, to = (80, 8080) if proto == "TCP" else (53, 5353)
    for step in steps_of(script):
        for client, s in sides[:1] if step[0].startswith("at ") else sides:
            t.play("\n".join(step).format(c=f"client:{client}", s=s))
    end = since + seconds
    (a, sa), (b, sb) = sides
    t.play(f"""
        at {end - 0.5}
        lan> b1:{to} > {sa} {proto} {flag} len=1
        wan< vip:{port} > client:{a} {proto} {flag} len=1
        at {end + 1.1}
        lan> b1:{to} > {sb} {proto} {flag} len=1
        drop no-flow-reverse
    """)


HANDSHAKE = """
    wan> {c} > vip:80 TCP S seq=1000
    lan< {s} > b1:8080 TCP S
    lan> b1:8080 > {s} TCP SA seq=5000 ack=1001
    wan< vip:80 > {c} TCP SA
    wan> {c} > vip:80 TCP A seq=1001 ack=5001
    lan< {s} > b1:8080 TCP A
"""


@case(**NAT)
def syn_sent_is_forgotten_after_its_time(t):
    t.service("web", backends="b1")
    check(t, 10, """
        wan> {c} > vip:80 TCP S seq=1000
        lan< {s} > b1:8080 TCP S
    """)


@case(**NAT)
def established_is_forgotten_after_its_time(t):
    t.service("web", backends="b1")
    check(t, 900, HANDSHAKE)


@case(**NAT)
def a_half_closed_flow_is_forgotten_after_fin_wait(t):
    t.service("web", backends="b1")
    check(t, 30, HANDSHAKE + """
        at 5
        wan> {c} > vip:80 TCP FA seq=1001 ack=5001
        lan< {s} > b1:8080 TCP FA
    """, since=5)


@case(**NAT)
def time_wait_is_forgotten_after_its_time(t):
    t.service("web", backends="b1")
    check(t, 10, HANDSHAKE + """
        wan> {c} > vip:80 TCP FA seq=1001 ack=5001
        lan< {s} > b1:8080 TCP FA
        at 5
        lan> b1:8080 > {s} TCP FA seq=5001 ack=1002
        wan< vip:80 > {c} TCP FA
        wan> {c} > vip:80 TCP A seq=1002 ack=5002
        lan< {s} > b1:8080 TCP A
    """, since=5)


@case(**NAT)
def a_reset_flow_is_forgotten_after_close(t):
    t.service("web", backends="b1")
    check(t, 10, HANDSHAKE + """
        at 5
        wan> {c} > vip:80 TCP R seq=1001
        lan< {s} > b1:8080 TCP R
    """, since=5)


@case(**NAT)
def an_unanswered_udp_flow_is_forgotten_after_udp(t):
    t.service("dns", proto="UDP", port=53, to=5353, backends="b1")
    check(t, 30, """
        wan> {c} > vip:53 UDP len=3
        lan< {s} > b1:5353 UDP
    """, proto="UDP")


@case(**NAT)
def an_answered_udp_flow_is_forgotten_after_udp_stream(t):
    t.service("dns", proto="UDP", port=53, to=5353, backends="b1")
    check(t, 120, """
        wan> {c} > vip:53 UDP len=3
        lan< {s} > b1:5353 UDP
        lan> b1:5353 > {s} UDP len=3
        wan< vip:53 > {c} UDP
        at 5
        wan> {c} > vip:53 UDP len=3
        lan< {s} > b1:5353 UDP
        lan> b1:5353 > {s} UDP len=3
        wan< vip:53 > {c} UDP
    """, since=5, proto="UDP")


@case(**NAT, family=(4, 6))
def answers_alone_keep_a_udp_stream(t):
    t.service("dns", proto="UDP", port=53, to=5353, backends="b1")
    answer = """
        lan> b1:5353 > {s} UDP len=3
        wan< vip:53 > {c} UDP
    """
    check(t, 120, f"""
        wan> {{c}} > vip:53 UDP len=3
        lan< {{s}} > b1:5353 UDP
        {answer}
        at 90
        {answer}
        at 180
        {answer}
        at 295
        {answer}
    """, since=295, proto="UDP")


@case(mode="fullnat", family=(4, 6))
def a_fin_among_answers_ends_the_long_timeout(t):
    t.service("web", backends="b1")
    check(t, 30, HANDSHAKE + """
        lan> b1:8080 > {s} TCP A seq=5001 ack=1001 len=9
        wan< vip:80 > {c} TCP A len=9
        at 5
        lan> b1:8080 > {s} TCP A seq=5010 ack=1001 len=9
        wan< vip:80 > {c} TCP A len=9
        lan> b1:8080 > {s} TCP FA seq=5019 ack=1001
        wan< vip:80 > {c} TCP FA
    """, since=5)


@case(**NAT)
def configured_timeouts_replace_the_defaults(t):
    t.service("web", backends="b1")
    t.timeouts(tcpEstablished=40)
    check(t, 40, HANDSHAKE)


@case(**NAT)
def configured_udp_timeouts_replace_the_defaults(t):
    t.service("dns", proto="UDP", port=53, to=5353, backends="b1")
    t.timeouts(udp=3)
    check(t, 3, """
        wan> {c} > vip:53 UDP len=3
        lan< {s} > b1:5353 UDP
    """, proto="UDP")


@case(family=(4, 6))
def traffic_of_either_side_keeps_a_flow(t):
    t.service("web", backends="b1")
    t.timeouts(tcpEstablished=20)
    t.play(HANDSHAKE.format(c="client:40000", s="snat:$p"))
    for i in range(1, 5):
        t.play(f"""
            at {i * 36 - 18}
            wan> client:40000 > vip:80 TCP A seq=1001 ack=5001 len=1
            lan< snat:$p > b1:8080 TCP A                                ; tracked
            at {i * 36}
            lan> b1:8080 > snat:$p TCP A seq=5001 ack=1002 len=1
            wan< vip:80 > client:40000 TCP A
        """)
    t.play("flows 1")


@case(mode="dsr")
def one_way_states_follow_the_client_alone(t):
    t.service("web", backends="b1", to=80)
    line = "wan> client:{} > vip:80 TCP {} seq=1000\nlan< client:{} > vip:80 TCP {} ; {}"

    def sends(seconds, port, flags, reason):
        t.play(f"at {seconds}\n" + line.format(port, flags, port, flags, reason))

    sends(0.0, 1, "S", "new")        # syn-sent: 10 s
    sends(0.1, 2, "S", "new")
    sends(0.2, 3, "S", "new")        # established by the second packet: 900 s
    sends(0.3, 3, "A", "tracked")
    sends(0.4, 4, "S", "new")        # FIN: 30 s
    sends(0.5, 4, "A", "tracked")
    sends(0.6, 4, "FA", "tracked")
    sends(0.7, 5, "S", "new")        # RST: 10 s
    sends(0.8, 5, "R", "tracked")
    sends(9.5, 1, "A", "tracked")
    sends(11.5, 2, "A", "new")
    sends(12.0, 5, "A", "new")
    sends(30.0, 4, "A", "tracked")
    sends(890.0, 3, "A", "tracked")
    sends(1791.5, 3, "A", "new")


@case(family=(4, 6), mode="dnat")
def flows_that_have_expired_are_not_counted(t):
    t.service("dns", proto="UDP", port=53, to=5353, backends="b1 b2")
    for port in range(41000, 41100):
        t.play(f"wan> client:{port} > vip:53 UDP len=9\nlan< client:{port} > *:5353 UDP")
    t.play("flows 100\nat 40\nwan> client:40000 > vip:53 UDP len=9\nlan< client:40000 > *:5353 UDP\nflows 1")


@case(family=(4, 6), mode=("fullnat", "dnat"))
def days_are_counted_as_well(t):
    t.service("web", backends="b1")
    t.timeouts(tcpEstablished=432000)
    check(t, 432000, HANDSHAKE)


@case()
def a_long_silence_does_not_make_old_flows_young(t):
    t.service("web", mode="dnat", backends="b1")
    t.play("wan> client:40000 > vip:80 TCP A\nany\nwan> client:40000 > vip:80 TCP A\nany")
    now = 0
    for silence in (2**18, 2**19, 2**20, 2**20 + 100, 2**21, 2**22):  # seconds; clocks wrap at such places
        now += silence
        t.play(f"""
            at {now}
            wan> client:40000 > vip:80 TCP A
            lan< client:40000 > b1:8080 TCP A     ; new
            wan> client:40000 > vip:80 TCP A
            lan< client:40000 > b1:8080 TCP A     ; tracked
        """)
