# SPDX-License-Identifier: Apache-2.0
# Services, slices and nodes as a cluster has them, short to write.
import ipaddress

from store import now

PORT = {"name": "http", "port": 80, "protocol": "TCP", "targetPort": 8080}


def meta(name, namespace="default", **more):
    return {"name": name, **({"namespace": namespace} if namespace else {}), **more}


def service(name, namespace="default", ip=None, labels=None, annotations=None, **spec):
    """Of type LoadBalancer, IPv4, one TCP port; ip: what its status names."""
    o = {"kind": "Service", "apiVersion": "v1", "metadata": meta(name, namespace, generation=1),
         "spec": {"type": "LoadBalancer", "selector": {"app": name}, "ports": [PORT], "clusterIP": "10.96.0.10", "clusterIPs": ["10.96.0.10"],
                  "ipFamilies": ["IPv4"], "ipFamilyPolicy": "SingleStack", "sessionAffinity": "None",
                  "externalTrafficPolicy": "Cluster", "internalTrafficPolicy": "Cluster", **spec},
         "status": {"loadBalancer": {"ingress": [{"ip": ip, "ipMode": "VIP"}]} if ip else {}}}
    for key, value in (("labels", labels), ("annotations", annotations)):
        if value:
            o["metadata"][key] = value
    return o


def endpoint(address, ready=True, serving=None, terminating=False, node="node-1"):
    conditions = {"ready": ready, "serving": ready if serving is None else serving, "terminating": terminating}
    return {"addresses": [address], "conditions": conditions, "nodeName": node,
            "targetRef": {"kind": "Pod", "namespace": "default", "name": "pod-" + address.replace(".", "-")}}


def slice_of(name, endpoints, namespace="default", slice_name=None, port=8080, **more):
    """endpoints: addresses, or what endpoint() gives."""
    return {"kind": "EndpointSlice", "apiVersion": "discovery.k8s.io/v1",
            "metadata": meta(slice_name or name + "-1", namespace, generation=1, labels={
                "kubernetes.io/service-name": name, "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io"}),
            "addressType": "IPv4", "ports": [{"name": "http", "port": port, "protocol": "TCP"}],
            "endpoints": [endpoint(e) if isinstance(e, str) else e for e in endpoints], **more}


def endpoints_of(name, ready, not_ready=(), namespace="default"):
    """The older kind."""
    subset = {"ports": [{"name": "http", "port": 8080, "protocol": "TCP"}], "addresses": [{"ip": a} for a in ready]}
    if not_ready:
        subset["notReadyAddresses"] = [{"ip": a} for a in not_ready]
    return {"kind": "Endpoints", "apiVersion": "v1", "metadata": meta(name, namespace), "subsets": [subset]}


def node(name, address):
    return {"kind": "Node", "apiVersion": "v1", "metadata": meta(name, ""), "spec": {},
            "status": {"addresses": [{"type": "InternalIP", "address": address}], "conditions": [{"type": "Ready", "status": "True"}]}}


def managed_fields(size):
    """As much of what no reader wants as real objects carry."""
    fields = {f"f:field-{i}": {".": {}, "f:value": {}} for i in range(max(1, size // 40))}
    return [{"manager": "kube-controller-manager", "operation": "Update", "apiVersion": "v1", "time": now(), "fieldsType": "FieldsV1",
             "fieldsV1": {"f:spec": fields}}]


def addresses(first, n):
    start = int(ipaddress.ip_address(first))
    return [str(ipaddress.ip_address(start + i)) for i in range(n)]
