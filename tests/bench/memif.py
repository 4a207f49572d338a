# SPDX-License-Identifier: Apache-2.0
# The daemon between two rings of shared memory: testpmd's flowgen offers without end and discards what comes back. The recipe of
# docs/performance.md, as a row: what can be repeated with a NIC.
import contextlib
import json
import os
import signal
import subprocess

import forward

MAC, PORT = "00:01:02:03:04:01", 1001  # flowgen's own, as are 10.254.0.0 -> 10.253.0.0 and the addresses behind it
RING = 11  # 2,048 descriptors


def device(directory, role, number):
    return f"net_memif{number if role == 'server' else 0},role={role},id={number},socket={directory}/memif{number}.sock," \
           f"socket-abstract=no,rsize={RING}"


class Testpmd(forward.Testpmd):
    """Flowgen on two ports at once, or macswap on one."""

    def __init__(self, directory, name, devices, cpu, *mode):
        forward.Program.__init__(
            self, ["stdbuf", "-oL", "dpdk-testpmd", "--lcores", f"0@0,1@{cpu}", "--main-lcore=0", "--no-pci", "--no-telemetry",
                   "--no-huge", "--no-shconf", "-m", 512, *(f"--vdev={d}" for d in devices), "--", "-i", "--auto-start",
                   "--port-topology=loop", "--nb-cores=1", "--burst=32", "--no-lsc-interrupt", "--total-num-mbufs=32768", *mode],
            directory / f"{name}.log", 1, stdin=subprocess.PIPE)
        forward.wait_for("testpmd", lambda: self.check() and self.sent() >= 0, failure=self.failure)


def objects(flows):
    meta = {"namespace": "bench", "uid": "uid", "creationTimestamp": "2026-01-01T00:00:00Z"}
    addresses = [f"10.253.{i >> 8}.{i & 255}" for i in range(flows)]
    return {"apiVersion": "v1", "kind": "List", "items": [
        {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "discard", **meta},
         "spec": {"type": "ClusterIP", "clusterIP": "10.96.0.9", "selector": {"app": "discard"}, "ipFamilies": ["IPv4"],
                  "externalIPs": addresses, "ports": [{"name": "p", "port": PORT, "protocol": "UDP", "targetPort": PORT}]}},
        {"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
         "metadata": {"name": "discard-a", "labels": {"kubernetes.io/service-name": "discard"}, **meta}, "addressType": "IPv4",
         "ports": [{"name": "p", "port": PORT, "protocol": "UDP"}],
         "endpoints": [{"addresses": [forward.endpoint(i)], "conditions": {"ready": True}} for i in range(4)]}]}


def configuration(directory, row, cpu):
    c = forward.configuration(directory, row, device(directory, "client", 0), [cpu], False)
    (directory / "objects.json").write_text(json.dumps(objects(row.flows)))
    c["ports"][0].update(mac=MAC, profile="memif")
    c["services"]["externalIPs"] = ["10.253.0.0/16"]
    return c


def turns(bench, row):
    """Rates of sluiced and of macswap in its place, turn by turn, and sluiced's counters at the end."""
    directory, cpu = bench.directory, bench.program.cpu
    other = next((c for c in sorted(os.sched_getaffinity(0)) if c != cpu), cpu)
    with contextlib.ExitStack() as stack:
        flowgen = Testpmd(directory, "flowgen", [device(directory, "server", i) for i in (0, 1)], other, "--forward-mode=flowgen",
                          f"--flowgen-flows={row.flows}")
        stack.callback(flowgen.close)
        macswap = Testpmd(directory, "macswap", [device(directory, "client", 1)], cpu, "--forward-mode=macswap")
        stack.callback(macswap.close)
        macswap.pause()
        sluiced = forward.Sluiced(bench.build, directory, configuration(directory, row, cpu), 1)
        stack.callback(sluiced.close)
        forward.wait_for("every flow", lambda: sum(w["flows"] for w in sluiced.stats()["workers"]) >= row.flows)
        sluiced.pause()
        ours, theirs = [], []
        for _ in range(bench.program.passes):
            theirs.append(macswap.turn())
            ours.append(sluiced.turn())
        sluiced.popen.send_signal(signal.SIGCONT)
        return ours, theirs, sluiced.stats()
