# SPDX-License-Identifier: Apache-2.0
# Kubernetes objects as the API server takes them, and the paths that they live at.


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


def pod(name, app, node_name, ports):
    """ports: [(name, number, protocol)]"""
    container = {"name": "server", "image": "none", "ports": [
        {"name": port, "containerPort": number, "protocol": protocol} for port, number, protocol in ports]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": {"app": app}},
            "spec": {"nodeName": node_name, "containers": [container], "automountServiceAccountToken": False}}


def pod_status(addresses, ready):
    conditions = [{"type": kind, "status": "True" if ready else "False"} for kind in ("Ready", "ContainersReady")]
    return {"status": {"phase": "Running", "podIP": addresses[0], "podIPs": [{"ip": a} for a in addresses],
                       "conditions": conditions}}


def service(name, app, ports, annotations=None, **spec):
    """ports: [(name, number, target, protocol)]"""
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "annotations": annotations or {}},
            "spec": {"type": "LoadBalancer", "ipFamilyPolicy": "PreferDualStack", "selector": {"app": app},
                     "ports": [{"name": port, "port": number, "targetPort": target, "protocol": protocol}
                               for port, number, target, protocol in ports], **spec}}
