# SPDX-License-Identifier: Apache-2.0
# Network namespaces with real servers around a real sluiced: what the system tests and the demo stand on.
"""A lab is a handful of network namespaces, the processes in them and a directory; closing it leaves nothing behind.

    with Lab() as lab:
        client = lab.namespace("client")          # sl<pid>-client
        lab.veth(client, "eth0", lb, "wan")       # both ends up, offloads off
        client.run("curl", "-s", url)             # to its end; raises LabError with what it said
        server.start("nginx", "-c", conf)         # a Process, ended with the lab

Private labs (the default) live in their own mount namespace: namespaces, BPF pins and mounts are then the kernel's to
remove, even after SIGKILL. Every process dies with the lab's own (setpriv --pdeathsig). A lab that is kept is the host's.

Nothing here sleeps for luck: wait_for() polls a condition until a deadline and says what it waited for.
"""
import ctypes
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path


class LabError(Exception):
    pass


def wait_for(what, condition, seconds=10.0):
    """The first true value of condition(); a LabError names what did not come in time."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise LabError(f"waited {seconds:g} s in vain for {what}")
        time.sleep(0.02)


class Process:
    """A program started in a namespace, leader of its own session so that its children can be ended with it."""

    def __init__(self, lab, namespace, argv, env=None, stdout=None):
        self.name = Path(argv[0]).name
        self.lab = lab
        self.log_path = lab.dir / f"{len(lab.processes):03}-{namespace.short}-{self.name}.log"
        self.out_path = stdout or self.log_path
        tied = [] if lab.kept else ["setpriv", "--pdeathsig", "KILL"]
        with open(self.out_path, "ab") as out, open(self.log_path, "ab") as log:
            self.popen = subprocess.Popen(
                [*namespace.enter, *tied, *map(str, argv)], stdin=subprocess.DEVNULL, stdout=out, stderr=log,
                start_new_session=True, env={**os.environ, **(env or {})})
        self.pid = self.popen.pid
        lab.processes.append(self)

    def running(self):
        return self.popen.poll() is None

    def output(self):
        return Path(self.out_path).read_text(errors="replace")

    def log(self):
        return Path(self.log_path).read_text(errors="replace")

    def send(self, number):
        """To the process alone."""
        if self.running():
            os.kill(self.pid, number)

    def wait(self, seconds):
        """Its exit status, negative for a signal."""
        try:
            return self.popen.wait(seconds)
        except subprocess.TimeoutExpired:
            raise LabError(f"{self.name} (pid {self.pid}) did not end within {seconds:g} s") from None

    def end(self, number=signal.SIGTERM):
        """The process and its children; SIGKILL for what does not listen."""
        for sig in (number, signal.SIGKILL):
            if self.running():
                self._signal_group(sig)
                try:
                    self.popen.wait(3)
                except subprocess.TimeoutExpired:
                    continue
        self._signal_group(signal.SIGKILL)  # children that outlive their leader

    def _signal_group(self, number):
        try:
            os.killpg(self.pid, number)
        except ProcessLookupError:
            pass


class Namespace:
    def __init__(self, lab, short):
        self.lab = lab
        self.short = short
        self.name = f"{lab.prefix}-{short}"
        self.enter = ["nsenter", f"--net=/run/netns/{self.name}"]
        lab.host("ip", "netns", "add", self.name)
        lab.namespaces.append(self)
        self.sysctl(  # no duplicate address detection, no router solicitations: addresses work at once
            "net.ipv6.conf.all.accept_ra=0", "net.ipv6.conf.default.accept_ra=0", "net.ipv6.conf.default.accept_dad=0",
            "net.ipv6.conf.all.accept_dad=0", "net.ipv6.conf.default.router_solicitations=0",
            "net.ipv4.conf.all.rp_filter=0", "net.ipv4.conf.default.rp_filter=0")
        self.ip("link set lo up")

    def run(self, *argv, check=True, timeout=60, stdin=None):
        """Its standard output. With check=False the CompletedProcess, whatever the status."""
        self.lab.echo(f"[{self.short}] {' '.join(map(str, argv))}")
        done = subprocess.run([*self.enter, *map(str, argv)], input=stdin, text=True, errors="replace",
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=timeout)
        if not check:
            return done
        if done.returncode != 0:
            raise LabError(f"[{self.short}] {' '.join(map(str, argv))}: status {done.returncode}: "
                           f"{(done.stderr or done.stdout).strip()[-800:]}")
        return done.stdout

    def start(self, *argv, env=None, stdout=None):
        self.lab.echo(f"[{self.short}] {' '.join(map(str, argv))} &")
        return Process(self.lab, self, argv, env, stdout)

    def ip(self, words):
        return self.run("ip", *words.split())

    def python(self, code, *argv, timeout=60, check=True):
        """Runs Python text here, for what no common program does."""
        return self.run(sys.executable, "-c", code, *argv, timeout=timeout, check=check)

    def sysctl(self, *settings):
        self.run("sysctl", "-qw", *settings)

    def address(self, device, *addresses):
        for a in addresses:
            self.ip(f"addr replace {a} dev {device}" + (" nodad" if ":" in a else ""))

    def route(self, prefix, via, *more):
        self.ip(f"{'-6 ' if ':' in prefix or ':' in via else ''}route replace {prefix} via {via} {' '.join(more)}")

    def listening(self, kind, port):
        """Whether somebody listens on the port; kind is "t" or "u"."""
        return f":{port} " in self.run("ss", f"-Hln{kind}", f"sport = :{port}")


class Lab:
    _private = False  # this process has its own mount namespace already

    def __init__(self, keep=False, verbose=False, prefix=None):
        self.kept = keep
        self.verbose = verbose
        self.prefix = prefix or f"sl{os.getpid()}"
        self.namespaces, self.processes = [], []
        if not keep:
            self._own_mounts()
        self.dir = Path(tempfile.mkdtemp(prefix="sluice-lab."))
        self.dir.chmod(0o755)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if not self.kept:
            self.close()

    @classmethod
    def _own_mounts(cls):
        if cls._private:
            return
        if ctypes.CDLL(None, use_errno=True).unshare(0x00020000) != 0:  # CLONE_NEWNS
            raise LabError(f"unshare(CLONE_NEWNS): {os.strerror(ctypes.get_errno())}")
        os.makedirs("/run/netns", exist_ok=True)
        for argv in (["--make-rprivate", "/"], ["-t", "tmpfs", "tmpfs", "/run/netns"]):
            subprocess.run(["mount", *argv], check=True)
        subprocess.run(["mount", "-t", "bpf", "bpf", "/sys/fs/bpf"], stderr=subprocess.DEVNULL, check=False)
        cls._private = True

    def echo(self, text):
        if self.verbose:
            print(f"# {text}", flush=True)

    def host(self, *argv):
        self.echo(" ".join(map(str, argv)))
        done = subprocess.run(list(map(str, argv)), text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        if done.returncode != 0:
            raise LabError(f"{' '.join(map(str, argv))}: {done.stdout.strip()}")
        return done.stdout

    def namespace(self, short):
        return Namespace(self, short)

    def veth(self, a, a_dev, b, b_dev, mtu=1500):
        """A cable. Offloads are off at both ends: a DPDK port would carry half-made checksums and 64 kB packets on."""
        one = ["numtxqueues", 1, "numrxqueues", 1]  # AF_XDP reads one queue; what came in by another would pass it by
        self.host("ip", "-n", a.name, "link", "add", a_dev, "mtu", mtu, *one, "type", "veth",
                  "peer", "name", b_dev, *one, "netns", b.name)
        for ns, dev in ((a, a_dev), (b, b_dev)):
            ns.run("ethtool", "-K", dev, "tx", "off", "tso", "off", "gso", "off", "gro", "off", check=False)
            ns.ip(f"link set {dev} up")
        b.ip(f"link set {b_dev} mtu {mtu}")

    def bridge(self, ns, name="br0"):
        ns.ip(f"link add {name} type bridge stp_state 0 forward_delay 0 mcast_snooping 0")
        ns.ip(f"link set {name} up")

    def close(self):
        """Ends every process, removes every namespace and the directory; each step is tried whatever the others did."""
        for process in reversed(self.processes):
            try:
                process.end()
            except (OSError, LabError) as e:
                print(f"# could not end {process.name}: {e}", file=sys.stderr)
        for namespace in reversed(self.namespaces):
            subprocess.run(["ip", "netns", "del", namespace.name], stderr=subprocess.DEVNULL, check=False)
        self.processes, self.namespaces = [], []
        shutil.rmtree(self.dir, ignore_errors=True)


class Sluice:
    """A sluiced in a namespace, its configuration, its manifests, and what it says about itself."""

    def __init__(self, lab, namespace, build, config, name="sluice"):
        self.lab, self.namespace = lab, namespace
        self.program = Path(build) / "app" / "sluiced" / "sluiced"
        self.ctl_program = Path(build) / "app" / "sluicectl" / "sluicectl"
        self.manifests = lab.dir / "manifests"
        self.manifests.mkdir(exist_ok=True)
        self.socket = lab.dir / f"{name}.sock"
        self.config = lab.dir / f"{name}.yaml"
        self.process = None
        if "kubernetes" not in config["services"]:
            config["services"].setdefault("manifests", str(self.manifests))
        config["services"].setdefault("stateFile", str(lab.dir / "addresses.json"))
        config.setdefault("management", {"socket": str(self.socket)})
        self.config.write_text(to_yaml(config))

    def start(self, seconds=30):
        self.socket.unlink(missing_ok=True)
        self.process = self.namespace.start(self.program, "--config", self.config)
        self.wait("sluiced to answer on its socket", self._answers, seconds)
        self.settle()
        return self

    def _answers(self):
        if not self.process.running():
            raise LabError(f"sluiced ended with status {self.process.popen.returncode}:\n{self.process.log()[-3000:]}")
        return self.socket.exists() and self.ctl_done("stats").returncode == 0

    def wait(self, what, condition, seconds=10):
        try:
            return wait_for(what, condition, seconds)
        except LabError as e:
            raise LabError(f"{e}; its log ends:\n{self.process.log()[-1500:]}") from None

    def ctl_done(self, *argv):
        return self.namespace.run(self.ctl_program, "--socket", self.socket, *argv, check=False)

    def ctl(self, *argv):
        """The JSON of a verb."""
        done = self.ctl_done(*argv, "-o", "json")
        if done.returncode != 0:
            raise LabError(f"sluicectl {' '.join(argv)}: status {done.returncode}: {done.stderr.strip()}")
        return json.loads(done.stdout)

    def items(self, verb, *argv):
        return self.ctl(verb, *argv)["items"]

    def settle(self):
        """Waits until every worker reads the newest tables."""
        def settled():
            stats = self.ctl("stats")
            return all(at >= stats["generation"] for at in stats["workersAt"])
        self.wait("the workers to read the newest tables", settled)

    def apply(self, name, objects, expect=None):
        """Writes one manifest file as a kubectl user would (a List), then waits until sluiced shows what is expected.

        expect(backends) is asked with the items of `sluicectl backends`.
        """
        text = json.dumps({"apiVersion": "v1", "kind": "List", "items": objects}, indent=1)
        self.write(name, text)
        if expect is not None:
            self.wait(f"{name} to take effect", lambda: expect(self.items("backends")))
            self.settle()

    def write(self, name, text):
        """One rename, as tools that write configuration do."""
        fresh = self.lab.dir / f".{name}.new"
        fresh.write_text(text)
        fresh.rename(self.manifests / name)

    def stop(self):
        self.process.end()

    def last_words(self):
        if self.process is None:
            return "sluiced never ran"
        died = "" if self.process.running() else f"sluiced is dead, status {self.process.popen.returncode}\n"
        return f"{died}sluiced's log ends:\n{self.process.log()[-2000:]}"


def to_yaml(value, depth=0):
    """Block style for what holds mappings, JSON (which is YAML) for the rest."""
    pad = "  " * depth
    if isinstance(value, dict) and value and depth < 3:
        return "".join(
            f"{pad}{key}:\n{to_yaml(item, depth + 1)}" if _is_block(item, depth) else f"{pad}{key}: {json.dumps(item)}\n"
            for key, item in value.items())
    if isinstance(value, list):
        return "".join(f"{pad}- {json.dumps(item)}\n" for item in value)
    return f"{pad}{json.dumps(value)}\n"


def _is_block(item, depth):
    return bool(item) and (isinstance(item, dict) and depth < 2 or isinstance(item, list) and isinstance(item[0], dict))
