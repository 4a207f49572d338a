# SPDX-License-Identifier: Apache-2.0
# What lib/status relies on: a strategic merge patch of services/status does on a real server what docs/decisions/0007 says.
import copy

import api
from beds import KUBE, expect, test
from test_role import CLEANUP, appliance, outcome

STRATEGIC = "application/strategic-merge-patch+json"


def condition(kind, status="True", **more):
    return {"type": kind, "status": status, "reason": "R", "message": "m", "lastTransitionTime": "2026-01-01T00:00:00Z", **more}


def types(service):
    return sorted(c["type"] for c in service["status"].get("conditions", []))


class Service:
    """Of a class that no appliance serves: nobody else writes it."""

    def __init__(self, w):
        _, self.path = w.foreign_service()
        self.client = appliance(w)
        self.seen = self.client.get(self.path)

    def write(self, metadata=None, status=None):
        guard = {k: self.seen["metadata"][k] for k in ("uid", "resourceVersion")}
        body = {"metadata": {**guard, **(metadata or {})}, "status": status or {}}
        self.seen = self.client.patch(f"{self.path}/status?fieldManager=sluice", body, STRATEGIC)
        return self.seen


@test(KUBE)
def conditions_merge_by_type_and_finalizers_as_a_set(w):
    s = Service(w)
    s.write(status={"conditions": [condition("example.org/Known")]})
    s.write({"finalizers": [CLEANUP]}, {"conditions": [condition("example.org/Ours")]})
    expect(types(s.seen) == ["example.org/Known", "example.org/Ours"], s.seen["status"])
    expect(s.seen["metadata"]["finalizers"] == [CLEANUP], s.seen["metadata"])
    s.write(status={"conditions": [{"type": "example.org/Ours", "status": "True", "reason": "Other", "message": "n"}]})
    ours = next(c for c in s.seen["status"]["conditions"] if c["type"] == "example.org/Ours")
    expect(ours["reason"] == "Other" and ours["lastTransitionTime"] == "2026-01-01T00:00:00Z", "the time was lost:", ours)
    s.write({"$deleteFromPrimitiveList/finalizers": [CLEANUP]},
            {"loadBalancer": {"ingress": None}, "conditions": [{"type": "example.org/Ours", "$patch": "delete"}]})
    expect(types(s.seen) == ["example.org/Known"], s.seen["status"])
    expect(not s.seen["metadata"].get("finalizers"), s.seen["metadata"])


@test(KUBE)
def the_list_of_ingress_is_replaced_whole(w):
    s = Service(w)
    ports = [{"port": 80, "protocol": "TCP", "error": "sluice.dev/NodePortRequired"}]
    s.write(status={"loadBalancer": {"ingress": [{"ip": "203.0.113.9", "ipMode": "Proxy", "ports": ports}]}})
    expect(s.seen["status"]["loadBalancer"]["ingress"] == [{"ip": "203.0.113.9", "ipMode": "Proxy", "ports": ports}], s.seen["status"])
    s.write(status={"loadBalancer": {"ingress": [{"ip": "203.0.113.10", "ipMode": "VIP"}]}})
    expect(s.seen["status"]["loadBalancer"]["ingress"] == [{"ip": "203.0.113.10", "ipMode": "VIP"}], s.seen["status"])
    s.write(status={"loadBalancer": {"ingress": None}})
    expect(s.seen["status"]["loadBalancer"] == {}, s.seen["status"])


@test(KUBE)
def a_patch_from_an_older_view_is_refused_and_changes_nothing(w):
    s = Service(w)
    old = copy.deepcopy(s.seen)
    s.write(status={"conditions": [condition("example.org/Known")]})
    now, s.seen = s.seen, old
    expect(outcome(s.write, {"finalizers": [CLEANUP]}, {"loadBalancer": {"ingress": [{"ip": "203.0.113.9"}]}}) == 409)
    expect(s.client.get(s.path)["metadata"]["resourceVersion"] == now["metadata"]["resourceVersion"])


@test(KUBE)
def taking_back_everything_ends_a_deleted_service_in_one_write(w):
    s = Service(w)
    s.write({"finalizers": [CLEANUP]}, {"loadBalancer": {"ingress": [{"ip": "203.0.113.9"}]},
                                        "conditions": [condition("example.org/Ours")]})
    w.control.admin.delete(s.path)
    s.seen = s.client.get(s.path)
    expect("deletionTimestamp" in s.seen["metadata"])
    s.write({"$deleteFromPrimitiveList/finalizers": [CLEANUP]},
            {"loadBalancer": {"ingress": None}, "conditions": [{"type": "example.org/Ours", "$patch": "delete"}]})
    expect(s.client.find(s.path) is None, "the Service outlives its finalizer")


@test(KUBE)
def an_event_is_made_and_counted(w):
    s = Service(w)
    m = s.seen["metadata"]
    events = f"/api/v1/namespaces/{m['namespace']}/events"
    made = s.client.create(events, {
        "apiVersion": "v1", "kind": "Event", "metadata": {"name": "web.0123456789abcdef", "namespace": m["namespace"]},
        "involvedObject": {"apiVersion": "v1", "kind": "Service", "namespace": m["namespace"], "name": m["name"], "uid": m["uid"],
                           "resourceVersion": m["resourceVersion"]},
        "type": "Normal", "reason": "EnsuredLoadBalancer", "message": "m", "count": 1, "firstTimestamp": "2026-01-01T00:00:00Z",
        "lastTimestamp": "2026-01-01T00:00:00Z", "source": {"component": "sluice", "host": "lb-1"}, "reportingComponent": "sluice",
        "reportingInstance": "lb-1"})
    expect(made["count"] == 1)
    s.client.patch(f"{events}/web.0123456789abcdef", {"count": 2, "lastTimestamp": "2026-01-01T00:01:00Z", "message": "m"}, STRATEGIC)
    expect("EnsuredLoadBalancer" in w.control.kubectl("describe", "service", "web", "-n", m["namespace"]))
    try:
        s.client.patch(f"{events}/web.gone", {"count": 2}, STRATEGIC)
        expect(False, "a patch of an absent event was taken")
    except api.ApiError as e:
        expect(e.status == 404, e.status)
