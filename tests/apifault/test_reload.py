# SPDX-License-Identifier: Apache-2.0
# SIGHUP: what the kubeconfig says now, in place of what it said at the start.
import signal

from bed import VIPS, expect, test, write_kubeconfig
from faults import Fault, refused
from objects import endpoints_of, service, slice_of
from resources import ENDPOINTS, SERVICES, SLICES

BOTH = ["10.0.1.1", "10.0.1.2"]


def reload(d):
    done = d.log().count("reload: done")
    d.popen.send_signal(signal.SIGHUP)
    d.wait("the reload", lambda: d.log().count("reload: done") > done)


@test(seconds=5)
def another_server_is_followed_and_compared_with_what_is_served(case):
    d = case.web(clock=None)
    other = case.new_server()
    other.put(SERVICES, service("web", ip=VIPS[1]))
    other.put(SLICES, slice_of("web", ["10.0.1.2", "10.0.1.3"]))
    write_kubeconfig(case.directory / "kubeconfig", other)
    reload(d)
    d.wait("the other's endpoints", lambda: d.serves("web", ["10.0.1.2", "10.0.1.3"]))
    expect(d.kube()["server"] == other.url, d.kube())
    case.server.put(SLICES, slice_of("web", ["10.0.1.9"]))  # nobody listens to that one any more
    other.put(SLICES, slice_of("web", ["10.0.1.4"]))
    d.wait("news of the other", lambda: d.serves("web", ["10.0.1.4"]))
    d.wait("a snapshot", lambda: d.has_snapshot(other))
    other.stop()
    d.stop()
    d.start()
    d.wait("the other's objects from the snapshot", lambda: d.serves("web", ["10.0.1.4"]))


@test(seconds=4)
def the_same_kubeconfig_changes_nothing(case):
    d = case.web(clock=None)
    mark = case.server.mark()
    reload(d)
    case.server.put(SLICES, slice_of("web", BOTH[:1]))
    d.wait("news over the watches that stand", lambda: d.serves("web", BOTH[:1]))
    expect(not case.server.asked(kind=SLICES, since=mark), "it connected again")


@test(seconds=4)
def a_broken_kubeconfig_is_told_and_the_server_followed_as_before(case):
    d = case.web(clock=None)
    path = case.directory / "kubeconfig"
    good = path.read_text()
    for broken in ("{", '{"apiVersion": "v1", "kind": "Config", "current-context": "nobody"}', None):
        path.unlink()
        if broken is not None:
            path.write_text(broken)
        reload(d)
        path.write_text(good)
    expect(d.log().count("is followed as before") == 3, d.log())
    case.server.put(SLICES, slice_of("web", BOTH[:1]))
    d.wait("news", lambda: d.serves("web", BOTH[:1]))


@test(seconds=6)
def endpoints_are_followed_on_the_next_server_too_and_left_where_slices_are(case):
    without = refused(404, "NotFound", "the server could not find the requested resource")
    other = case.new_server()
    for server, address in ((case.server, "10.0.1.1"), (other, "10.0.1.2")):
        for verb in ("list", "watch"):
            server.faults.add(Fault(verb, SLICES, act=without, times=None))
        server.put(SERVICES, service("web", ip=VIPS[1]))
        server.put(ENDPOINTS, endpoints_of("web", [address]))
    d = case.daemon()
    d.wait("v1 Endpoints", lambda: d.serves("web", ["10.0.1.1"]), 20)
    write_kubeconfig(case.directory / "kubeconfig", other)
    reload(d)
    d.wait("the other's", lambda: d.serves("web", ["10.0.1.2"]), 20)
    third = case.new_server()
    third.put(SERVICES, service("web", ip=VIPS[1]))
    third.put(SLICES, slice_of("web", BOTH))
    write_kubeconfig(case.directory / "kubeconfig", third)
    reload(d)
    d.wait("slices", lambda: d.serves("web", BOTH) and "endpoints" not in [s["resource"] for s in d.kube()["items"]], 20)
