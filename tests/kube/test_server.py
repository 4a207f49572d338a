# SPDX-License-Identifier: Apache-2.0
# The API server restarts, is away, refuses a token, and the appliance restarts while it is away: traffic does not notice.
"""
   client ---- wan [ sluiced ] lan ---- switch ---- n1, n2 ---- pods
                       |
                  API server, or not
"""
import signal

from beds import KUBE, expect, test, wait_for


def serve(w, n=2):
    """From a fresh appliance: one that has seen an outage in the last two minutes waits longer between its attempts."""
    w.sluice.process.end()
    w.sluice.start()
    ns = w.namespace()
    web = w.workload(ns, "web", n, "http")
    w.service(ns, "web")
    vips = w.sluice.wait_shown(ns, "web")
    w.sluice.wait_ready(ns, "web", web.addresses())
    return ns, web, vips


@test(KUBE)
def a_restart_of_the_api_server_is_not_seen_by_clients_and_followed_after(w):
    ns, web, vips = serve(w)
    requests = [w.get_many(vip, 1500, background=True) for vip in vips.values()]
    wait_for("some answers", lambda: all(r.answered() >= 100 for r in requests), 30)
    w.control.stop_server(signal.SIGTERM)
    for vip in vips.values():
        w.get_many(vip, 50).assert_all_good()
    w.control.start_server()
    for r in requests:
        r.finish().assert_all_good()
    web.scale(3)
    w.sluice.wait_backends(ns, "web", "the third pod", lambda b: set(b) == web.addresses(), 60)
    w.service(ns, "late", app="web")
    w.sluice.wait_shown(ns, "late", seconds=30)
    expect(w.sluice.shown(ns, "web") == vips, "the address moved")


@test(KUBE)
def an_appliance_that_starts_while_the_api_server_is_away_forwards_what_it_knew(w):
    ns, web, vips = serve(w)
    w.sluice.wait_snapshot(ns, "web")
    w.control.stop_server()
    try:
        w.sluice.process.send(signal.SIGKILL)
        w.sluice.process.wait(5)
        w.sluice.start()
        w.sluice.wait_ready(ns, "web", web.addresses())
        for vip in vips.values():
            w.get_many(vip, 50).assert_all_good()
        expect(w.sluice.is_stale(), "it does not say that what it knows is old")
    finally:
        w.control.start_server()
    web.scale(3)
    w.sluice.wait_backends(ns, "web", "the third pod", lambda b: set(b) == web.addresses(), 60)
    w.sluice.wait("it to be up to date", lambda: not w.sluice.is_stale(), 30)
    expect(w.sluice.shown(ns, "web") == vips, "the address moved")


@test(KUBE)
def an_appliance_that_restarts_keeps_every_address(w):
    ns, web, vips = serve(w)
    w.service(ns, "other", app="web")
    other = w.sluice.wait_shown(ns, "other")
    w.sluice.snapshot.unlink(missing_ok=True)
    w.sluice.process.end()
    w.sluice.snapshot.unlink(missing_ok=True)  # status alone is the record
    w.sluice.start()
    w.sluice.wait("both Services", lambda: w.sluice.addresses(ns, "web") == vips and w.sluice.addresses(ns, "other") == other)
    w.sluice.wait_ready(ns, "web", web.addresses())
    for vip in (*vips.values(), *other.values()):
        w.get_many(vip, 20).assert_all_good()


@test(KUBE)
def what_happened_while_the_appliance_was_down_is_made_up_for(w):
    ns, web, vips = serve(w)
    w.service(ns, "gone", app="web")
    w.sluice.wait_shown(ns, "gone")
    w.sluice.process.end()
    web.scale(3)
    w.control.admin.delete(f"/api/v1/namespaces/{ns}/services/gone")
    w.service(ns, "fresh", app="web")
    expect(w.control.admin.find(f"/api/v1/namespaces/{ns}/services/gone"), "the finalizer did not keep it")
    w.sluice.start()
    w.sluice.wait_shown(ns, "fresh")
    w.sluice.wait_ready(ns, "web", web.addresses())
    wait_for("the deleted Service to be gone", lambda: w.control.admin.find(f"/api/v1/namespaces/{ns}/services/gone") is None)


@test(KUBE)
def a_revoked_token_stops_nothing_and_a_new_one_is_taken_from_its_file(w):
    ns, web, vips = serve(w)
    w.sluice.revoke_token()
    w.control.restart_server()
    w.sluice.wait("refusals", w.sluice.is_refused, 30)
    for vip in vips.values():
        w.get_many(vip, 50).assert_all_good()
    web.scale(3)
    w.sluice.renew_token()
    w.sluice.wait_backends(ns, "web", "the third pod", lambda b: set(b) == web.addresses(), 60)


@test(KUBE)
def a_token_renewed_before_the_old_one_ends_is_taken_at_once(w):
    ns, web, _ = serve(w)
    old = w.sluice.secret
    w.sluice.renew_token()
    w.control.admin.delete(old)
    w.control.restart_server()
    web.scale(3)
    w.sluice.wait_backends(ns, "web", "the third pod", lambda b: set(b) == web.addresses(), 60)
    said = {r["lastError"] for r in w.sluice.items("kube")}  # a server that just started may say Forbidden: it does not know its roles yet
    expect(not any("Unauthorized" in text for text in said), said)


@test(KUBE)
def a_role_that_was_taken_away_stops_nothing_until_it_is_back(w):
    ns, web, vips = serve(w)
    w.control.kubectl("delete", "clusterrolebinding", "sluice")
    try:
        w.control.restart_server()
        w.sluice.wait("refusals", w.sluice.is_refused, 30)
        for vip in vips.values():
            w.get_many(vip, 50).assert_all_good()
    finally:
        w.control.kubectl("apply", "-f", w.deploy / "rbac.yaml")
    web.scale(3)
    w.sluice.wait_backends(ns, "web", "the third pod", lambda b: set(b) == web.addresses(), 60)
