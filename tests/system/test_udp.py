# SPDX-License-Identifier: Apache-2.0
# UDP: DNS, an echo, and the rest of what is not HTTP.
"""
   client ---- wan [ sluiced ] lan ---- switch ---- s1   dnsmasq, socat as TCP and UDP echo,
 192.0.2.100                               +------- s2   iperf3
                                           +------- s3
   dig @VIP, socat VIP:7000, iperf3 -c VIP +------- s4
"""
import collections
import json

from beds import BOTH, ONE_ARM, TWO_WORKERS, expect, test

MODES = ("fullnat", "dnat")


@test(*BOTH, *TWO_WORKERS)
def dns_by_dig_is_spread_over_servers(c):
    pods = [p.serve("dns") for p in c.pods]
    for mode in MODES:
        for family, vip in c.service(f"dns-{mode}", pods, ports=("dns",), mode=mode).items():
            answers = collections.Counter(
                c.client.run("dig", "+short", "+tries=1", "+time=3", "TXT", "whoami.test", f"@{vip}").strip()
                for _ in range(40))
            expect(sum(answers[f'"{p.name}"'] for p in pods) == 40, mode, family, answers)
            expect(len(answers) > 1, mode, family, "all from", answers)


UDP_TALK = r"""
import socket, sys
family = socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET
s = socket.socket(family, socket.SOCK_DGRAM); s.settimeout(3); s.connect((sys.argv[1], 7000))
for size in (1, 2, 17, 500, 1400):
    for n in range(20):
        want = bytes([n]) * size
        s.send(want)
        assert s.recv(2000) == want, (size, n)
print("fine")
"""


@test(*BOTH, *TWO_WORKERS)
def udp_echo_returns_every_datagram_of_a_flow(c):
    pods = [p.serve("echo-udp") for p in c.pods]
    for mode in MODES:
        for vip in c.service(f"udp-{mode}", pods, ports=("echo-udp",), mode=mode).values():
            expect(c.client.python(UDP_TALK, vip) == "fine\n")
            expect(c.client.run("socat", "-t1", "-", f"UDP:{vip}:7000" if ":" not in vip else f"UDP:[{vip}]:7000",
                                stdin="by socat\n") == "by socat\n")


@test(*BOTH)
def a_udp_flow_moves_when_its_backend_leaves(c):
    s1, s2 = (p.serve("dns") for p in c.pods[:2])
    for mode in MODES:
        for family in (4, 6):
            name = f"move-{mode}-{family}"
            vip = c.service(name, [s1], ports=("dns",), mode=mode)[family]
            ask = ("dig", "+short", "+tries=1", "+time=3", "-b", f"{c.client_addresses[family]}#5454", "TXT", "whoami.test", f"@{vip}")
            expect(c.client.run(*ask) == '"s1"\n')
            c.service(name, [s2], ports=("dns",), mode=mode)
            expect(c.client.run(*ask) == '"s2"\n', "the old flow did not follow")


@test(*BOTH, *TWO_WORKERS, *ONE_ARM)
def iperf3_runs_both_ways(c):
    pods = c.pods
    modes = ("dsr",) if c.shape == "one-arm" else MODES
    for mode in modes:
        # One pod, since iperf3's control and data connections must meet; or affinity, which is what it is for.
        for name, chosen, spec in ((f"one-{mode}", pods[:1], {}), (f"sticky-{mode}", pods, {"sessionAffinity": "ClientIP"})):
            for vip in c.service(name, chosen, ports=("iperf",), mode=mode, **spec).values():
                if mode == "dsr":
                    c.own_vip({0: vip})
                for direction in ((), ("-R",)):
                    for pod in chosen:  # iperf3 opens its port anew after each test and refuses in between
                        pod.restart("iperf")
                    done = c.client.run("iperf3", "-c", vip, "-t", "1", "-J", *direction, timeout=30, check=False)
                    expect(done.returncode == 0, mode, vip, direction, done.stdout[-300:], done.stderr)
                    report = json.loads(done.stdout)
                    expect("sum_received" in report["end"], mode, vip, direction, report.get("error"), report["end"])
                    bits = report["end"]["sum_received"]["bits_per_second"]
                    expect(bits > 5e6, mode, vip, direction, f"only {bits / 1e6:.1f} Mbit/s")
