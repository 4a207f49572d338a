# SPDX-License-Identifier: Apache-2.0
# A worker with nothing to do (idle: sleep): how much of a core it uses, and how long the first packet after a silence waits.
"""A packet here is an ARP request to the port's own address, which the worker answers itself. The second request goes out as
soon as the first is answered, when the worker is awake: what the first took longer is the wait."""
import contextlib
import json
import os
import shutil
import socket
import struct
import subprocess
import tempfile
import time
from pathlib import Path

import forward

SILENCE, REQUESTS, WATCHED = 0.05, 200, 2.0
PORT, PEER = "10.9.9.1", "10.9.9.2"
PEER_MAC = bytes.fromhex("020000000902")
kept = {}


def ip(*words):
    subprocess.run(["ip", *words], check=True, capture_output=True)


def quiet(interface):
    """The kernel says nothing of its own on it."""
    Path(f"/proc/sys/net/ipv6/conf/{interface}/disable_ipv6").write_text("1")
    ip("link", "set", interface, "up", "arp", "off")


@contextlib.contextmanager
def veth():
    """An af_packet port, and the interface that leads to it."""
    ours, peer = f"slb{os.getpid()}a", f"slb{os.getpid()}b"
    ip("link", "add", ours, "type", "veth", "peer", "name", peer)
    try:
        for interface in (ours, peer):
            quiet(interface)
        yield f"net_af_packet0,iface={ours}", peer, lambda: None
    finally:
        ip("link", "del", ours)


@contextlib.contextmanager
def tap():
    interface = f"slb{os.getpid()}t"
    yield f"net_tap0,iface={interface}", interface, lambda: quiet(interface)


def request():
    def address(text):
        return socket.inet_aton(text)
    return (b"\xff" * 6 + PEER_MAC + b"\x08\x06" + struct.pack("!HHBBH", 1, 0x0800, 6, 4, 1) + PEER_MAC + address(PEER)
            + bytes(6) + address(PORT)).ljust(60, b"\0")


def ask(s):
    """Seconds until the answer."""
    start = time.perf_counter()
    s.send(request())
    while True:
        frame = s.recv(2048)
        if frame[12:14] == b"\x08\x06" and frame[20:22] == b"\x00\x02":
            return time.perf_counter() - start


def waits(interface):
    out = []
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0806)) as s:
        s.bind((interface, 0x0806))
        s.settimeout(2)
        ask(s)
        for _ in range(REQUESTS):
            time.sleep(SILENCE)
            first = ask(s)
            out.append(max(0, first - ask(s)) * 1e6)
    return sorted(out)


def share_of_core(pid):
    """Of the busiest thread, in percent."""
    before = forward.cpu_seconds(pid)
    time.sleep(WATCHED)
    after = forward.cpu_seconds(pid)
    return 100 * max(after[t] - before.get(t, 0) for t in after) / WATCHED


def configuration(directory, device, cpu):
    return {
        "apiVersion": "sluice.dev/v1alpha1", "kind": "SluiceConfiguration",
        "dataplane": {"cpus": str(cpu), "memoryMiB": 1024, "flowsPerWorker": 1024, "idle": "sleep"},
        "ports": [{"name": "lan", "device": device, "addresses": [f"{PORT}/24"]}],
        "services": {"manifests": str(directory / "objects.json"), "stateFile": ""},
        "management": {"socket": str(directory / "sluice.sock")},
    }


def measured(kind, program):
    directory = Path(tempfile.mkdtemp(prefix="sluice-bench."))
    with contextlib.ExitStack() as stack:
        stack.callback(shutil.rmtree, directory, ignore_errors=True)
        device, interface, ready = stack.enter_context(tap() if kind == "tap" else veth())
        (directory / "objects.json").write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": []}))
        sluiced = forward.Sluiced(program.build, directory, configuration(directory, device, program.cpu), 1)
        stack.callback(sluiced.close)
        ready()
        time.sleep(0.5) # its first announcements
        found = waits(interface)
        return {"valid": True, "cpu": share_of_core(sluiced.popen.pid), "first-packet-p50": found[len(found) // 2],
                "first-packet-p99": found[len(found) * 99 // 100]}


def measure(kind, program):
    """Kept: three rows come from one run. sleep: sleeps without a worker around them, the ruler of those."""
    if kind == "sleep":
        return program.run("control", what="sleep")
    if kind not in kept:
        try:
            kept[kind] = measured(kind, program)
        except (forward.Failed, OSError, subprocess.CalledProcessError, TimeoutError) as e:
            kept[kind] = {"valid": False, "error": str(e)}
    return kept[kind]
