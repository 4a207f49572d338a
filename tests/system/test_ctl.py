# SPDX-License-Identifier: Apache-2.0
# What sluiced says about itself: sluicectl, HTTP on the socket, explain, manifests that break.
"""
   client ---- wan [ sluiced ] lan ---- switch ---- s1
 192.0.2.100         |                     +------- s2
                  sluice.sock              +------- s3
                  sluicectl, curl          +------- s4
"""
import ipaddress
import itertools
import json

from beds import BOTH, XDP, expect, test

FIELDS = {  # each item has at least these: interfaces that scripts rely on
    "services": ("namespace", "name", "port", "protocol", "addresses", "forwarding", "generation", "backends", "reason"),
    "backends": ("service", "address", "port", "state", "weight", "flows", "reason"),
    "flows": ("client", "frontend", "backend", "snat", "state", "age", "idle", "worker"),
    "ports": ("name",),
}


@test(*BOTH)
def every_verb_answers_in_json_and_as_a_table(c):
    pods = [p.serve("http") for p in c.pods]
    vip = c.service("web", pods)[4]
    download = c.start_download(vip)
    for verb, fields in FIELDS.items():
        items = c.sluice.items(verb)
        expect(items, verb, "lists nothing")
        for item in items:
            expect(all(f in item for f in fields), verb, "lacks", [f for f in fields if f not in item], "in", item)
        table = c.sluice.ctl_done(verb)
        expect(table.returncode == 0 and len(table.stdout.splitlines()) > len(items), verb, "as a table:", table.stdout, table.stderr)
    stats = c.sluice.ctl("stats")
    expect(all(f in stats for f in ("generation", "workersAt", "workers", "drops")), stats)
    expect(len(stats["workersAt"]) == len(stats["workers"]) == 1, stats)
    flow = next(f for f in c.sluice.items("flows", "--client", "192.0.2.100") if f["frontend"] == f"{vip}:80"
                and f["backend"] == f"{download.pod().v4}:8080")
    ipaddress.ip_address(flow["client"].rsplit(":", 1)[0])
    expect(c.sluice.items("flows", "--service", "default/web"), "no flows by service")
    expect(not c.sluice.items("flows", "--client", "192.0.2.77"), "flows of somebody who has none")
    expect(len(c.sluice.items("backends", "default/web")) == 8, c.sluice.items("backends", "default/web"))
    download.assert_whole()


@test(XDP)
def a_wrong_command_line_is_one_line_and_status_1(c):
    for argv in (["nonsense"], ["explain", "tcp", "here", "there"], ["flows", "--client", "x"]):
        done = c.sluice.ctl_done(*argv)
        expect(done.returncode == 1 and len(done.stderr.splitlines()) == 1 and not done.stdout,
               argv, done.returncode, done.stdout, done.stderr)


@test(*BOTH)
def explain_names_the_backend_that_the_connection_reaches(c):
    pods = [p.serve("http") for p in c.pods]
    ports = iter(range(20000, 20100))  # below what the kernel gives out by itself
    for mode in ("fullnat", "dnat"):
        for family, vip in c.service(f"web-{mode}", pods, mode=mode).items():
            names = {f"[{p.v6}]:8080" if family == 6 else f"{p.v4}:8080": p.name for p in pods}
            host = c.client_addresses[family]
            for port in itertools.islice(ports, 10):
                ends = [f"[{a}]:{n}" if family == 6 else f"{a}:{n}" for a, n in ((host, port), (vip, 80))]
                told = c.sluice.ctl("explain", "tcp", *ends)
                expect(told["steps"] and all("stage" in s and "result" in s for s in told["steps"]), told)
                reached = c.get(vip, "/", "--local-port", port).split()[0]
                expect(names.get(told["backend"]) == reached, ends, "explained", told["backend"], "reached", reached)


@test(XDP)
def the_socket_speaks_http(c):
    c.service("web", [c.pods[0].serve("http")])
    for verb in ("services", "backends", "flows", "ports"):
        text = c.lb.run("curl", "-sS", "-f", "--unix-socket", c.sluice.socket, f"http://sluice/v1/{verb}")
        expect(isinstance(json.loads(text)["items"], list), text)
    missing = c.lb.run("curl", "-sS", "-o", "/dev/null", "-w", "%{http_code}", "--unix-socket", c.sluice.socket,
                       "http://sluice/v1/nonsense")
    expect(missing == "404", missing)


@test(XDP)
def a_broken_manifest_keeps_its_last_good_content_and_is_named(c):
    vip = c.service("web", [c.pods[0].serve("http")])[4]
    good = (c.sluice.manifests / "web.json").read_text()
    for broken in ("{", good.replace('"port": 80', '"port": "eighty"', 1), good[: len(good) // 2]):
        seen = len(c.sluice.process.log())
        c.sluice.write("web.json", broken)
        c.sluice.wait("the fault to be logged", lambda: "web.json" in c.sluice.process.log()[seen:])
        c.get(vip)
    c.sluice.write("web.json", good)
    # Edited in place, as an editor does, and as YAML in the next document.
    c.service("web", c.pods[:2] and [c.pods[0], c.pods[1].serve("http")])
    expect(set(c.get_many(vip, 60).assert_all_good().pods) == {"s1", "s2"})
