# SPDX-License-Identifier: Apache-2.0
# Lists, and watches that begin with a list: pages, versions, pieces, and what becomes of the objects that were there before.
import json
import threading

import faults
import wire
from bed import VIPS, expect, held_for, test
from faults import Fault
from objects import node, service, slice_of
from resources import NODES, SERVICES, SLICES

ODD = {"note": "}]{[\"\\ \u00e9\u2028\U0001f600\u0000 \ud83d".encode("utf-8", "replace").decode(), "empty": ""}


def odd_cluster(server):
    """Objects whose bytes are hard to cut."""
    server.put(SERVICES, *(service(f"web-{i}", ip=VIPS[i + 1], annotations=ODD) for i in range(3)))
    server.put(SLICES, *(slice_of(f"web-{i}", [f"10.0.1.{i + 1}"]) for i in range(3)))
    server.put(NODES, node("node-1", "10.0.0.11"))


@test(seconds=10)
def what_is_listed_does_not_depend_on_where_the_pieces_end(case):
    odd_cluster(case.server)
    for streams in (True, False):
        case.server.watch_list = streams
        for n in (1, 2, 3, 7):
            case.server.faults.add(Fault(act=faults.edges(wire.every(n)), times=None))
            d = case.daemon(f"edges-{n}-{streams}")
            case.followed(d)
            for i in range(3):
                d.wait("all endpoints", lambda i=i, d=d: d.serves(f"web-{i}", [f"10.0.1.{i + 1}"]))
            d.stop()
            case.server.faults.clear()


@test(seconds=3)
def a_list_is_taken_compressed(case):
    case.server.watch_list = False
    case.server.put(SERVICES, *(service(f"s{i}", type="ClusterIP", annotations={"fill": "x" * 1000}) for i in range(200)))
    case.followed(case.daemon())
    expect(any("gzip" in e.request.headers.get("accept-encoding", "") for e in case.server.asked("list", SERVICES)),
           "lists were not asked for in gzip")


@test(seconds=25)
def a_list_that_is_cut_is_tried_again_and_nothing_is_lost_meanwhile(case):
    case.server.watch_list = False
    d = case.web()
    whole = len(json.dumps(case.server.object(SERVICES, "default", "web"))) + 100
    cuts = iter((0, 1, whole // 2, whole - 110))
    fault = case.server.faults.add(Fault("list", SERVICES, times=4, act=lambda s, e, go_on: faults.cut(next(cuts))(s, e, go_on)))
    case.server.put(SERVICES, service("second", ip=VIPS[2]))
    case.relist()
    generations = set()

    def is_over():
        expect(d.has("web", ["10.0.1.1", "10.0.1.2"]), "web is gone:", d.backends("web"))
        generations.add(d.generation())
        return fault.count == 4 and len(case.lists(SERVICES)) > 5
    d.soon("a whole list after four cut ones", is_over)
    d.soon("the Service of the whole list", lambda: d.addresses("second") == [VIPS[2]])


@test(seconds=8)
def pages_are_followed_and_a_stale_token_starts_the_list_anew(case):
    case.server.watch_list = False
    case.server.put(SERVICES, *(service(f"s{i:04}", type="ClusterIP") for i in range(1200)))
    d = case.daemon(clock="both")
    case.followed(d)
    before = d.generation()

    def listed_again(token_ages):
        mark = case.server.mark()
        stale = case.server.faults.add(Fault("list", SERVICES, act=faults.gone(), when=lambda e: "continue" in e.query, times=int(token_ages)))
        case.relist()
        d.soon("the watch after the list", lambda: case.server.asked("list", SERVICES, mark) and case.server.watching[SERVICES] == 1)
        expect(stale.count == int(token_ages), "the fault was not met")
        return [e.query for e in case.server.asked("list", SERVICES, mark)]
    good = listed_again(False)
    expect(["continue" in q for q in good] == [False, True, True], good)
    bad = listed_again(True)
    expect(["continue" in q for q in bad][:3] == [False, True, False], bad)
    expect(not any(q.get("continue") == "bm90LXRvLWJlLXVzZWQ" for q in bad), "the token of the 410 was used:", bad)
    expect(len(d.services()) == 1200 and d.generation() == before, len(d.services()), "Services, generation", d.generation(), before)


@test(seconds=5)
def a_version_too_large_for_the_server_is_dropped(case):
    case.server.watch_list = False
    fault = case.server.faults.add(Fault("list", SERVICES, act=faults.too_large()))
    case.web()
    expect(fault.count == 1, "the fault was not met")
    after = case.server.asked("list", SERVICES)[1]
    expect(after.query.get("resourceVersion", "") == "", "asked again for version", after.query)


@test(seconds=5)
def a_relist_of_the_same_objects_makes_no_new_tables(case):
    for streams in (True, False):
        case.server.watch_list = streams
        d = case.web(name=f"streams-{streams}")
        before, mark = d.generation(), case.server.mark()
        case.relist()
        d.soon("each kind to be listed again and watched", lambda: all(
            case.lists(k, mark) and case.server.watching[k] == 1 for k in (SERVICES, SLICES)))
        case.server.put(SLICES, slice_of("web", ["10.0.1.1", "10.0.1.2", "10.0.1.3"]))
        d.wait("the next change", lambda: d.serves("web", ["10.0.1.1", "10.0.1.2", "10.0.1.3"]))
        expect(d.generation() == before + 1, "generation", before, "became", d.generation(), "by one change")
        d.stop()


@test(seconds=5)
def a_relist_removes_what_went_and_sees_a_new_object_under_an_old_name(case):
    d = case.web()
    case.server.put(SERVICES, service("other", ip=VIPS[2]))
    case.server.put(SERVICES, service("third", ip=VIPS[3]))
    case.followed(d)
    case.server.stop()
    case.server.remove(SERVICES, "default", "other")
    case.server.remove(SERVICES, "default", "web")
    case.server.put(SERVICES, service("web", ip=VIPS[9]))
    case.server.store.advance()
    case.server.store.compact()
    case.server.start()
    d.soon("the new web, without other", lambda: d.addresses("web") == [VIPS[9]] and set(d.services()) == {"default/web", "default/third"})
    d.wait("its endpoints", lambda: d.serves("web", ["10.0.1.1", "10.0.1.2"]))


# --- watches that begin with a list ---

@test(seconds=5)
def initial_events_count_only_when_the_right_bookmark_has_come(case):
    d = case.web()
    case.server.put(SERVICES, service("other", ip=VIPS[2]))
    case.followed(d)
    web = case.server.object(SERVICES, "default", "web")

    def half(server, exchange, _):
        exchange.response.begin(200)
        exchange.response.write(server.event("ADDED", {**web, "status": {"loadBalancer": {"ingress": [{"ip": VIPS[7]}]}}}))
        exchange.response.write(server.event("BOOKMARK", {"kind": "Service", "apiVersion": "v1", "metadata": {"resourceVersion": "1005"}}))
        said.append(True)
        expect(held_for(1.5, lambda: set(d.services()) == {"default/web", "default/other"} and d.addresses("web") == [VIPS[1]]),
               "half of a list was believed:", d.services())
        verdict.append(True)
        exchange.response.abort()
    said, verdict = [], []
    case.server.faults.add(Fault("watch", SERVICES, act=half, when=lambda e: e.query.get("sendInitialEvents") == "true"))
    case.relist()
    d.soon("half a list to be sent", lambda: said)
    d.wait("it not to be believed", lambda: verdict)
    case.server.put(SERVICES, service("third", ip=VIPS[3]))
    d.soon("the next Service", lambda: d.addresses("third"))


@test(seconds=8)
def what_changes_before_the_end_of_the_initial_events_counts(case):
    case.server.put(SERVICES, service("web", ip=VIPS[1]), service("gone", ip=VIPS[2]))
    case.server.put(SLICES, slice_of("web", ["10.0.1.1"]))

    def early(server, exchange, _):
        exchange.response.begin(200)
        web, gone = (server.object(SERVICES, "default", n) for n in ("web", "gone"))
        version = str(server.store.version)
        for type, o in (("ADDED", {**web, "status": {}}), ("ADDED", gone), ("MODIFIED", web), ("DELETED", gone)):
            exchange.response.write(server.event(type, o))
        exchange.response.write(server.event("BOOKMARK", {"kind": "Service", "apiVersion": "v1", "metadata": {
            "resourceVersion": version, "annotations": {"k8s.io/initial-events-end": "true"}}}))
        held.wait(10)
    held = threading.Event()
    case.server.faults.add(Fault("watch", SERVICES, act=early))
    d = case.daemon()
    d.wait("web alone", lambda: set(d.services()) == {"default/web"} and d.addresses("web") == [VIPS[1]])
    held.set()


@test(seconds=5)
def a_server_without_initial_events_is_listed_and_not_asked_again(case):
    case.server.watch_list = False
    d = case.web()
    mark = case.server.mark()
    case.relist()
    d.soon("Services to be listed and watched again", lambda: case.server.asked("list", SERVICES, mark) and case.server.watching[SERVICES] == 1)
    refused = [e for e in case.server.asked("watch") if e.status == 422]
    expect(len([e for e in refused if e.target.kind == SERVICES]) <= 1, "asked for initial events again:", len(refused), "times")


@test(seconds=4)
def watches_ask_for_what_is_needed_and_leave_the_rest(case):
    case.web()
    case.wait("three watches", lambda: all(case.server.watching[k] for k in (SERVICES, SLICES)))
    for e in case.server.asked("watch"):
        expect(e.query.get("allowWatchBookmarks") in ("true", "1"), "no bookmarks asked for:", e.request.url)
        expect(300 <= int(e.query.get("timeoutSeconds", 0)) <= 600, "timeoutSeconds:", e.request.url)
    by_kind = {e.target.kind: e for e in case.server.asked("watch")}
    expect("!service.kubernetes.io/service-proxy-name" in by_kind[SERVICES].query.get("labelSelector", ""), by_kind[SERVICES].request.url)
    expect("!service.kubernetes.io/headless" in by_kind[SLICES].query.get("labelSelector", ""), by_kind[SLICES].request.url)
    agent = case.server.asked("watch")[0].request.headers.get("user-agent", "")
    expect(agent.startswith("sluice"), "User-Agent:", agent)
