# SPDX-License-Identifier: Apache-2.0
# A cluster around a sluiced in network namespaces: pods with real servers, Services as manifests, clients.
"""Two shapes, both dual stack:

two arms                                          client 192.0.2.100  2001:db8:2::100
    client --- wan [lb: sluiced] lan --- switch --- s1 10.0.0.11  fd00::11
                                           +------- s2 10.0.0.12  fd00::12 ...
    lb: wan 192.0.2.1 2001:db8:2::1, lan 10.0.0.1 fd00::1, sources of fullnat 10.0.0.250 fd00::250
    virtual addresses 203.0.113.1-30 and 2001:db8:100::1-1e, which the client routes to wan

one arm (for dsr: answers go straight from s1 to the client)
    client, [lb: sluiced] and s1, s2, ... are all ports of one switch; virtual addresses are on its subnet
"""
import collections
import hashlib
import os
import subprocess
import sys

from netlab import LabError, Sluice, wait_for

POOL4, POOL6 = "203.0.113.1-203.0.113.30", "2001:db8:100::1-2001:db8:100::1e"
PORTS = {  # name: Service port, pod's port, protocol
    "http": (80, 8080, "TCP"),
    "dns": (53, 53, "UDP"),
    "echo-udp": (7000, 7000, "UDP"),
    "echo-tcp": (7001, 7001, "TCP"),
    "iperf": (5201, 5201, "TCP"),
}
NGINX = """
daemon off; master_process off; pid {dir}/nginx.pid; user root; error_log stderr warn;
events {{ worker_connections 2048; }}
http {{
  access_log off; keepalive_timeout 0; sendfile on;
  client_body_temp_path {dir}/body; proxy_temp_path {dir}/proxy; fastcgi_temp_path {dir}/fastcgi;
  uwsgi_temp_path {dir}/uwsgi; scgi_temp_path {dir}/scgi;
  server {{
    listen 8080 backlog=4096; listen [::]:8080 backlog=4096; listen 80; listen [::]:80;
    add_header X-Pod {name};
    location / {{ return 200 "{name} $remote_addr\\n"; }}
    location /data/ {{ alias {data}/; }}
    location /slow/ {{ alias {data}/; limit_rate 3m; }}
    location /long/ {{ alias {data}/; limit_rate 500k; }}
  }}
}}
"""


class Servers:
    """A namespace with servers that say its name. Started by need, ended with the lab."""

    def __init__(self, cluster, name, v4, v6):
        self.cluster, self.name, self.v4, self.v6 = cluster, name, v4, v6
        self.ns = cluster.lab.namespace(name)
        self.servers = {}

    def serve(self, *kinds):
        for kind in kinds:
            if kind not in self.servers:
                self.servers[kind] = getattr(self, "_" + kind.replace("-", "_"))()
        for kind in kinds:
            protocol, port = PORTS[kind][2][0].lower(), PORTS[kind][1]
            wait_for(f"{self.name}'s {kind} server", lambda: self.ns.listening(protocol, port))
        return self

    def _http(self):
        home = self.cluster.lab.dir / self.name
        home.mkdir(exist_ok=True)
        (home / "nginx.conf").write_text(NGINX.format(dir=home, name=self.name, data=self.cluster.data))
        return self.ns.start("nginx", "-p", home, "-e", "stderr", "-c", home / "nginx.conf")

    def _dns(self):
        return self.ns.start("dnsmasq", "--no-daemon", "--conf-file=/dev/null", "--no-resolv", "--no-hosts", "--user=root",
                             "--pid-file=", f"--txt-record=whoami.test,{self.name}", "--local=/test/")

    def _echo_udp(self):
        return self.ns.start("socat", "UDP6-LISTEN:7000,fork,reuseaddr,ipv6only=0", "PIPE")

    def _echo_tcp(self):
        return self.ns.start("socat", "TCP6-LISTEN:7001,fork,reuseaddr,ipv6only=0,backlog=128", "PIPE")

    def _iperf(self):
        return self.ns.start("iperf3", "-s")

    def restart(self, kind):
        if kind in self.servers:
            self.servers.pop(kind).end()
        return self.serve(kind)

    def address(self, family):
        return self.v4 if family == 4 else self.v6


class Pod(Servers):
    """A host of the switch."""

    def __init__(self, cluster, number):
        super().__init__(cluster, f"s{number}", f"10.0.0.{10 + number}", f"fd00::{10 + number}")
        cluster.lab.veth(self.ns, "eth0", cluster.switch, self.name)
        cluster.switch.ip(f"link set {self.name} master br0")
        self.ns.address("eth0", f"{self.v4}/24", f"{self.v6}/64")
        if cluster.shape != "one-arm":
            self.ns.route("default", "10.0.0.1")
            self.ns.route("default", "fd00::1")

    def die(self):
        """As a pod dies whose node lost power: no FIN, no RST, nothing answers any more."""
        self.ns.ip("link set eth0 down")
        for process in self.servers.values():
            process.end()
        self.servers = {}

    def revive(self, *kinds):
        self.ns.ip("link set eth0 up")
        self.ns.ip(f"addr replace {self.v6}/64 dev eth0 nodad")  # went with the link
        if self.cluster.shape != "one-arm":
            self.ns.route("default", "10.0.0.1")
            self.ns.route("default", "fd00::1")
        return self.serve(*kinds)


class Clients:
    """What is asked of virtual addresses by one who has a namespace `client`, files `data` and `pods`."""

    def make_data(self):
        self.data = self.lab.dir / "data"
        self.data.mkdir()
        content = os.urandom(12 << 20)
        (self.data / "file").write_bytes(content)
        self.digest = hashlib.sha256(content).hexdigest()

    def get(self, address, path="/", *options, seconds=5, check=True):
        """One request by curl: what it printed, or with check=False the CompletedProcess."""
        return self.client.run("curl", "-sS", "-f", "-m", seconds, *options, url(address, path), check=check)

    def get_many(self, address, n, parallel=40, background=False):
        """n requests over n connections. A Requests, finished unless background."""
        requests = Requests(self, address, n, parallel)
        return requests if background else requests.finish()

    def start_download(self, address, path="/slow/file"):
        return Download(self, address, path)


class Cluster(Clients):
    def __init__(self, lab, build, device="af_xdp", shape="two-arm", pods=4, workers=1, qpairs=1, router_mtu=None, services=None,
                 management=False):
        self.lab, self.shape, self.device, self.qpairs = lab, shape, device, qpairs
        self.more_services = services or {}
        self.make_data()
        self.manifests = {}
        self.client = lab.namespace("client")
        self.lb = lab.namespace("lb")
        self.switch = lab.namespace("switch")
        lab.bridge(self.switch)
        # The kernel must not answer or forward what it sees beside an af_packet port.
        self.lb.sysctl("net.ipv6.conf.all.disable_ipv6=1", "net.ipv6.conf.default.disable_ipv6=1", "net.ipv4.ip_forward=0")
        (self._one_arm if shape == "one-arm" else self._two_arms)(router_mtu)
        self.pods = [Pod(self, n) for n in range(1, pods + 1)]
        if management:
            self._manage()
        self.config = self._config(workers)  # also for a sluiced of somebody else's
        self.sluice = Sluice(lab, self.lb, build, self.config)

    def _manage(self):
        """A network of its own between the kernel of lb and the pods: there lb reaches 10.0.0.11 beside its data plane."""
        out_of_band = self.lab.namespace("mgmt")
        self.lab.bridge(out_of_band)
        for host, name in [(1, self.lb), *((10 + n, p.ns) for n, p in enumerate(self.pods, 1))]:
            self.lab.veth(name, "mgmt", out_of_band, f"m{host}")
            out_of_band.ip(f"link set m{host} master br0")
            name.address("mgmt", f"10.255.0.{host}/24")
        for n, pod in enumerate(self.pods, 1):
            self.lb.route(f"{pod.v4}/32", f"10.255.0.{10 + n}")

    def _plug(self, ns, device, port):
        self.lab.veth(ns, device, self.switch, port)
        self.switch.ip(f"link set {port} master br0")

    def _two_arms(self, router_mtu):
        self.client_addresses = {4: "192.0.2.100", 6: "2001:db8:2::100"}
        self._plug(self.lb, "lan", "lb")
        if router_mtu is None:
            self.lab.veth(self.client, "eth0", self.lb, "wan")
            self.client.address("eth0", "192.0.2.100/24", "2001:db8:2::100/64")
            gateways = "192.0.2.1", "2001:db8:2::1"
        else:
            gateways = self._router(router_mtu)
        for prefix, via in (("203.0.113.0/24", gateways[0]), ("2001:db8:100::/64", gateways[1])):
            self.client.route(prefix, via)

    def _router(self, mtu):
        """client --- eth0 [router] far, whose link to the client is narrow while the client does not know it."""
        self.client_addresses = {4: "198.51.100.100", 6: "2001:db8:3::100"}
        self.router = self.lab.namespace("router")
        self.router.sysctl("net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1")
        self.lab.veth(self.client, "eth0", self.router, "near")
        self.lab.veth(self.router, "far", self.lb, "wan")
        self.client.address("eth0", "198.51.100.100/24", "2001:db8:3::100/64")
        self.router.address("near", "198.51.100.1/24", "2001:db8:3::1/64")
        self.router.address("far", "192.0.2.254/24", "2001:db8:2::fe/64")
        self.router.ip(f"link set near mtu {mtu}")
        self.router.route("203.0.113.0/24", "192.0.2.1")
        self.router.route("2001:db8:100::/64", "2001:db8:2::1")
        return "198.51.100.1", "2001:db8:3::1"

    def _one_arm(self, _):
        self.client_addresses = {4: "10.0.0.100", 6: "fd00::100"}
        self._plug(self.client, "eth0", "client")
        self._plug(self.lb, "lan", "lb")
        self.client.address("eth0", "10.0.0.100/24", "fd00::100/64")

    def _port(self, number, name, *addresses):
        extra = f",qpairs={self.qpairs}" if self.device == "af_packet" else ""
        return {"name": name, "device": f"net_{self.device}{number},iface={name}{extra}", "addresses": list(addresses)}

    def _config(self, workers):
        ports = [self._port(0, "lan", "10.0.0.1/24", "fd00::1/64")]
        if self.shape != "one-arm":
            ports.append(self._port(1, "wan", "192.0.2.1/24", "2001:db8:2::1/64"))
        config = {
            "apiVersion": "sluice.dev/v1alpha1",
            "kind": "SluiceConfiguration",
            "dataplane": {"workers": workers, "memoryMiB": 512, "flowsPerWorker": 65536, "idle": "sleep"},
            "ports": ports,
            "services": {
                "defaults": {"target": "pod", "forwarding": "fullnat", "scheduler": "maglev"},
                "addressPools": [{"name": "public", "autoAssign": True, "addresses": (
                    ["10.0.0.200-10.0.0.215", "fd00::200-fd00::20f"] if self.shape == "one-arm" else [POOL4, POOL6])}],
                "snatAddresses": ["10.0.0.250", "fd00::250"],
                **self.more_services,
            },
            "log": {"level": "info", "format": "text"},
        }
        if hasattr(self, "router"):
            config["routes"] = [{"prefix": "0.0.0.0/0", "via": "192.0.2.254"}, {"prefix": "::/0", "via": "2001:db8:2::fe"}]
        return config

    # --- Services ---

    def service(self, name, pods, ports=("http",), mode="fullnat", families=(4, 6), terminating=(), **spec):
        """Writes a Service and its slices, waits until workers serve exactly these pods, returns {family: address}."""
        objects = [self._service_object(name, ports, mode, families, spec)]
        for family in families:
            objects.append(self._slice_object(name, ports, mode, family, pods, terminating))
        wanted = {pod.address(f) for pod in pods for f in families}
        draining = {pod.address(f) for pod in terminating for f in families}

        def served(backends):
            mine = [b for b in backends if b["service"].startswith(f"default/{name}")]
            return ({b["address"] for b in mine if b["state"] == "ready"} == wanted
                    and {b["address"] for b in mine if b["state"] == "draining"} >= draining)

        self.manifests[name] = objects
        self.sluice.apply(f"{name}.json", objects, served)
        self.sluice.wait(f"Service {name} to have its addresses", lambda: len(self.addresses(name)) == len(families))
        return self.addresses(name)

    def addresses(self, name):
        """{family: address} as sluiced tells them; empty while it has none."""
        mine = [s for s in self.sluice.items("services") if s["namespace"] == "default" and s["name"] == name]
        return {6 if ":" in a else 4: a for a in (mine[0]["addresses"] if mine else [])}

    def alive(self):
        return self.sluice.process.running()

    @property
    def dirty(self):
        return bool(self.manifests)

    def last_words(self):
        return self.sluice.last_words()

    def forget(self):
        """Removes every Service."""
        for name in self.manifests:
            (self.sluice.manifests / f"{name}.json").unlink(missing_ok=True)
        self.manifests = {}
        self.sluice.wait("the Services to go", lambda: not self.sluice.items("services"))
        self.sluice.settle()

    def _service_object(self, name, ports, mode, families, spec):
        return {
            "apiVersion": "v1", "kind": "Service",
            "metadata": {"name": name, "namespace": "default", "uid": f"uid-{name}",
                         "creationTimestamp": "2026-01-01T00:00:00Z", "annotations": {"sluice.dev/forwarding": mode}},
            "spec": {
                "type": "LoadBalancer", "selector": {"app": name}, "ipFamilyPolicy": "PreferDualStack",
                "ipFamilies": [f"IPv{f}" for f in families],
                "ports": [{"name": p, "port": PORTS[p][0], "targetPort": PORTS[p][1], "protocol": PORTS[p][2]} for p in ports],
                **spec,
            },
        }

    def _slice_object(self, name, ports, mode, family, pods, terminating):
        def endpoint(pod, ready):
            return {"addresses": [pod.address(family)],
                    "conditions": {"ready": ready, "serving": True, "terminating": not ready},
                    "targetRef": {"kind": "Pod", "namespace": "default", "name": pod.name}}
        return {
            "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": f"IPv{family}",
            "metadata": {"name": f"{name}-v{family}", "namespace": "default", "labels": {"kubernetes.io/service-name": name}},
            "ports": [{"name": p, "port": PORTS[p][1], "protocol": PORTS[p][2]} for p in ports],
            "endpoints": [endpoint(p, True) for p in pods] + [endpoint(p, False) for p in terminating],
        }

    def own_vip(self, addresses):
        """What a server behind dsr needs: the virtual address on its loopback, silent in ARP."""
        for pod in self.pods:
            pod.ns.sysctl("net.ipv4.conf.all.arp_ignore=1", "net.ipv4.conf.all.arp_announce=2")
            for a in addresses.values():
                pod.ns.address("lo", a + ("/128" if ":" in a else "/32"))


class Requests:
    """curl with many URLs: one connection each, since the servers close after an answer."""

    def __init__(self, cluster, address, n, parallel):
        self.n = n
        self.out = cluster.lab.dir / f"requests-{len(cluster.lab.processes)}.out"
        self.process = cluster.client.start(
            "curl", "-sS", "--no-progress-meter", "--globoff", "--parallel", "--parallel-immediate", "--parallel-max", parallel,
            "-m", "20", "-w", "%{http_code} %{exitcode} %{errormsg}\n", "--config", self._urls(cluster, address), stdout=self.out)

    def _urls(self, cluster, address):
        path = self.out.with_suffix(".urls")
        one = f'url = "{url(address, "/")}"\n'
        path.write_text(one * self.n)
        return path

    def count(self):
        """Answers so far, by pod and by the address that the pod saw; failures by curl's words."""
        pods, seen, failures = collections.Counter(), collections.Counter(), collections.Counter()
        for line in self.out.read_text(errors="replace").splitlines():
            words = line.split()
            if len(words) == 2 and words[0][:1] == "s":
                pods[words[0]] += 1
                seen[words[1]] += 1
            elif words and words[:2] != ["200", "0"]:
                failures[line] += 1
        return pods, seen, failures

    def answered(self):
        return sum(self.count()[0].values())

    def finish(self, seconds=120):
        self.process.wait(seconds)
        self.pods, self.seen, self.failures = self.count()
        self.good = sum(self.pods.values())
        return self

    def assert_all_good(self):
        if self.good != self.n or self.failures:
            raise LabError(f"{self.n - self.good} of {self.n} requests failed: {dict(self.failures)} {self.process.log()[-500:]}")
        return self


class Download:
    """A file that takes some seconds."""

    def __init__(self, cluster, address, path):
        self.cluster = cluster
        self.file = cluster.lab.dir / f"download-{len(cluster.lab.processes)}"
        self.headers = self.file.with_suffix(".headers")
        self.process = cluster.client.start("curl", "-sS", "-f", "-m", "60", "-D", self.headers, "-o", self.file, url(address, path))
        wait_for("the download to begin", self.pod, 10)

    def pod(self):
        text = self.headers.read_text() if self.headers.exists() else ""
        names = [line.split()[1] for line in text.splitlines() if line.startswith("X-Pod:")]
        return next((p for p in self.cluster.pods if p.name in names), None)

    def size(self):
        return self.file.stat().st_size if self.file.exists() else 0

    def assert_whole(self, seconds=60):
        status = self.process.wait(seconds)
        digest = hashlib.sha256(self.file.read_bytes()).hexdigest() if self.file.exists() else "nothing"
        if status != 0 or digest != self.cluster.digest:
            raise LabError(f"download: curl's status {status}, {self.size()} bytes, "
                           f"{'right' if digest == self.cluster.digest else 'wrong'} checksum; {self.process.log()[-300:]}")


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


def url(address, path="/"):
    return f"http://[{address}]{path}" if ":" in address else f"http://{address}{path}"
