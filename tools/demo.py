# SPDX-License-Identifier: Apache-2.0
# The demo behind tools/demo: pods share requests, one dies, one comes, a download does not notice.
import argparse
import collections
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

sys.dont_write_bytecode = True
from cluster import Cluster  # noqa: E402
from netlab import Lab, LabError  # noqa: E402

KEPT = Path("/run/sluice-demo.json")
TTY = sys.stdout.isatty()
BAR = 40
DRAWING = """
                           sluiced
  +----------+        +--------------+        +--------+---- s1  10.0.0.11
  |  client  |--------| wan      lan |--------| switch |---- s2  10.0.0.12
  +----------+        +--------------+        +--------+---- s3  10.0.0.13
  192.0.2.100         192.0.2.1                        '---- s4  10.0.0.14 (later)
                      10.0.0.1
  routes 203.0.113.0/24     203.0.113.1-30 are the           nginx and dnsmasq in each,
  to 192.0.2.1              addresses to give away           every box a network namespace
"""


def colour(code, text):
    return f"\033[{code}m{text}\033[0m" if TTY else text


def title(text):
    print(f"\n{colour('1', text)}\n{'-' * len(text)}", flush=True)


class Board:
    """Requests by pod since the last headline; redrawn in place on a terminal, printed now and then elsewhere."""

    def __init__(self, cluster, vip):
        self.cluster, self.vip = cluster, vip
        self.state = {p.name: "" for p in cluster.pods}
        self.download = None
        self.lines = 0

    def headline(self, text):
        self.counts, self.failed, self.lines = collections.Counter(), 0, 0
        print(f"\n{colour('1', text)}", flush=True)

    def run(self, seconds):
        """Requests for so long, with the picture every quarter of a second on a terminal, else at the end."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.batch()
            if TTY:
                self.draw()
        self.draw()

    def batch(self):
        done = self.cluster.get_many(self.vip, 60, parallel=6)
        self.counts.update(done.pods)
        self.failed += done.n - done.good

    def draw(self):
        if TTY and self.lines:
            print(f"\033[{self.lines}A", end="")
        most = max(self.counts.values(), default=0) or 1
        lines = []
        for pod in self.cluster.pods:
            n = self.counts[pod.name]
            bar = colour({"": "32", "new": "36"}.get(self.state[pod.name], "31"), f"{'#' * (n * BAR // most):<{BAR}}")
            lines.append(f"  {pod.name}  {pod.v4:<10} |{bar}| {n:>6}  {self.state[pod.name]:<12}")
        failed = colour("31", str(self.failed)) if self.failed else "0"
        lines.append(f"  requests {sum(self.counts.values())}, failed {failed}      "
                     f"download {self.download.size() / 1e6:5.1f} MB from {self.download.pod().name}   ")
        print(*lines, sep="\n", flush=True)
        self.lines = len(lines)


def table(cluster, *verb):
    done = cluster.sluice.ctl_done(*verb)
    print(*(f"  {line}" for line in done.stdout.splitlines()), sep="\n")


def download_from_other_than(cluster, vip, pod):
    while True:
        download = cluster.start_download(vip, "/long/file")
        if download.pod() is not pod:
            return download
        download.process.end()


def show(cluster):
    s1, s2, s3, s4 = cluster.pods
    for pod in (s1, s2, s3):
        pod.serve("http", "dns")
    print(colour("36", DRAWING))
    print("  starting sluiced", flush=True)
    cluster.sluice.start()
    web = cluster.service("web", [s1, s2, s3])
    cluster.service("api", [s1, s2, s3], mode="dnat")
    cluster.service("dns", [s1, s2, s3], ports=("dns",), mode="dnat", sessionAffinity="ClientIP")

    title("The Services: sluicectl services")
    table(cluster, "services")
    title(f"Where would a connection go? sluicectl explain tcp 192.0.2.100:40000 {web[4]}:80")
    table(cluster, "explain", "tcp", "192.0.2.100:40000", f"{web[4]}:80")
    print(f"\n  and there it goes: {cluster.get(web[4], '/', '--local-port', 40000).strip()}  (the pod, and the address it saw)")

    board = Board(cluster, web[4])
    board.state["s4"] = "not yet"
    board.download = download_from_other_than(cluster, web[4], s2)
    title(f"Requests to http://{web[4]}/ by pod, over one long download")
    board.headline("three pods share")
    board.run(7)

    board.headline("s2 dies; its address is still in the EndpointSlice")
    board.state["s2"] = "dead"
    s2.servers.pop("http").end(signal.SIGKILL)
    board.run(1)
    cluster.service("web", [s1, s3])
    board.state["s2"] = "gone"
    board.headline("the EndpointSlice follows: s2 is gone")
    board.run(6)

    s4.serve("http")
    board.state["s4"] = "new"
    cluster.service("web", [s1, s3, s4])
    board.headline("s4 comes in its place")
    board.run(7)

    title("The backends: sluicectl backends default/web")
    table(cluster, "backends", "default/web")
    began = board.download.pod().name
    board.download.assert_whole()
    print(colour("32", f"\n  The download from {began} is whole: {board.download.size()} bytes, its SHA-256 is right."))
    after = cluster.get_many(web[4], 1000).assert_all_good()
    print(colour("32", f"  And 1000 more requests, 0 failed: {', '.join(f'{p} {n}' for p, n in sorted(after.pods.items()))}\n"))


def remember(lab, cluster, build):
    """Writes down what is left up, and says how to use it."""
    def started(pid):
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[19]
    KEPT.write_text(json.dumps({
        "dir": str(lab.dir), "namespaces": [n.name for n in lab.namespaces],
        "processes": [[p.pid, started(p.pid)] for p in lab.processes if p.running()]}))
    vip = cluster.addresses("web")[4]
    print(f"""  It stays up:
    ip netns exec {cluster.client.name} curl http://{vip}/
    {build}/app/sluicectl/sluicectl --socket {cluster.sluice.socket} services
    edit {cluster.sluice.manifests}/web.json
  tools/demo --down removes it.
""")


def take_down():
    """Ends the processes that a demo left up (and only those: pid and start time agree) and removes the rest."""
    if not KEPT.exists():
        print("nothing was kept")
        return 0
    kept = json.loads(KEPT.read_text())
    for number in (signal.SIGTERM, signal.SIGKILL):
        for pid, started in kept["processes"]:
            try:
                if Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[19] == started:
                    os.killpg(pid, number)
            except (FileNotFoundError, ProcessLookupError):
                pass
        if number == signal.SIGTERM:
            deadline = time.monotonic() + 3
            while time.monotonic() < deadline and any(alive(pid) for pid, _ in kept["processes"]):
                time.sleep(0.05)
    for name in kept["namespaces"]:
        subprocess.run(["ip", "netns", "del", name], stderr=subprocess.DEVNULL, check=False)
    subprocess.run(["rm", "-rf", kept["dir"]], check=False)
    KEPT.unlink()
    return 0


def alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", required=True)
    parser.add_argument("--device", default="af_xdp")
    parser.add_argument("--keep", action="store_true")
    parser.add_argument("--down", action="store_true")
    options = parser.parse_args()
    if options.down:
        return take_down()
    if KEPT.exists():
        print("an earlier demo is still up: tools/demo --down removes it", file=sys.stderr)
        return 1
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit(143))
    signal.signal(signal.SIGINT, signal.default_int_handler)
    lab = Lab(keep=options.keep, prefix="sluice" if options.keep else None)
    good = False
    try:
        cluster = Cluster(lab, options.build, options.device)
        show(cluster)
        good = True
        if options.keep:
            remember(lab, cluster, options.build)
        return 0
    except LabError as e:
        print(f"\n  the demo failed: {e}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    finally:
        if not (options.keep and good):
            lab.close()


if __name__ == "__main__":
    sys.exit(main())
