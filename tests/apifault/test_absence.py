# SPDX-License-Identifier: Apache-2.0
# The API server is away, comes back, comes back as another one; and sluiced may have been restarted meanwhile.
import signal
import threading

import faults
from bed import VIPS, expect, held_for, test
from faults import Fault
from objects import endpoints_of, service, slice_of
from resources import ENDPOINTS, SERVICES, SLICES

BOTH = ["10.0.1.1", "10.0.1.2"]


def many(case, n, **more):
    """n Services of type LoadBalancer with an endpoint each, followed."""
    for i in range(n):
        case.server.put(SERVICES, service(f"s{i}", ip=VIPS[i + 1]))
        case.server.put(SLICES, slice_of(f"s{i}", [f"10.0.1.{i + 1}"]))
    d = case.daemon(**more)
    case.followed(d)
    d.wait("every endpoint", lambda: all(d.serves(f"s{i}", [f"10.0.1.{i + 1}"]) for i in range(n)))
    return d


@test(seconds=6)
def without_the_api_server_new_connections_still_find_their_backends(case):
    d = case.web()
    case.server.stop()
    d.soon("sluiced to say that it is alone", lambda: d.kube()["stale"])
    for n in range(20):
        backend = d.explain(VIPS[1], f"198.51.100.7:{41000 + n}")
        expect(backend.split(":")[0] in BOTH, "a connection finds", backend)
    case.server.put(SLICES, slice_of("web", BOTH[:1]))
    case.server.start()
    d.soon("news", lambda: d.serves("web", BOTH[:1]) and not d.kube()["stale"])


@test(seconds=10)
def restarted_while_the_api_server_is_away_it_serves_what_it_knew(case):
    d = many(case, 5, clock="both")
    d.soon("a snapshot", lambda: d.has_snapshot(case.server))
    for number in (signal.SIGTERM, signal.SIGKILL):
        d.soon("the snapshot to hold all", lambda: d.has_snapshot(case.server))
        case.server.stop()
        d.stop(number)
        d.start()
        d.wait("all Services as before", lambda: all(d.serves(f"s{i}", [f"10.0.1.{i + 1}"]) and d.addresses(f"s{i}") == [VIPS[i + 1]] for i in range(5)))
        expect(d.kube()["stale"], "it does not say that this is old:", d.kube())
        case.server.start()
        d.soon("the API server to be followed again", lambda: not d.kube()["stale"])
    case.server.remove(SERVICES, "default", "s4")
    d.wait("a Service to go", lambda: "default/s4" not in d.services())


@test(seconds=8)
def what_changed_while_it_was_down_replaces_the_snapshot(case):
    d = many(case, 5, clock="both")
    d.soon("the snapshot to hold all", lambda: d.has_snapshot(case.server))
    d.stop()
    case.server.remove(SERVICES, "default", "s0")
    case.server.put(SLICES, slice_of("s1", ["10.0.2.1"]))
    d.start()
    d.wait("today's state", lambda: "default/s0" not in d.services() and d.serves("s1", ["10.0.2.1"]))


@test(seconds=8)
def a_damaged_snapshot_is_refused_and_the_api_server_asked(case):
    d = many(case, 2, clock="both")
    snapshot = d.directory / "snapshot.json"
    d.soon("the snapshot to hold all", lambda: d.has_snapshot(case.server))
    good = snapshot.read_bytes()
    for bad in (good[:len(good) // 2], good.replace(b"10.0.1.1", b"10.0.9.9"), b"", b"{}", b"\0" * 100):
        d.stop()
        snapshot.write_bytes(bad)
        case.server.stop()
        d.start()
        expect(not any("10.0.9.9" in a for a in d.backends("s0")) and not d.services(), "it believes", bad[:60], d.services())
        case.server.start()
        d.soon("the truth", lambda: d.serves("s0", ["10.0.1.1"]))
        d.soon("a good snapshot again", lambda: d.has_snapshot(case.server))


@test(seconds=6)
def started_without_api_server_and_without_snapshot_it_waits(case):
    case.server.put(SERVICES, service("web", ip=VIPS[1]))
    case.server.put(SLICES, slice_of("web", BOTH))
    case.server.stop()
    d = case.daemon()
    expect(held_for(1, lambda: d.popen.poll() is None and not d.services()), d.services())
    case.server.start()
    d.wait("Services", lambda: d.serves("web", BOTH))


@test(seconds=6)
def nothing_is_removed_before_all_kinds_are_known(case):
    d = many(case, 3, clock="both")
    d.soon("the snapshot to hold all", lambda: d.has_snapshot(case.server))
    d.stop()
    case.server.remove(SERVICES, "default", "s0")
    go = threading.Event()
    case.server.faults.add(Fault(None, SLICES, act=faults.wait_for(go), times=None))
    case.server.put(SERVICES, service("new"))
    mark = case.server.mark()
    d.start()
    d.wait("Services to have been asked for", lambda: case.server.watching[SERVICES] == 1)
    expect(held_for(1.5, lambda: d.has("s0", ["10.0.1.1"]) and d.has("s1", ["10.0.1.2"])), "removed too early:", d.services(), d.backends("s1"))
    expect(not case.server.asked("patch", SERVICES, mark), "status was written before all was known")
    go.set()
    d.wait("all to be known", lambda: "default/s0" not in d.services() and d.serves("s1", ["10.0.1.2"]))


@test(seconds=6)
def a_relist_without_most_services_is_held_for_a_minute(case):
    d = many(case, 10, clock="both")
    case.server.stop()
    for i in range(6):
        case.server.remove(SERVICES, "default", f"s{i}")
        case.server.remove(SLICES, "default", f"s{i}-1")
    case.server.store.advance()
    case.server.store.compact()
    case.server.start()
    d.soon("the alarms of both kinds", lambda: (d.kube()["held"] or {}).get("objects") == 12)
    d.clock.turn(45)
    expect(held_for(0.5, lambda: all(d.has(f"s{i}", [f"10.0.1.{i + 1}"]) for i in range(10))), "it was believed too early:", d.services().keys())
    case.server.put(SLICES, slice_of("s9", ["10.0.9.9"]))
    d.wait("what still exists to go on changing", lambda: d.serves("s9", ["10.0.9.9"]))
    d.clock.turn(20)
    d.wait("it to be believed", lambda: set(d.services()) == {f"default/s{i}" for i in range(6, 10)})
    d.soon("the end of all alarms", lambda: not d.kube()["held"])


@test(seconds=6)
def most_services_back_within_the_minute_were_never_gone(case):
    d = many(case, 10, clock="both")
    before = d.generation()
    fewer = case.server.faults.add(Fault("list", SERVICES, act=faults.without(lambda o: o["metadata"]["name"] > "s6")))
    case.server.watch_list = False
    case.relist()
    d.soon("the alarm", lambda: fewer.count and d.kube()["held"])
    case.relist()
    d.soon("the end of the alarm", lambda: not d.kube()["held"])
    expect(all(d.serves(f"s{i}", [f"10.0.1.{i + 1}"]) for i in range(10)) and d.generation() == before, d.services().keys(), before, d.generation())


@test(seconds=6)
def a_relist_without_a_third_of_the_objects_is_believed(case):
    d = many(case, 10, clock="both")
    case.server.stop()
    for i in range(3):
        case.server.remove(SERVICES, "default", f"s{i}")
    case.server.store.advance()
    case.server.store.compact()
    case.server.start()
    d.soon("seven", lambda: set(d.services()) == {f"default/s{i}" for i in range(3, 10)})


@test(seconds=10)
def etcd_restored_from_a_backup_is_followed_back_in_time(case):
    d = many(case, 5, clock="both")
    saved = case.server.store.backup()
    for i in range(30):
        case.server.put(SLICES, slice_of("s0", [f"10.0.2.{i + 1}"]))
    case.server.put(SERVICES, service("late", ip=VIPS[50]))
    case.followed(d)
    d.wait("the last state", lambda: d.serves("s0", ["10.0.2.30"]))
    case.server.faults.add(Fault("watch", act=faults.gone_event(), times=3, when=lambda e: e.query.get("sendInitialEvents") != "true"))
    case.server.restore(saved)
    d.soon("the state of the backup", lambda: "default/late" not in d.services() and d.serves("s0", ["10.0.1.1"]))
    case.server.put(SLICES, slice_of("s0", ["10.0.3.1"]))
    d.soon("a change under a version that was given before", lambda: d.serves("s0", ["10.0.3.1"]))


@test(seconds=8)
def a_watch_that_waits_for_a_future_that_was_undone_finds_out(case):
    """A restored server is silent to whoever asks for changes after a version that it has not reached yet."""
    d = many(case, 3, clock="both")
    saved = case.server.store.backup()
    case.server.put(SERVICES, service("late", ip=VIPS[50]))
    case.server.put(SLICES, slice_of("s0", ["10.0.2.1"]))
    case.followed(d)
    d.wait("the last state", lambda: d.serves("s0", ["10.0.2.1"]))
    mark = case.server.mark()
    case.server.restore(saved)
    for silence in range(2):
        d.soon("both watches to wait", lambda: len(case.watches(SERVICES, mark)) > silence and len(case.watches(SLICES, mark)) > silence)
        d.clock.turn(100)
    d.soon("the state of the backup", lambda: "default/late" not in d.services() and d.serves("s0", ["10.0.1.1"]))


@test(seconds=8)
def hours_of_absence_change_nothing_for_traffic(case):
    d = many(case, 3, clock="both", kubernetes={"lease": {"name": "sluice", "namespace": "kube-system", "identity": "one"}})
    before = d.generation()
    case.server.stop()
    for hour in range(12):
        d.clock.turn(3600)
        expect(held_for(0.2, lambda: d.has(f"s{hour % 3}", [f"10.0.1.{hour % 3 + 1}"])), "after", hour, "hours:", d.backends(f"s{hour % 3}"))
        backend = d.explain(VIPS[hour % 3 + 1])
        expect(backend == f"10.0.1.{hour % 3 + 1}:8080", "a connection finds", backend)
    expect(d.generation() == before and d.kube()["stale"], before, d.generation(), d.kube())
    case.server.put(SLICES, slice_of("s0", BOTH))
    case.server.start()
    d.soon("news", lambda: d.serves("s0", BOTH) and not d.kube()["stale"])


@test(seconds=5)
def a_clock_on_the_wall_that_jumps_disturbs_nobody(case):
    d = many(case, 2, clock="wall", kubernetes={"lease": {"name": "sluice", "namespace": "kube-system", "identity": "one"}})
    d.wait("all watches", lambda: case.server.watching[SERVICES] and case.server.watching[SLICES])
    mark = case.server.mark()
    for n, jump in enumerate((3600, -7200, 3600)):
        d.clock.turn(jump)
        case.server.put(SLICES, slice_of("s0", [f"10.0.3.{n + 1}"]))
        d.wait("a change", lambda: d.serves("s0", [f"10.0.3.{n + 1}"]))
    again = [e.request.url for e in case.server.asked(since=mark) if e.verb in ("list", "watch")]
    expect(not again, "asked again:", again)


@test(seconds=6)
def a_namespace_goes_in_any_order(case):
    spaces = ["one", "two", "three"]
    for ns in spaces:
        case.server.put(SERVICES, service("web", ns), service("stays", ns, ip=VIPS[20 + spaces.index(ns)]))
        case.server.put(SLICES, slice_of("web", BOTH, ns), slice_of("stays", BOTH, ns))
    d = case.daemon()
    case.followed(d)
    for ns, order in zip(spaces, ((SERVICES, SLICES), (SLICES, SERVICES), (SLICES, SLICES, SERVICES, SERVICES))):
        for kind in order:
            case.server.remove(kind, ns, "web" if kind is SERVICES else "web-1")
        d.wait(f"web of {ns} to go", lambda: f"{ns}/web" not in d.services())
        d.wait("its neighbour to stay", lambda: d.serves("stays", BOTH, ns))


@test(seconds=5)
def without_endpointslices_endpoints_are_read(case):
    case.server.missing.add("discovery.k8s.io")
    case.server.put(SERVICES, service("web", ip=VIPS[1]))
    case.server.put(ENDPOINTS, endpoints_of("web", ["10.0.1.1"], ["10.0.1.2"]))
    d = case.daemon()
    d.wait("the ready endpoint", lambda: d.serves("web", ["10.0.1.1"]))
    case.server.put(ENDPOINTS, endpoints_of("web", ["10.0.1.1", "10.0.1.2"]))
    d.wait("both endpoints", lambda: d.serves("web", BOTH))


@test(seconds=4)
def with_endpointslices_endpoints_are_not_even_asked_for(case):
    d = case.web()
    d.wait("the watches", lambda: case.server.watching[SERVICES] and case.server.watching[SLICES])
    expect(not case.server.asked(kind=ENDPOINTS), "asked:", [e.request.url for e in case.server.asked(kind=ENDPOINTS)])
