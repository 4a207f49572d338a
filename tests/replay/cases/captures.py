# SPDX-License-Identifier: Apache-2.0
# The program itself: formats of captures, order over ports, arguments that can't be used, what the JSON says.
import json

import pcap
from case import EPOCH
from suite import case

PLAIN = """
    at 0
    wan> client:40000 > vip:80 TCP S
    lan< snat:$p > b1:8080 TCP S
    at 0.000001
    lan> b1:8080 > snat:$p TCP SA
    wan< vip:80 > client:40000 TCP SA
    at 3.5
    wan> client:40000 > vip:80 TCP A
    lan< snat:$p > b1:8080 TCP A
"""


@case()
def microseconds_in_big_endian(t):
    t.pcap = {"order": ">"}
    t.service("web", backends="b1")
    t.play(PLAIN)


@case()
def nanoseconds_in_little_endian(t):
    t.pcap = {"nano": True}
    t.service("web", backends="b1")
    t.play(PLAIN)


@case()
def nanoseconds_in_big_endian(t):
    t.pcap = {"nano": True, "order": ">"}
    t.service("web", backends="b1")
    t.play(PLAIN)


@case()
def nanoseconds_order_packets_of_two_ports(t):
    t.pcap = {"nano": True}
    t.timeouts(udp=1)
    t.service("dns", proto="UDP", port=53, to=53, mode="dnat", backends="b1")
    t.play("""
        at 0
        wan> client:40000 > vip:53 UDP len=4
        any
        at 0.000000002
        lan> b1:53 > client:40000 UDP len=9
        any
        at 0.000000003
        wan> client:40001 > vip:53 UDP len=4
        any
    """)
    t.result, t.done = t.run(), len(t.inputs)
    outs = [d["reason"] for d in t.result.report["decisions"]]
    t.require(outs == ["new", "reverse", "new"], f"reasons in the order of time: {outs}")
    t.inputs.clear()


@case()
def a_capture_cut_by_its_snap_length_counts_as_truncated(t):
    t.service("web", backends="b1")
    t.play("wan> client:40000 > vip:80 TCP PA len=500 trunc=90\ndrop truncated|ip-header")


@case()
def empty_captures_are_fine(t):
    t.service("web", backends="b1")
    words = t.command(0)
    status, _, errors = t.execute(words)
    t.require(status == 0, f"exit status {status}: {errors}")
    report = json.loads((t.dir / "out.json").read_text())
    want = {"packets_in": 0, "packets_out": 0, "punted": 0, "flows": 0, "decisions": []}
    t.require(all(report[k] == v for k, v in want.items()) and not any(report["drops"].values()), f"{report}")
    for name in ("wan", "lan"):
        t.require(pcap.read(t.dir / f"out-{name}.pcap") == [], f"packets in out-{name}.pcap")


@case()
def the_clock_begins_with_the_first_packet_of_any_port(t):
    t.service("web", backends="b1")
    t.play("""
        lan> b9:1 > lan:9 UDP len=1
        drop not-for-us
        at 4.5
        wan> client:40000 > vip:80 TCP S
        lan< snat:* > b1:8080 TCP S
    """)
    t.change(5)
    t.service("web", backends="b2")
    t.play("at 5\nwan> client:40001 > vip:80 TCP S\nlan< snat:* > b2:8080 TCP S")


@case()
def a_single_direction_needs_no_other_captures(t):
    t.service("web", backends="b1")
    t.play("wan> client:40000 > vip:80 TCP S\nany")
    words = t.command(1)
    tail = words[:words.index("--rx")]
    status, _, errors = t.execute(tail + ["--rx", f"wan={t.dir}/in-wan.pcap", "--tx", f"lan={t.dir}/only.pcap"])
    t.require(status == 0, f"exit status {status}: {errors}")
    t.require(len(pcap.read(t.dir / "only.pcap")) == 1, "nothing in the one output")
    t.inputs.clear()


def refuses(t, words, what):
    status, out, errors = t.execute(words)
    t.require(status == 2, f"{what}: exit status {status}, {errors or out}")
    t.require(errors.strip(), f"{what}: nothing on stderr")


@case(workers=(1,))
def unusable_arguments_end_with_status_2(t):
    t.service("web", backends="b1")
    good = t.command(0)
    (t.dir / "text.pcap").write_text("this is no capture at all, but longer than a header\n")
    (t.dir / "short.pcap").write_bytes((t.dir / "in-wan.pcap").read_bytes()[:20])
    program, head, rx = good[:1], good[:3], f"wan={t.dir}/in-wan.pcap"
    out = f"wan={t.dir}/x.pcap"
    refuses(t, program, "no arguments")
    refuses(t, program + ["--rx", rx, "--tx", out], "no configuration")
    refuses(t, program + ["--config", str(t.dir / "none.yaml"), "--rx", rx, "--tx", out], "a missing configuration")
    refuses(t, head + ["--rx", f"dmz={t.dir}/in-wan.pcap", "--tx", out], "an unknown port")
    refuses(t, head + ["--rx", rx, "--tx", f"dmz={t.dir}/x.pcap"], "an unknown output port")
    refuses(t, head + ["--rx", f"wan={t.dir}/none.pcap", "--tx", out], "a missing capture")
    refuses(t, head + ["--rx", f"wan={t.dir}/text.pcap", "--tx", out], "a text in place of a capture")
    refuses(t, head + ["--rx", f"wan={t.dir}/short.pcap", "--tx", out], "a capture without its header")
    refuses(t, head + ["--rx", rx, "--tx", f"wan={t.dir}/no/such/dir/x.pcap"], "an output that can't be written")
    refuses(t, head + ["--rx", "wan", "--tx", out], "an argument without =")
    refuses(t, head + ["--rx", rx, "--tx", out, "--apply", "soon=/tmp"], "a time that is no number")
    refuses(t, head + ["--rx", rx, "--tx", out, "--apply", f"5={t.dir}/none"], "a missing directory")
    refuses(t, head + ["--rx", rx, "--tx", out, "--manifests", f"{t.dir}/none"], "missing manifests")
    refuses(t, head + ["--rx", rx, "--tx", out, "--unknown"], "an unknown option")


@case(workers=(1,))
def a_bad_configuration_ends_with_status_2_and_names_its_line(t):
    t.service("web", backends="b1")
    t.command(0)
    path = t.dir / "sluice.yaml"
    good = path.read_text()
    rx = ["--rx", f"wan={t.dir}/in-wan.pcap", "--tx", f"wan={t.dir}/x.pcap"]
    for old, new in (('workers: 1', 'workers: many'), ('workers: 1', 'wrokers: 1'), ('"192.0.2.254"', '"192.0.2.999"'),
                     ("kind: ", "knid: "), ('"203.0.113.0/28"', '"203.0.113.0/99"'),
                     ("flowsPerWorker: ", "flowsPerWorker: -")):
        t.require(old in good, f"the configuration has no {old}")
        bad = good.replace(old, new, 1)
        path.write_text(bad)
        words = [t.program, "--config", str(path)] + rx
        refuses(t, words, new)
        errors = t.execute(words)[2]
        line = bad[:bad.index(new)].count("\n") + 1
        t.require(f"sluice.yaml:{line}" in errors or new.startswith("knid"), f"{new}: line {line}? {errors}")
    path.write_text("a: [b\n")
    refuses(t, [t.program, "--config", str(path)] + rx, "no YAML")


@case()
def a_capture_that_ends_inside_a_packet_gives_what_is_whole(t):
    t.service("web", backends="b1")
    t.play("wan> client:40000 > vip:80 TCP S\nany\nwan> client:40001 > vip:80 TCP S\nany")
    words = t.command(2)
    path = t.dir / "in-wan.pcap"
    path.write_bytes(path.read_bytes()[:-5])
    status, _, errors = t.execute(words)
    t.require(status in (0, 2), f"exit status {status}")
    t.require(status == 0 or errors.strip(), "refused without a word")
    t.inputs.clear()


@case(family=(4, 6))
def drops_flows_and_decisions_add_up(t):
    t.service("web", backends="b1")
    t.play("""
        wan> client:40000 > vip:80 TCP S
        lan< snat:$p > b1:8080 TCP S
        wan> client:40000 > vip:81 TCP S
        drop not-for-us
        wan> client:40000 > vip:82 TCP S
        drop not-for-us
        wan> client:40000 > vip:80 TCP S dmac=other
        drop mac-other
        lan> b1:8080 > snat:$p TCP SA
        wan< vip:80 > client:40000 TCP SA
    """)
    t.sync()
    report = t.result.report
    drops = {k: v for k, v in report["drops"].items() if v}
    t.require(drops == {"not-for-us": 2, "mac-other": 1}, f"{drops}")
    t.require([d["out"] for d in report["decisions"]] == [0, None, None, None, 1], "numbers of outputs")
    t.require(report["packets_in"] == 5 and report["packets_out"] == 2 and report["flows"] == 1, f"{report}")


@case()
def without_packets_of_a_time_nothing_is_sent(t):
    t.service("web", vip="near", backends="b1")  # no gratuitous ARP for what appears
    t.play("wan> client:40000 > near:80 TCP S\nlan< snat:* > b1:8080 TCP S")
    t.change(5)
    t.service("more", vip="vip2", backends="b2")
    t.play("at 400\nwan> client:40001 > near:80 TCP S\nlan< snat:* > b1:8080 TCP S")
    t.sync()
    t.require(t.result.count == 2, "more packets than two left")


@case()
def weeks_pass_in_no_time(t):
    t.service("web", backends="b1")
    for n in range(20):
        t.play(f"at {n * 86400}\nwan> client:40000 > vip:80 TCP S\nlan< snat:* > b1:8080 TCP S     ; new")
    t.play("flows 1")


@case()
def a_time_that_goes_back_is_survived(t):
    t.service("web", backends="b1")
    t.play("at 10\nwan> client:40000 > vip:80 TCP S\nany\nat 12\nwan> client:40000 > vip:80 TCP S\nany")
    words = t.command(2)
    frames = [i.frame for i in t.inputs]
    pcap.write(t.dir / "in-wan.pcap", [(EPOCH + 10**10, frames[0]), (EPOCH, frames[1])])
    status, _, errors = t.execute(words)
    t.require(status == 0, f"exit status {status}: {errors}")
    report = json.loads((t.dir / "out.json").read_text())
    t.require(report["packets_in"] == 2, "not both packets were read")
    t.inputs.clear()
