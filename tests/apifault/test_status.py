# SPDX-License-Identifier: Apache-2.0
# What sluiced writes to the API server, and what it does not.
import signal
import time

import faults
from bed import VIPS, expect, held_for, test
from faults import Fault
from objects import PORT, service, slice_of
from resources import EVENTS, LEASES, SERVICES, SLICES

FINALIZER = "service.kubernetes.io/load-balancer-cleanup"
LEASE = {"lease": {"name": "sluice", "namespace": "kube-system"}}


def ingress(case, name, namespace="default"):
    o = case.server.object(SERVICES, namespace, name)
    return [i.get("ip") for i in ((o or {}).get("status", {}).get("loadBalancer") or {}).get("ingress") or []]


def condition(case, name, type):
    o = case.server.object(SERVICES, "default", name)
    return next((c for c in o.get("status", {}).get("conditions", []) if c["type"] == type), {})


def create(case, name, **more):
    case.server.put(SERVICES, service(name, **more))
    case.server.put(SLICES, slice_of(name, ["10.0.1.1"]))


def writes(case, since=0):
    return [e for e in case.server.asked("patch", SERVICES, since)]


def served(case, name):
    """Status names an address, and it works."""
    d = case.daemons[0]
    return ingress(case, name) and d.addresses(name) == ingress(case, name) and d.serves(name, ["10.0.1.1"])


@test(seconds=5)
def a_service_gets_its_address_written_when_it_works(case):
    d = case.web()

    def look(server, exchange, go_on):
        seen.append(d.explain(exchange.request.json()["status"]["loadBalancer"]["ingress"][0]["ip"]))
        go_on()
    seen = []
    case.server.faults.add(Fault("patch", SERVICES, act=look, when=lambda e: (
        e.target.name == "fresh" and ((e.request.json().get("status") or {}).get("loadBalancer") or {}).get("ingress"))))
    create(case, "fresh")
    d.wait("an address in status", lambda: ingress(case, "fresh"))
    expect(seen and seen[0].startswith("10.0.1.1:"), "when it was written, a connection would have found", seen)
    d.wait("the conditions", lambda: condition(case, "fresh", "sluice.dev/Allocated").get("status") == "True"
           and condition(case, "fresh", "sluice.dev/Programmed").get("status") == "True")
    expect(FINALIZER in case.server.object(SERVICES, "default", "fresh")["metadata"].get("finalizers", []), "no finalizer")


@test(seconds=8)
def what_is_written_is_written_once(case):
    d = case.web()
    create(case, "fresh")
    d.wait("it to be served", lambda: served(case, "fresh") and condition(case, "fresh", "sluice.dev/Programmed"))
    held_for(0.5, lambda: True)
    mark = case.server.mark()
    case.relist()
    d.soon("a relist", lambda: case.lists(SERVICES, mark))
    for i in range(5):
        case.server.put(SLICES, slice_of("fresh", ["10.0.1.1", f"10.0.1.{i + 5}"]))
    d.stop()
    d.start()
    d.wait("the Service after a restart", lambda: d.addresses("fresh") == ingress(case, "fresh"))
    held_for(1, lambda: True)
    expect(not writes(case, mark), len(writes(case, mark)), "writes without need:", [e.request.body[:300] for e in writes(case, mark)][:2])


@test(seconds=6)
def a_deleted_service_is_let_go_in_the_end(case):
    d = case.web()
    create(case, "fresh")
    d.wait("it to be served", lambda: served(case, "fresh") and FINALIZER in case.server.object(SERVICES, "default", "fresh")["metadata"].get("finalizers", []))
    case.server.delete(SERVICES, "default", "fresh")
    d.wait("it to be gone", lambda: case.server.object(SERVICES, "default", "fresh") is None)
    d.wait("sluiced to forget it", lambda: "default/fresh" not in d.services())


@test(seconds=8)
def one_that_is_deleted_while_we_are_away_is_let_go_later(case):
    d = case.web()
    create(case, "fresh")
    d.wait("it to be served", lambda: served(case, "fresh") and FINALIZER in case.server.object(SERVICES, "default", "fresh")["metadata"].get("finalizers", []))
    d.stop()
    case.server.delete(SERVICES, "default", "fresh")
    expect(case.server.object(SERVICES, "default", "fresh"), "nothing held it")
    d.start()
    d.wait("it to be gone", lambda: case.server.object(SERVICES, "default", "fresh") is None)


@test(seconds=6)
def a_change_of_type_gives_everything_back(case):
    d = case.web()
    create(case, "fresh")
    d.wait("it to be served", lambda: served(case, "fresh"))
    o = case.server.object(SERVICES, "default", "fresh")
    case.server.put(SERVICES, {**o, "spec": {**o["spec"], "type": "ClusterIP"}})
    d.wait("an empty status without our traces", lambda: not ingress(case, "fresh") and not condition(case, "fresh", "sluice.dev/Allocated")
           and FINALIZER not in case.server.object(SERVICES, "default", "fresh")["metadata"].get("finalizers", []))
    expect(not d.addresses("fresh"), d.addresses("fresh"))


@test(seconds=5)
def a_foreign_class_is_left_alone(case):
    d = case.web()
    create(case, "foreign", loadBalancerClass="example.com/other")
    create(case, "fresh")
    d.wait("ours to be served", lambda: served(case, "fresh"))
    expect(not [e for e in case.server.asked(kind=SERVICES) if e.target.name == "foreign"], "the foreign one was touched")


@test(seconds=8)
def two_controllers_that_write_one_status_do_not_play_ping_pong(case):
    d = case.web()
    create(case, "fresh")
    d.wait("it to be served", lambda: served(case, "fresh"))
    mark = case.server.mark()

    def other(event):
        """Another load balancer, which insists."""
        o = case.server.object(SERVICES, "default", "fresh")
        if ingress(case, "fresh") != ["192.0.2.200"]:
            case.server.store.put(SERVICES, {**o, "status": {**o["status"], "loadBalancer": {"ingress": [{"ip": "192.0.2.200"}]}}})
    other(None)
    held_for(3, lambda: other(None) or True)
    n = len([e for e in writes(case, mark) if e.target.name == "fresh"])
    expect(n <= 10, n, "writes in 3 s")
    expect(d.serves("web", ["10.0.1.1", "10.0.1.2"]), "the rest is hurt")


@test(seconds=10)
def a_conflict_or_a_slow_server_is_tried_again_and_a_lost_object_is_not(case):
    d = case.web()
    for fault in (faults.refused(409, "Conflict", "the object has been modified"), faults.unavailable(500), faults.throttled(retry_after=1)):
        met = case.server.faults.add(Fault("patch", SERVICES, act=fault))
        name = f"fresh-{len(case.server.faults.list)}"
        create(case, name)
        d.soon("it to be served all the same", lambda: served(case, name))
        expect(met.count == 1, "the fault was not met")
    lost = case.server.faults.add(Fault("patch", SERVICES, act=faults.refused(404, "NotFound", "not found"), times=None))
    create(case, "lost")
    d.wait("the write that finds nothing", lambda: lost.count >= 1)
    case.server.remove(SERVICES, "default", "lost")
    held_for(2, lambda: True)
    expect(lost.count <= 3, lost.count, "writes to what is not there")


@test(seconds=8)
def what_validation_refuses_is_told_in_one_event(case):
    d = case.web()
    bad = case.server.faults.add(Fault("patch", SERVICES, act=faults.refused(422, "Invalid", "status: Invalid value"), times=None,
                                       when=lambda e: e.target.name == "fresh"))
    create(case, "fresh")
    d.wait("an event", lambda: [e for e in case.server.store.snapshot(EVENTS)[1] if e.object["involvedObject"]["name"] == "fresh"
                               and e.object["type"] == "Warning"])
    held_for(2, lambda: True)
    expect(bad.count <= 5, bad.count, "tries")


@test(seconds=8)
def no_address_is_stolen_or_moved(case):
    pools = [{"name": "small", "addresses": ["203.0.113.1-203.0.113.3"]}]
    case.server.put(SERVICES, service("web", ip=VIPS[1]))
    case.server.put(SLICES, slice_of("web", ["10.0.1.1", "10.0.1.2"]))
    d = case.daemon(addressPools=pools)
    for name in ("a", "b"):
        create(case, name)
        d.wait(f"{name} to be served", lambda: served(case, name))
    held = {name: ingress(case, name) for name in ("a", "b")}
    create(case, "wants", loadBalancerIP=VIPS[1])
    create(case, "waits")
    d.wait("both to say why they wait", lambda: "in use by default/web" in (d.reason("wants") or "") and "free" in (d.reason("waits") or ""))
    d.wait("the condition to say so too", lambda: condition(case, "waits", "sluice.dev/Allocated").get("status") == "False")
    case.server.delete(SERVICES, "default", "a")
    d.wait("the address that became free to go to who waits", lambda: ingress(case, "waits") == held["a"])
    expect(ingress(case, "b") == held["b"] and not ingress(case, "wants"), "moved:", ingress(case, "b"), ingress(case, "wants"))
    case.server.remove(SERVICES, "default", "web")
    d.wait("the one that asked for it to have it", lambda: ingress(case, "wants") == [VIPS[1]])


@test(seconds=10)
def one_of_two_appliances_writes_and_the_other_takes_over(case):
    case.server.put(SERVICES, service("web", ip=VIPS[1]))
    case.server.put(SLICES, slice_of("web", ["10.0.1.1", "10.0.1.2"]))
    first = case.daemon("first", kubernetes={"lease": {**LEASE["lease"], "identity": "first"}})
    case.wait("the lease", lambda: case.server.object(LEASES, "kube-system", "sluice"))
    second = case.daemon("second", clock="both", kubernetes={"lease": {**LEASE["lease"], "identity": "second"}})

    def holder():
        return case.server.object(LEASES, "kube-system", "sluice")["spec"].get("holderIdentity")
    first.wait("the first to hold it", lambda: holder() == "first")
    create(case, "fresh")
    first.wait("it to be served", lambda: served(case, "fresh"))
    second.wait("the other to serve the same address", lambda: second.addresses("fresh") == ingress(case, "fresh"))
    first.stop(signal.SIGKILL)
    second.soon("the other to take over", lambda: holder() == "second")
    expect(second.serves("web", ["10.0.1.1", "10.0.1.2"]) and second.addresses("fresh") == ingress(case, "fresh"), "an address moved")
    create(case, "later")
    second.wait("it to write", lambda: ingress(case, "later") and second.addresses("later") == ingress(case, "later"))
    writers = {e.query.get("fieldManager") for e in writes(case)}
    expect(writers == {"sluice"}, writers)


@test(seconds=6)
def who_loses_the_lease_forwards_on(case):
    case.server.put(SERVICES, service("web", ip=VIPS[1]))
    case.server.put(SLICES, slice_of("web", ["10.0.1.1", "10.0.1.2"]))
    d = case.daemon(clock="both", kubernetes={"lease": {**LEASE["lease"], "identity": "one"}})
    d.wait("the lease", lambda: case.server.object(LEASES, "kube-system", "sluice"))
    d.wait("it to serve", lambda: d.serves("web", ["10.0.1.1", "10.0.1.2"]))
    case.server.faults.add(Fault("update", LEASES, act=faults.unavailable(503), times=None))
    case.server.faults.add(Fault("patch", LEASES, act=faults.unavailable(503), times=None))
    for second in range(25):
        d.clock.turn(1)
        expect(d.explain(VIPS[1]).startswith("10.0.1."), "forwarding ended after", second, "s")
    case.server.faults.clear()
    create(case, "fresh")
    d.soon("it to write again", lambda: served(case, "fresh"))


@test(seconds=5)
def a_port_that_is_not_served_is_named_with_all_others_and_the_rest_works(case):
    d = case.web()
    sctp = {"name": "sctp", "port": 132, "targetPort": 132, "protocol": "SCTP"}
    create(case, "mixed", ports=[PORT, sctp])
    d.wait("an address in status", lambda: ingress(case, "mixed"))

    def ports():
        shown = case.server.object(SERVICES, "default", "mixed")["status"]["loadBalancer"]["ingress"][0].get("ports", [])
        return [(p["port"], p["protocol"], p.get("error")) for p in shown]
    d.wait("both ports", lambda: ports() == [(PORT["port"], "TCP", None), (132, "SCTP", "sluice.dev/ProtocolNotSupported")])
    found = condition(case, "mixed", "LoadBalancerPortsError")
    expect((found.get("status"), found.get("reason")) == ("True", "LoadBalancerMixedProtocolNotSupported"), found)
    expect(condition(case, "mixed", "sluice.dev/Programmed").get("status") == "True" and served(case, "mixed"), "the other port is not served")
    written = len(writes(case))
    case.server.put(SERVICES, {**case.server.object(SERVICES, "default", "mixed"), "spec": service("mixed", ports=[PORT])["spec"]})
    d.wait("no port to be named", lambda: ports() == [])
    d.wait("the condition to go", lambda: not condition(case, "mixed", "LoadBalancerPortsError"))
    expect(len(writes(case)) == written + 1, "it took more than a write:", len(writes(case)) - written)


def holding(case, name="one"):
    """A daemon that holds the lease; always of one identity."""
    d = case.daemon(name, kubernetes={"lease": {**LEASE["lease"], "identity": "one"}})
    d.wait("the lease", lambda: case.server.object(LEASES, "kube-system", "sluice"))
    d.wait("it to lead", lambda: d.kube()["writer"]["leads"])
    return d


def ends_in_time(d):
    began = time.monotonic()
    expect(d.stop() == 0, "it ended badly")
    expect(time.monotonic() - began < 2, "it took", time.monotonic() - began, "s to end")


@test(seconds=6)
def the_lease_is_given_back_at_the_end(case):
    ends_in_time(holding(case))
    spec = case.server.object(LEASES, "kube-system", "sluice")["spec"]
    expect(not spec["holderIdentity"] and spec["leaseDurationSeconds"] == 1, spec)


@test(seconds=8)
def a_server_that_does_not_answer_keeps_no_leader_from_ending(case):
    d = holding(case)
    case.server.faults.add(Fault("update", LEASES, act=faults.mute(), times=None))
    ends_in_time(d)
    case.server.faults.clear()
    d = holding(case, "again")
    case.server.stop()
    ends_in_time(d)


@test(seconds=6)
def writing_can_be_switched_off(case):
    d = case.web(kubernetes={"writeStatus": False})
    create(case, "fresh")
    d.wait("it to have been seen", lambda: "default/fresh" in d.services())
    held_for(1, lambda: True)
    expect(not [e for e in case.server.asked() if e.verb in ("patch", "create", "update", "delete")], "something was written")
