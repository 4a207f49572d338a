# SPDX-License-Identifier: Apache-2.0
# A sluiced that follows the control plane, with the account of docs/deploy, and what the cluster and it say of a Service.
import controlplane
import objects
from cluster import POOL4, POOL6
from netlab import LabError, Sluice

CLEANUP = "service.kubernetes.io/load-balancer-cleanup"


class Appliance(Sluice):
    def __init__(self, world, namespace, build, number=1):
        self.world, self.number, self.name = world, number, f"sluice{number}"
        self.token_file = world.lab.dir / f"{self.name}.token"
        self.renew_token()
        self.account = world.control.kubeconfig(self.name, tokenFile=str(self.token_file))
        self.snapshot = world.lab.dir / f"{self.name}.snapshot"
        super().__init__(world.lab, namespace, build, self._config(), self.name)

    def renew_token(self):
        """A new one in the file that the kubeconfig names, as a timer beside the appliance would do. It lives as long as a Secret."""
        home, account = controlplane.APPLIANCE
        secret = self.world.control.admin.create(objects.namespaced(home, "secrets"), {
            "apiVersion": "v1", "kind": "Secret", "metadata": {"generateName": f"{self.name}-"}})
        self.secret = objects.namespaced(home, "secrets", secret["metadata"]["name"])
        controlplane.write(self.token_file, self.world.control.token(home, account, secret))

    def revoke_token(self):
        """What the file holds is worth nothing once the server forgot that it was good: in ten seconds, or after a restart."""
        self.world.control.admin.delete(self.secret)

    def wait(self, what, condition, seconds=30):
        """Longer than others wait: an API server and its controllers stand between cause and effect."""
        return super().wait(what, condition, seconds)

    def _port(self, number, name, *addresses):
        return {"name": name, "device": f"net_af_packet{number},iface={name}", "addresses": list(addresses)}

    def _ports(self):
        """The second appliance is there to write, not to forward: no client has a way to it."""
        last = self.number
        wan = self._port(1, "wan", "192.0.2.1/24", "2001:db8:2::1/64")
        return [self._port(0, "lan", f"10.0.0.{last}/24", f"fd00::{last}/64"), *([wan] if last == 1 else [])]

    def _config(self):
        last = self.number
        routes = [{"prefix": network, "via": via} for node in self.world.nodes
                  for network, via in zip(node.pod_networks, (node.v4, node.v6))]
        return {
            "apiVersion": "sluice.dev/v1alpha1",
            "kind": "SluiceConfiguration",
            "dataplane": {"workers": 1, "memoryMiB": 512, "flowsPerWorker": 65536, "idle": "sleep"},
            "ports": self._ports(),
            "routes": routes,
            "services": {
                "kubernetes": {
                    "kubeconfig": str(self.account), "snapshotFile": str(self.snapshot),
                    "lease": {"name": "sluice", "namespace": controlplane.APPLIANCE[0], "identity": self.name},
                },
                "defaults": {"target": "pod", "forwarding": "fullnat", "scheduler": "maglev"},
                "addressPools": [{"name": "public", "autoAssign": True, "addresses": [POOL4, POOL6]}],
                "snatAddresses": [f"10.0.0.{249 + last}", f"fd00::{249 + last}"],
                "stateFile": "",
            },
            "log": {"level": "info", "format": "text"},
        }

    # --- what it serves ---

    def backends(self, namespace, service):
        """{address: state}"""
        return {b["address"]: b["state"] for b in self.items("backends") if b["service"].split(":")[0] == f"{namespace}/{service}"}

    def wait_backends(self, namespace, service, what, condition, seconds=30):
        """Until condition({address: state}) holds and every worker knows."""
        try:
            self.wait(what, lambda: condition(self.backends(namespace, service)), seconds)
        except LabError as e:
            raise LabError(f"{e}\nbackends: {self.backends(namespace, service)}") from None
        self.settle()

    def wait_ready(self, namespace, service, addresses):
        """Until exactly these are ready."""
        self.wait_backends(namespace, service, f"{namespace}/{service} to have the backends {sorted(addresses)}",
                           lambda b: {a for a, state in b.items() if state == "ready"} == set(addresses))

    def addresses(self, namespace, service):
        """{family: address} that it serves."""
        rows = [s for s in self.items("services") if (s["namespace"], s["name"]) == (namespace, service)]
        return {6 if ":" in a else 4: a for row in rows for a in row["addresses"]}

    def ports(self, namespace, service):
        """{"80/TCP", ...}"""
        return {f"{s['port']}/{s['protocol']}" for s in self.items("services") if (s["namespace"], s["name"]) == (namespace, service)}

    def is_stale(self):
        """Whether it says that what it knows may be old."""
        return self.ctl("kube")["stale"]

    def is_refused(self):
        """Whether the server refuses its credentials for every resource."""
        return all(r["failing"] is not None and any(word in r["lastError"] for word in ("Unauthorized", "Forbidden"))
                   for r in self.items("kube"))

    def wait_snapshot(self, namespace, service):
        """Until what it knows of a Service is on disk."""
        def saved():
            return self.snapshot.exists() and f'"{namespace}"' in self.snapshot.read_text() and not self.ctl("kube")["snapshot"]["dirty"]
        self.wait(f"{namespace}/{service} to be in the snapshot", saved)

    def healthy_nodes(self, service=None):
        """By the last answer of kube-proxy's /healthz, or of the Service's healthCheckNodePort."""
        asked = [p for p in self.items("probes") if (p["service"] == service if service else ":10256/" in p["url"])]
        return {p["node"] for p in asked if p["state"] == "up"}

    # --- what the cluster says of it ---

    def service(self, namespace, name):
        return self.world.control.admin.get(objects.namespaced(namespace, "services", name))

    def shown(self, namespace, name):
        """{family: address} of status.loadBalancer."""
        ingress = self.service(namespace, name)["status"].get("loadBalancer", {}).get("ingress", [])
        return {6 if ":" in i["ip"] else 4: i["ip"] for i in ingress}

    def wait_shown(self, namespace, name, families=(4, 6), seconds=30):
        """Its addresses, once there is one of each family in its status."""
        try:
            self.wait(f"the status of {namespace}/{name} to have addresses of {families}",
                      lambda: set(self.shown(namespace, name)) == set(families), seconds)
        except LabError as e:
            raise LabError(f"{e}\n{self.service(namespace, name)}") from None
        return self.shown(namespace, name)
