# SPDX-License-Identifier: Apache-2.0
# Real connections through a sluiced whose API server is unwell.
"""
   client ---- wan [ sluiced ] lan ---- switch ---- s1   nginx
 192.0.2.100          |                    +------- s2
             fault server on the           +------- s3
             loopback of this namespace
"""
import contextlib
import copy
import ctypes
import itertools
import os
import signal
import socket

import bed
import faults
from bed import VIPS, expect, test
from cluster import Cluster
from faults import Fault
from netlab import Lab
from objects import service, slice_of
from resources import SERVICES, SLICES
from server import ApiServer

CLONE_NEWNET = 0x40000000
numbers = itertools.count()  # of labs, of which several may be there at once


def socket_in(namespace):
    """Makes sockets in it: a namespace belongs to a thread, and a socket to the one that it was made in."""
    libc = ctypes.CDLL(None, use_errno=True)

    def enter(path):
        fd = os.open(path, os.O_RDONLY)
        failed = libc.setns(fd, CLONE_NEWNET)
        os.close(fd)
        if failed:
            raise OSError(ctypes.get_errno(), f"setns({path})")

    def make(*words):
        home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        try:
            enter(f"/run/netns/{namespace.name}")
            return socket.socket(*words)
        finally:
            enter(f"/proc/self/fd/{home}")
            os.close(home)
    return make


class World:
    """A cluster of namespaces whose sluiced follows a fault server; the Service "web" is on VIPS[1] over three pods."""

    def __init__(self, lab):
        self.cluster = Cluster(lab, bed.build, device="af_packet", pods=3)
        self.pods = [p.serve("http") for p in self.cluster.pods]
        self.server = ApiServer(make_socket=socket_in(self.cluster.lb)).start()
        self.sluice = bed.Daemon(lab.dir, self._config(lab.dir), self.cluster.lb.enter)
        self.server.put(SERVICES, service("web", ip=VIPS[1]))
        self.server.put(SLICES, slice_of("web", [p.v4 for p in self.pods]))
        self.sluice.start()
        self.sluice.wait("three backends", lambda: self.sluice.serves("web", [p.v4 for p in self.pods]))

    def _config(self, directory):
        config = copy.deepcopy(self.cluster.config)
        bed.write_kubeconfig(directory / "kubeconfig", self.server)
        del config["services"]["manifests"]
        config["services"]["kubernetes"] = {"kubeconfig": str(directory / "kubeconfig"), "snapshotFile": str(directory / "snapshot.json")}
        return config

    def close(self):
        self.sluice.kill()
        self.server.stop()


@contextlib.contextmanager
def world():
    with Lab(prefix=f"sl{os.getpid()}-{next(numbers)}") as lab, contextlib.closing(World(lab)) as w:
        yield w


@test(seconds=20, root=True)
def no_request_is_lost_while_the_api_server_comes_and_goes(_):
    with world() as w:
        requests = w.cluster.get_many(VIPS[1], 3000, parallel=4, background=True)
        w.server.stop()
        w.sluice.wait("some answers without it", lambda: requests.answered() > 200, 30)
        storm = [w.server.faults.add(Fault("watch", act=faults.gone_event(), times=6)), w.server.faults.add(Fault("watch", act=faults.cut(100)))]
        w.server.start()
        w.sluice.wait("the storm to pass", lambda: all(f.count == f.times for f in storm), 60)
        w.server.put(SLICES, slice_of("web", [p.v4 for p in w.pods[:2]]))
        w.sluice.wait("a change", lambda: w.sluice.serves("web", [p.v4 for p in w.pods[:2]]), 60)
        requests.finish().assert_all_good()


@test(seconds=15, root=True)
def restarted_without_an_api_server_it_forwards_at_once(_):
    with world() as w:
        w.cluster.get_many(VIPS[1], 50).assert_all_good()
        w.sluice.wait("a snapshot", lambda: w.sluice.has_snapshot(w.server), 20)
        w.server.stop()
        for number in (signal.SIGTERM, signal.SIGKILL):
            w.sluice.stop(number)
            w.sluice.start()
            w.cluster.get_many(VIPS[1], 100).assert_all_good()


@test(seconds=15, root=True)
def an_address_answers_in_the_moment_that_status_shows_it(_):
    with world() as w:
        said = []

        def ask(_, exchange, go_on):
            """Before the API server has even taken the status."""
            address = exchange.request.json()["status"]["loadBalancer"]["ingress"][0]["ip"]
            said.append(w.cluster.get(address, seconds=2, check=False).returncode)
            go_on()
        w.server.faults.add(Fault("patch", SERVICES, act=ask, times=None, when=lambda e: (
            e.target.name != "web" and ((e.request.json().get("status") or {}).get("loadBalancer") or {}).get("ingress"))))
        for i in range(5):
            w.server.put(SLICES, slice_of(f"new-{i}", [p.v4 for p in w.pods]))
            w.server.put(SERVICES, service(f"new-{i}"))
            w.sluice.wait("an address", lambda: len(said) > i)
        expect(not any(said), "curl's status, by Service:", said)
