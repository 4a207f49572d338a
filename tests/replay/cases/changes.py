# SPDX-License-Identifier: Apache-2.0
# --apply: manifests that change between two packets.
import net
import text
from cases.tcp import establish
from suite import case


@case(family=(4, 6))
def manifests_change_exactly_when_the_clock_reaches_their_time(t):
    t.service("web", backends="b1")
    t.play("""
        at 0
        wan> client:40000 > vip:80 TCP S
        lan< snat:* > b1:8080 TCP S
        at 4.999999
        wan> client:40001 > vip:80 TCP S
        lan< snat:* > b1:8080 TCP S
    """)
    t.change(5)
    t.service("web", backends="b2")
    t.play("""
        at 5
        wan> client:40002 > vip:80 TCP S
        lan< snat:* > b2:8080 TCP S
    """)


@case(family=(4, 6))
def a_service_that_appears_is_served_and_one_that_goes_is_not(t):
    t.service("web", backends="b1")
    t.play("""
        wan> client:40000 > vip:80 TCP S
        lan< snat:* > b1:8080 TCP S
        wan> client:40000 > vip2:80 TCP S
        drop not-for-us
    """)
    t.change(5)
    t.delete("web")
    t.service("other", vip="vip2", backends="b2")
    t.play("""
        at 5
        wan> client:40001 > vip2:80 TCP S
        lan< snat:* > b2:8080 TCP S
        wan> client:40001 > vip:80 TCP S
        drop not-for-us
        wan> client:40000 > vip:80 TCP A ack=9
        drop not-for-us|no-flow|backend-gone
    """)


@case(family=(4, 6), mode=("fullnat", "dnat"))
def a_deleted_services_backend_can_not_answer(t):
    t.service("web", backends="b1")
    s = establish(t, "b1")
    t.change(5)
    t.delete("web")
    t.play(f"""
        at 6
        lan> b1:8080 > {s} TCP A len=50
        drop not-for-us|no-flow-reverse|backend-gone
    """)


@case(family=(4, 6), mode=("fullnat", "dnat", "dsr"))
def source_ranges_bite_at_once(t):
    host = "/32" if t.family == 4 else "/128"
    t.service("web", backends="b1")
    t.play("wan> client:40000 > vip:80 TCP S\nany")
    t.change(5)
    t.service("web", ranges=[("198.51.100.8" if t.family == 4 else "2001:db8:c::8") + host])
    t.play("""
        at 5
        wan> client:40001 > vip:80 TCP S
        drop source-denied
        wan> client2:40001 > vip:80 TCP S
        lan< *:* > *:* TCP S                ; new
    """)


@case()
def source_ranges_of_one_family_close_the_other(t):
    t.service("web", families=(4, 6), vip="vip", backends="b1", ranges=["198.51.100.0/24"])
    t.play("""
        wan> client:40000 > vip:80 TCP S
        lan< snat:* > b1:8080 TCP S
        wan> [2001:db8:c::7]:40000 > [2001:db8:100::1]:80 TCP S
        drop source-denied
    """)


@case()
def source_ranges_tolerate_white_space_and_stay_closed_with_a_broken_entry(t):
    t.service("web", backends="b1", ranges=[" 198.51.100.0/29 ", "nonsense"])
    t.play("""
        wan> client:40000 > vip:80 TCP S
        lan< snat:* > b1:8080 TCP S
        wan> client2:40000 > vip:80 TCP S
        drop source-denied
    """)


@case(family=(4, 6))
def a_changed_mode_holds_for_new_flows(t):
    t.service("web", mode="fullnat", backends="b1")
    t.play("wan> client:40000 > vip:80 TCP S\nlan< snat:* > b1:8080 TCP S")
    t.change(5)
    t.service("web", mode="dnat")
    t.play("at 5\nwan> client:40001 > vip:80 TCP S\nlan< client:40001 > b1:8080 TCP S    ; new")
    t.change(10)
    t.service("web", mode="dsr")
    t.play("at 10\nwan> client:40002 > vip:80 TCP S\nlan< client:40002 > vip:80 TCP S dmac=b1    ; new")


@case(family=(4, 6))
def a_service_that_moves_to_another_address_leaves_the_old_one(t):
    t.service("web", backends="b1")
    t.play("wan> client:40000 > vip:80 TCP S\nlan< snat:* > b1:8080 TCP S")
    t.change(5)
    t.service("web", vip="vip2")
    t.play("""
        at 5
        wan> client:40001 > vip:80 TCP S
        drop not-for-us
        wan> client:40001 > vip2:80 TCP S
        lan< snat:* > b1:8080 TCP S
    """)


@case(family=(4, 6), mode=("fullnat", "dnat"))
def a_change_of_one_service_leaves_anothers_flows(t):
    t.service("web", backends="b1 b2 b3")
    t.service("other", vip="vip2", backends="b4")
    s = establish(t)
    t.change(5)
    t.service("other", backends="b5 b6")
    t.change(6)
    t.delete("other")
    t.play(f"""
        at 7
        wan> client:40000 > vip:80 TCP A seq=1001 ack=5001 len=3
        lan< {s} > $b:8080 TCP A len=3       ; tracked
        lan> $b:8080 > {s} TCP A len=4
        wan< vip:80 > client:40000 TCP A len=4
    """)


@case()
def a_broken_manifest_is_reported_and_the_rest_is_served(t):
    t.service("web", backends="b1")
    t.files["broken.yaml"] = "apiVersion: v1\nkind: Service\nmetadata: {name: [\n"
    t.files["wrong.yaml"] = ("apiVersion: v1\nkind: Service\nmetadata: {name: wrong, namespace: default}\n"
                             "spec: {type: LoadBalancer, ports: [{port: eighty}]}\n")
    t.play("wan> client:40000 > vip:80 TCP S\nlan< snat:* > b1:8080 TCP S")
    t.sync()
    t.require("broken.yaml" in t.errors, f"stderr does not name broken.yaml: {t.errors!r}")
    t.require("wrong.yaml" in t.errors, f"stderr does not name wrong.yaml: {t.errors!r}")


@case()
def json_and_lists_are_read_like_yaml(t):
    t.service("web", backends="b1")
    t.service("dns", vip="vip2", proto="UDP", port=53, to=5353, backends="b2")
    t.form = "list"
    t.play("""
        wan> client:40000 > vip:80 TCP S
        lan< snat:* > b1:8080 TCP S
        wan> client:40000 > vip2:53 UDP len=2
        lan< snat:* > b2:5353 UDP len=2
    """)


@case(family=(4, 6))
def manifests_may_be_named_on_the_command_line(t):
    t.service("web", backends="b2")
    t.config["services"]["manifests"] = str(t.dir / "empty")
    (t.dir / "empty").mkdir(parents=True)
    plain = t.command
    t.command = lambda *a: plain(*a)[:3] + ["--manifests", str(t.dir / "manifests-0")] + plain(*a)[3:]
    t.play("wan> client:40000 > vip:80 TCP S\nlan< snat:* > b2:8080 TCP S")


@case(family=(4, 6))
def a_changed_mode_sends_nothing_broken_for_old_flows(t):
    t.service("web", mode="dnat", backends="b1")
    t.service("dns", vip="vip2", proto="UDP", port=53, to=5353, mode="dnat", backends="b1")
    t.play("""
        wan> client:40000 > vip:80 TCP S seq=1
        lan< client:40000 > b1:8080 TCP S
        wan> client:40000 > vip2:53 UDP len=5
        lan< client:40000 > b1:5353 UDP
    """)
    modes = ("fullnat", "dnat", "dsr", "fullnat")
    for n, mode in enumerate(modes):
        t.change(5 * n + 5)
        t.service("web", mode=mode)
        t.service("dns", mode=mode)
        t.play(f"""
            at {5 * n + 5}
            wan> client:40000 > vip:80 TCP A seq=2 ack=7
            any
            wan> client:40000 > vip2:53 UDP len=5
            any
            wan> client:40000 > vip2:53 UDP len=6
            any
        """)
    t.sync()
    for n, mode in enumerate(modes):
        segment, first, second = t.inputs[2 + 3 * n:5 + 3 * n]
        for i in (segment, first, second):
            for port, f in t.outputs(i):
                seen = {"fullnat": net.address("snat", t.family), "dnat": net.address("client", t.family),
                        "dsr": net.address("client", t.family)}[mode]
                t.require(port == "wan" or (f["src"] == seen and f["sport"] > 0), f"{mode}: {text.describe(f)}")
        t.require(t.outputs(second), f"{mode}: the UDP flow does not go on")
