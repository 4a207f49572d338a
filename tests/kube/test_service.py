# SPDX-License-Identifier: Apache-2.0
# The life of a Service: what its owner and its pods do, and what clients see of it.
"""
   client ---- wan [ sluiced ] lan ---- switch ---- n1 ---- pods
 192.0.2.100           |                  +-------- n2 ---- pods
 192.0.2.101       API server: Services, EndpointSlices by the real controllers, status written back
   GET 203.0.113.x, 2001:db8:100::x
"""
import errno

import objects
from appliance import CLEANUP
from beds import KUBE, Conversation, expect, test, wait_for

OTHERS = {4: "192.0.2.101", 6: "2001:db8:2::101"}


def serve(w, n=2, kinds=("http",), name="web", **spec):
    """A namespace with n pods and a Service that is up: (namespace, workload, path, {family: address})."""
    ns = w.namespace()
    workload = w.workload(ns, name, n, *kinds)
    path = w.service(ns, name, ports=kinds, **spec)
    w.sluice.wait_ready(ns, name, workload.addresses())
    return ns, workload, path, w.sluice.wait_shown(ns, name)


def refuses(w, address, seconds=2):
    """curl's status: 7 for a refusal, 28 for silence."""
    return w.get(address, "/", seconds=seconds, check=False).returncode


@test(KUBE)
def an_address_answers_the_moment_it_shows(w):
    ns = w.namespace()
    web = w.workload(ns, "web", 2, "http")
    w.make_slices(ns, "web", web)  # before the Service: nothing is left to wait for
    w.service(ns, "web", selector=None)
    for family, address in w.sluice.wait_shown(ns, "web").items():
        expect(w.get(address, seconds=2).split()[0] in web.names(), family)


@test(KUBE)
def an_address_does_not_show_before_the_pods_behind_it_are_known(w):
    ns = w.namespace()
    web = w.workload(ns, "web", 2, "http")
    for n in range(5):
        w.service(ns, f"web-{n}", app="web")
        for family, address in w.sluice.wait_shown(ns, f"web-{n}").items():
            expect(w.get(address, seconds=2).split()[0] in web.names(), n, family)


@test(KUBE)
def create_service_loadbalancer_of_kubectl_gets_an_external_address(w):
    ns = w.namespace()
    w.workload(ns, "plain", 1, "http")
    w.control.kubectl("-n", ns, "create", "service", "loadbalancer", "plain", "--tcp=80:8080")
    address = w.sluice.wait_shown(ns, "plain", (4,))[4]
    expect(address in w.control.kubectl("-n", ns, "get", "service", "plain"), "kubectl does not show", address)
    w.get(address)


@test(KUBE)
def scaling_up_and_down_loses_no_request(w):
    ns, web, _, vips = serve(w, 1)
    for family, vip in vips.items():
        requests = w.get_many(vip, 1500, background=True)
        wait_for("some answers", lambda: requests.answered() >= 100, 30)
        web.scale(4)
        w.sluice.wait_ready(ns, "web", web.addresses())
        expect(w.get_many(vip, 100).assert_all_good().pods.keys() == web.names(), family, "not every pod answers")
        drained = web.pods[2:]
        for pod in drained:
            pod.terminate()
        w.sluice.wait_ready(ns, "web", {a for p in web.pods[:2] for a in (p.host.v4, p.host.v6)})
        expect(not w.get_many(vip, 100).assert_all_good().pods.keys() & {p.host.name for p in drained}, "draining pods got new connections")
        requests.finish().assert_all_good()
        web.scale(1)
        w.sluice.wait_ready(ns, "web", web.addresses())


@test(KUBE)
def a_rolling_update_loses_no_request(w):
    ns, web, _, vips = serve(w, 3)
    before = {p.name for p in web.pods}
    requests = [w.get_many(vip, 1500, background=True) for vip in vips.values()]
    wait_for("some answers", lambda: all(r.answered() >= 100 for r in requests), 30)
    web.roll(lambda: w.sluice.wait_ready(ns, "web", web.ready_addresses()))
    for r in requests:
        r.finish().assert_all_good()
    expect(not before & {p.name for p in web.pods}, "the update replaced nothing")


@test(KUBE)
def a_terminating_pod_keeps_its_connections_and_gets_no_new_ones(w):
    ns, echo, _, vips = serve(w, 1, ("http", "echo-tcp"), name="echo")
    old = echo.pods[0]
    with Conversation(w, vips[4]) as kept, Conversation(w, vips[6]) as cut:
        echo.add()
        old.terminate()
        w.sluice.wait_ready(ns, "echo", echo.ready_addresses())
        expect(set(w.get_many(vips[4], 50).assert_all_good().pods) == {echo.pods[1].host.name})
        said = kept.go_on()
        expect(said == "answer still there?", "a connection to a terminating pod:", said)
        old.gone()
        w.sluice.wait_backends(ns, "echo", "the pod to be gone", lambda b: old.host.v6 not in b)
        said = cut.go_on()
        expect(said == f"errno {errno.ECONNRESET}", "a connection to a pod that is gone:", said)


@test(KUBE)
def the_last_pod_serves_while_it_terminates(w):
    ns, web, _, vips = serve(w, 1)
    web.pods[0].terminate()
    w.wait_endpoints(ns, "web", "the endpoint to be terminating", lambda e: all(c["terminating"] for c in e.values()))
    w.sluice.wait_backends(ns, "web", "the backends to drain", lambda b: set(b.values()) == {"draining"})
    for vip in vips.values():
        w.get_many(vip, 20).assert_all_good()
    web.scale(0)
    w.sluice.wait_backends(ns, "web", "no backend", lambda b: not b)
    expect(refuses(w, vips[4]) == 7, "a Service without pods does not refuse")


@test(KUBE)
def a_pod_that_is_not_ready_gets_no_connection(w):
    ns, web, _, vips = serve(w, 2)
    web.pods[0].ready(False)
    w.sluice.wait_ready(ns, "web", {web.pods[1].host.v4, web.pods[1].host.v6})
    expect(set(w.get_many(vips[4], 50).assert_all_good().pods) == {web.pods[1].host.name})
    web.pods[0].ready(True)
    w.sluice.wait_ready(ns, "web", web.addresses())


@test(KUBE)
def a_service_made_again_under_its_name_has_its_address_again(w):
    ns, web, path, vips = serve(w)
    first = w.control.admin.get(path)["metadata"]["uid"]
    w.control.admin.delete(path)
    wait_for("the Service to be gone", lambda: w.control.admin.find(path) is None)
    w.service(ns, "web")
    again = w.sluice.wait_shown(ns, "web")
    expect(w.control.admin.get(path)["metadata"]["uid"] != first)
    expect(again == vips, "the address moved from", vips, "to", again)
    w.sluice.wait_ready(ns, "web", web.addresses())
    for vip in again.values():
        w.get_many(vip, 20).assert_all_good()


@test(KUBE)
def deleting_a_service_ends_it_at_clients_too(w):
    ns, _, path, vips = serve(w)
    w.control.admin.delete(path)
    wait_for("the Service to be gone", lambda: w.control.admin.find(path) is None)
    w.sluice.wait("the appliance to forget it", lambda: w.sluice.addresses(ns, "web") == {})
    for vip in vips.values():
        expect(refuses(w, vip, 1) != 0, vip, "still answers")


@test(KUBE)
def a_service_that_is_no_load_balancer_any_more_loses_all_marks(w):
    ns, web, path, vips = serve(w)
    w.control.admin.patch(path, {"spec": {"type": "ClusterIP"}})

    def bare():
        service = w.sluice.service(ns, "web")
        ours = [c for c in service["status"].get("conditions", []) if c["type"].startswith("sluice.dev/")]
        return not ours and not service["status"]["loadBalancer"] and CLEANUP not in service["metadata"].get("finalizers", [])

    w.sluice.wait("addresses, conditions and finalizer to go", bare)
    for vip in vips.values():
        expect(refuses(w, vip, 1) != 0, vip, "still answers")
    w.control.admin.patch(path, {"spec": {"type": "LoadBalancer"}})
    again = w.sluice.wait_shown(ns, "web")
    for vip in again.values():
        w.get_many(vip, 20).assert_all_good()
    w.control.admin.delete(path)
    wait_for("the Service to be gone", lambda: w.control.admin.find(path) is None)


@test(KUBE)
def ports_come_and_go_under_the_same_address(w):
    ns = w.namespace()
    pods = w.workload(ns, "web", 2, "http", "echo-tcp", "dns")
    path = w.service(ns, "web", ports=("http",))
    vips = w.sluice.wait_shown(ns, "web")
    ports = objects.ports(("echo-tcp", "dns"))
    w.control.admin.patch(path, {"spec": {"ports": ports}})
    w.sluice.wait("the new ports to be served", lambda: w.sluice.ports(ns, "web") == {"7001/TCP", "53/UDP"})
    w.sluice.wait_ready(ns, "web", pods.addresses())
    for vip in vips.values():
        with Conversation(w, vip) as talk:
            expect(talk.go_on() == "answer still there?")
        said = w.client.run("dig", "+short", "+tries=1", "TXT", "whoami.test", f"@{vip}").strip().strip('"')
        expect(said in pods.names(), "dig:", said)
        expect(refuses(w, vip, 1) != 0, "the old port still answers")
    expect(w.sluice.shown(ns, "web") == vips, "the address moved")


@test(KUBE)
def a_target_port_is_that_of_each_pod(w):
    ns, web, path, vips = serve(w)
    w.control.admin.patch(path, {"spec": {"ports": [{"name": "http", "port": 80, "targetPort": 80, "protocol": "TCP"}]}})
    w.sluice.wait("the pods' port to be 80", lambda: {b["port"] for b in w.sluice.items("backends") if b["service"].startswith(f"{ns}/")} == {80})
    w.sluice.settle()
    for vip in vips.values():
        w.get_many(vip, 20).assert_all_good()


@test(KUBE)
def a_service_of_another_class_is_never_touched(w):
    ns = w.namespace()
    w.workload(ns, "web", 1, "http")
    path = w.service(ns, "web", loadBalancerClass="example.com/other")
    w.service(ns, "ours", app="web")
    w.sluice.wait_shown(ns, "ours")  # made later: whoever handles both has seen the other one too
    w.sluice.settle()
    service = w.control.admin.get(path)
    expect(service["status"] == {"loadBalancer": {}} and "finalizers" not in service["metadata"], service["metadata"], service["status"])
    expect(w.sluice.addresses(ns, "web") == {})


@test(KUBE)
def a_second_family_comes_and_goes_without_the_first_noticing(w):
    ns, web, path, vips = serve(w, ipFamilyPolicy="RequireDualStack")
    w.control.admin.patch(path, {"spec": {"ipFamilyPolicy": "SingleStack", "ipFamilies": ["IPv4"], "clusterIPs": [
        w.control.admin.get(path)["spec"]["clusterIP"]]}})
    w.sluice.wait("IPv6 to go", lambda: w.sluice.shown(ns, "web") == {4: vips[4]})
    w.get_many(vips[4], 20).assert_all_good()
    expect(refuses(w, vips[6], 1) != 0, "IPv6 still answers")
    w.control.admin.patch(path, {"spec": {"ipFamilyPolicy": "PreferDualStack", "ipFamilies": ["IPv4", "IPv6"]}})
    again = w.sluice.wait_shown(ns, "web")
    expect(again[4] == vips[4], "IPv4 moved from", vips, "to", again)
    w.sluice.wait_ready(ns, "web", web.addresses())
    w.get_many(again[6], 20).assert_all_good()


@test(KUBE)
def source_ranges_take_effect_while_it_serves(w):
    ns, _, path, vips = serve(w)
    for family, width in ((4, 24), (6, 64)):
        w.client.address("eth0", f"{OTHERS[family]}/{width}")

    def answers(vip, source):
        return w.get(vip, "/", "--interface", source, seconds=1, check=False).returncode == 0

    w.control.admin.patch(path, {"spec": {"loadBalancerSourceRanges": ["192.0.2.100/32", " 2001:db8:2::100/128"]}})
    for family, vip in vips.items():
        w.sluice.wait(f"{OTHERS[family]} to be shut out", lambda: not answers(vip, OTHERS[family]))
        expect(answers(vip, w.client_addresses[family]), w.client_addresses[family], "is shut out")
    w.control.admin.patch(path, {"spec": {"loadBalancerSourceRanges": None}})
    for family, vip in vips.items():
        w.sluice.wait(f"{OTHERS[family]} to be let in", lambda: answers(vip, OTHERS[family]))


@test(KUBE)
def affinity_begins_and_ends_with_the_spec(w):
    ns, web, path, vips = serve(w, 3)
    w.control.admin.patch(path, {"spec": {"sessionAffinity": "ClientIP"}})
    for family, vip in vips.items():
        w.sluice.wait(f"IPv{family} to stay on one pod", lambda: len(w.get_many(vip, 20).assert_all_good().pods) == 1)
    w.control.admin.patch(path, {"spec": {"sessionAffinity": "None", "sessionAffinityConfig": None}})
    for family, vip in vips.items():
        w.sluice.wait(f"IPv{family} to spread again", lambda: set(w.get_many(vip, 60).assert_all_good().pods) == web.names())


@test(KUBE)
def hand_made_slices_are_served(w):
    ns = w.namespace()
    web = w.workload(ns, "web", 2, "http")
    w.service(ns, "outside", selector=None)
    w.make_slices(ns, "outside", web)
    vips = w.sluice.wait_shown(ns, "outside")
    w.sluice.wait_ready(ns, "outside", web.addresses())
    for vip in vips.values():
        expect(set(w.get_many(vip, 40).assert_all_good().pods) == web.names())


@test(KUBE)
def more_endpoints_than_a_slice_holds_are_all_backends(w):
    ns = w.namespace()
    w.service(ns, "many", selector=None, ipFamilyPolicy="SingleStack")
    w.control.admin.create(objects.namespaced(ns, "endpoints"), {
        "apiVersion": "v1", "kind": "Endpoints", "metadata": {"name": "many"},
        "subsets": [{"addresses": [{"ip": f"10.244.1.{n}"} for n in range(1, 241)], "ports": [{"name": "http", "port": 8080}]}]})
    w.sluice.wait_shown(ns, "many", (4,))
    w.sluice.wait_ready(ns, "many", {f"10.244.1.{n}" for n in range(1, 241)})
