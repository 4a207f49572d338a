# SPDX-License-Identifier: Apache-2.0
# Kubernetes objects as kubectl prints them, from the few words that a case needs; and what they mean: which backends a
# service has, for the checker.
import net


def scalar(value):
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def yaml(value, indent=0):
    """Block YAML of dictionaries, lists and scalars, a list of lines."""
    pad, lines = " " * indent, []
    if isinstance(value, dict):
        for key, item in value.items():
            if isinstance(item, (dict, list)) and item:
                lines.append(f"{pad}{key}:")
                lines += yaml(item, indent + 2)
            else:
                lines.append(f"{pad}{key}: " + ({}.__repr__() if item == {} else "[]" if item == [] else scalar(item)))
        return lines
    for item in value:
        if isinstance(item, (dict, list)) and item:
            first, *rest = yaml(item, indent + 2)
            lines += [f"{pad}- {first.lstrip()}"] + rest
        else:
            lines.append(f"{pad}- {scalar(item)}")
    return lines


def document(value):
    return "\n".join(yaml(value)) + "\n"


CONDITIONS = {
    "ready": {"ready": True, "serving": True, "terminating": False},
    "notready": {"ready": False, "serving": False, "terminating": False},
    "terminating": {"ready": False, "serving": True, "terminating": True},
    "stopped": {"ready": False, "serving": False, "terminating": True},
    "unknown": {},
}
STAMP = "2026-01-01T00:00:00Z"


class Service:
    """One Service with one port (or several: ports), its endpoints and its addresses."""

    FIELDS = {
        "ns": "default", "vip": "vip", "port": 80, "to": 8080, "proto": "TCP", "mode": None,
        "backends": "",      # "b1 b2:terminating b3:notready" or a list of addresses
        "ports": None,       # in place of port, to, proto: [(name, port, to, protocol, node port or none)]
        "families": None,    # the case's; (4, 6): dual stack
        "affinity": None,    # seconds
        "ranges": None,      # loadBalancerSourceRanges
        "local": False,      # externalTrafficPolicy
        "nodes": {},         # {endpoint: node}
        "slices": True,      # False: no EndpointSlice is written
        "type": "LoadBalancer", "node_port": None, "target": None, "external": None, "annotations": {},
        "created": STAMP, "lb_class": None,
    }

    def __init__(self, name, family):
        self.name, self.family = name, family
        self.__dict__.update({k: dict(v) if isinstance(v, dict) else v for k, v in self.FIELDS.items()})

    def set(self, **fields):
        for key, value in fields.items():
            if key not in self.FIELDS:
                raise TypeError(f"service() has no {key}")
            setattr(self, key, value)
        return self

    def port_list(self):
        """[(name, port, target port, protocol, node port)]"""
        if self.ports:
            return [(*p, None)[:5] for p in self.ports]
        return [("main", self.port, self.to, self.proto, self.node_port)]

    def family_list(self):
        return self.families or (self.family,)

    def endpoints(self):
        """[(name, state)]; backends is "b1 b2:terminating" or a list of addresses, all ready."""
        if isinstance(self.backends, list):
            return [(address, "ready") for address in self.backends]
        return [(w.partition(":")[0], w.partition(":")[2] or "ready") for w in self.backends.split()]

    def vips(self):
        return [net.address(v, f) or v for v in (self.vip or "").split() for f in self.family_list()]

    def objects(self):
        families = self.family_list()
        annotations = dict(self.annotations)
        for key, value in (("forwarding", self.mode), ("target", self.target)):
            if value:
                annotations[f"sluice.dev/{key}"] = value
        spec = {
            "type": self.type,
            "clusterIP": net.address("cluster", families[0]),
            "clusterIPs": [net.address("cluster", f) for f in families],
            "ipFamilies": [f"IPv{f}" for f in families],
            "ipFamilyPolicy": "SingleStack" if len(families) == 1 else "RequireDualStack",
            "selector": {"app": self.name},
            "ports": [{"name": name, "port": port, "protocol": proto, "targetPort": to,
                       **({"nodePort": node_port} if node_port else {})}
                      for name, port, to, proto, node_port in self.port_list()],
            "externalTrafficPolicy": "Local" if self.local else "Cluster",
            "sessionAffinity": "None" if self.affinity is None else "ClientIP",
        }
        if self.affinity is not None:
            spec["sessionAffinityConfig"] = {"clientIP": {"timeoutSeconds": self.affinity}}
        if self.ranges is not None:
            spec["loadBalancerSourceRanges"] = self.ranges
        if self.external:
            spec["externalIPs"] = [net.address(self.external, f) for f in families]
        if self.lb_class:
            spec["loadBalancerClass"] = self.lb_class
        meta = {"name": self.name, "namespace": self.ns, "uid": f"uid-{self.ns}-{self.name}",
                "creationTimestamp": self.created, "annotations": annotations}
        service = {"apiVersion": "v1", "kind": "Service", "metadata": meta, "spec": spec}
        if self.type == "LoadBalancer" and self.vips():
            service["status"] = {"loadBalancer": {"ingress": [{"ip": ip} for ip in self.vips()]}}
        return [service] + ([self.slice(f) for f in families] if self.slices else [])

    def slice(self, family):
        return {
            "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
            "metadata": {"name": f"{self.name}-ipv{family}", "namespace": self.ns,
                         "labels": {"kubernetes.io/service-name": self.name}},
            "addressType": f"IPv{family}",
            "endpoints": [{"addresses": [net.address(name, family) or name], "conditions": CONDITIONS[state],
                           **({"nodeName": self.nodes[name]} if name in self.nodes else {})}
                          for name, state in self.endpoints()],
            "ports": [{"name": name, "port": to, "protocol": proto} for name, _, to, proto, _ in self.port_list()],
        }

    def meaning(self, mode, nodes):
        """{(family, protocol, service port): {(address, port): usable}}"""
        out = {}
        for family in self.family_list():
            for _, port, to, proto, node_port in self.port_list():
                if self.target == "node":
                    known = {(net.address(n, family), node_port): True for n in nodes}
                else:
                    at = port if mode == "dsr" else to
                    states = self.endpoints()
                    fallback = not any(s in ("ready", "unknown") for _, s in states)
                    known = {(net.address(n, family) or n, at):
                             s in ("ready", "unknown") or (fallback and s == "terminating") for n, s in states}
                out[family, proto, port] = known
        return out


def node(name, labels=None, unschedulable=False, ready=True):
    return {
        "apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "uid": f"uid-{name}", "labels": labels or {}},
        "spec": {"unschedulable": unschedulable},
        "status": {
            "addresses": [{"type": "Hostname", "address": name}] +
                         [{"type": "InternalIP", "address": net.address(name, f)} for f in (4, 6)],
            "conditions": [{"type": "Ready", "status": "True" if ready else "False"}],
        },
    }
