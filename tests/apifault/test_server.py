# SPDX-License-Identifier: Apache-2.0
# The fault server by itself: what the tests of sluiced rely on holds without sluiced.
import http.client
import json

import faults
import objects
import wire
from bed import expect, test
from faults import Fault
from resources import LEASES, SERVICES, SLICES
from server import ApiServer


class Client:
    """A server and a connection to it."""

    def __enter__(self):
        self.server = ApiServer().start()
        return self

    def __exit__(self, *_):
        self.server.stop()

    def ask(self, method, path, body=None, content="application/json"):
        """(status, value, headers)."""
        connection = http.client.HTTPConnection(self.server.host, self.server.port, timeout=10)
        connection.request(method, path, json.dumps(body) if body is not None else None, {"Content-Type": content})
        answer = connection.getresponse()
        data = answer.read()
        connection.close()
        return answer.status, json.loads(data), answer.headers

    def watch(self, kind, query, n):
        """The first n events."""
        connection = http.client.HTTPConnection(self.server.host, self.server.port, timeout=10)
        connection.request("GET", f"{kind.path()}?watch=1&{query}")
        answer = connection.getresponse()
        events = [json.loads(answer.readline()) for _ in range(n)]
        connection.close()
        return events


@test()
def a_list_and_a_watch_from_its_version_tell_everything_once():
    with Client() as c:
        c.server.put(SERVICES, objects.service("a"), objects.service("b"))
        _, found, _ = c.ask("GET", SERVICES.path())
        expect([i["metadata"]["name"] for i in found["items"]] == ["a", "b"] and "kind" not in found["items"][0], found)
        c.server.put(SERVICES, objects.service("a", ip="203.0.113.1"))
        c.server.remove(SERVICES, "default", "b")
        events = c.watch(SERVICES, f"resourceVersion={found['metadata']['resourceVersion']}", 2)
        expect([(e["type"], e["object"]["metadata"]["name"], e["object"]["kind"]) for e in events]
               == [("MODIFIED", "a", "Service"), ("DELETED", "b", "Service")], events)


@test()
def initial_events_end_with_a_bookmark_that_says_so():
    with Client() as c:
        c.server.put(SERVICES, *(objects.service(f"s{i}") for i in range(3)))
        query = "sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true"
        events = c.watch(SERVICES, query, 4)
        expect([e["type"] for e in events] == ["ADDED"] * 3 + ["BOOKMARK"], events)
        expect(events[3]["object"]["metadata"]["annotations"] == {"k8s.io/initial-events-end": "true"}, events[3])
        c.server.watch_list = False
        code, found, _ = c.ask("GET", f"{SERVICES.path()}?watch=1&{query}")
        expect(code == 422 and found["reason"] == "Invalid", found)


@test()
def pages_are_cut_by_limit_and_a_stale_token_is_gone():
    with Client() as c:
        c.server.put(SERVICES, *(objects.service(f"s{i}") for i in range(5)))
        code, first, _ = c.ask("GET", SERVICES.path() + "?limit=2")
        token = first["metadata"]["continue"]
        code, second, _ = c.ask("GET", f"{SERVICES.path()}?limit=2&continue={token}")
        expect(code == 200 and [i["metadata"]["name"] for i in second["items"]] == ["s2", "s3"], second)
        expect(len(c.ask("GET", SERVICES.path() + "?limit=2&resourceVersion=0")[1]["items"]) == 5, "the cache knows no limit")
        c.server.store.advance()
        c.server.store.compact(SERVICES)
        expect(c.ask("GET", f"{SERVICES.path()}?limit=2&continue={token}")[0] == 410, "an old token")


@test()
def versions_too_old_and_too_new_are_told_apart():
    with Client() as c:
        c.server.put(SERVICES, objects.service("a"))
        c.server.store.compact(SERVICES)
        event = c.watch(SERVICES, "resourceVersion=1000", 1)[0]
        expect(event["type"] == "ERROR" and event["object"]["code"] == 410, event)
        code, found, headers = c.ask("GET", SERVICES.path() + "?resourceVersion=5000")
        expect(code == 504 and headers["Retry-After"] == "1", found)
        expect(found["details"]["causes"][0]["reason"] == "ResourceVersionTooLarge", found)


@test()
def a_selector_turns_changes_into_additions_and_removals():
    with Client() as c:
        version = c.server.store.version
        for label in ({}, {"service.kubernetes.io/headless": ""}, {}):
            o = objects.slice_of("a", ["10.0.1.1"])
            o["metadata"]["labels"].update(label)
            c.server.put(SLICES, o)
        events = c.watch(SLICES, f"resourceVersion={version}&labelSelector=%21service.kubernetes.io/headless", 3)
        expect([e["type"] for e in events] == ["ADDED", "DELETED", "ADDED"], events)


@test()
def status_is_patched_with_preconditions_and_spec_is_out_of_its_reach():
    with Client() as c:
        c.server.put(SERVICES, objects.service("a"))
        uid = c.server.object(SERVICES, "default", "a")["metadata"]["uid"]
        path = SERVICES.path("default", "a", "status")
        change = {"metadata": {"uid": uid}, "spec": {"type": "ClusterIP"}, "status": {"loadBalancer": {"ingress": [{"ip": "203.0.113.9"}]}}}
        code, found, _ = c.ask("PATCH", path, change, "application/merge-patch+json")
        expect(code == 200 and found["spec"]["type"] == "LoadBalancer", found)
        expect(found["status"]["loadBalancer"]["ingress"] == [{"ip": "203.0.113.9"}], found)
        change["metadata"]["uid"] = "other"
        expect(c.ask("PATCH", path, change, "application/merge-patch+json")[0] == 422, "another uid")
        condition = {"status": {"conditions": [{"type": "sluice.dev/Allocated", "status": "True"}]}}
        other = {"status": {"conditions": [{"type": "else/Where", "status": "False"}]}}
        for patch in (condition, other):
            c.ask("PATCH", path, patch, "application/strategic-merge-patch+json")
        expect(len(c.server.object(SERVICES, "default", "a")["status"]["conditions"]) == 2, "conditions are a map by type")


@test()
def two_managers_that_apply_one_field_conflict():
    with Client() as c:
        c.server.put(SERVICES, objects.service("a"))
        path = SERVICES.path("default", "a", "status")

        def apply(manager, ip, more=""):
            config = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "a", "namespace": "default"},
                      "status": {"loadBalancer": {"ingress": [{"ip": ip}]}}}
            return c.ask("PATCH", f"{path}?fieldManager={manager}{more}", config, "application/apply-patch+yaml")[0]
        expect(apply("one", "203.0.113.1") == 200 and apply("two", "203.0.113.1") == 200, "the same value is no conflict")
        expect(apply("two", "203.0.113.2") == 409, "a different one is")
        expect(apply("two", "203.0.113.2", "&force=true") == 200 and apply("one", "203.0.113.1") == 409, "the field has a new owner")


@test()
def a_finalizer_holds_what_is_deleted():
    with Client() as c:
        o = objects.service("a")
        o["metadata"]["finalizers"] = ["service.kubernetes.io/load-balancer-cleanup"]
        c.server.put(SERVICES, o)
        c.server.delete(SERVICES, "default", "a")
        expect("deletionTimestamp" in c.server.object(SERVICES, "default", "a")["metadata"], "it stays")
        c.ask("PATCH", SERVICES.path("default", "a", "status"), {"metadata": {"finalizers": None}}, "application/merge-patch+json")
        expect(c.server.object(SERVICES, "default", "a") is None, "the last finalizer is gone")


@test()
def leases_are_created_once_and_updated_by_version():
    with Client() as c:
        lease = {"metadata": {"name": "sluice"}, "spec": {"holderIdentity": "one"}}
        path = LEASES.path("kube-system")
        code, made, _ = c.ask("POST", path, lease)
        expect(code == 201 and c.ask("POST", path, lease)[0] == 409, made)
        made["spec"]["holderIdentity"] = "two"
        expect(c.ask("PUT", LEASES.path("kube-system", "sluice"), made)[0] == 200, "the version is right")
        expect(c.ask("PUT", LEASES.path("kube-system", "sluice"), made)[0] == 409, "and is not any more")


@test()
def faults_cut_chunk_mute_and_refuse_as_often_as_they_were_told():
    with Client() as c:
        c.server.put(SERVICES, objects.service("a"))
        c.server.faults.add(Fault("list", SERVICES, act=faults.throttled(3), times=2))
        answers = [c.ask("GET", SERVICES.path()) for _ in range(3)]
        expect([a[0] for a in answers] == [429, 429, 200] and answers[0][2]["Retry-After"] == "3", answers)
        whole = answers[2][1]
        c.server.faults.add(Fault("list", act=faults.edges(wire.every(1))))
        expect(c.ask("GET", SERVICES.path())[1] == whole, "a byte a chunk")
        c.server.faults.add(Fault("list", act=faults.cut(10)))
        try:
            c.ask("GET", SERVICES.path())
            expect(False, "it was not cut")
        except http.client.IncompleteRead as e:
            expect(len(e.partial) == 10, e.partial)


@test()
def away_and_back_it_has_the_same_port_and_objects():
    with Client() as c:
        c.server.put(SERVICES, objects.service("a"))
        c.server.stop()
        try:
            c.ask("GET", SERVICES.path())
            expect(False, "somebody answers")
        except ConnectionRefusedError:
            pass
        c.server.start()
        expect(len(c.ask("GET", SERVICES.path())[1]["items"]) == 1, "and is back")


@test()
def a_restored_backup_gives_versions_a_second_time():
    with Client() as c:
        c.server.put(SERVICES, objects.service("a"))
        saved = c.server.store.backup()
        c.server.put(SERVICES, objects.service("b"))
        c.server.restore(saved)
        _, found, _ = c.ask("GET", SERVICES.path())
        expect(len(found["items"]) == 1 and found["metadata"]["resourceVersion"] == str(saved[0]), found)
