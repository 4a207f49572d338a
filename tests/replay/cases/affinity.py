# SPDX-License-Identifier: Apache-2.0
# sessionAffinity ClientIP: one client, one backend, for as long as it keeps coming.
from suite import case

ALL = "b1 b2 b3 b4 b5 b6 b7 b8 b9"
EVERY = dict(family=(4, 6), mode=("fullnat", "dnat", "dsr"))


def goes(t, port, reason, client="client", to="$b"):
    """A new connection of a client lands on a backend."""
    if t.mode == "dsr":
        t.play(f"wan> {client}:{port} > vip:80 TCP S\nlan< {client}:{port} > vip:80 TCP S dmac={to}    ; {reason}")
    else:
        t.play(f"wan> {client}:{port} > vip:80 TCP S\nlan< *:* > {to}:8080 TCP S    ; {reason}")


@case(**EVERY)
def all_ports_of_a_client_go_to_one_backend(t):
    t.service("web", backends=ALL, affinity=100)
    for n, client in enumerate(("client", "client2", "client3")):
        for port in range(40000, 40010):
            goes(t, port, "new" if port == 40000 else "affinity", client, f"$b{n}")


@case(**EVERY)
def affinity_slides_and_ends_after_its_time(t):
    t.service("web", backends=ALL, affinity=100)
    goes(t, 40000, "new")
    for n, seconds in enumerate((95, 190, 285)):
        t.play(f"at {seconds}")
        goes(t, 40001 + n, "affinity")
    t.play("at 386.5")
    goes(t, 40010, "new")


@case(family=(4, 6), mode=("fullnat", "dnat", "dsr"))
def traffic_of_a_tracked_flow_keeps_affinity(t):
    t.service("web", backends=ALL, affinity=10)
    goes(t, 40000, "new")
    for seconds in (4, 8, 12, 16):
        t.play(f"at {seconds}\nwan> client:40000 > vip:80 TCP S\nany")
    t.play("at 24")
    goes(t, 40001, "affinity")


@case(**EVERY)
def affinity_survives_added_backends(t):
    t.service("web", backends="b1 b2", affinity=100)
    goes(t, 40000, "new")
    t.change(5)
    t.service("web", backends=ALL)
    t.play("at 6")
    for port in range(40001, 40020):
        goes(t, port, "affinity")


@case(**EVERY)
def affinity_ends_when_its_backend_is_no_longer_usable(t):
    t.service("web", backends="b1", affinity=100)
    goes(t, 40000, "new", to="b1")
    t.change(5)
    t.service("web", backends="b1:terminating b2")
    t.play("at 6")
    goes(t, 40001, "new", to="b2")
    goes(t, 40002, "affinity", to="b2")
    t.change(10)
    t.service("web", backends="b3")
    t.play("at 11")
    goes(t, 40003, "new", to="b3")
    goes(t, 40004, "affinity", to="b3")


@case(family=(4, 6))
def affinity_is_switched_on_and_off_at_once(t):
    t.service("web", backends=ALL)
    for port in range(40000, 40005):
        goes(t, port, "new", to="*")
    t.change(5)
    t.service("web", affinity=100)
    t.play("at 5")
    goes(t, 41000, "new")
    for port in range(41001, 41010):
        goes(t, port, "affinity")
    t.change(10)
    t.service("web", affinity=None)
    t.play("at 10")
    for port in range(42000, 42010):
        goes(t, port, "new", to="*")


@case(family=(4, 6))
def affinity_is_of_one_service_port(t):
    t.service("web", ports=[("http", 80, 8080, "TCP"), ("https", 443, 8443, "TCP")], backends=ALL, affinity=100)
    t.service("other", vip="vip2", backends=ALL, affinity=100)
    t.play("""
        wan> client:40000 > vip:80 TCP S
        lan< snat:* > $b:8080 TCP S           ; new
        wan> client:40000 > vip:443 TCP S
        lan< snat:* > $c:8443 TCP S           ; new
        wan> client:40000 > vip2:80 TCP S
        lan< snat:* > $d:8080 TCP S           ; new
        wan> client:40001 > vip:443 TCP S
        lan< snat:* > $c:8443 TCP S           ; affinity
        wan> client:40001 > vip2:80 TCP S
        lan< snat:* > $d:8080 TCP S           ; affinity
        wan> client:40001 > vip:80 TCP S
        lan< snat:* > $b:8080 TCP S           ; affinity
    """)


@case(family=(4, 6))
def udp_has_affinity_too(t):
    t.service("dns", proto="UDP", port=53, to=53, backends=ALL, affinity=1000)
    for n in range(8):
        t.play(f"""
            at {n * 50}
            wan> client:{40000 + n} > vip:53 UDP len=4
            lan< snat:* > $b:53 UDP             ; {"affinity" if n else "new"}
        """)


@case(family=(4, 6))
def both_addresses_of_a_service_share_a_clients_affinity(t):
    t.config["services"]["nodePortAddresses"] = ["203.0.113.250", "2001:db8:100::fa"]
    t.service("web", backends=ALL, affinity=100, node_port=30080)
    t.play("""
        wan> client:40000 > vip:80 TCP S
        lan< snat:* > $b:8080 TCP S           ; new
    """)
    for port in range(40001, 40010):
        t.play(f"""
            wan> client:{port} > nodeport:30080 TCP S
            lan< snat:* > $b:8080 TCP S       ; affinity
        """)


@case(**EVERY)
def known_flows_live_on_when_affinity_comes_and_goes(t):
    t.service("web", backends=ALL)
    ports = range(40000, 40020)
    inside = "dmac=$m{0}" if t.mode == "dsr" else ""
    line = "wan> client:{0} > vip:80 TCP {1}\nlan< $s{0}:$p{0} > $b{0}:* TCP {1} " + inside + "    ; {2}"
    answer = "" if t.mode == "dsr" else "\nlan> $b{0}:8080 > $s{0}:$p{0} TCP {1}\nwan< vip:80 > client:{0} TCP {1}"
    for port in ports:
        t.play(line.format(port, "S", "new"))
    for port in ports:
        t.play(answer.format(port, "SA") + "\n" + line.format(port, "A", "tracked"))
    for seconds, affinity in ((5, 100), (10, None), (15, 50)):
        t.change(seconds)
        t.service("web", affinity=affinity)
        t.play(f"at {seconds}")
        for port in ports:
            t.play(line.format(port, "PA", "tracked") + answer.format(port, "A"))


@case(family=(4, 6))
def anothers_affinity_leaves_the_flows_of_a_shared_pod(t):
    t.service("web", mode="dnat", backends=ALL)
    ports = range(40000, 40020)
    for port in ports:
        t.play(f"wan> client:{port} > vip:80 TCP S\nlan< client:{port} > $b{port}:8080 TCP S")
    for port in ports:
        t.play(f"lan> $b{port}:8080 > client:{port} TCP SA\nwan< vip:80 > client:{port} TCP SA")
    t.change(5)
    t.service("shop", mode="dnat", vip="vip2", backends="b1", affinity=100)
    t.change(6)
    t.service("web", backends=ALL + " n1 n2 n3")  # so that not every choice is the old one
    t.play("at 6")
    for port in ports:
        t.play(f"""
            wan> client:{port} > vip:80 TCP A len=1
            lan< client:{port} > $b{port}:8080 TCP A len=1    ; tracked
            lan> $b{port}:8080 > client:{port} TCP A len=2
            wan< vip:80 > client:{port} TCP A len=2
        """)


@case(family=(4, 6))
def a_pod_of_services_with_and_without_affinity_answers_for_both(t):
    t.service("web", mode="dnat", backends="b1 b2")
    t.service("shop", mode="dnat", vip="vip2", backends="b1 b2", affinity=100)
    for port in range(40000, 40020):
        t.play(f"""
            wan> client:{port} > vip:80 TCP S
            lan< client:{port} > $b{port}:8080 TCP S
            wan> client2:{port} > vip2:80 TCP S
            lan< client2:{port} > $c:8080 TCP S
        """)
    for port in range(40000, 40020):
        t.play(f"""
            lan> $b{port}:8080 > client:{port} TCP SA
            wan< vip:80 > client:{port} TCP SA
            lan> $c:8080 > client2:{port} TCP SA
            wan< vip2:80 > client2:{port} TCP SA
        """)
