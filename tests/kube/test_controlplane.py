# SPDX-License-Identifier: Apache-2.0
# The ground that the other tests stand on: the control plane is real, its controllers work.
import json

from beds import KUBE, expect, test, wait_for


def ready(conditions):
    return conditions.get("ready")


@test(KUBE)
def a_service_with_pods_gets_endpoint_slices_of_both_families(w):
    ns = w.namespace()
    web = w.workload(ns, "web", 3, "http")
    w.service(ns, "web")
    w.wait_endpoints(ns, "web", "three ready endpoints of both families", lambda e: set(e) == web.addresses() and all(map(ready, e.values())))
    web.scale(2)
    w.wait_endpoints(ns, "web", "two ready endpoints of both families", lambda e: set(e) == web.addresses())


@test(KUBE)
def the_conditions_of_an_endpoint_follow_its_pod(w):
    ns = w.namespace()
    web = w.workload(ns, "web", 2, "http")
    w.service(ns, "web")
    first, second = web.pods
    first.ready(False)
    w.wait_endpoints(ns, "web", "one endpoint to be not ready",
                     lambda e: e.get(first.host.v4) == {"ready": False, "serving": False, "terminating": False} and ready(e[second.host.v4]))
    first.ready(True).terminate()
    w.wait_endpoints(ns, "web", "one endpoint to be terminating and serving",
                     lambda e: e.get(first.host.v4) == {"ready": False, "serving": True, "terminating": True} and ready(e[second.host.v4]))
    first.gone()
    w.wait_endpoints(ns, "web", "one endpoint to be gone", lambda e: set(e) == web.addresses())


@test(KUBE)
def hand_made_endpoints_become_slices(w):
    ns = w.namespace()
    w.service(ns, "outside", selector=None, ipFamilyPolicy="SingleStack")
    w.control.admin.create(f"/api/v1/namespaces/{ns}/endpoints", {
        "apiVersion": "v1", "kind": "Endpoints", "metadata": {"name": "outside"},
        "subsets": [{"addresses": [{"ip": "198.51.100.7"}], "ports": [{"name": "http", "port": 8080}]}]})
    w.wait_endpoints(ns, "outside", "the mirrored endpoint", lambda e: set(e) == {"198.51.100.7"})


@test(KUBE)
def deleting_a_namespace_takes_its_services_and_slices_along(w):
    ns = w.namespace()
    path = w.service(ns, "web", app="nobody")
    w.control.admin.delete(f"/api/v1/namespaces/{ns}")
    wait_for("the namespace to go", lambda: w.control.admin.find(f"/api/v1/namespaces/{ns}") is None, 30)
    expect(w.control.admin.find(path) is None)


@test(KUBE)
def kube_proxy_of_a_node_serves_node_ports_and_tells_its_health(w):
    ns = w.namespace()
    web = w.workload(ns, "web", 2, "http")
    one, two = w.nodes
    path = w.service(ns, "web", externalTrafficPolicy="Local")
    one.start_proxy()
    spec = w.control.admin.get(path)["spec"]
    for address in (one.v4, f"[{one.v6}]"):
        url = f"http://{address}:{spec['ports'][0]['nodePort']}/"
        wait_for(f"{url} to answer", lambda: two.ns.run("curl", "-sf", "-m", 1, url, check=False).returncode == 0, 20)
        pods = {two.ns.run("curl", "-sf", "-m", 2, url).split()[0] for _ in range(10)}
        expect(pods == {p.host.name for p in web.pods if p.host.node is one}, "answers came from", pods)
    health = f"http://{one.v4}:{spec['healthCheckNodePort']}/healthz"
    said = json.loads(w.lb.run("curl", "-s", "-m", 2, health))
    expect(said["localEndpoints"] == 1, said)
