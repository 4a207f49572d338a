# SPDX-License-Identifier: Apache-2.0
# What the owner of a Service sees: addresses, conditions, events, the finalizer; who writes when there are two appliances.
"""
   kubectl, the API ---- status.loadBalancer, conditions, finalizers, Events <---- [ sluiced ] (and a second one that waits)
"""
import objects
from appliance import CLEANUP
from beds import KUBE, expect, test, wait_for
from cluster import POOL4

WHOLE_POOL = 30


def conditions(service):
    return {c["type"]: c for c in service["status"].get("conditions", [])}


def events(w, ns, name):
    items = w.control.admin.get(objects.namespaced(ns, "events"))["items"]
    return {e["reason"]: e for e in items if e["involvedObject"]["name"] == name}


@test(KUBE)
def a_served_service_says_so_in_conditions_and_events(w):
    ns = w.namespace()
    w.workload(ns, "web", 1, "http")
    w.service(ns, "web")
    vips = w.sluice.wait_shown(ns, "web")
    service = w.sluice.service(ns, "web")
    expect(CLEANUP in service["metadata"]["finalizers"], service["metadata"])
    for kind in ("sluice.dev/Allocated", "sluice.dev/Programmed"):
        condition = conditions(service).get(kind, {})
        expect(condition.get("status") == "True" and condition.get("lastTransitionTime"), kind, condition)
    ingress = service["status"]["loadBalancer"]["ingress"]
    expect([i["ip"] for i in ingress] == [vips[4], vips[6]] and all(i["ipMode"] == "VIP" for i in ingress), ingress)
    wait_for("the event", lambda: "EnsuredLoadBalancer" in events(w, ns, "web"))
    expect(vips[4] in w.control.kubectl("-n", ns, "describe", "service", "web"))


@test(KUBE)
def a_request_outside_of_the_pools_waits_and_says_why(w):
    ns = w.namespace()
    path = w.service(ns, "web", app="nobody", loadBalancerIP="198.18.0.1", ipFamilyPolicy="SingleStack")

    def allocated():
        return conditions(w.sluice.service(ns, "web")).get("sluice.dev/Allocated", {})

    w.sluice.wait("the condition", lambda: allocated().get("status") == "False")
    expect("198.18.0.1" in allocated()["message"], allocated())
    expect(w.sluice.shown(ns, "web") == {})
    w.control.admin.patch(path, {"spec": {"loadBalancerIP": POOL4.split("-")[0][:-1] + "17"}})
    expect(w.sluice.wait_shown(ns, "web", (4,)) == {4: "203.0.113.17"})
    w.sluice.wait("the condition", lambda: allocated().get("status") == "True")


@test(KUBE)
def freed_addresses_go_to_those_that_wait_in_their_order(w):
    ns = w.namespace()
    paths = [w.service(ns, f"s{n}", app="nobody", ipFamilyPolicy="SingleStack") for n in range(WHOLE_POOL)]
    w.sluice.wait("all addresses to be given", lambda: all(w.sluice.shown(ns, f"s{n}") for n in range(WHOLE_POOL)), 30)
    for late in ("first", "second"):
        w.service(ns, late, app="nobody", ipFamilyPolicy="SingleStack")
        w.sluice.wait(f"{late} to wait", lambda: conditions(w.sluice.service(ns, late)).get("sluice.dev/Allocated", {}).get("status") == "False")
    for n, late in zip((7, 3), ("first", "second")):
        freed = w.sluice.shown(ns, f"s{n}")
        w.control.admin.delete(paths[n])
        expect(w.sluice.wait_shown(ns, late, (4,), 90) == freed, late)


@test(KUBE)
def services_with_one_sharing_key_share_one_address(w):
    ns = w.namespace()
    web = w.workload(ns, "web", 2, "http", "echo-tcp")
    vips = []
    for name, ports in (("a", ("http",)), ("b", ("echo-tcp",))):
        w.service(ns, name, app="web", ports=ports, annotations={"sluice.dev/allow-shared-ip": "key"}, loadBalancerIP="203.0.113.20",
                  ipFamilyPolicy="SingleStack")
        vips.append(w.sluice.wait_shown(ns, name, (4,)))
        w.sluice.wait_ready(ns, name, {p.host.v4 for p in web.pods})
    expect(vips[0] == vips[1] == {4: "203.0.113.20"}, vips)
    w.get(vips[0][4])


@test(KUBE)
def who_edits_the_status_by_hand_is_put_right(w):
    ns = w.namespace()
    path = w.service(ns, "web", app="nobody")
    vips = w.sluice.wait_shown(ns, "web")
    w.control.admin.patch(f"{path}/status", {"status": {"loadBalancer": None}})
    w.sluice.wait("the addresses to be back", lambda: w.sluice.shown(ns, "web") == vips)


@test(KUBE)
def a_quiet_service_is_written_no_more(w):
    ns = w.namespace()
    web = w.workload(ns, "web", 1, "http")
    path = w.service(ns, "web")
    w.sluice.wait_shown(ns, "web")
    w.sluice.wait_ready(ns, "web", web.addresses())
    version = wait_for("its status to be final", lambda: settled(w, path))
    web.scale(4)
    w.sluice.wait_ready(ns, "web", web.addresses())
    w.service(ns, "other", app="web")
    w.sluice.wait_shown(ns, "other")
    expect(w.control.admin.get(path)["metadata"]["resourceVersion"] == version, "pods that come and go rewrite the Service")


def settled(w, path):
    """Its resourceVersion once everything is said of it."""
    service = w.control.admin.get(path)
    said = {k: c["status"] for k, c in conditions(service).items()}
    return said == {"sluice.dev/Allocated": "True", "sluice.dev/Programmed": "True"} and service["metadata"]["resourceVersion"]


@test(KUBE)
def of_two_appliances_one_writes_and_the_other_takes_over(w):
    ns = w.namespace()
    web = w.workload(ns, "web", 2, "http")
    w.service(ns, "before", app="web")
    vips = w.sluice.wait_shown(ns, "before")
    second = w.second_appliance()
    second.wait("the second one to follow", lambda: second.addresses(ns, "before") == vips)
    second.wait_ready(ns, "before", web.addresses())
    expect(w.lease_holder() == w.sluice.name, "the lease is held by", w.lease_holder())
    w.sluice.process.end()  # lets go of the lease as it ends
    w.service(ns, "after", app="web")
    second.wait_shown(ns, "after", seconds=30)
    expect(w.lease_holder() == second.name)
    expect(second.shown(ns, "before") == vips, "the address moved with the leader")
    second.process.end()
    w.sluice.start()
    w.sluice.wait_shown(ns, "after")
    w.service(ns, "again", app="web")
    w.sluice.wait_shown(ns, "again", seconds=30)
