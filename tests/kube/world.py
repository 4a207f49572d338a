# SPDX-License-Identifier: Apache-2.0
# A cluster with a real control plane, nodes and pods in network namespaces, and the appliance in front of it.
"""
    client --- wan [lb: sluiced] lan --- switch --- n1 10.0.0.21 --- cni0 10.244.1.1 --- pods 10.244.1.x
 192.0.2.100          mgmt                 +------- n2 10.0.0.22 --- cni0 10.244.2.1 --- pods 10.244.2.x
 2001:db8:2::100       |                              mgmt
                       +------ control 172.30.0.1 ------+      etcd, kube-apiserver, controllers

    lb: wan 192.0.2.1 2001:db8:2::1, lan 10.0.0.1 fd00::1, sources of fullnat 10.0.0.250 fd00::250, mgmt 172.30.0.2
    virtual addresses 203.0.113.1-30 and 2001:db8:100::1-1e, which the client routes to wan
    everything is dual stack but the management network; pods are fd00:244:<node>::x
"""
import itertools
from pathlib import Path

import objects
from cluster import PORTS, Clients, Servers
from controlplane import POD_NETWORKS, ControlPlane, alive
from netlab import LabError, wait_for

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
        ns.address("eth0", f"{self.v4}/24", f"{self.v6}/64")
        ns.address("mgmt", f"172.30.0.{20 + number}/24")
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
        ports = [(kind, PORTS[kind][1], PORTS[kind][2]) for kind in workload.kinds]
        host.serve(*workload.kinds)
        self.admin.create(objects.namespaced(workload.namespace, "pods"),
                          objects.pod(name, workload.name, host.node.name, ports))
        self.ready(True)

    def ready(self, yes):
        self.admin.patch(f"{self.path}/status", objects.pod_status([self.host.v4, self.host.v6], yes))
        return self

    def terminate(self):
        """As `kubectl delete pod`: the object stays, with a deletionTimestamp, until the kubelet says that it is gone."""
        self.admin.delete(self.path, gracePeriodSeconds=600)
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

    def addresses(self, families=(4, 6)):
        return {p.host.address(f) for p in self.pods for f in families}


class World(Clients):
    def __init__(self, lab, program):
        self.lab, self.deploy = lab, DEPLOY
        self.make_data()
        self.client, self.lb, self.switch = (lab.namespace(n) for n in ("client", "lb", "switch"))
        control = lab.namespace("control")
        for ns in (self.switch, control):
            lab.bridge(ns)
        control.address("br0", "172.30.0.1/24")
        self.control = ControlPlane(lab, control, "172.30.0.1", program)
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
        return self

    # --- topology ---

    def plug(self, ns, device, bridge_ns, port):
        self.lab.veth(ns, device, bridge_ns, port)
        bridge_ns.ip(f"link set {port} master br0")

    def _client_and_appliance(self):
        # The kernel must not answer or forward what it sees beside an af_packet port.
        self.lb.sysctl("net.ipv6.conf.all.disable_ipv6=1", "net.ipv6.conf.default.disable_ipv6=1", "net.ipv4.ip_forward=0")
        self.lab.veth(self.client, "eth0", self.lb, "wan")
        self.plug(self.lb, "lan", self.switch, "lb")
        self.plug(self.lb, "mgmt", self.control.namespace, "lb")
        self.lb.address("mgmt", "172.30.0.2/24")
        for node in self.nodes:  # health probes go the management way
            self.lb.route(f"{node.v4}/32", f"172.30.0.{20 + node.number}")
        self.client_addresses = {4: "192.0.2.100", 6: "2001:db8:2::100"}
        self.client.address("eth0", "192.0.2.100/24", "2001:db8:2::100/64")
        self.client.route("203.0.113.0/24", "192.0.2.1")
        self.client.route("2001:db8:100::/64", "2001:db8:2::1")

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
        named = [(p, PORTS[p][0], p, PORTS[p][2]) for p in ports]
        body = objects.service(name, app or name, named, annotations, **spec)
        self.control.admin.create(objects.namespaced(namespace, "services"), body)
        return objects.namespaced(namespace, "services", name)

    def endpoints(self, namespace, service):
        """{address: conditions} by the slices of the real controller."""
        items = self.control.admin.get(objects.slices_path(namespace, service))["items"]
        return {e["addresses"][0]: e["conditions"] for s in items for e in s["endpoints"] or []}

    def wait_endpoints(self, namespace, service, what, condition):
        """Until condition({address: conditions}) holds."""
        try:
            wait_for(what, lambda: condition(self.endpoints(namespace, service)), 20)
        except LabError as e:
            raise LabError(f"{e}: endpoints are {self.endpoints(namespace, service)}") from None

    # --- between tests ---

    def alive(self):
        return all(p.running() for p in (self.control.etcd, self.control.server, self.control.controllers))

    @property
    def dirty(self):
        return bool(self.namespaces)

    def last_words(self):
        parts = (self.control.etcd, self.control.server, self.control.controllers)
        dead = [p for p in parts if p is not None and not p.running()]
        return "".join(f"{p.name} is dead; its log ends:\n{p.log()[-1500:]}\n" for p in dead)

    def forget(self):
        """Removes what a test made. The namespace controller does the rest in its own time."""
        for workload in self.workloads:
            workload.scale(0)
        for namespace in self.namespaces:
            self.control.admin.delete(f"/api/v1/namespaces/{namespace}")
        for node in self.nodes:
            node.stop_proxy()
        self.namespaces, self.workloads = [], []
