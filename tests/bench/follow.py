# SPDX-License-Identifier: Apache-2.0
# Rows control/api/...: sluiced follows tests/apifault's server, which has no faults here but 10,000 Services and 100,000 endpoints.
"""One run gives all of them:

    start, objects from the API server   ->  cold-start          20 Services a second are created   ->  create/p50, p99
    relist                               ->  relist, memory      start while it is away             ->  snapshot-start
    500 slices a second change           ->  event/p50, p99

What the daemon has done is asked of `GET /v1/kube`, about once a millisecond: the version up to which a stream's events are in the tables, the
generation of these, and the one that each worker reads. An answer counts from when it arrived."""
import contextlib
import json
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import forward

SERVICES, ENDPOINTS = 10_000, 10  # endpoints of each
RATE, CHURN = 500, 10
CREATE_RATE, CREATE = 20, 10
TABLE = 16_381  # bytes of a look-up table of ten backends
STEP = 0.0005
kept = {}


class Load:
    """tests/bench/load.py and a way to talk with it."""

    def __init__(self):
        self.popen = subprocess.Popen([sys.executable, Path(__file__).with_name("load.py")], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def do(self, verb, **words):
        self.popen.stdin.write(json.dumps({"do": verb, **words}) + "\n")
        self.popen.stdin.flush()
        answer = json.loads(self.popen.stdout.readline() or '{"error": "the API server died"}')
        if "error" in answer:
            raise forward.Failed(answer["error"])
        return answer

    def close(self):
        self.popen.kill()
        self.popen.wait()


class Daemon(forward.Program):
    def __init__(self, build, directory):
        self.socket = directory / "sluice.sock"
        self.connection = None
        self.began = time.monotonic_ns()
        super().__init__([build / "app/sluiced/sluiced", "--config", directory / "config.json"], directory / "sluiced.log", 1)

    def kube(self):
        """Its answer, and when it was there."""
        for _ in range(2):  # the server may close a connection between two requests
            try:
                if self.connection is None:
                    self.connection = forward.UnixConnection(self.socket)
                self.connection.request("GET", "/v1/kube")
                said = json.loads(self.connection.getresponse().read())
                return said, time.monotonic_ns()
            except (OSError, forward.http.client.HTTPException):
                self.connection = None
        return None, time.monotonic_ns()

    def wait(self, what, condition, seconds=60):
        """When the condition on what it says came true, in ns."""
        end = time.monotonic() + seconds
        while time.monotonic() < end and self.check():
            said, at = self.kube()
            if said is not None and condition(said):
                return at
            time.sleep(STEP)
        raise forward.Failed(f"waited {seconds} s in vain for {what}")

    def memory(self, what):
        """MiB: VmRSS, or VmHWM, the most that it ever was."""
        for line in Path(f"/proc/{self.popen.pid}/status").read_text().splitlines():
            if line.startswith(what + ":"):
                return int(line.split()[1]) / 1024
        return 0.0

    def forget_peak(self):
        Path(f"/proc/{self.popen.pid}/clear_refs").write_text("5")


def applied(said):
    """The version that the workers' tables hold of the slices; 0 while they have not all come."""
    if min(said["workersAt"], default=0) < said["generation"]:
        return 0
    return next((int(s["appliedVersion"] or 0) for s in said["items"] if s["resource"] == "endpointslices"), 0)


def is_synced(version):
    return lambda said: said["synced"] and applied(said) >= version


def configuration(directory, url, cpu):
    kubeconfig = {"apiVersion": "v1", "kind": "Config", "current-context": "b", "clusters": [{"name": "b", "cluster": {"server": url}}],
                  "users": [{"name": "b", "user": {}}], "contexts": [{"name": "b", "context": {"cluster": "b", "user": "b"}}]}
    (directory / "kubeconfig").write_text(json.dumps(kubeconfig))
    (directory / "config.json").write_text(json.dumps({
        "apiVersion": "sluice.dev/v1alpha1", "kind": "SluiceConfiguration",
        "dataplane": {"cpus": str(cpu), "memoryMiB": 4096, "flowsPerWorker": 4096, "idle": "sleep", "hugepages": "off"},
        "ports": [{"name": "lan", "device": "net_null0,no-rx=1", "addresses": ["10.0.0.1/24"]}],
        "routes": [{"prefix": "0.0.0.0/0", "via": "10.0.0.254"}], "neighbors": [{"address": "10.0.0.254", "mac": "02:00:00:00:00:fe"}],
        "services": {"kubernetes": {"kubeconfig": str(directory / "kubeconfig"), "snapshotFile": str(directory / "snapshot")},
                     "stateFile": "", "snatAddresses": ["10.0.0.250"], "addressPools": [{"name": "public", "addresses": ["198.18.0.0/16"]}]},
        "management": {"socket": str(directory / "sluice.sock")},
    }))


class Polls(threading.Thread):
    """What the daemon had applied, and when, until it is told to stop."""

    def __init__(self, daemon):
        super().__init__(daemon=True)
        self.daemon_process, self.seen, self.over = daemon, [], False

    def run(self):
        while not self.over:
            said, at = self.daemon_process.kube()
            if said is not None:
                version = applied(said)
                if version and (not self.seen or version > self.seen[-1][0]):
                    self.seen.append((version, at))
            time.sleep(STEP)


def latencies(sent, seen):
    """ms from each event's bytes to the first answer that showed it."""
    out, k = [], 0
    for version, at in sent:
        while k < len(seen) and seen[k][0] < version:
            k += 1
        if k == len(seen):
            raise forward.Failed(f"event {version} was never seen in the tables")
        out.append(max(0, seen[k][1] - at) / 1e6)
    return sorted(out)


def quantiles(name, values):
    return {f"{name}/p50": values[len(values) // 2], f"{name}/p99": values[len(values) * 99 // 100]}


def churned(load, daemon):
    polls = Polls(daemon)
    polls.start()
    told = load.do("churn", rate=RATE, seconds=CHURN)
    daemon.wait("the last event", lambda said: applied(said) >= told["sent"][-1][0])
    polls.over = True
    polls.join()
    seen = polls.seen + [(told["sent"][-1][0], time.monotonic_ns())]
    if told["seconds"] > 1.1 * CHURN:
        raise forward.Failed(f"the load was too slow: {RATE * CHURN} events in {told['seconds']:.1f} s")
    return quantiles("event", latencies(told["sent"], seen))


def relisted(load, daemon, empty):
    """Memory without the daemon's fixed part and without look-up tables."""
    daemon.forget_peak()
    before = daemon.kube()[0]["generation"]
    told = load.do("relist")
    done = daemon.wait("the relist", is_synced(told["version"]))
    changed = daemon.kube()[0]["generation"] - before
    if changed > 3:
        raise forward.Failed(f"{changed} generations by one changed slice")
    tables = SERVICES * TABLE / 2**20
    return {"relist": (done - told["asked"]) / 1e9, "memory": daemon.memory("VmHWM") - empty - tables}


def created(load):
    told = load.do("create", rate=CREATE_RATE, seconds=CREATE)
    if told["missing"]:
        raise forward.Failed(f"{told['missing']} of {CREATE_RATE * CREATE} new Services got no address")
    return quantiles("create", told["ms"])


class Run:
    """The API server, a directory, and one daemon at a time."""

    def __init__(self, program, stack):
        self.program, self.stack = program, stack
        self.directory = Path(tempfile.mkdtemp(prefix="sluice-bench."))
        stack.callback(shutil.rmtree, self.directory, ignore_errors=True)
        self.load = Load()
        stack.callback(self.load.close)
        configuration(self.directory, self.load.do("serve")["url"], program.cpu)
        self.daemon = None

    def start(self):
        if self.daemon is not None:
            self.daemon.close()
        self.daemon = Daemon(self.program.build, self.directory)
        self.stack.callback(self.daemon.close)
        return self.daemon

    def steps(self):
        """Figures, as they come."""
        d = self.start()
        d.wait("an empty cluster", lambda said: said["synced"])
        empty = d.memory("VmRSS")
        self.load.do("fill", services=SERVICES, endpoints=ENDPOINTS)
        (self.directory / "snapshot").unlink(missing_ok=True)
        version = self.load.do("version")["version"]
        d = self.start()
        yield {"cold-start": (d.wait("the whole cluster", is_synced(version)) - d.began) / 1e9}
        self.load.do("quiet", seconds=2, limit=300)
        yield relisted(self.load, d, empty)
        yield churned(self.load, d)
        yield created(self.load)
        d.close()  # writes a snapshot
        self.load.do("away")
        d = self.start()
        done = d.wait("the snapshot's Services", lambda said: said["snapshot"]["serving"] and min(said["workersAt"]) >= said["generation"] > 1)
        yield {"snapshot-start": (done - d.began) / 1e9}


def measure(program):
    """Kept: all rows come from one run. What came before a fault is good."""
    if not kept:
        kept["valid"] = True
        with contextlib.ExitStack() as stack:
            try:
                for figures in Run(program, stack).steps():
                    kept.update(figures)
            except (forward.Failed, OSError, KeyError, ValueError) as e:
                kept["error"] = str(e) if isinstance(e, forward.Failed) else repr(e)
    return kept
