# SPDX-License-Identifier: Apache-2.0
# target: node. Nodes say by HTTP how they are, and traffic follows within a second.
"""
                        mgmt 10.255.0.0/24: probes, GET http://10.0.0.11:10256/healthz
                  +-----------------------------+
   client ---- wan [ sluiced ] lan ---- switch ---- s1   each plays a node: kube-proxy's /healthz,
 192.0.2.100                               +------- s2   a healthCheckNodePort, and nginx on the
                                           +------- s3   nodePort
                                           +------- s4
"""
import signal
import sys
import time
from datetime import datetime

from beds import PACKET_NODES, expect, test, wait_for

PROXY, OWN, NODE_PORT = 10256, 32000, 8080
SECOND, INTERVAL = 1.0, 0.5
HEALTH = r"""
import http.server, pathlib, sys, time
said = pathlib.Path(sys.argv[2])
refusals = said.with_suffix(".refused")
class Health(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        status, *weight = said.read_text().split()
        self.send_response(int(status))
        for w in weight:
            self.send_header("X-Load-Balancing-Endpoint-Weight", w)
        self.end_headers()
        self.wfile.flush()
        if status == "503":
            with refusals.open("a") as f:
                f.write(f"{time.time()}\n")
    def log_message(self, *_):
        pass
http.server.ThreadingHTTPServer(("", int(sys.argv[1])), Health).serve_forever()
"""


class Node:
    """What a node says of itself on a port."""

    def __init__(self, c, pod, port):
        self.pod, self.port = pod, port
        self.said = c.lab.dir / f"{pod.name}-{port}"
        self.say("200")
        self.server = pod.ns.start(sys.executable, "-c", HEALTH, port, self.said)
        wait_for(f"{pod.name}:{port}", lambda: pod.ns.listening("t", port))

    def say(self, words):
        self.said.with_suffix(".refused").unlink(missing_ok=True)
        fresh = self.said.with_suffix(".new")
        fresh.write_text(words)
        fresh.rename(self.said)

    def refused_at(self, n):
        """When it had said 503 n times since it was told to."""
        def times():
            file = self.said.with_suffix(".refused")
            return file.read_text().split() if file.exists() else []
        return float(wait_for(f"refusal {n} to be noted", lambda: times()[n - 1:n])[0])


def node_object(pod):
    return {"apiVersion": "v1", "kind": "Node", "metadata": {"name": pod.name},
            "status": {"addresses": [{"type": "InternalIP", "address": a} for a in (pod.v4, pod.v6)]}}


def service_object(name, **spec):
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": "default"},
            "spec": {"type": "LoadBalancer", "ipFamilyPolicy": "PreferDualStack", "ipFamilies": ["IPv4", "IPv6"],
                     "ports": [{"name": "http", "port": 80, "nodePort": NODE_PORT}], **spec}}


def slice_object(name, nodes, family):
    return {"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": f"IPv{family}",
            "metadata": {"name": f"{name}-{family}", "namespace": "default", "labels": {"kubernetes.io/service-name": name}},
            "ports": [{"name": "http", "port": 8080}],
            "endpoints": [{"addresses": [f"10.244.0.{n}" if family == 4 else f"fd44::{n}"], "nodeName": node}
                          for n, node in enumerate(nodes, 1)]}


def backends(c, name):
    """{node: (state, weight, reason)} by the IPv4 addresses."""
    names = {p.v4: p.name for p in c.pods}
    return {names[b["address"]]: (b["state"], b["weight"], b["reason"]) for b in c.sluice.items("backends", f"default/{name}")
            if b["address"] in names}


def out_of(c, name):
    """The nodes that get no new flows."""
    return {node for node, (state, _, _) in backends(c, name).items() if state != "ready"}


def apply(c, name, *objects):
    c.manifests[name] = objects
    c.sluice.apply(f"{name}.json", objects, lambda _: len(backends(c, name)) > 0)
    return c.sluice.wait("its addresses", lambda: c.addresses(name))


def probed(c, n):
    """Until n targets have said that they are up."""
    c.sluice.wait(f"{n} nodes to be up", lambda: [p["state"] for p in c.sluice.items("probes")] == ["up"] * n)


def cluster_service(c, name="web"):
    nodes = {p.name: Node(c, p.serve("http"), PROXY) for p in c.pods}
    vips = apply(c, name, *map(node_object, c.pods), service_object(name))
    probed(c, len(nodes))
    return nodes, vips


def end(nodes):
    for node in nodes.values():
        node.server.end()


def expect_out(c, name, node, since, allowed, seen):
    """The node drains: found down by sluiced's own clock, whose log began at `seen`, and shown soon by sluicectl, which needs its time too."""
    c.sluice.wait(f"{node} to drain", lambda: node in out_of(c, name), 20)
    shown = time.time()
    line = next(line for line in c.sluice.process.log()[seen:].splitlines() if f"node {node}: " in line and " is down" in line)
    found = datetime.fromisoformat(line.split()[0].replace("Z", "+00:00")).timestamp()
    expect(found - since < allowed, f"{node} was found down {found - since:.2f} s after its first sign")
    expect(shown - found < 2 * SECOND, f"the tables changed {shown - found:.2f} s after the verdict")
    c.sluice.settle()


@test(PACKET_NODES)
def traffic_leaves_a_node_within_a_second_of_503_and_its_flows_stay(c):
    nodes, vips = cluster_service(c)
    download = c.start_download(vips[4])
    busy = download.pod().name
    seen = len(c.sluice.process.log())
    nodes[busy].say("503")
    # A refusal is asked again, and the second one counts. How long the node takes to say so is its own affair.
    expect_out(c, "web", busy, nodes[busy].refused_at(2), SECOND, seen)
    expect(out_of(c, "web") == {busy}, backends(c, "web"))
    expect(backends(c, "web")[busy] == ("draining", 1, "node-down"), backends(c, "web"))
    for vip in vips.values():
        answers = c.get_many(vip, 60).assert_all_good()
        expect(set(answers.pods) == set(nodes) - {busy}, "answers came from", answers.pods)
    nodes[busy].say("200")
    c.sluice.wait("the node to come back", lambda: out_of(c, "web") == set(), 20)
    c.sluice.settle()
    answers = c.get_many(vips[4], 100).assert_all_good()
    expect(set(answers.pods) == set(nodes), "answers came from", answers.pods)
    download.assert_whole()
    end(nodes)


@test(PACKET_NODES)
def a_kube_proxy_that_died_is_noticed_within_a_second_of_the_next_probe(c):
    nodes, _ = cluster_service(c)
    seen = len(c.sluice.process.log())
    nodes["s3"].server.end()
    expect_out(c, "web", "s3", time.time(), INTERVAL + SECOND, seen)
    row = next(p for p in c.sluice.items("probes") if p["node"] == "s3")
    expect(row["state"] == "down" and "refused" in row["answer"] and row["url"] == f"http://10.0.0.13:{PROXY}/healthz", row)
    end(nodes)


@test(PACKET_NODES)
def all_nodes_down_is_not_believed(c):
    nodes, vips = cluster_service(c)
    seen = len(c.sluice.process.log())
    for node in nodes.values():
        node.say("503")
    c.sluice.wait("the doubt", lambda: {r for _, _, r in backends(c, "web").values()} == {"node-down-disbelieved"}, 20)
    c.sluice.settle()
    expect("not believed" in c.sluice.items("services")[0]["note"], c.sluice.items("services"))
    for vip in vips.values():
        answers = c.get_many(vip, 80).assert_all_good()
        expect(set(answers.pods) == set(nodes), "answers came from", answers.pods)
    expect("not believed" in c.sluice.process.log()[seen:], c.sluice.process.log()[seen:])
    nodes["s1"].say("200")
    c.sluice.wait("belief", lambda: out_of(c, "web") == {"s2", "s3", "s4"}, 20)
    end(nodes)


@test(PACKET_NODES)
def a_strange_answer_ejects_nobody(c):
    nodes, vips = cluster_service(c)
    nodes["s2"].say("404")
    c.sluice.wait("it to be noticed", lambda: backends(c, "web")["s2"] == ("ready", 1, "node-probe-unknown"), 20)
    c.get_many(vips[4], 60).assert_all_good()
    end(nodes)


@test(PACKET_NODES)
def local_services_follow_their_own_port_and_its_weight(c):
    pods = {p.name: p.serve("http") for p in c.pods[:3]}
    nodes = {name: Node(c, pod, OWN) for name, pod in pods.items()}
    nodes["s1"].say("200 3")
    nodes["s2"].say("200 1")
    nodes["s3"].say("503")
    local = service_object("local", externalTrafficPolicy="Local", healthCheckNodePort=OWN)
    slices = [slice_object("local", ["s1", "s2", "s3", "s3"], family) for family in (4, 6)]
    vips = apply(c, "local", *map(node_object, c.pods), local, *slices)
    c.sluice.wait("the nodes' own words", lambda: backends(c, "local") == {
        "s1": ("ready", 3, ""), "s2": ("ready", 1, ""), "s3": ("draining", 2, "node-down")})
    c.sluice.settle()
    seen = c.get_many(vips[4], 400).assert_all_good()
    expect(set(seen.pods) == {"s1", "s2"} and 250 <= seen.pods["s1"] <= 350, "answers came from", seen.pods)
    nodes["s1"].say("503")
    c.sluice.wait("s1 to drain", lambda: out_of(c, "local") == {"s1", "s3"}, 20)
    c.sluice.settle()
    expect(set(c.get_many(vips[6], 40).assert_all_good().pods) == {"s2"}, "traffic went elsewhere")
    end(nodes)


@test(PACKET_NODES)
def sighup_turns_probes_off_and_on(c):
    nodes, _ = cluster_service(c)
    nodes["s2"].say("503")
    c.sluice.wait("the node to drain", lambda: out_of(c, "web") == {"s2"}, 20)
    text = c.sluice.config.read_text()
    expect("enabled: true" in text, text)
    c.sluice.config.write_text(text.replace("enabled: true", "enabled: false"))
    c.sluice.process.send(signal.SIGHUP)
    c.sluice.wait("verdicts to be forgotten", lambda: out_of(c, "web") == set() and not c.sluice.items("probes"), 20)
    c.sluice.config.write_text(text)
    c.sluice.process.send(signal.SIGHUP)
    c.sluice.wait("the node to drain again", lambda: out_of(c, "web") == {"s2"}, 20)
    end(nodes)
