# SPDX-License-Identifier: Apache-2.0
# Kubernetes objects as the API server takes them, and the paths that they live at.
from cluster import PORTS


def namespaced(namespace, kind, name=""):
    """The path of a core object, or of the collection."""
    return f"/api/v1/namespaces/{namespace}/{kind}" + (f"/{name}" if name else "")


def slices_path(namespace, service):
    return f"/apis/discovery.k8s.io/v1/namespaces/{namespace}/endpointslices?labelSelector=kubernetes.io%2Fservice-name%3D{service}"


def node(name, addresses, pod_networks, zone="", labels=None):
    """(object, status)"""
    labels = {"kubernetes.io/hostname": name, **({"topology.kubernetes.io/zone": zone} if zone else {}), **(labels or {})}
    ready = {"type": "Ready", "status": "True", "reason": "Tests", "lastHeartbeatTime": None, "lastTransitionTime": None}
    return ({"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": labels},
             "spec": {"podCIDR": pod_networks[0], "podCIDRs": pod_networks}},
            {"status": {"addresses": [{"type": "InternalIP", "address": a} for a in addresses], "conditions": [ready]}})


def pod(name, app, node_name, port_names):
    container = {"name": "server", "image": "none", "ports": [
        {"name": n, "containerPort": PORTS[n][1], "protocol": PORTS[n][2]} for n in port_names]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": {"app": app}},
            "spec": {"nodeName": node_name, "containers": [container], "automountServiceAccountToken": False}}


def pod_status(addresses, ready):
    conditions = [{"type": kind, "status": "True" if ready else "False"} for kind in ("Ready", "ContainersReady")]
    return {"status": {"phase": "Running", "podIP": addresses[0], "podIPs": [{"ip": a} for a in addresses],
                       "conditions": conditions}}


def ports(names):
    """Of a Service, by the names of cluster.PORTS; a pod's port has the same name."""
    return [{"name": n, "port": PORTS[n][0], "targetPort": n, "protocol": PORTS[n][2]} for n in names]


def service(name, app, port_names, annotations=None, **spec):
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "annotations": annotations or {}},
            "spec": {"type": "LoadBalancer", "ipFamilyPolicy": "PreferDualStack", "selector": {"app": app},
                     "ports": ports(port_names), **spec}}


def slice_of(service_name, family, addresses):
    """An EndpointSlice of pods that serve http."""
    return {"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": f"IPv{family}",
            "metadata": {"name": f"{service_name}-{family}", "labels": {"kubernetes.io/service-name": service_name}},
            "ports": [{"name": "http", "port": PORTS["http"][1], "protocol": "TCP"}],
            "endpoints": [{"addresses": [a]} for a in addresses]}
