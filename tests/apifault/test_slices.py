# SPDX-License-Identifier: Apache-2.0
# EndpointSlices as their controllers really send them: twice, in the wrong order, under another label, a thousand at a time.
from bed import VIPS, expect, held_for, test
from objects import addresses, endpoint, managed_fields, service, slice_of
from resources import SERVICES, SLICES

BOTH = ["10.0.1.1", "10.0.1.2"]


def at_once(case, *steps):
    """All of them before a watch sees the first."""
    with case.server.store.changed:
        for step in steps:
            step()


@test(seconds=4)
def an_endpoint_in_two_slices_has_the_better_condition(case):
    d = case.web()
    case.server.put(SLICES, slice_of("web", [endpoint("10.0.1.1", ready=False), endpoint("10.0.1.3")], slice_name="web-2"))
    d.wait("the union", lambda: d.serves("web", [*BOTH, "10.0.1.3"]))
    case.server.put(SLICES, slice_of("web", [endpoint("10.0.1.1", ready=False), endpoint("10.0.1.2")]))
    d.wait("ready in neither", lambda: d.serves("web", ["10.0.1.2", "10.0.1.3"]))


@test(seconds=5)
def an_endpoint_that_moves_between_slices_is_never_absent(case):
    case.server.put(SLICES, slice_of("web", ["10.0.1.9"], slice_name="web-2"))
    case.server.put(SERVICES, service("web", ip=VIPS[1]))
    case.server.put(SLICES, slice_of("web", BOTH))
    d = case.daemon()
    d.wait("all", lambda: d.serves("web", [*BOTH, "10.0.1.9"]))
    before = d.generation()

    def one(*a):
        return lambda: case.server.put(SLICES, slice_of("web", a))

    def two(*a):
        return lambda: case.server.put(SLICES, slice_of("web", a, slice_name="web-2"))
    at_once(case, one("10.0.1.1"), two("10.0.1.2", "10.0.1.9"))  # gone first
    at_once(case, one("10.0.1.1", "10.0.1.2"), two("10.0.1.9"))  # there first
    at_once(case, lambda: case.server.remove(SLICES, "default", "web-1"), two("10.0.1.1", "10.0.1.2", "10.0.1.9"))
    last = str(case.server.store.version)
    d.wait("the last event to be taken", lambda: any(s["resourceVersion"] == last for s in d.kube()["items"]))
    held_for(0.2, lambda: True)
    expect(d.serves("web", [*BOTH, "10.0.1.9"]) and d.generation() == before, "generation", before, "became", d.generation(), d.backends("web"))


@test(seconds=4)
def a_slice_whose_label_changes_leaves_one_service_for_another(case):
    d = case.web()
    case.server.put(SERVICES, service("other", ip=VIPS[2]))
    case.server.put(SLICES, slice_of("other", ["10.0.1.5"], slice_name="other-1"))
    d.wait("both", lambda: d.serves("other", ["10.0.1.5"]))
    case.server.put(SLICES, slice_of("other", BOTH, slice_name="web-1"))
    d.wait("the move", lambda: d.serves("other", [*BOTH, "10.0.1.5"]) and d.serves("web", []))
    moved = slice_of("other", BOTH, slice_name="web-1")
    del moved["metadata"]["labels"]["kubernetes.io/service-name"]
    case.server.put(SLICES, moved)
    d.wait("nobody's slice to serve nobody", lambda: d.serves("other", ["10.0.1.5"]))


@test(seconds=4)
def a_slice_that_comes_before_its_service_waits_for_it(case):
    d = case.web()
    case.server.put(SLICES, slice_of("late", ["10.0.1.7"], slice_name="late-1"))
    case.server.put(SERVICES, service("late", ip=VIPS[3]))
    d.wait("the late Service", lambda: d.serves("late", ["10.0.1.7"]))
    case.server.remove(SERVICES, "default", "late")
    d.wait("it to go", lambda: "default/late" not in d.services())
    case.server.put(SERVICES, service("late", ip=VIPS[3]))
    d.wait("it to be back with the slice that stayed", lambda: d.serves("late", ["10.0.1.7"]))


@test(seconds=5)
def terminating_pods_drain_and_serve_where_nobody_else_does(case):
    d = case.web()
    case.server.put(SLICES, slice_of("web", [endpoint("10.0.1.1"), endpoint("10.0.1.2", ready=False, serving=True, terminating=True)]))
    d.wait("one to drain", lambda: d.backends("web") == {"10.0.1.1": "ready", "10.0.1.2": "draining"})
    case.server.put(SLICES, slice_of("web", [endpoint(a, ready=False, serving=True, terminating=True) for a in BOTH]))
    d.wait("the last ones to serve on", lambda: d.explain(VIPS[1]).split(":")[0] in BOTH)


# --- size ---

@test(seconds=8)
def a_slice_of_a_thousand_endpoints_and_an_object_of_1_5_mb_are_taken(case):
    d = case.web()
    many = addresses("10.0.16.0", 1000)
    case.server.put(SLICES, slice_of("web", many))
    d.wait("a thousand endpoints", lambda: d.serves("web", many))
    big = service("big", ip=VIPS[2], annotations={"kubectl.kubernetes.io/last-applied-configuration": "\u00e9\"" * 350_000})
    big["metadata"]["managedFields"] = managed_fields(200_000)
    case.server.put(SERVICES, big)
    d.wait("the big one", lambda: d.addresses("big") == [VIPS[2]])
    case.server.watch_list = False
    case.relist()
    case.server.put(SERVICES, service("after", ip=VIPS[3]))
    d.soon("the next", lambda: d.addresses("after") == [VIPS[3]])


@test(seconds=20)
def an_event_beyond_every_measure_costs_neither_memory_nor_the_rest(case):
    d = case.web()
    before = d.peak_kib()
    huge = service("huge", ip=VIPS[4])
    huge["metadata"]["annotations"] = {"fill": "x" * (40 << 20)}
    case.server.put(SERVICES, huge)
    case.server.put(SERVICES, service("after", ip=VIPS[3]))
    case.server.remove(SERVICES, "default", "huge")
    d.soon("the next Service", lambda: d.addresses("after") == [VIPS[3]], 30)
    expect(d.serves("web", BOTH), "traffic is hurt")
    grown = d.peak_kib() - before
    expect(grown < 64 << 10, "memory grew by", grown >> 10, "MiB")


@test(seconds=30)
def a_service_of_ten_thousand_slices_is_listed_in_bounded_memory(case):
    case.server.put(SERVICES, service("web", ip=VIPS[1]))
    for i, a in enumerate(addresses("10.0.16.0", 10_000)):
        o = slice_of("web", [a], slice_name=f"web-{i}")
        o["metadata"]["managedFields"] = managed_fields(2000)
        case.server.put(SLICES, o)
    for streams in (True, False):
        case.server.watch_list = streams
        d = case.daemon(f"streams-{streams}", clock="both")
        d.wait("ten thousand endpoints", lambda d=d: len(d.backends("web")) == 10_000 and d.is_settled(), 60)
        before, at_first, mark = d.generation(), d.peak_kib(), case.server.mark()
        case.relist()
        d.soon("a relist", lambda d=d, mark=mark: case.lists(SLICES, mark) and case.server.watching[SLICES] == 1, 60)
        expect(d.generation() == before, "a relist of equals made new tables")
        grown = d.peak_kib() - at_first
        expect(grown < 48 << 10, "the peak grew by", grown >> 10, "MiB over that of the first list")
        d.stop()
