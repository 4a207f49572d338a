# SPDX-License-Identifier: Apache-2.0
# docs/deploy applied as it is: the appliance's account may do what it needs and nothing else.
import base64
import shlex

import api
import objects
from beds import KUBE, expect, test, wait_for
from controlplane import APPLIANCE

EVERYWHERE = {
    ("get", "services", ""), ("list", "services", ""), ("watch", "services", ""), ("patch", "services/status", ""),
    ("list", "endpointslices", "discovery.k8s.io"), ("watch", "endpointslices", "discovery.k8s.io"),
    ("list", "nodes", ""), ("watch", "nodes", ""),
    ("create", "events", ""), ("patch", "events", ""),
}
AT_HOME = EVERYWHERE | {("create", "leases", "coordination.k8s.io"), ("get", "leases/sluice", "coordination.k8s.io"),
                        ("update", "leases/sluice", "coordination.k8s.io")}
CLEANUP = "service.kubernetes.io/load-balancer-cleanup"


def appliance(w):
    return w.control.client(token=w.control.token(*APPLIANCE))


def rules(client, namespace):
    """Everything that the credentials may do in a namespace, by the server's own word, less what every account may."""
    review = {"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectRulesReview", "spec": {"namespace": namespace}}
    said = client.create("/apis/authorization.k8s.io/v1/selfsubjectrulesreviews", review)["status"]
    return {(verb, resource + name, group)
            for rule in said["resourceRules"] for group in rule["apiGroups"] for verb in rule["verbs"]
            for resource in rule["resources"] for name in [f"/{n}" for n in rule.get("resourceNames") or []] or [""]
            if group not in ("authorization.k8s.io", "authentication.k8s.io", "certificates.k8s.io")}


def outcome(call, *argv):
    """The status that the server answers with."""
    try:
        call(*argv)
    except api.ApiError as e:
        return e.status
    return 200


def refused(call, *argv):
    return outcome(call, *argv) == 403


@test(KUBE)
def the_shipped_role_is_exactly_what_the_appliance_does(w):
    client = appliance(w)
    for namespace, wanted in (("default", EVERYWHERE), (APPLIANCE[0], AT_HOME)):
        may = rules(client, namespace)
        expect(may == wanted, namespace, "too much:", may - wanted, "too little:", wanted - may)


@test(KUBE)
def the_shipped_role_reads_what_it_should(w):
    client = appliance(w)
    for path in ("/api/v1/services", "/apis/discovery.k8s.io/v1/endpointslices", "/api/v1/nodes"):
        client.get(path)
        status, _ = client.raw("GET", f"{path}?watch=1&timeoutSeconds=1")
        expect(status == 200, path, "watch:", status)
    for path in ("/api/v1/secrets", "/api/v1/pods", "/api/v1/configmaps", "/api/v1/endpoints"):
        expect(refused(client.get, path), path)


@test(KUBE)
def the_shipped_role_writes_a_service_only_by_its_status(w):
    _, path = w.foreign_service()
    client = appliance(w)
    expect(refused(client.patch, path, {"spec": {"loadBalancerIP": "203.0.113.9"}}), "it may change the spec")
    expect(refused(client.patch, path, {"metadata": {"labels": {"a": "b"}}}), "it may change labels")
    expect(refused(client.call, "DELETE", path), "it may delete")
    service = client.get(path)
    client.patch(f"{path}/status", {
        "metadata": {"uid": service["metadata"]["uid"], "finalizers": [CLEANUP]}, "spec": {"loadBalancerIP": "203.0.113.9"},
        "status": {"loadBalancer": {"ingress": [{"ip": "203.0.113.9", "ipMode": "VIP"}]},
                   "conditions": [{"type": "example.com/Known", "status": "True", "reason": "Known", "message": "",
                                   "lastTransitionTime": "2026-01-01T00:00:00Z"}]}})
    service = client.get(path)
    expect(service["metadata"]["finalizers"] == [CLEANUP], "the finalizer was not set by services/status:", service["metadata"])
    expect(service["status"]["loadBalancer"]["ingress"][0]["ip"] == "203.0.113.9", service["status"])
    expect("loadBalancerIP" not in service["spec"], "a write of the status changed the spec")
    w.control.admin.delete(path)
    expect(client.get(path)["metadata"].get("deletionTimestamp"), "the finalizer did not hold the deletion")
    client.patch(f"{path}/status", {"metadata": {"finalizers": None}})
    expect(client.find(path) is None, "the Service outlives its finalizer")


@test(KUBE)
def a_status_for_an_older_service_of_the_same_name_is_refused(w):
    ns, path = w.foreign_service()
    client = appliance(w)
    older = client.get(path)["metadata"]
    w.control.admin.delete(path)
    w.service(ns, "web", loadBalancerClass="example.com/other")
    status = {"status": {"loadBalancer": {"ingress": [{"ip": "203.0.113.9"}]}}}
    for key, answer in (("uid", 422), ("resourceVersion", 409)):
        said = outcome(client.patch, f"{path}/status", {"metadata": {key: older[key]}, **status})
        expect(said == answer, f"a patch with the older one's {key}: status", said)


@test(KUBE)
def the_shipped_role_keeps_one_lease_in_its_own_namespace(w):
    client = appliance(w)
    home, away = (f"/apis/coordination.k8s.io/v1/namespaces/{n}/leases" for n in (APPLIANCE[0], "default"))
    lease = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "sluice"},
             "spec": {"holderIdentity": "a", "leaseDurationSeconds": 15}}
    expect(outcome(client.create, home, lease) in (200, 409), "it may not make its lease")
    held = client.get(f"{home}/sluice")
    expect(outcome(client.call, "PUT", f"{home}/sluice", held) in (200, 409), "it may not renew its lease")
    expect(refused(client.get, f"{home}/other"), "it may read another lease")
    expect(refused(client.create, away, lease), "it may make leases anywhere")
    expect(refused(client.call, "DELETE", f"{home}/sluice"), "it may delete leases")


@test(KUBE)
def the_sample_service_is_one_that_the_server_takes(w):
    ns = w.namespace()
    w.control.kubectl("apply", "-n", ns, "-f", w.deploy / "sample-service.yaml")
    service = w.control.admin.get(objects.namespaced(ns, "services", "hello"))
    expect(service["spec"]["ipFamilies"] == ["IPv4", "IPv6"], service["spec"])


@test(KUBE)
def the_shipped_token_is_one_of_the_appliance_until_it_is_deleted(w):
    path = objects.namespaced(APPLIANCE[0], "secrets", "sluice-token")
    w.control.kubectl("apply", "-f", w.deploy / "token.yaml")
    token = wait_for("the token", lambda: w.control.admin.get(path).get("data", {}).get("token"))
    client = w.control.client(token=base64.b64decode(token).decode())
    client.get("/api/v1/services")
    w.control.admin.delete(path)
    wait_for("the token to be refused", lambda: client.raw("GET", "/api/v1/services")[0] == 401, 20)


@test(KUBE)
def the_finalizer_is_taken_off_by_the_documented_command(w):
    ns, path = w.foreign_service()
    appliance(w).patch(f"{path}/status", {"metadata": {"finalizers": [CLEANUP]}})
    w.control.admin.delete(path)
    text = (w.deploy / "README.md").read_text()
    command = next(line for line in text.splitlines() if "kubectl patch service NAME" in line)
    w.control.kubectl(*shlex.split(command.replace("NAME", "web"))[1:], "-n", ns)
    expect(w.control.admin.find(path) is None, "the Service outlives its finalizer")
