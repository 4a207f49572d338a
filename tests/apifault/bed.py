# SPDX-License-Identifier: Apache-2.0
# What a test stands on: a fault server and real sluiceds on devices that carry nothing, so that no root is needed.
"""A test is a function; its name is the claim. With a parameter it gets a Case, whose processes and files end with it:

    @test()
    def a_claim(case):
        case.server.put(SERVICES, service("web"))
        d = case.daemon()                    a running sluiced that follows case.server
        case.wait("an address", lambda: d.addresses("web"))

Cases run several at once, each with a server and a directory of its own. Nothing sleeps for luck: wait() polls until a deadline.
"""
import collections
import http.client
import inspect
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tools"))
from netlab import LabError, wait_for  # noqa: E402
import objects  # noqa: E402
from resources import SERVICES, SLICES  # noqa: E402
from server import ApiServer  # noqa: E402

Test = collections.namedtuple("Test", "name function seconds root")
tests = []
build = Path()  # set by run.py

POOL = "203.0.113.0/24"
VIPS = [f"203.0.113.{i}" for i in range(256)]
CLIENT = "198.51.100.7:40000"
PATIENCE = 30  # seconds; a busy machine lets a daemon's only control CPU wait for ten


def test(seconds=10, root=False):
    """Registers a test. seconds: about how long it takes, so that long ones begin first."""
    def register(function):
        tests.append(Test(function.__name__, function, seconds, root))
        return function
    return register


def expect(condition, *what):
    """Fails with what was seen."""
    if not condition:
        raise LabError(" ".join(map(str, what)))


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost", timeout=30)
        self.path = str(path)

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


def write_kubeconfig(path, server, **user):
    """user: fields of the user in it. With TLS the CA is ca.crt beside it."""
    cluster = {"server": server.url}
    if server.tls is not None:
        cluster["certificate-authority"] = "ca.crt"
    path.write_text(json.dumps({
        "apiVersion": "v1", "kind": "Config", "current-context": "fault",
        "clusters": [{"name": "fault", "cluster": cluster}], "users": [{"name": "sluice", "user": user}],
        "contexts": [{"name": "fault", "context": {"cluster": "fault", "user": "sluice"}}]}))


class Clock:
    """Libfaketime between a program and its clocks: hours pass in no time. both: the monotonic clock as well as that on the wall."""

    def __init__(self, directory, both):
        library = next(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"), None)
        if library is None:
            raise LabError("libfaketime is missing: apt-get install faketime")
        self.path, self.ahead = directory / "clock", 0
        self.env = {"LD_PRELOAD": str(library), "FAKETIME_TIMESTAMP_FILE": str(self.path), "FAKETIME_NO_CACHE": "1",
                    "FAKETIME_DONT_FAKE_MONOTONIC": "0" if both else "1"}
        self.turn(0)

    def turn(self, seconds):
        """Forward, or back."""
        self.ahead += seconds
        fresh = self.path.with_suffix(".new")
        fresh.write_text(f"{self.ahead:+d}\n")
        fresh.rename(self.path)


class Daemon:
    """A sluiced, its configuration, and what it says about itself."""

    def __init__(self, directory, config, enter=(), clock=None):
        self.directory, self.enter, self.clock = directory, list(enter), clock
        self.socket = directory / "sluice.sock"
        self.config = directory / "sluice.json"
        self.log_path = directory / "sluiced.log"
        self.popen = None
        config["management"] = {"socket": str(self.socket)}
        self.config.write_text(json.dumps(config, indent=1))

    def start(self, seconds=30):
        self.socket.unlink(missing_ok=True)
        with open(self.log_path, "ab") as log:
            self.popen = subprocess.Popen(
                [*self.enter, "setpriv", "--pdeathsig", "KILL", build / "app/sluiced/sluiced", "--config", self.config],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
                env={**os.environ, **(self.clock.env if self.clock else {})})
        self.wait("sluiced to answer on its socket", self._answers, seconds)
        return self

    def _answers(self):
        if self.popen.poll() is not None:
            raise LabError(f"sluiced ended with status {self.popen.returncode}:\n{self.log()[-3000:]}")
        try:
            return self.socket.exists() and self.get("stats")
        except OSError:
            return False

    def stop(self, number=signal.SIGTERM):
        """Its exit status."""
        if self.popen.poll() is None:
            self.popen.send_signal(number)
        try:
            return self.popen.wait(15)
        except subprocess.TimeoutExpired:
            self.popen.kill()
            self.popen.wait()
            raise LabError(f"sluiced did not end within 15 s; its log ends:\n{self.log()[-2000:]}") from None

    def kill(self):
        """Whatever state it is in."""
        if self.popen is not None and self.popen.poll() is None:
            self.popen.kill()
            self.popen.wait()

    def log(self):
        return self.log_path.read_text(errors="replace")

    def wait(self, what, condition, seconds=PATIENCE):
        try:
            return wait_for(what, condition, seconds)
        except LabError as e:
            raise LabError(f"{e}; kube says {self._last_words()}") from None

    def soon(self, what, condition, seconds=PATIENCE):
        """Waits while its clock runs fifty times as fast: for what follows after a pause. It needs a clock that is "both"."""
        def look():
            value = condition()
            if not value:
                self.clock.turn(1)
            return value
        return self.wait(what, look, seconds)

    def _last_words(self):
        try:
            return json.dumps(self.get("kube"))
        except (OSError, LabError) as e:
            return f"nothing: {e}"

    # --- what it says ---

    def get(self, verb):
        connection = UnixConnection(self.socket)
        try:
            connection.request("GET", f"/v1/{verb}")
            answer = connection.getresponse()
            data = answer.read()
        finally:
            connection.close()
        if answer.status != 200:
            raise LabError(f"GET /v1/{verb}: {answer.status} {data[:300]!r}")
        return json.loads(data)

    def ctl(self, *argv):
        done = subprocess.run([build / "app/sluicectl/sluicectl", "--socket", self.socket, *argv, "-o", "json"],
                              capture_output=True, text=True, timeout=20)
        if done.returncode != 0:
            raise LabError(f"sluicectl {' '.join(argv)}: status {done.returncode}: {done.stderr.strip()}")
        return json.loads(done.stdout)

    def kube(self):
        return self.get("kube")

    def has_snapshot(self, server):
        """The file holds the Services and slices of today."""
        path = self.directory / "snapshot.json"
        text = path.read_text() if path.exists() else ""
        return all(f'"resourceVersion":"{e.version}"' in text for kind in (SERVICES, SLICES) for e in server.store.snapshot(kind)[1])

    def services(self):
        """{namespace/name: row} of the first port of each."""
        rows = {}
        for row in self.get("services")["items"]:
            rows.setdefault(f"{row['namespace']}/{row['name']}", row)
        return rows

    def addresses(self, name, namespace="default"):
        return self.services().get(f"{namespace}/{name}", {}).get("addresses", [])

    def reason(self, name, namespace="default"):
        return self.services().get(f"{namespace}/{name}", {}).get("reason")

    def backends(self, name, namespace="default"):
        """{address: state}"""
        prefix = f"{namespace}/{name}"
        return {b["address"]: b["state"] for b in self.get("backends")["items"]
                if b["service"] == prefix or b["service"].startswith(prefix + ":")}

    def has(self, name, addresses, namespace="default"):
        """Exactly these are ready."""
        return {a for a, state in self.backends(name, namespace).items() if state == "ready"} == set(addresses)

    def serves(self, name, addresses, namespace="default"):
        """The same, and every worker knows it."""
        return self.has(name, addresses, namespace) and self.is_settled()

    def is_settled(self):
        stats = self.get("stats")
        return all(at >= stats["generation"] for at in stats["workersAt"])

    def generation(self):
        return self.get("stats")["generation"]

    def explain(self, vip, client=CLIENT, port=80):
        """ADDRESS:PORT that a connection of this client would reach, "" for none; the worker itself is asked."""
        return self.ctl("explain", "tcp", client, f"{vip}:{port}")["backend"] or ""

    def peak_kib(self):
        for line in Path(f"/proc/{self.popen.pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1])
        raise LabError("no VmHWM")


class Case:
    """What one test has: made on demand, gone with it."""

    def __init__(self):
        self.directory = Path(tempfile.mkdtemp(prefix="sluice-fault."))
        self.daemons, self.servers = [], []
        self._server = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for d in self.daemons:
            d.kill()
        for server in self.servers:
            server.stop()
        shutil.rmtree(self.directory, ignore_errors=True)

    @property
    def server(self):
        if self._server is None:
            self._server = self.new_server()
        return self._server

    def new_server(self):
        server = ApiServer().start()
        self.servers.append(server)
        return server

    def kubeconfig(self, **user):
        """Its path. user: fields of the user in it."""
        path = self.directory / "kubeconfig"
        write_kubeconfig(path, self.server, **user)
        return path

    def config(self, directory, kubernetes, services):
        return {
            "apiVersion": "sluice.dev/v1alpha1", "kind": "SluiceConfiguration",
            "dataplane": {"workers": 1, "memoryMiB": 384, "flowsPerWorker": 4096, "idle": "sleep", "hugepages": "off"},
            "ports": [{"name": "lan", "device": "net_null0,no-rx=1", "addresses": ["10.0.0.1/16"]}],
            "routes": [{"prefix": "0.0.0.0/0", "via": "10.0.0.254"}],
            "services": {
                "kubernetes": {"kubeconfig": str(self.directory / "kubeconfig"), "snapshotFile": str(directory / "snapshot.json"),
                               **kubernetes},
                "stateFile": str(directory / "addresses.json"),
                "addressPools": [{"name": "public", "addresses": [POOL]}], "snatAddresses": ["10.0.0.250"], **services},
            "log": {"level": "debug", "format": "text"},
        }

    def daemon(self, name="sluice", start=True, kubernetes=None, clock=None, **services):
        """A sluiced that follows the server; kubernetes, services: more of these sections of its configuration.
        clock: "both" or "wall", which of its clocks obey d.clock.turn()."""
        directory = self.directory / name
        directory.mkdir()
        if not (self.directory / "kubeconfig").exists():
            self.kubeconfig()
        d = Daemon(directory, self.config(directory, kubernetes or {}, services), clock=clock and Clock(directory, clock == "both"))
        self.daemons.append(d)
        return d.start() if start else d

    def followed(self, d=None, seconds=PATIENCE):
        """Waits until the daemon shows every Service that the server has."""
        d = d or self.daemons[0]
        _, entries = self.server.store.snapshot(SERVICES)
        names = {f"{e.object['metadata']['namespace']}/{e.object['metadata']['name']}" for e in entries}
        d.wait("sluiced to show all Services", lambda: set(d.services()) == names and d.is_settled(), seconds)
        return d

    def web(self, addresses=("10.0.1.1", "10.0.1.2"), **more):
        """The usual beginning: one Service, its slice, and a sluiced that serves it, whose clock can be turned. more: as daemon()."""
        self.server.put(SERVICES, objects.service("web", ip=VIPS[1]))
        self.server.put(SLICES, objects.slice_of("web", addresses))
        d = self.daemon(**{"clock": "both", **more})
        d.wait("the Service to be served", lambda: d.serves("web", addresses))
        return d

    def relist(self):
        """Makes every watch start over: its version is too old by now."""
        self.server.store.advance()
        self.server.store.compact()
        self.server.drop()

    def lists(self, kind=None, since=0):
        """Requests for everything there is: plain lists, and watches that begin with it."""
        return [e for e in self.server.asked(kind=kind, since=since)
                if e.verb == "list" and "continue" not in e.query or e.query.get("sendInitialEvents") == "true"]

    def watches(self, kind=None, since=0):
        """Requests to go on from a version."""
        return [e for e in self.server.asked("watch", kind, since) if e.query.get("sendInitialEvents") != "true"]

    def wait(self, what, condition, seconds=PATIENCE):
        if self.daemons:
            return self.daemons[-1].wait(what, condition, seconds)
        return wait_for(what, condition, seconds)

    def words(self):
        """The ends of the logs, for a failure."""
        return "".join(f"\n{d.directory.name}'s log ends:\n{d.log()[-2500:]}" for d in self.daemons if d.log_path.exists())


def run(one):
    """None, or what went wrong."""
    if not inspect.signature(one.function).parameters:
        one.function()
        return
    with Case() as case:
        try:
            one.function(case)
            for d in case.daemons:
                expect(d.popen is None or d.popen.poll() in (None, 0, -signal.SIGKILL), "sluiced died, status", d.popen and d.popen.poll())
        except Exception as e:
            raise LabError(f"{e if isinstance(e, LabError) else repr(e)}{case.words()}") from e


def held_for(seconds, condition):
    """Whether the condition holds all the time: for claims that something does not happen."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if not condition():
            return False
        time.sleep(0.05)
    return True


def is_root():
    return os.geteuid() == 0
