# SPDX-License-Identifier: Apache-2.0
# What a Service asks for beside its backends: source ranges, affinity, ports.
"""
   client ---- wan [ sluiced ] lan ---- switch ---- s1
 192.0.2.100                               +------- s2
 192.0.2.101 ... .120 (and ::101 ...)      +------- s3
                                           +------- s4
"""
from beds import BOTH, TWO_WORKERS, expect, test

OTHERS = {4: [f"192.0.2.{n}" for n in range(101, 121)], 6: [f"2001:db8:2::{n}" for n in range(101, 121)]}


def more_clients(c):
    for family, width in ((4, 24), (6, 64)):
        have = c.client.ip(f"-{family} -br addr show dev eth0")
        c.client.address("eth0", *(f"{a}/{width}" for a in OTHERS[family] if f"{a}/" not in have))


@test(*BOTH)
def source_ranges_let_in_whom_they_name_and_nobody_else(c):
    pods = [p.serve("http") for p in c.pods]
    more_clients(c)
    vips = c.service("guarded", pods, loadBalancerSourceRanges=["192.0.2.100/32", "2001:db8:2::100/128"])
    for family, vip in vips.items():
        before = c.sluice.ctl("stats")["drops"].get("source-denied", 0)
        c.get(vip, "/", "--interface", c.client_addresses[family])
        denied = c.get(vip, "/", "--interface", OTHERS[family][0], seconds=1, check=False)
        expect(denied.returncode == 28, "curl from a denied address:", denied.returncode, denied.stdout, denied.stderr)
        c.sluice.wait("the drops to be counted", lambda: c.sluice.ctl("stats")["drops"].get("source-denied", 0) > before)
    vips = c.service("half-open", pods, loadBalancerSourceRanges=["192.0.2.0/24"])
    c.get(vips[4], "/", "--interface", OTHERS[4][0])
    closed = c.get(vips[6], "/", seconds=1, check=False)
    expect(closed.returncode == 28, "a family without ranges is open:", closed.returncode, closed.stdout)


@test(*BOTH, *TWO_WORKERS)
def affinity_keeps_a_client_on_its_backend(c):
    pods = [p.serve("http") for p in c.pods]
    more_clients(c)
    for mode in ("fullnat", "dnat"):
        vips = c.service(f"sticky-{mode}", pods[:3], mode=mode, sessionAffinity="ClientIP")
        for family, vip in vips.items():
            requests = c.get_many(vip, 60).assert_all_good()
            expect(len(requests.pods) == 1, mode, family, "one client reached", requests.pods)
            first = {a: c.get(vip, "/", "--interface", a).split()[0] for a in OTHERS[family]}
            expect(len(set(first.values())) > 1, "all clients reached one pod:", first)
            c.service(f"sticky-{mode}", pods, mode=mode, sessionAffinity="ClientIP")
            second = {a: c.get(vip, "/", "--interface", a).split()[0] for a in OTHERS[family]}
            expect(first == second, mode, family, "an added backend moved", {a: (first[a], second[a]) for a in first if first[a] != second[a]})
            c.service(f"sticky-{mode}", pods[:3], mode=mode, sessionAffinity="ClientIP")


@test(*BOTH)
def one_service_serves_tcp_and_udp_ports(c):
    pods = [p.serve("http", "dns", "echo-tcp") for p in c.pods[:2]]
    vips = c.service("mixed", pods, ports=("http", "dns", "echo-tcp"))
    for vip in vips.values():
        c.get(vip)
        expect(c.client.run("dig", "+short", "+tries=1", "TXT", "whoami.test", f"@{vip}").strip() in ('"s1"', '"s2"'))
        target = f"TCP:[{vip}]:7001" if ":" in vip else f"TCP:{vip}:7001"
        expect(c.client.run("socat", "-t1", "-", target, stdin="by socat\n") == "by socat\n")


PING = r"""
import socket, sys
six = ":" in sys.argv[1]
s = socket.socket(socket.AF_INET6 if six else socket.AF_INET, socket.SOCK_DGRAM, socket.IPPROTO_ICMPV6 if six else socket.IPPROTO_ICMP)
s.settimeout(2)
for size in (0, 56, 1400):
    payload = bytes(range(256)) * 6
    s.sendto(bytes([128 if six else 8, 0, 0, 0, 0, 0, 0, 1]) + payload[:size], (sys.argv[1], 0))
    answer = s.recv(2000)
    assert answer[0] == (129 if six else 0) and answer[8:] == payload[:size], answer[:16]
print("fine")
"""


@test(*BOTH)
def echo_is_answered_for_port_and_virtual_addresses(c):
    c.client.sysctl("net.ipv4.ping_group_range=0 2147483647")
    vips = c.service("web", [c.pods[0].serve("http")])
    for address in ("192.0.2.1", "2001:db8:2::1", *vips.values()):
        expect(c.client.python(PING, address) == "fine\n", address)


@test(*BOTH)
def without_any_neighbour_entry_the_first_packet_arrives(c):
    s1 = c.pods[0].serve("http")
    vips = c.service("cold", [s1])
    for family, vip in vips.items():
        c.client.ip(f"-{family} neigh flush all")
        s1.ns.ip(f"-{family} neigh flush all")
        c.get(vip, "/", seconds=3)
