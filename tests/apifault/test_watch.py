# SPDX-License-Identifier: Apache-2.0
# Watches: how they end, how they go on, and how often a server that is unwell is asked.
import itertools
import time

import faults
import wire
from bed import VIPS, expect, held_for, test
from faults import Fault, status
from objects import service, slice_of
from resources import SERVICES, SLICES

BOTH = ["10.0.1.1", "10.0.1.2"]


def goes_on(case, d):
    """A change arrives."""
    n = len(case.server.store.log[SLICES])
    addresses = [f"10.0.2.{1 + n % 200}", f"10.0.3.{1 + n % 200}"]
    case.server.put(SLICES, slice_of("web", addresses))
    d.soon("a change to arrive", lambda: d.serves("web", addresses))


def going_on(e):
    return e.query.get("sendInitialEvents") != "true"


@test(seconds=8)
def gone_as_a_status_or_as_an_event_leads_to_a_relist(case):
    d = case.web()
    for how in ("event", "status"):
        case.server.gone_as = how
        for kind in (SERVICES, SLICES):
            mark = case.server.mark()
            case.relist()
            d.soon(f"{kind.plural} to be listed after a 410 as {how}", lambda: case.lists(kind, mark))
            expect(d.serves("web", BOTH), "traffic is hurt:", d.backends("web"))
    goes_on(case, d)


@test(seconds=15)
def a_storm_of_410_is_weathered_without_a_storm_of_lists(case):
    d = case.web()
    before, mark = d.generation(), case.server.mark()
    storm = case.server.faults.add(Fault("watch", act=faults.gone_event(), times=None, when=going_on))
    case.server.drop()
    expect(held_for(6, lambda: d.has("web", BOTH)), "traffic is hurt:", d.backends("web"))
    n = len(case.lists(SERVICES, mark))
    expect(1 <= n <= 12, n, "lists of Services in 6 s")
    expect(d.generation() == before, "tables were made anew:", before, d.generation())
    case.server.faults.remove(storm)
    goes_on(case, d)


@test(seconds=6)
def an_error_event_other_than_410_goes_on_from_the_same_version(case):
    d = case.web()
    mark = case.server.mark()
    case.server.faults.add(Fault("watch", SLICES, act=faults.told(("ERROR", status(500, "InternalError", "etcd is slow")))))
    case.server.drop()
    d.soon("the watch after the error", lambda: len(case.watches(SLICES, mark)) >= 2)
    versions = {e.query.get("resourceVersion") for e in case.watches(SLICES, mark)}
    expect(len(versions) == 1 and not case.lists(SLICES, mark), "versions", versions, "lists", len(case.lists(SLICES, mark)))
    goes_on(case, d)


@test(seconds=8)
def a_server_that_refuses_connections_is_watched_again_without_a_list(case):
    d = case.web()
    mark = case.server.mark()
    case.server.stop()
    expect(held_for(2, lambda: d.has("web", BOTH)), "traffic is hurt")
    case.server.put(SLICES, slice_of("web", BOTH[:1]))
    case.server.start()
    d.soon("what changed meanwhile", lambda: d.serves("web", BOTH[:1]))
    expect(not case.lists(SLICES, mark) and not case.lists(SERVICES, mark), "there was a relist")


@test(seconds=10)
def retry_after_is_obeyed_by_watches(case):
    d = case.web()
    for act in (faults.throttled(retry_after=2), faults.unavailable(503, retry_after=2)):
        mark = case.server.mark()
        fault = case.server.faults.add(Fault("watch", SLICES, act=act))
        case.server.drop()
        d.wait("the watch after the refusal", lambda: fault.count == 1 and len(case.watches(SLICES, mark)) >= 2)
        first, second = case.watches(SLICES, mark)[:2]
        expect(second.at - first.at >= 1.9, "asked again after", f"{second.at - first.at:.2f} s")
        expect(not case.lists(SLICES, mark), "there was a relist")
    goes_on(case, d)


@test(seconds=15)
def a_storm_of_429_without_retry_after_is_answered_with_patience(case):
    d = case.web()
    for verbs in (("watch",), ("watch", "list")):
        mark = case.server.mark()
        storms = [case.server.faults.add(Fault(verb, act=faults.throttled(), times=None)) for verb in verbs]
        case.server.drop()
        d.soon("the first refusal", lambda: storms[0].count)
        expect(held_for(4, lambda: d.has("web", BOTH)), "traffic is hurt")
        n = len(case.server.asked(kind=SERVICES, since=mark))
        expect(n <= 8, n, "requests for Services in 4 s")
        for storm in storms:
            case.server.faults.remove(storm)
        d.soon("the watches to be back", lambda: case.server.watching[SERVICES] and case.server.watching[SLICES])
    goes_on(case, d)


@test(seconds=10)
def a_watch_that_ends_at_once_and_empty_is_not_asked_for_in_a_loop(case):
    d = case.web()
    mark = case.server.mark()
    storm = case.server.faults.add(Fault("watch", SLICES, act=faults.empty_watch(), times=None, when=going_on))
    case.server.drop()
    held_for(4, lambda: True)
    n = len(case.watches(SLICES, mark))
    expect(2 <= n <= 8, n, "watches in 4 s")
    case.server.faults.remove(storm)
    goes_on(case, d)


@test(seconds=5)
def a_watch_that_ends_after_its_time_goes_on_at_once(case):
    d = case.web()

    def short(_, exchange, go_on):
        exchange.query["timeoutSeconds"] = "1.5"
        go_on()
    case.server.faults.add(Fault("watch", SLICES, act=short, when=going_on))
    case.server.drop()
    mark = case.server.mark()
    d.wait("the short watch and the next", lambda: len(case.watches(SLICES, mark)) >= 2)
    first, second = case.watches(SLICES, mark)[:2]
    expect(1.4 <= second.at - first.at < 2.3, "after", f"{second.at - first.at:.2f} s")
    expect(not case.lists(SLICES, mark), "there was a relist")


@test(seconds=5)
def a_bookmark_moves_the_version_on(case):
    case.server.bookmarks = 0.3
    d = case.web(kubernetes={"writeStatus": False})  # whose writes would move it as well
    case.server.store.advance(500)
    want = case.server.store.version
    # A bookmark may be on its way while we look; the one after the next is surely newer than what we did.
    d.wait("two bookmarks", lambda: [s for s in d.kube()["items"] if s["resourceVersion"] == str(want)])
    held_for(0.7, lambda: True)
    mark = case.server.mark()
    case.server.drop()
    d.soon("the next watch", lambda: case.watches(SLICES, mark))
    expect(case.watches(SLICES, mark)[0].query["resourceVersion"] == str(want), case.watches(SLICES, mark)[0].request.url, want)


@test(seconds=5)
def events_that_mean_nothing_to_us_are_passed_over(case):
    d = case.web()
    version = {"metadata": {"name": "odd", "namespace": "default", "resourceVersion": "1"}}
    case.server.faults.add(Fault("watch", SLICES, act=faults.told(
        ("PONDERED", {"kind": "EndpointSlice", "apiVersion": "discovery.k8s.io/v1", **version}),
        ("ADDED", {"kind": "Pod", "apiVersion": "v1", **version}),
        ("MODIFIED", slice_of("web", ["10.0.1.9"]) | {"kind": "Secret", "apiVersion": "v1"}))))
    case.server.drop()
    held_for(1, lambda: True)
    expect(d.serves("web", BOTH), d.backends("web"))
    goes_on(case, d)


@test(seconds=15)
def a_watch_cut_anywhere_in_an_event_misses_nothing(case):
    d = case.web()
    changes = [[f"10.0.1.{100 + n}"] for n in range(100)]  # all of one length
    case.server.put(SLICES, slice_of("web", changes[0]))
    line = len(case.server.event("MODIFIED", case.server.object(SLICES, "default", "web-1")))
    places = zip(range(0, 1 << 20, max(1, line // 40)), itertools.cycle((False, True)))

    def one_whole_and_a_piece(server, exchange, go_on):
        place, reset = next(places)
        faults.cut(line + place % line, reset)(server, exchange, go_on)
    fault = case.server.faults.add(Fault("watch", SLICES, act=one_whole_and_a_piece, times=None, when=going_on))
    case.server.drop()
    for addresses in changes:
        case.server.put(SLICES, slice_of("web", addresses))
        d.wait(f"change {addresses[0]} after {fault.count} cuts", lambda: d.serves("web", addresses))
    expect(fault.count > 40, "only", fault.count, "cuts")


@test(seconds=10)
def a_watch_cut_before_its_first_event_misses_nothing(case):
    d = case.web()
    for n, after in enumerate((0, 1, 60)):
        fault = case.server.faults.add(Fault("watch", SLICES, act=faults.cut(after, reset=n % 2 == 1), when=going_on))
        case.server.drop()
        d.soon("the watch that is going to be cut", lambda: fault.count == 1)
        case.server.put(SLICES, slice_of("web", [f"10.0.1.{n + 10}"]))
        d.soon(f"the event that was cut after {after} bytes", lambda: d.serves("web", [f"10.0.1.{n + 10}"]))


@test(seconds=5)
def events_arrive_whole_whatever_the_pieces(case):
    d = case.web()
    for n in (1, 3, 5):
        fault = case.server.faults.add(Fault("watch", SLICES, act=faults.edges(wire.every(n)), when=going_on))
        case.server.drop()
        d.soon("the watch in pieces", lambda: fault.count == 1)
        goes_on(case, d)


GARBAGE = (b"<html>please log in</html>", b'{"kind":"Status","apiVersion":"v1","status":"Failure"}', b"{}", b"\x00\xff" * 50, b"[" * 5000,
           b'{"type":"DELETED","object":{"kind":"EndpointSlice"')


def takes_garbage(case, items):
    d = case.web()
    for data in items:
        fault = case.server.faults.add(Fault("watch", SLICES, act=faults.garbage(data), when=going_on))
        case.server.drop()
        d.soon("the garbage to be taken", lambda: fault.count == 1)
        expect(d.serves("web", BOTH), data[:30], "hurts:", d.backends("web"))
        case.server.faults.clear()
        goes_on(case, d)
        case.server.put(SLICES, slice_of("web", BOTH))
        d.wait("the endpoints as before", lambda: d.serves("web", BOTH))


@test(seconds=12)
def garbage_for_an_answer_is_an_error_and_no_objects(case):
    takes_garbage(case, GARBAGE[:3])


@test(seconds=12)
def worse_garbage_is_no_more_than_that(case):
    takes_garbage(case, GARBAGE[3:])


@test(seconds=12)
def garbage_for_a_list_is_no_empty_cluster(case):
    case.server.watch_list = False
    d = case.web()
    empty = b'{"kind":"ServiceList","apiVersion":"v1","metadata":{},"items":[]}'
    answers = iter((b"{}", empty, empty.replace(b"Service", b"Secret").replace(b"{}", b'{"resourceVersion":"9"}')))
    fault = case.server.faults.add(Fault("list", SERVICES, times=3, act=lambda s, e, g: faults.garbage(next(answers))(s, e, g)))
    case.relist()
    d.soon("three bad lists", lambda: fault.count == 3 or expect(d.has("web", BOTH), "gone:", d.services()))
    case.server.put(SERVICES, service("next", ip=VIPS[2]))
    d.soon("a good one", lambda: d.addresses("next") == [VIPS[2]] and d.serves("web", BOTH))


@test(seconds=5)
def a_watch_without_a_byte_for_90_seconds_is_made_anew(case):
    d = case.web()
    case.server.faults.add(Fault("watch", act=faults.mute(), times=None, when=going_on))
    case.server.drop()
    mark = case.server.mark()
    d.soon("the watches that are going to be silent", lambda: case.watches(SERVICES, mark) and case.watches(SLICES, mark))
    case.server.faults.clear()
    case.server.put(SERVICES, service("unheard", ip=VIPS[5]))
    case.server.put(SLICES, slice_of("web", ["10.0.1.8"]))
    d.clock.turn(60)
    expect(held_for(0.5, lambda: not d.addresses("unheard")), "reconnected after a minute already")
    d.clock.turn(40)
    d.wait("what changed in the silence", lambda: d.addresses("unheard") == [VIPS[5]] and d.serves("web", ["10.0.1.8"]))
    expect(not case.lists(SLICES, mark), "there was a relist")
