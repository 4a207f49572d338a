# SPDX-License-Identifier: Apache-2.0
# Next hops without a static entry: a packet waits, a question goes out, the answer lets it go.
from suite import case


def ask(t, name, port="lan"):
    return f"{port}< ARP who-has {name} tell {port}" if t.family == 4 else f"{port}< $asker > * NS {name}"


def answer(t, name, port="lan"):
    if t.family == 4:
        return f"{port}> ARP {name} is-at {name} to {port}"
    return f"{port}> {name} > $asker NA {name} lla={name} naflags=SO"


@case(family=(4, 6), mode=("fullnat", "dnat", "dsr"))
def a_packet_waits_for_its_next_hop(t):
    t.service("web", backends="new1")
    to = "vip:80" if t.mode == "dsr" else "new1:8080"
    t.play(f"""
        wan> client:40000 > vip:80 TCP S seq=1000
        {ask(t, "new1")}
        held
    """)
    t.play("at 0.5\n" + answer(t, "new1"))
    t.play(f"""
        lan< *:* > {to} TCP S seq=1000 dmac=new1
        neighbor
        wan> client:40000 > vip:80 TCP S seq=1000
        lan< *:* > {to} TCP S seq=1000 dmac=new1        ; tracked
    """)


@case(family=(4, 6), workers=(1,))
def several_packets_wait_and_leave_in_order(t):
    t.service("web", backends="new1")
    t.play(f"""
        wan> client:40000 > vip:80 TCP S seq=1
        {ask(t, "new1")}
        held
        wan> client:40001 > vip:80 TCP S seq=2
        held
        wan> client2:40000 > vip:80 TCP S seq=3
        held
    """)
    t.play(answer(t, "new1"))
    t.play("""
        lan< snat:* > new1:8080 TCP S seq=1
        lan< snat:* > new1:8080 TCP S seq=2
        lan< snat:* > new1:8080 TCP S seq=3
        neighbor
    """)
    t.sync()
    order = [f["seq"] for port, f in t.outputs(t.inputs[-1]) if f["kind"] == "TCP"]
    t.require(order == [1, 2, 3], f"they left in the order {order}")


@case(family=(4, 6))
def a_next_hop_that_never_answers_is_named(t):
    t.service("web", backends="new1")
    t.play(f"""
        wan> client:40000 > vip:80 TCP S
        {ask(t, "new1")}
        held neighbor-unresolved
        at 60
        wan> client2 > wan ICMP echo ident=1 number=1
        wan< wan > client2 ICMP echo-reply
    """)


@case(family=(4, 6))
def a_packet_held_at_the_end_is_named(t):
    t.service("web", backends="new1")
    t.play(f"""
        wan> client:40000 > vip:80 TCP S
        {ask(t, "new1")}
        held neighbor-unresolved
        wan> client:40001 > vip:80 TCP S
        held neighbor-unresolved
    """)


@case(family=(4, 6), workers=(1,))
def the_queue_for_a_next_hop_is_bounded(t):
    t.service("web", backends="new1")
    for port in range(20000, 22000):
        t.play(f"wan> client:{port} > vip:80 TCP S\nany")
    t.sync()
    reasons = {d["reason"] for d in t.result.report["decisions"]}
    t.require(reasons == {"neighbor-unresolved", "neighbor-queue-full"}, f"reasons: {reasons}")


@case(family=(4, 6))
def a_next_hop_that_asks_us_is_learnt_from_its_question(t):
    t.service("web", backends="new1")
    question = "lan> ARP who-has lan tell new1" if t.family == 4 else "lan> new1 > ff02::1:ff00:2 NS lan lla=new1"
    t.play(f"""
        {question}
        any
        wan> client:40000 > vip:80 TCP S
        any
    """)
    if t.family == 4:
        t.play("lan> ARP new1 is-at new1 to lan\nany")
    else:
        t.play("lan> new1 > lan NA new1 lla=new1 naflags=SO\nany")
    t.play("""
        at 1
        wan> client:40001 > vip:80 TCP S
        lan< snat:* > new1:8080 TCP S dmac=new1
    """)


@case(family=(4, 6))
def the_gateway_of_a_route_is_resolved_not_the_client(t):
    t.config["neighbors"] = [n for n in t.config["neighbors"] if n["port"] != "wan"]
    t.service("web", backends="b1")
    t.play(f"""
        wan> client:40000 > vip:80 TCP S
        lan< snat:$p > b1:8080 TCP S
        lan> b1:8080 > snat:$p TCP SA
        {ask(t, "gw", "wan")}
        held
    """)
    t.play(answer(t, "gw", "wan"))
    t.play("""
        wan< vip:80 > client:40000 TCP SA dmac=gw
        neighbor
    """)


@case(family=(4, 6))
def an_answer_of_ours_waits_as_well(t):
    t.config["neighbors"] = [n for n in t.config["neighbors"] if n["port"] != "wan"]
    t.service("web", backends="")
    t.play(f"""
        wan> client:40000 > vip:80 TCP S seq=5
        {ask(t, "gw", "wan")}
        held
    """)
    t.play(answer(t, "gw", "wan"))
    t.play("""
        wan< vip:80 > client:40000 TCP RA ack=6
        neighbor
    """)
