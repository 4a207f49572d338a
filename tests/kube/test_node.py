# SPDX-License-Identifier: Apache-2.0
# target: node, with the real kube-proxy on every node: who gets traffic, and what the pods see.
"""
   client ---- wan [ sluiced ] lan ---- n1 10.0.0.21:nodePort  kube-proxy ---- pods of any node (Cluster), its own (Local)
 192.0.2.100           |        +------ n2 10.0.0.22:nodePort  kube-proxy ---- pods
                       +--- mgmt: /healthz of kube-proxy, healthCheckNodePort
"""
from beds import KUBE, expect, test, wait_for

EXCLUDE = "node.kubernetes.io/exclude-from-external-load-balancers"


def serve(w, n=2, mode="fullnat", **spec):
    """Pods on both nodes, a Service whose backends are nodes: (namespace, workload, path, {family: address})."""
    for node in w.nodes:
        node.start_proxy()
    ns = w.namespace()
    web = w.workload(ns, "web", n, "http")
    path = w.service(ns, "web", annotations={"sluice.dev/target": "node", "sluice.dev/forwarding": mode}, **spec)
    vips = w.sluice.wait_shown(ns, "web")
    if n > 0:
        w.wait_proxies(path)
    return ns, web, path, vips


def addresses(*nodes):
    return {a for n in nodes for a in (n.v4, n.v6)}


@test(KUBE)
def node_ports_of_every_node_lead_to_every_pod(w):
    ns, web, _, vips = serve(w, 3)
    w.sluice.wait_ready(ns, "web", addresses(*w.nodes))
    for vip in vips.values():
        expect(set(w.get_many(vip, 150).assert_all_good().pods) == web.names())


@test(KUBE)
def local_policy_sends_only_to_nodes_with_pods_and_keeps_the_client(w):
    ns, web, path, vips = serve(w, 0, "dnat", externalTrafficPolicy="Local")
    one, two = w.nodes
    web.add(one)
    w.sluice.wait_ready(ns, "web", addresses(one))
    w.wait_proxies(path, one)
    for family, vip in vips.items():
        requests = w.get_many(vip, 50).assert_all_good()
        expect(set(requests.seen) == {w.client_addresses[family]}, "pods saw", requests.seen)
    web.add(two)
    w.wait_proxies(path, one, two)
    w.sluice.wait_ready(ns, "web", addresses(one, two))
    for vip in vips.values():
        expect(set(w.get_many(vip, 100).assert_all_good().pods) == web.names())
    web.pods[0].gone()
    w.sluice.wait_ready(ns, "web", addresses(two))
    for vip in vips.values():
        w.get_many(vip, 50).assert_all_good()


@test(KUBE)
def a_change_of_policy_keeps_the_address(w):
    ns, web, path, vips = serve(w, 0)
    one, two = w.nodes
    web.add(one)
    w.sluice.wait_ready(ns, "web", addresses(one, two))
    w.control.admin.patch(path, {"spec": {"externalTrafficPolicy": "Local"}})
    w.sluice.wait_ready(ns, "web", addresses(one))
    w.wait_proxies(path, one)
    for vip in vips.values():
        w.get_many(vip, 50).assert_all_good()
    w.control.admin.patch(path, {"spec": {"externalTrafficPolicy": "Cluster"}})
    w.sluice.wait_ready(ns, "web", addresses(one, two))
    expect(w.sluice.shown(ns, "web") == vips, "the address moved")


@test(KUBE)
def an_excluded_node_gets_nothing_and_a_cordoned_one_does(w):
    ns, _, _, _ = serve(w)
    one, two = w.nodes
    node = f"/api/v1/nodes/{one.name}"
    w.control.admin.patch(node, {"spec": {"unschedulable": True}, "metadata": {"labels": {EXCLUDE: "false"}}})
    w.control.admin.patch(f"/api/v1/nodes/{two.name}", {"metadata": {"labels": {EXCLUDE: ""}}})
    w.sluice.wait_ready(ns, "web", addresses(one))
    w.control.admin.patch(f"/api/v1/nodes/{two.name}", {"metadata": {"labels": {EXCLUDE: None}}})
    w.sluice.wait_ready(ns, "web", addresses(one, two))
    one.register()


@test(KUBE)
def a_node_that_leaves_the_cluster_leaves_the_table(w):
    ns, _, _, _ = serve(w)
    one, two = w.nodes
    w.control.admin.delete(f"/api/v1/nodes/{two.name}")
    w.sluice.wait_ready(ns, "web", addresses(one))
    two.register()
    w.sluice.wait_ready(ns, "web", addresses(one, two))


@test(KUBE)
def without_a_node_port_the_service_waits_and_says_why(w):
    ns = w.namespace()
    w.workload(ns, "web", 1, "http")
    path = w.service(ns, "web", annotations={"sluice.dev/target": "node"}, allocateLoadBalancerNodePorts=False)

    def reasons():
        return [s["reason"] for s in w.sluice.items("services") if s["namespace"] == ns]

    w.sluice.wait("the reason", lambda: any("nodePort" in r for r in reasons()))
    expect(w.sluice.shown(ns, "web") == {}, "an address shows that can't answer")
    w.control.admin.patch(path, {"spec": {"allocateLoadBalancerNodePorts": True}})
    w.sluice.wait_shown(ns, "web")


@test(KUBE)
def under_local_policy_a_node_gets_its_share_by_its_pods(w):
    ns, web, path, vips = serve(w, 0, externalTrafficPolicy="Local")
    one, two = w.nodes
    for node in (one, one, one, two):
        web.add(node)
    w.wait_proxies(path)
    # A node whose kube-proxy had not got that far is asked again, and asked twice.
    w.sluice.wait("both nodes to have said what they have", lambda: w.sluice.healthy_nodes(f"{ns}/web") == {one.name, two.name})
    w.sluice.wait("weights of three to one", lambda: {b["weight"] for b in w.sluice.items("backends") if b["address"] == one.v4} == {3})
    w.sluice.wait_ready(ns, "web", addresses(one, two))
    w.sluice.settle()
    for vip in vips.values():
        pods = w.get_many(vip, 400).assert_all_good().pods
        share = sum(n for name, n in pods.items() if name.startswith("s1")) / 400
        expect(0.65 < share < 0.85, "the node with three of four pods got", share, pods)


@test(KUBE)
def a_node_whose_kube_proxy_dies_gets_no_new_connection(w):
    ns, _, _, vips = serve(w)
    one, two = w.nodes
    w.sluice.wait_ready(ns, "web", addresses(one, two))
    w.sluice.wait("kube-proxy of both to be asked", lambda: w.sluice.healthy_nodes() == {one.name, two.name})
    one.stop_proxy()
    w.sluice.wait_ready(ns, "web", addresses(two))
    for vip in vips.values():
        w.get_many(vip, 50).assert_all_good()
    one.start_proxy()
    w.sluice.wait_ready(ns, "web", addresses(one, two))


@test(KUBE)
def when_no_kube_proxy_answers_any_more_all_nodes_stay(w):
    ns, _, _, _ = serve(w)
    one, two = w.nodes
    w.sluice.wait("kube-proxy of both to be asked", lambda: w.sluice.healthy_nodes() == {one.name, two.name})
    for node in w.nodes:
        node.proxy.end()  # rules stay as they are: traffic goes on
    w.sluice.wait("both to be found down", lambda: w.sluice.healthy_nodes() == set())
    w.sluice.wait_ready(ns, "web", addresses(one, two))
    for vip in w.sluice.shown(ns, "web").values():
        w.get_many(vip, 50).assert_all_good()
