# SPDX-License-Identifier: Apache-2.0
# The daemon between devices, beside dpdk-testpmd on the same devices, in the same run.
"""Both poll a net_pcap port that plays a capture for ever and drops what is sent. Both are started, and take turns: one is stopped
(SIGSTOP) while the other is counted, so drift of the machine meets both alike. Rates are packets over the CPU time of the
forwarding threads, as in the other rows."""
import contextlib
import http.client
import json
import os
import re
import shutil
import signal
import socket
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

MAC = "02:70:63:61:70:00"  # net_pcap's first port
DATA_ROOM = 256            # of a packet buffer, 128 of headroom included
CAPACITY = 1 << 20
SERVICES, BACKENDS, ENDPOINTS = 1000, 4, 100
TURN = 0.3    # seconds that a program is counted for
SETTLE = 0.1  # after a change of turns


# What is offered without end overruns something that is not measured: rings between workers, the other side of a memif.
EXPECTED_DROPS = {"mixed": "handover-full", "memif": "tx-full"}


class Failed(Exception):
    pass


class TestpmdFailed(Failed):
    """What a row is held against is missing; Sluice did nothing wrong."""


def wait_for(what, condition, seconds=30, failure=Failed):
    end = time.monotonic() + seconds
    while not (value := condition()):
        if time.monotonic() > end:
            raise failure(f"waited {seconds} s in vain for {what}")
        time.sleep(0.02)
    return value


def has_hugepages(mib):
    found = re.search(r"HugePages_Free:\s*(\d+)", Path("/proc/meminfo").read_text())
    return found and int(found.group(1)) * 2 >= mib and "hugetlbfs" in Path("/proc/mounts").read_text()


def cpu_seconds(pid):
    """Of each thread."""
    out = {}
    for task in Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(OSError):
            out[task.name] = int((task / "schedstat").read_text().split()[0]) / 1e9
    return out


class Program:
    """A process that forwards, with a count of what it sent. Its workers are the threads that used the most CPU time."""

    failure = Failed

    def __init__(self, argv, log, workers, env=None, stdin=subprocess.DEVNULL):
        self.log, self.workers = log, workers
        with open(log, "wb") as out:
            self.popen = subprocess.Popen([*map(str, argv)], stdin=stdin, stdout=out, stderr=out, env={**os.environ, **(env or {})})

    def close(self):
        if self.popen.poll() is None:
            self.popen.send_signal(signal.SIGCONT)
            self.popen.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.popen.wait(5)
        if self.popen.poll() is None:
            self.popen.kill()
            self.popen.wait()
        if self.popen.stdin:
            self.popen.stdin.close()

    def check(self):
        if self.popen.poll() is not None:
            raise self.failure(f"{Path(self.popen.args[0]).name}: {self.last_words()}")
        return True

    def last_words(self):
        return " ".join(self.log.read_text(errors="replace").splitlines()[-3:])

    def pause(self):
        self.popen.send_signal(signal.SIGSTOP)

    def turn(self):
        """Packets a CPU second of one worker, times workers."""
        self.popen.send_signal(signal.SIGCONT)
        time.sleep(SETTLE)
        before, sent = cpu_seconds(self.popen.pid), self.sent()
        time.sleep(TURN)
        after, more = cpu_seconds(self.popen.pid), self.sent()
        self.pause()
        used = sorted((after[t] - before.get(t, 0) for t in after), reverse=True)[:self.workers]
        return (more - sent) / (sum(used) / self.workers)


class Testpmd(Program):
    failure = TestpmdFailed

    def __init__(self, directory, device, cpus, mbufs, huge):
        lcores = ",".join(["0@0", *(f"{i + 1}@{cpu}" for i, cpu in enumerate(cpus))])
        n = len(cpus)
        super().__init__(
            ["stdbuf", "-oL", "dpdk-testpmd", "--lcores", lcores, "--main-lcore=0", "--no-pci", "--no-telemetry",
             *(["--in-memory"] if huge else ["--no-huge", "--no-shconf"]),
             "-m", (mbufs * 448 >> 20) + 128, f"--vdev={device}", "--", "-i", "--auto-start", "--forward-mode=macswap",
             "--port-topology=loop", f"--nb-cores={n}", f"--rxq={n}", f"--txq={n}", "--burst=32", f"--mbuf-size={DATA_ROOM}",
             f"--total-num-mbufs={mbufs}", "--no-lsc-interrupt"],
            directory / "testpmd.log", n, stdin=subprocess.PIPE)
        wait_for("testpmd", lambda: self.check() and self.sent() > 0, failure=self.failure)

    def sent(self):
        size = self.log.stat().st_size
        with contextlib.suppress(BrokenPipeError):  # it ended: check() says how
            self.popen.stdin.write(b"show port stats 0\n")
            self.popen.stdin.flush()
        end = time.monotonic() + 10
        while time.monotonic() < end and self.check():
            with open(self.log, "rb") as log:
                log.seek(size)
                if found := re.search(rb"RX-packets: (\d+).*?TX-packets: (\d+).*?####", log.read(), re.S):
                    return int(found.group(1))
            time.sleep(0.001)
        raise self.failure(f"testpmd does not say what it sent; its last words: {self.last_words()}")


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost", timeout=10)
        self.path = str(path)

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class Sluiced(Program):
    def __init__(self, build, directory, config, workers, drivers=None):
        self.socket = directory / "sluice.sock"
        path = directory / "config.json"
        path.write_text(json.dumps(config))
        super().__init__([build / "app/sluiced/sluiced", "--config", path], directory / "sluiced.log", workers,
                         env={"SLUICE_DRIVERS": str(drivers)} if drivers else {})
        wait_for("sluiced", lambda: self.check() and self.socket.exists() and b"ready" in self.log.read_bytes())

    def stats(self):
        connection = UnixConnection(self.socket)
        with contextlib.closing(connection):
            connection.request("GET", "/v1/stats")
            return json.loads(connection.getresponse().read())

    def sent(self):
        return sum(w["txPackets"] for w in self.stats()["workers"])


# --- what they are given ---

def endpoint(i):
    return f"10.1.0.{i + 1}"


def objects(mode, proto):
    """The same Services as sluice-bench has: 1,000 with 4 backends each out of 100 addresses."""
    items = []
    for i in range(SERVICES):
        first = i * BACKENDS
        addresses = [endpoint((first + j) % ENDPOINTS) for j in range(BACKENDS)]
        port = 8080 + (first // ENDPOINTS if mode == "dnat" else 0)
        name, meta = f"service-{i}", {"namespace": "bench", "uid": f"uid-{i}", "creationTimestamp": "2026-01-01T00:00:00Z"}
        vip = f"198.18.{(i + 1) >> 8}.{(i + 1) & 255}"
        ports = [{"name": "p", "port": 80, "protocol": proto.upper(), "targetPort": port}]
        items.append({"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, **meta},
                      "spec": {"type": "LoadBalancer", "ports": ports, "selector": {"app": name}, "ipFamilies": ["IPv4"],
                               "clusterIP": f"10.96.{i >> 8}.{i & 255}"},
                      "status": {"loadBalancer": {"ingress": [{"ip": vip}]}}})
        items.append({"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
                      "metadata": {"name": name + "-a", "labels": {"kubernetes.io/service-name": name}, **meta},
                      "addressType": "IPv4", "ports": [{"name": "p", "port": port, "protocol": proto.upper()}],
                      "endpoints": [{"addresses": [a], "conditions": {"ready": True}} for a in addresses]})
    return {"apiVersion": "v1", "kind": "List", "items": items}


def configuration(directory, row, device, cpus, huge):
    (directory / "objects.json").write_text(json.dumps(objects(row.mode, row.proto)))
    neighbours = [("10.1.254.254", "02:00:00:02:00:fe")] + [(endpoint(i), f"02:00:00:02:00:{i:02x}") for i in range(ENDPOINTS)]
    services = {"manifests": str(directory / "objects.json"), "stateFile": "", "defaults": {"forwarding": row.mode}}
    if row.mode == "fullnat":
        services["snatAddresses"] = [f"10.1.254.{i + 1}" for i in range(4)]
    return {
        "apiVersion": "sluice.dev/v1alpha1", "kind": "SluiceConfiguration",
        "dataplane": {"cpus": ",".join(map(str, cpus)), "memoryMiB": 16384, "hugepages": "auto" if huge else "off", "flowsPerWorker": max(CAPACITY, 2 * row.flows // len(cpus)),
                      "idle": "pause", "timeouts": {k: 3600 for k in ("tcpSynSent", "tcpEstablished", "udp", "udpStream")}},
        "ports": [{"name": "lan", "device": device, "profile": "pcap", "addresses": ["10.1.255.1/16"]}],
        "routes": [{"prefix": "0.0.0.0/0", "via": "10.1.254.254"}],
        "neighbors": [{"address": a, "mac": m} for a, m in neighbours],
        "services": services,
        "management": {"socket": str(directory / "sluice.sock")},
    }


def buffers(flows):
    """More than the capture: what is on its way, in rings and in caches."""
    return flows + 32768


class Bench:
    """Captures and programs of rows of kind forward; closing it ends what runs and removes what was written."""

    def __init__(self, build, program):
        self.build, self.program = build, program

    def __enter__(self):
        self.directory = Path(tempfile.mkdtemp(prefix="sluice-bench."))
        return self

    def __exit__(self, *_):
        shutil.rmtree(self.directory, ignore_errors=True)

    def capture(self, row, number, split):
        """A file of the row's flows; split: only those that worker `number` owns, else a part of all."""
        path = self.directory / f"{row.proto}-{row.flows}-{row.workers}-{number}-{'owned' if split else 'any'}.pcap"
        if not path.exists():
            share = row.flows // row.workers
            words = {"flows": row.flows, "worker": number, "workers": row.workers} if split else \
                {"flows": share, "first": number * share}
            words.update(file=path, mac=MAC, family=row.family, proto=row.proto)
            made = self.program.run("capture", **words)
            if "error" in made:
                raise Failed(made["error"])
        return path

    def profile(self, held):
        drivers = self.directory / "drivers"
        drivers.mkdir(exist_ok=True)
        (drivers / "pcap.json").write_text(json.dumps({
            "description": "the benchmark's", "drivers": ["net_pcap"], "queues": "device", "dataRoom": DATA_ROOM, "heldBuffers": held}))

    def turns(self, row):  # one of the ways to fill in measure()
        """Rates of sluiced and of testpmd, turn by turn, and sluiced's counters at the end."""
        split = row.workers > 1 and row.what != "mixed"
        captures = [self.capture(row, i, split) for i in range(row.workers)]
        device = "net_pcap0," + ",".join(f"rx_pcap={c}" for c in captures) + ",infinite_rx=1"
        last = self.program.cpu
        cpus = [last] if row.workers == 1 else [(last + i) % os.cpu_count() for i in range(row.workers)]
        held = buffers(row.flows)
        self.profile(held)
        huge = has_hugepages(2 * held * 512 >> 20) # both or none, so that they differ in what they do
        with contextlib.ExitStack() as stack:
            sluiced = Sluiced(self.build, self.directory, configuration(self.directory, row, device, sorted(cpus), huge), row.workers,
                              self.directory / "drivers")
            stack.callback(sluiced.close)
            wait_for("every flow", lambda: sum(w["flows"] for w in sluiced.stats()["workers"]) >= row.flows * 0.999)
            sluiced.pause()
            testpmd = Testpmd(self.directory, device, cpus, held + 8192, huge)
            stack.callback(testpmd.close)
            testpmd.pause()
            ours, theirs = [], []
            for _ in range(self.program.passes):
                theirs.append(testpmd.turn())
                ours.append(sluiced.turn())
            sluiced.popen.send_signal(signal.SIGCONT)
            return ours, theirs, sluiced.stats()

    def measure(self, row, result, rates, turns):
        try:
            ours, theirs, stats = turns(self, row)
        except TestpmdFailed as e:
            return {**result, "error": f"testpmd: {e}", "fault_of": "testpmd"}
        except (Failed, OSError, KeyError, ValueError, http.client.HTTPException) as e:
            return {**result, "error": str(e)}
        drops = {k: v for k, v in stats["drops"].items() if v}
        flows = sum(w["flows"] for w in stats["workers"])
        if drops:
            result["drops"] = drops
        drops.pop(EXPECTED_DROPS.get(row.what), None)
        if drops or abs(flows - row.flows) > row.flows // 1000:
            return {**result, "flows_found": flows}
        hz = self.program.tsc_hz()
        rates(result, [hz / rate for rate in ours], hz)
        ceiling = statistics.median(theirs)
        result["ceiling_mpps"] = round(ceiling / 1e6, 2)
        result["ratio"] = round(result["mpps"] / result["ceiling_mpps"], 3)
        result["ns_difference"] = round(result["ns_per_packet"] - 1e9 / ceiling, 2)
        result["ceiling_spread"] = round((max(theirs) - min(theirs)) / ceiling, 3)
        return {**result, "valid": True}
