# SPDX-License-Identifier: Apache-2.0
# Where traffic is accepted: load balancer, nodePort, external and cluster addresses, of both families.
from suite import case


@case(family=(4, 6), mode=("fullnat", "dnat"))
def a_node_port_service_is_served_on_the_node_port_addresses(t):
    t.config["services"]["nodePortAddresses"] = ["203.0.113.250", "2001:db8:100::fa"]
    t.service("web", type="NodePort", node_port=30080, backends="b1", vip="")
    t.play("""
        wan> client:40000 > nodeport:30080 TCP S
        lan< $s:$p > b1:8080 TCP S                     ; new service=default/web backend=b1:8080
        lan> b1:8080 > $s:$p TCP SA
        wan< nodeport:30080 > client:40000 TCP SA
        wan> client:40001 > nodeport:80 TCP S
        drop not-for-us
    """)


@case(family=(4, 6))
def a_load_balancer_service_is_served_on_its_node_port_as_well(t):
    t.config["services"]["nodePortAddresses"] = ["203.0.113.250", "2001:db8:100::fa"]
    t.service("web", node_port=30080, backends="b1")
    t.play("""
        wan> client:40000 > nodeport:30080 TCP S
        lan< snat:$p > b1:8080 TCP S
        wan> client:40000 > vip:80 TCP S
        lan< snat:$q > b1:8080 TCP S
        lan> b1:8080 > snat:$p TCP SA
        wan< nodeport:30080 > client:40000 TCP SA
        lan> b1:8080 > snat:$q TCP SA
        wan< vip:80 > client:40000 TCP SA
    """)


@case(family=(4, 6))
def an_external_address_inside_the_allowed_ranges_is_served(t):
    t.config["services"]["externalIPs"] = ["203.0.113.200/32", "2001:db8:100::c8/128"]
    t.service("web", external="external", backends="b1")
    t.play("""
        wan> client:40000 > external:80 TCP S
        lan< snat:$p > b1:8080 TCP S
        lan> b1:8080 > snat:$p TCP SA
        wan< external:80 > client:40000 TCP SA
    """)


@case(family=(4, 6))
def an_external_address_outside_the_allowed_ranges_is_not_served(t):
    t.config["services"]["externalIPs"] = ["203.0.113.199/32", "2001:db8:100::c7/128"]
    t.service("web", external="external", backends="b1")
    t.play("wan> client:40000 > external:80 TCP S\ndrop not-for-us")


@case(family=(4, 6))
def external_addresses_are_off_by_default(t):
    t.service("web", external="external", backends="b1")
    t.play("wan> client:40000 > external:80 TCP S\ndrop not-for-us")


@case(family=(4, 6))
def cluster_addresses_are_served_when_asked_for(t):
    t.config["services"]["clusterIPs"] = True
    t.service("web", type="ClusterIP", vip="", backends="b1")
    t.play("""
        wan> client:40000 > cluster:80 TCP S
        lan< snat:$p > b1:8080 TCP S
        lan> b1:8080 > snat:$p TCP SA
        wan< cluster:80 > client:40000 TCP SA
    """)


@case(family=(4, 6))
def cluster_addresses_are_off_by_default(t):
    t.service("web", type="ClusterIP", vip="", backends="b1")
    t.play("wan> client:40000 > cluster:80 TCP S\ndrop not-for-us")


@case()
def a_dual_stack_service_serves_each_family_with_its_own_backends(t):
    t.service("web", families=(4, 6), backends="b1")
    t.play("""
        wan> client.4:40000 > vip.4:80 TCP S
        lan< snat.4:$p > b1.4:8080 TCP S
        lan> b1.4:8080 > snat.4:$p TCP SA
        wan< vip.4:80 > client.4:40000 TCP SA
        wan> client.6:40000 > vip.6:80 TCP S
        lan< snat.6:$q > b1.6:8080 TCP S
        lan> b1.6:8080 > snat.6:$q TCP SA
        wan< vip.6:80 > client.6:40000 TCP SA
        flows 2
    """)


@case(family=(4, 6))
def an_address_is_given_from_the_pool_in_order_of_creation(t):
    t.service("young", vip="", backends="b2", created="2026-01-02T00:00:00Z")
    t.service("old", vip="", backends="b1", created="2026-01-01T00:00:00Z")
    t.config["services"]["addressPools"] = [{"name": "public", "addresses": ["203.0.113.1-203.0.113.9",
                                                                             "2001:db8:100::1-2001:db8:100::9"]}]
    t.play("""
        wan> client:40000 > vip:80 TCP S
        lan< snat:* > b1:8080 TCP S         ; new service=default/old
        wan> client:40000 > vip2:80 TCP S
        lan< snat:* > b2:8080 TCP S         ; new service=default/young
        wan> client:40000 > vip3:80 TCP S
        drop not-for-us
    """)


@case()
def a_service_of_another_class_is_left_alone(t):
    t.service("web", lb_class="example.com/other", backends="b1")
    t.play("wan> client:40000 > vip:80 TCP S\ndrop not-for-us")


@case(family=(4, 6))
def what_is_for_the_appliance_but_not_answered_is_not_for_us(t):
    t.service("web", backends="b1")
    t.play("""
        wan> client:40000 > wan:22 TCP S
        drop not-for-us
        wan> client:40000 > wan:179 UDP len=4
        drop not-for-us
        wan> client:40000 > vip:22 TCP S
        drop not-for-us
        wan> client > vip IP proto=132 data=9c4000500000000000000000
        drop not-for-us|protocol-unsupported
        wan> client > vip IP proto=47 data=00000000
        drop not-for-us|protocol-unsupported
        wan> client:40000 > client2:80 TCP S
        drop not-for-us
        flows 0
    """)


@case()
def headless_and_external_name_services_are_ignored(t):
    t.service("web", backends="b1")
    t.files["headless.yaml"] = """apiVersion: v1
kind: Service
metadata: {name: headless, namespace: default}
spec: {type: ClusterIP, clusterIP: None, ports: [{port: 80, protocol: TCP}]}
---
apiVersion: v1
kind: Service
metadata: {name: elsewhere, namespace: default}
spec: {type: ExternalName, externalName: example.org}
"""
    t.play("wan> client:40000 > vip:80 TCP S\nlan< snat:* > b1:8080 TCP S")


@case()
def a_later_forwarding_mode_leaves_the_service_unserved(t):
    t.service("tunnel", annotations={"sluice.dev/forwarding": "ipip"}, backends="b1")
    t.service("web", vip="vip2", backends="b1")
    t.play("""
        wan> client:40000 > vip:80 TCP S
        drop not-for-us
        wan> client:40000 > vip2:80 TCP S
        lan< snat:* > b1:8080 TCP S
    """)


@case()
def endpoints_count_where_a_service_has_no_slice(t):
    t.service("web", backends="b1", slices=False)
    t.files["endpoints.yaml"] = """apiVersion: v1
kind: Endpoints
metadata: {name: web, namespace: default}
subsets:
- addresses: [{ip: 10.0.0.11}]
  notReadyAddresses: [{ip: 10.0.0.12}]
  ports: [{name: main, port: 8080, protocol: TCP}]
"""
    for port in range(40000, 40010):
        t.play(f"wan> client:{port} > vip:80 TCP S\nlan< snat:* > b1:8080 TCP S")


@case()
def endpoints_do_not_count_beside_slices(t):
    t.service("web", backends="b1")
    t.files["endpoints.yaml"] = """apiVersion: v1
kind: Endpoints
metadata: {name: web, namespace: default}
subsets:
- addresses: [{ip: 10.0.0.12}]
  ports: [{name: main, port: 8080, protocol: TCP}]
"""
    for port in range(40000, 40010):
        t.play(f"wan> client:{port} > vip:80 TCP S\nlan< snat:* > b1:8080 TCP S")
