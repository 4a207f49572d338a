# SPDX-License-Identifier: Apache-2.0
# A real Kubernetes control plane in a network namespace: etcd, kube-apiserver, the controllers that Services need.
"""TLS and RBAC are on. Credentials come from two places, as in a cluster: client certificates for the control plane's own
parts and the administrator, tokens of ServiceAccounts for everybody else. Nothing outlives the lab."""
import json
import os
import signal
import subprocess

import api
from netlab import LabError, wait_for

# Nobody runs pods here, so what schedules, evicts or heals them stays away. The names are those of `--controllers`.
CONTROLLERS = ("endpoints-controller", "endpointslice-controller", "endpointslice-mirroring-controller", "namespace-controller",
               "garbage-collector-controller", "serviceaccount-controller", "serviceaccount-token-controller")
APPLIANCE = ("sluice-system", "sluice")  # the ServiceAccount of docs/deploy
PORT = 6443
CLUSTER_IPS = "10.96.0.0/16,fd00:96::/112"
POD_NETWORKS = "10.244.0.0/16,fd00:244::/48"


class ControlPlane:
    def __init__(self, lab, namespace, address, program):
        self.lab, self.namespace, self.address, self.program = lab, namespace, address, program
        self.dir = lab.dir / "control"
        self.dir.mkdir()
        self.url = f"https://{address}:{PORT}"
        self.etcd = self.server = self.controllers = None
        self._authority()
        self.admin_config = self.kubeconfig("admin", **self._certificate("admin", "system:masters"))
        self.admin = self.client("admin")

    # --- certificates: one authority for the server and for clients; the API server's subject names become users and groups ---

    def _openssl(self, *argv):
        subprocess.run(["openssl", *map(str, argv)], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)

    def _key(self, name):
        self._openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", self.dir / f"{name}.key")
        return self.dir / f"{name}.key"

    def _authority(self):
        self._openssl("req", "-x509", "-new", "-key", self._key("ca"), "-days", 2, "-subj", "/CN=sluice test authority",
                      "-out", self.dir / "ca.crt")
        self._certificate("server", "servers", f"subjectAltName=IP:{self.address},IP:127.0.0.1,DNS:kubernetes.default.svc")
        self._key("serviceaccounts")

    def _certificate(self, user, group, *extensions):
        added = [word for e in extensions for word in ("-addext", e)]
        self._openssl("req", "-x509", "-CA", self.dir / "ca.crt", "-CAkey", self.dir / "ca.key", "-new", "-key", self._key(user),
                      "-days", 2, "-extensions", "usr_cert", "-subj", f"/O={group}/CN={user}", *added, "-out", self.dir / f"{user}.crt")
        return {"client-certificate": str(self.dir / f"{user}.crt"), "client-key": str(self.dir / f"{user}.key")}

    def kubeconfig(self, name, **user):
        """The path of a kubeconfig for these credentials."""
        path = self.dir / f"{name}.kubeconfig"
        write(path, json.dumps({
            "apiVersion": "v1", "kind": "Config", "current-context": "test",
            "clusters": [{"name": "test", "cluster": {"server": self.url, "certificate-authority": str(self.dir / "ca.crt")}}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": name}}],
            "users": [{"name": name, "user": user}],
        }, indent=1))
        return path

    def part_config(self, name, user, group):
        """A kubeconfig with a client certificate for a part of Kubernetes."""
        return self.kubeconfig(name, **self._certificate(user, group))

    def client(self, user=None, token=None):
        certificate = (self.dir / f"{user}.crt", self.dir / f"{user}.key") if user else None
        return api.Client(self.namespace, self.address, PORT, self.dir / "ca.crt", certificate, token)

    # --- processes ---

    def start(self):
        self.etcd = self.namespace.start(self.program, "etcd", "--dir", self.dir)
        wait_for("etcd", lambda: alive(self.etcd) and (self.dir / "client.sock").exists(), 30)
        self.start_server()
        config = self.part_config("controllers", "system:kube-controller-manager", "system:controllers")
        self.controllers = self.namespace.start(
            self.program, "kube-controller-manager", f"--kubeconfig={config}", f"--controllers={','.join(CONTROLLERS)}",
            f"--service-account-private-key-file={self.dir}/serviceaccounts.key", f"--root-ca-file={self.dir}/ca.crt",
            "--use-service-account-credentials=true", "--leader-elect=false", "--secure-port=0", "--kube-api-qps=500", "--kube-api-burst=1000")
        wait_for("the controllers", lambda: alive(self.controllers) and
                 self.admin.find("/api/v1/namespaces/default/serviceaccounts/default"), 60)
        return self

    def start_server(self):
        d = self.dir
        self.server = self.namespace.start(
            self.program, "kube-apiserver", f"--etcd-servers=unix://{d}/client.sock", f"--bind-address={self.address}",
            f"--secure-port={PORT}", f"--tls-cert-file={d}/server.crt", f"--tls-private-key-file={d}/server.key",
            f"--client-ca-file={d}/ca.crt", "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-account-signing-key-file={d}/serviceaccounts.key", f"--service-account-key-file={d}/serviceaccounts.key",
            "--authorization-mode=RBAC", f"--service-cluster-ip-range={CLUSTER_IPS}", "--endpoint-reconciler-type=none",
            # Pods are only objects here: a token mounted into them has no reader.
            "--disable-admission-plugins=ServiceAccount", f"--cert-dir={d}")
        wait_for("the API server", self.ready, 90)

    def ready(self):
        alive(self.server)
        try:
            return self.admin.raw("GET", "/readyz")[0] == 200
        except OSError:
            self.admin.close()
            return False

    def stop_server(self, number=signal.SIGKILL):
        self.server.end(number)
        self.admin.close()

    def restart_server(self):
        """As after a crash. Every watch ends, and what was remembered of tokens is forgotten."""
        self.stop_server()
        self.start_server()

    # --- as a user of the cluster ---

    def kubectl(self, *argv, stdin=None, check=True):
        return self.namespace.run(self.program, "kubectl", f"--kubeconfig={self.admin_config}", *argv, stdin=stdin, check=check)

    def token(self, namespace, account, secret=None):
        """A token for an hour; with a Secret, as long as that exists."""
        spec = {"expirationSeconds": 3600}
        if secret is not None:
            meta = secret["metadata"]
            spec["boundObjectRef"] = {"apiVersion": "v1", "kind": "Secret", "name": meta["name"], "uid": meta["uid"]}
        request = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec}
        path = f"/api/v1/namespaces/{namespace}/serviceaccounts/{account}/token"
        return self.admin.create(path, request)["status"]["token"]


def alive(process):
    if not process.running():
        raise LabError(f"{process.name} ended with status {process.popen.returncode}:\n{process.log()[-3000:]}")
    return True


def write(path, text):
    """One rename: who reads it while it changes gets the old or the new one."""
    fresh = path.with_name(f".{path.name}.new")
    fresh.write_text(text)
    os.replace(fresh, path)
