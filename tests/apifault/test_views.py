# SPDX-License-Identifier: Apache-2.0
# What a person asks when a Service is not as expected: where addresses went, and why an endpoint gets nothing.
from bed import expect, test
from objects import endpoint, service, slice_of
from resources import SERVICES, SLICES


@test(seconds=3)
def pools_tell_what_is_taken_and_who_waits(case):
    case.server.put(SERVICES, service("one"))
    case.server.put(SERVICES, service("two"))
    d = case.daemon(addressPools=[{"name": "small", "addresses": ["203.0.113.7/32"]}])
    d.wait("one to have the address and two to wait", lambda: sorted(len(d.addresses(n)) for n in ("one", "two")) == [0, 1])
    rows = d.ctl("pools")["items"]
    expect(len(rows) == 1, rows)
    expect({k: rows[0][k] for k in ("name", "size", "inUse", "free", "waiting")} ==
           {"name": "small", "size": 1, "inUse": 1, "free": 0, "waiting": 1}, rows)


@test(seconds=3)
def a_service_is_explained_endpoint_by_endpoint(case):
    d = case.web()
    case.server.put(SLICES, slice_of("web", [endpoint("10.0.1.1"), endpoint("10.0.1.2", ready=False)]))
    d.wait("one endpoint to be left", lambda: d.serves("web", ["10.0.1.1"]))
    told = d.ctl("explain", "service", "default/web")
    expect(told["ours"] and len(told["addresses"]) == 1 and told["reason"] == "", told)
    rules = {e["endpoint"].rsplit(":", 1)[0]: (e["result"], e["rule"]) for e in told["endpoints"]}
    expect(set(rules) == {"10.0.1.1", "10.0.1.2"} and rules["10.0.1.1"] != rules["10.0.1.2"] and all(r[1] for r in rules.values()), told)


@test(seconds=3)
def a_service_without_an_address_is_told_why_by_each_pool(case):
    case.server.put(SERVICES, service("web"))
    d = case.daemon(addressPools=[{"name": "others", "addresses": ["203.0.113.7/32"], "namespaces": ["elsewhere"]}])
    d.wait("the Service to be known", lambda: "default/web" in d.services())
    told = d.ctl("explain", "service", "default/web")
    expect(told["addresses"] == [] and told["reason"], told)
    expect([p["pool"] for p in told["pools"]] == ["others"] and "namespace" in str(told["pools"][0]), told)
