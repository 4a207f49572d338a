# SPDX-License-Identifier: Apache-2.0
# A cluster with one who sends without pause: the bed of the tests of overload, and what is asked of it meanwhile.
import contextlib
import json
import signal
import sys
from functools import partial
from pathlib import Path

from cluster import Cluster
from netlab import wait_for
from tap import Bed, expect

FLOODER, CLIENT = "198.51.100.2", "192.0.2.100"
SHORT = {"tcpSynSent": 1, "tcpFinWait": 1, "tcpTimeWait": 1, "tcpClose": 1, "udp": 1, "udpStream": 1}  # seconds
# Takes what it is sent and says nothing: UDP that nobody reads, TCP that nobody accepts.
SILENT = r"""
import signal, socket
udp, tcp = socket.socket(type=socket.SOCK_DGRAM), socket.socket()
udp.bind(("", 7000)); tcp.bind(("", 8080)); tcp.listen(0)
signal.pause()
"""


class FloodedCluster(Cluster):
    """Two arms and a third one, by which the flood comes; s1 serves, s2 is its victim."""

    def _two_arms(self, router_mtu):
        super()._two_arms(router_mtu)
        self.flooder = self.lab.namespace("flooder")
        self.lab.veth(self.flooder, "eth0", self.lb, "uplink")
        self.flooder.address("eth0", f"{FLOODER}/24")

    def _config(self, workers):
        config = super()._config(workers)
        config["ports"].append(self._port(2, "uplink", "198.51.100.1/24"))
        config["routes"] = [{"prefix": "198.18.0.0/15", "via": FLOODER}]
        config["dataplane"].update(flowsPerWorker=4096, timeouts=SHORT)
        return config

    def be_silent(self):
        self.pods[1].ns.start(sys.executable, "-c", SILENT)
        wait_for("the silent servers", lambda: self.pods[1].ns.listening("u", 7000) and self.pods[1].ns.listening("t", 8080))

    def victim_service(self, port):
        return self.service("victim", [self.pods[1]], ports=(port,), families=(4,))[4]

    @contextlib.contextmanager
    def flood(self, kind, vip, port):
        process = self.flooder.start(*program("sender.py"), kind, "eth0", FLOODER, self.port("uplink")["mac"], vip, port)
        try:
            yield
        finally:
            process.end()

    @contextlib.contextmanager
    def standing_still(self):
        """sluiced as if it got no CPU: what comes meanwhile is more than its devices hold."""
        self.sluice.process.send(signal.SIGSTOP)
        try:
            yield
        finally:
            self.sluice.process.send(signal.SIGCONT)

    # --- what is seen ---

    def port(self, name):
        return next(p for p in self.sluice.items("ports") if p["name"] == name)

    def stats(self):
        return json.loads(self.lb.run(self.sluice.ctl_program, "--socket", self.sluice.socket, "stats", "-o", "json", timeout=10))

    def offered(self):
        """Frames that left the flooder."""
        return _link(self.flooder, "eth0", "tx")

    def delivered(self):
        """Frames that reached the victim."""
        return _link(self.pods[1].ns, "eth0", "rx")

    def wait_for_more(self, what, count, n):
        """Of a counter, from now on."""
        least = count() + n
        self.sluice.wait(f"{n} more packets to be {what}", lambda: count() >= least, 15)

    def expect_control(self, vip):
        """Sluice answers for itself: ARP and echo among the flood, the same on the other cable, and sluicectl."""
        self._ask(self.flooder, FLOODER, "-", vip)
        self._ask(self.client, CLIENT, self.port("wan")["mac"], "192.0.2.1", vip)
        for verb in ("stats", "ports", "services"):
            self.lb.run(self.sluice.ctl_program, "--socket", self.sluice.socket, verb, timeout=10)

    def _ask(self, who, own, mac, *targets):
        done = who.run(*program("ask.py"), "eth0", own, mac, *targets, check=False)
        expect(done.returncode == 0, done.stderr)

    def expect_rest(self):
        """Nothing remains of a flood: flows expire, and no buffer is missing, each of which was used many times."""
        self.sluice.wait("flows to expire", lambda: all(w["flows"] == w["halfOpen"] == 0 for w in self.stats()["workers"]), 15)
        buffers = self.stats()["lostAt"]["buffers"]
        expect(not any(buffers.values()), "buffers ran out:", buffers)
        vip = self.service("after", [self.pods[0].serve("http")])[4]
        self.get_many(vip, 50).assert_all_good()


def program(name):
    return sys.executable, "-B", Path(__file__).with_name(name)


def _link(namespace, device, way):
    return json.loads(namespace.ip(f"-j -s link show {device}"))[0]["stats64"][way]["packets"]


def make(lab, build, **arguments):
    cluster = FloodedCluster(lab, build, pods=2, **arguments)
    cluster.sluice.start()
    cluster.be_silent()
    return cluster


XDP_FLOODED = Bed("af_xdp-flooded", partial(make, device="af_xdp"))
PACKET_FLOODED = Bed("af_packet-flooded", partial(make, device="af_packet"))
