# SPDX-License-Identifier: Apache-2.0
# The beds that tests lie in (topology, devices, workers) and the list of tests.
"""A test is a function of a Cluster; its name is the claim. Tests of one bed share a running sluiced, one after another;
each makes its own Services, which are removed behind it. A test that leaves sluiced dead gets the next one a fresh bed."""
import collections
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools"))
from cluster import Cluster  # noqa: E402
from netlab import LabError, wait_for  # noqa: E402,F401

Bed = collections.namedtuple("Bed", "name arguments")
Test = collections.namedtuple("Test", "name function bed")

XDP = Bed("af_xdp", {"device": "af_xdp"})
PACKET = Bed("af_packet", {"device": "af_packet"})
XDP_TWO_WORKERS = Bed("af_xdp-2-workers", {"device": "af_xdp", "workers": 2})
PACKET_TWO_WORKERS = Bed("af_packet-2-workers", {"device": "af_packet", "workers": 2, "qpairs": 2})
XDP_ONE_ARM = Bed("af_xdp-one-arm", {"device": "af_xdp", "shape": "one-arm"})
PACKET_ONE_ARM = Bed("af_packet-one-arm", {"device": "af_packet", "shape": "one-arm"})
XDP_NARROW = Bed("af_xdp-1400-byte-hop", {"device": "af_xdp", "router_mtu": 1400, "pods": 1})
PACKET_NARROW = Bed("af_packet-1400-byte-hop", {"device": "af_packet", "router_mtu": 1400, "pods": 1})

BOTH = (XDP, PACKET)
TWO_WORKERS = (PACKET_TWO_WORKERS, XDP_TWO_WORKERS)
ONE_ARM = (XDP_ONE_ARM, PACKET_ONE_ARM)
NARROW = (XDP_NARROW, PACKET_NARROW)

tests = []


def test(*beds):
    """Registers a test for each of the beds."""
    def register(function):
        tests.extend(Test(function.__name__, function, bed) for bed in beds)
        return function
    return register


def expect(condition, *what):
    """Fails with what was seen."""
    if not condition:
        raise LabError(" ".join(map(str, what)))


def make(bed, lab, build):
    """A cluster whose sluiced runs."""
    cluster = Cluster(lab, build, **bed.arguments)
    cluster.sluice.start()
    return cluster


class Conversation:
    """A TCP connection to the echo of a Service: says something at its start, and again when told to go on."""

    CODE = r"""
import socket, sys
s = socket.create_connection((sys.argv[1], 7001), 5)
s.sendall(b"hello\n"); assert s.recv(100) == b"hello\n"
print("up", flush=True)
sys.stdin.readline()
s.settimeout(5)
try:
    s.sendall(b"still there?\n")
    print("answer", s.recv(100).decode().strip(), flush=True)
except OSError as e:
    print("errno", e.errno, flush=True)
"""

    def __init__(self, cluster, address):
        self.process = subprocess.Popen([*cluster.client.enter, "setpriv", "--pdeathsig", "KILL", sys.executable, "-c", self.CODE,
                                         address], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        if self.process.stdout.readline() != "up\n":
            self.__exit__()
            raise LabError(f"no connection to {address}")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()

    def go_on(self):
        """"answer TEXT", or "errno N" when the connection is gone."""
        out, _ = self.process.communicate("go\n", timeout=15)
        return out.strip()
