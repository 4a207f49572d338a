# SPDX-License-Identifier: Apache-2.0
# A cluster with a real control plane, nodes and pods in network namespaces, and the appliance in front of it.
"""
    client --- wan [lb: sluiced] lan --- switch --- n1 10.0.0.21 --- cni0 10.244.1.1 --- pods 10.244.1.x
 192.0.2.100          mgmt                 +------- n2 10.0.0.22 --- cni0 10.244.2.1 --- pods 10.244.2.x
 2001:db8:2::100       |                              mgmt
                       +------ control 198.18.30.1 ------+      etcd, kube-apiserver, controllers

    lb: wan 192.0.2.1 2001:db8:2::1, lan 10.0.0.1 fd00::1, sources of fullnat 10.0.0.250 fd00::250, mgmt 198.18.30.2
    virtual addresses 203.0.113.1-30 and 2001:db8:100::1-1e, which the client routes to wan
    everything is dual stack but the management network; pods are fd00:244:<node>::x
"""
import itertools
from pathlib import Path

import objects
from appliance import Appliance
from cluster import Clients, Servers
from controlplane import POD_NETWORKS, ControlPlane, alive
from netlab import LabError, wait_for

LEASE = "/apis/coordination.k8s.io/v1/namespaces/sluice-system/leases/sluice"
DEPLOY = Path(__file__).resolve().parents[2] / "docs" / "deploy"


class PodHost(Servers):
    """A namespace that pods are, one after another: servers run on, addresses stay, Pod objects come and go."""

    def __init__(self, world, node, number):
        super().__init__(world, f"s{node.number}{number}", f"10.244.{node.number}.{10 + number}", f"fd00:244:{node.number}::{10 + number}")
        self.node = node
        world.lab.veth(self.ns, "eth0", node.ns, self.name)
        node.ns.ip(f"link set {self.name} master cni0")
        self.ns.address("eth0", f"{self.v4}/24", f"{self.v6}/64")
        self.ns.route("default", f"10.244.{node.number}.1")
        self.ns.route("default", f"fd00:244:{node.number}::1")


class Node:
    """A namespace that forwards between the switch and its pods; kube-proxy runs there when a test asks for it."""

    def __init__(self, world, number):
        self.world, self.number, self.name = world, number, f"n{number}"
        self.v4, self.v6 = f"10.0.0.{20 + number}", f"fd00::{20 + number}"
        self.pod_networks = [f"10.244.{number}.0/24", f"fd00:244:{number}::/64"]
        self.ns = ns = world.lab.namespace(self.name)
        self.hosts, self.made, self.proxy = [], 0, None  # hosts: those that no pod is at the moment
        ns.sysctl("net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1")
        world.plug(ns, "eth0", world.switch, self.name)
        world.plug(ns, "mgmt", world.control.namespace, self.name)
        world.lab.bridge(ns, "cni0")
        ns.ip(f"link set cni0 address 02:00:0a:f4:0{number}:01")  # else it takes another one when a pod's port joins
        ns.address("eth0", f"{self.v4}/24", f"{self.v6}/64")
        ns.address("mgmt", f"198.18.30.{20 + number}/24")
        ns.address("cni0", f"10.244.{number}.1/24", f"fd00:244:{number}::1/64")
        ns.route("default", "10.0.0.1")  # the appliance: where answers to clients of dnat go
        ns.route("default", "fd00::1")

    def meet(self, others):
        """Routes to the pods of the other nodes."""
        for other in others:
            for network, via in zip(other.pod_networks, (other.v4, other.v6)):
                self.ns.route(network, via)

    def register(self, **labels):
        self.world.control.admin.delete(f"/api/v1/nodes/{self.name}")
        body, status = objects.node(self.name, [self.v4, self.v6], self.pod_networks, f"zone-{self.number}", labels)
        self.world.control.admin.create("/api/v1/nodes", body)
        self.world.control.admin.patch(f"/api/v1/nodes/{self.name}/status", status)

    def start_proxy(self):
        """The real one. It serves node ports on the node's addresses, /healthz on port 10256."""
        if self.proxy is not None and self.proxy.running():
            return
        control = self.world.control
        config = control.part_config(f"proxy-{self.name}", "system:kube-proxy", "system:node-proxiers")
        self.proxy = self.ns.start(
            control.program, "kube-proxy", f"--kubeconfig={config}", f"--hostname-override={self.name}", "--proxy-mode=nftables",
            f"--cluster-cidr={POD_NETWORKS}", "--conntrack-max-per-core=0", "--conntrack-tcp-timeout-established=0",
            "--conntrack-tcp-timeout-close-wait=0", "--metrics-bind-address=127.0.0.1:10249")
        wait_for(f"kube-proxy of {self.name}", self.proxy_healthy, 60)

    def proxy_healthy(self):
        alive(self.proxy)
        return self.ns.run("curl", "-sf", "-m", 1, f"http://{self.v4}:10256/healthz", check=False).returncode == 0

    def stop_proxy(self):
        if self.proxy is not None:
            self.proxy.end()
            self.ns.run("nft", "flush", "ruleset")
        self.proxy = None


class RunningPod:
    """A Pod object and the host that is it; this class is its kubelet."""

    def __init__(self, workload, name, host):
        self.workload, self.name, self.host = workload, name, host
        self.admin, self.path = workload.world.control.admin, objects.namespaced(workload.namespace, "pods", name)
        host.serve(*workload.kinds)
        self.is_ending = False
        self.admin.create(objects.namespaced(workload.namespace, "pods"),
                          objects.pod(name, workload.name, host.node.name, workload.kinds))
        self.ready(True)

    def ready(self, yes):
        self.admin.patch(f"{self.path}/status", objects.pod_status([self.host.v4, self.host.v6], yes))
        return self

    def terminate(self):
        """As `kubectl delete pod`: the object stays, with a deletionTimestamp, until the kubelet says that it is gone."""
        self.admin.delete(self.path, gracePeriodSeconds=600)
        self.is_ending = True
        return self

    def gone(self):
        self.admin.delete(self.path, gracePeriodSeconds=0)
        self.workload.pods.remove(self)
        self.host.node.hosts.append(self.host)


class Workload:
    """Pods with a label `app`: what a Deployment, a scheduler and kubelets would make."""

    def __init__(self, world, namespace, name, kinds):
        self.world, self.namespace, self.name, self.kinds = world, namespace, name, kinds
        self.pods, self.numbers = [], itertools.count(1)

    def add(self, node=None):
        """One more pod, by default on the node that has the fewest."""
        node = node or min(self.world.nodes, key=lambda n: sum(p.host.node is n for p in self.pods))
        pod = RunningPod(self, f"{self.name}-{next(self.numbers)}", self.world.host_on(node))
        self.pods.append(pod)
        return pod

    def scale(self, n):
        while len(self.pods) < n:
            self.add()
        while len(self.pods) > n:
            self.pods[-1].gone()
        return self

    def roll(self, each=lambda: None):
        """A rolling update: for each old pod a new one that is ready before the old one ends; each() is asked before it does."""
        for old in list(self.pods):
            self.add()
            old.terminate()
            each()
            old.gone()

    def names(self):
        return {p.host.name for p in self.pods}

    def addresses(self):
        return {a for p in self.pods for a in (p.host.v4, p.host.v6)}

    def ready_addresses(self):
        return {a for p in self.pods if not p.is_ending for a in (p.host.v4, p.host.v6)}


class World(Clients):
    def __init__(self, lab, build, program):
        self.lab, self.build, self.deploy = lab, build, DEPLOY
        self.make_data()
        self.client, self.lb, self.switch = (lab.namespace(n) for n in ("client", "lb", "switch"))
        control = lab.namespace("control")
        for ns in (self.switch, control):
            lab.bridge(ns)
        control.address("br0", "198.18.30.1/24")
        self.control = ControlPlane(lab, control, "198.18.30.1", program)
        self.nodes = [Node(self, n) for n in (1, 2)]
        for node in self.nodes:
            node.meet([n for n in self.nodes if n is not node])
        self._client_and_appliance()
        self.namespaces, self.workloads, self.numbers = [], [], itertools.count(1)

    def start(self):
        self.control.start()
        for node in self.nodes:
            node.register()
        self.control.kubectl("apply", "-f", DEPLOY / "namespace.yaml", "-f", DEPLOY / "rbac.yaml")
        self.sluice = Appliance(self, self.lb, self.build)
        self.sluice.start()
        return self

    # --- topology ---

    def plug(self, ns, device, bridge_ns, port):
        self.lab.veth(ns, device, bridge_ns, port)
        bridge_ns.ip(f"link set {port} master br0")

    def _appliance_host(self, ns, short, number):
        # The kernel must not answer or forward what it sees beside an af_packet port.
        ns.sysctl("net.ipv6.conf.all.disable_ipv6=1", "net.ipv6.conf.default.disable_ipv6=1", "net.ipv4.ip_forward=0")
        self.plug(ns, "lan", self.switch, short)
        self.plug(ns, "mgmt", self.control.namespace, short)
        ns.address("mgmt", f"198.18.30.{1 + number}/24")
        for node in self.nodes:  # health probes go the management way
            ns.route(f"{node.v4}/32", f"198.18.30.{20 + node.number}")

    def _client_and_appliance(self):
        self._appliance_host(self.lb, "lb", 1)
        self.lab.veth(self.client, "eth0", self.lb, "wan")
        self.client_addresses = {4: "192.0.2.100", 6: "2001:db8:2::100"}
        self.client.address("eth0", "192.0.2.100/24", "2001:db8:2::100/64")
        self.client.route("203.0.113.0/24", "192.0.2.1")
        self.client.route("2001:db8:100::/64", "2001:db8:2::1")

    def second_appliance(self):
        """Beside the first one; the test ends it."""
        ns = self.lab.namespace("lb2")
        self._appliance_host(ns, "lb2", 2)
        return Appliance(self, ns, self.build, 2).start()

    def lease_holder(self):
        return self.control.admin.get(LEASE)["spec"].get("holderIdentity")

    @property
    def pods(self):
        return [p.host for w in self.workloads for p in w.pods]

    def host_on(self, node):
        """A free host of the node, or a new one."""
        if node.hosts:
            return node.hosts.pop()
        node.made += 1
        return PodHost(self, node, node.made)

    # --- what a test makes ---

    def namespace(self):
        """A fresh Kubernetes namespace; its name."""
        name = f"t{next(self.numbers)}"
        self.control.admin.create("/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
        self.namespaces.append(name)
        return name

    def workload(self, namespace, name, n, *kinds):
        made = Workload(self, namespace, name, kinds or ("http",))
        self.workloads.append(made)
        return made.scale(n)

    def service(self, namespace, name, app=None, ports=("http",), annotations=None, **spec):
        """Creates it; the path at which it lives."""
        body = objects.service(name, app or name, ports, annotations, **spec)
        self.control.admin.create(objects.namespaced(namespace, "services"), body)
        return objects.namespaced(namespace, "services", name)

    def foreign_service(self):
        """One that the appliance keeps off, for tests that are it: (namespace, path)."""
        namespace = self.namespace()
        return namespace, self.service(namespace, "web", loadBalancerClass="example.com/other")

    def make_slices(self, namespace, service, workload):
        """By hand, as for a Service without a selector."""
        for family in (4, 6):
            addresses = [p.host.address(family) for p in workload.pods]
            self.control.admin.create(f"/apis/discovery.k8s.io/v1/namespaces/{namespace}/endpointslices",
                                      objects.slice_of(service, family, addresses))

    def endpoints(self, namespace, service):
        """{address: conditions} by the slices of the real controller."""
        items = self.control.admin.get(objects.slices_path(namespace, service))["items"]
        return {e["addresses"][0]: e["conditions"] for s in items for e in s["endpoints"] or []}

    def wait_endpoints(self, namespace, service, what, condition):
        """Until condition({address: conditions}) holds."""
        try:
            wait_for(what, lambda: condition(self.endpoints(namespace, service)), 30)
        except LabError as e:
            raise LabError(f"{e}: endpoints are {self.endpoints(namespace, service)}") from None

    def wait_proxies(self, path, *nodes):
        """Until kube-proxy of these (or all) nodes answers on the Service's first node port, in both families."""
        port = self.control.admin.get(path)["spec"]["ports"][0]["nodePort"]
        for node in nodes or self.nodes:
            peer = next(n for n in self.nodes if n is not node)
            for address in (node.v4, f"[{node.v6}]"):
                wait_for(f"{node.name} to serve {address}:{port}", lambda: peer.ns.run(
                    "curl", "-sf", "-m", 1, f"http://{address}:{port}/", check=False).returncode == 0, 30)

    # --- between tests ---

    def _programs(self):
        """Those that should run: an API server that a test stopped and did not start again is missed."""
        return (self.control.etcd, self.control.server, self.control.controllers, self.sluice.process)

    def alive(self):
        return all(p.running() for p in self._programs())

    @property
    def dirty(self):
        return bool(self.namespaces)

    def last_words(self):
        dead = [p for p in self._programs() if not p.running() and p is not self.sluice.process]
        return "".join(f"{p.name} is dead; its log ends:\n{p.log()[-1500:]}\n" for p in dead) + self.sluice.last_words()

    def forget(self):
        """Removes what a test made, once the appliance let go of it. The namespace controller does the rest in its own time."""
        for workload in self.workloads:
            workload.scale(0)
        for namespace in self.namespaces:
            self.control.admin.delete(objects.namespaced(namespace, "services"))
        mine = set(self.namespaces)
        self.sluice.wait("the Services to go", lambda: not mine & {s["namespace"] for s in self.sluice.items("services")})
        for namespace in self.namespaces:
            self.control.admin.delete(f"/api/v1/namespaces/{namespace}")
        for node in self.nodes:
            node.stop_proxy()
        self.namespaces, self.workloads = [], []
