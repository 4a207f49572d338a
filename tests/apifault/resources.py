# SPDX-License-Identifier: Apache-2.0
# The kinds that the fault server knows, the paths that lead to them, and the discovery documents that name them.
from dataclasses import dataclass
from urllib.parse import parse_qsl, unquote, urlsplit


@dataclass(frozen=True)
class Kind:
    group: str
    plural: str
    name: str
    namespaced: bool = True
    status: bool = False  # has the subresource

    @property
    def api_version(self):
        return f"{self.group}/v1" if self.group else "v1"

    @property
    def prefix(self):
        return f"/apis/{self.group}/v1" if self.group else "/api/v1"

    def path(self, namespace="", name="", subresource=""):
        parts = [self.prefix, *(["namespaces", namespace] if namespace else []), self.plural, name, subresource]
        return "/".join(p for p in parts if p)


SERVICES = Kind("", "services", "Service", status=True)
ENDPOINTS = Kind("", "endpoints", "Endpoints")
NODES = Kind("", "nodes", "Node", namespaced=False, status=True)
NAMESPACES = Kind("", "namespaces", "Namespace", namespaced=False, status=True)
EVENTS = Kind("", "events", "Event")
NEW_EVENTS = Kind("events.k8s.io", "events", "Event")
SLICES = Kind("discovery.k8s.io", "endpointslices", "EndpointSlice")
LEASES = Kind("coordination.k8s.io", "leases", "Lease")
KINDS = (SERVICES, ENDPOINTS, NODES, NAMESPACES, EVENTS, NEW_EVENTS, SLICES, LEASES)
BY_NAME = {kind.name: kind for kind in reversed(KINDS)}  # of the two Events the core one

VERBS = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}


@dataclass
class Target:
    """What a URL names: a kind and perhaps one object of it; kind None is something else (discovery, health)."""
    kind: Kind = None
    namespace: str = ""
    name: str = ""
    subresource: str = ""


def split(url):
    """(path, query) of a request's target."""
    parts = urlsplit(url)
    return parts.path, dict(parse_qsl(parts.query, keep_blank_values=True))


def target(path):
    words = [unquote(w) for w in path.strip("/").split("/")]
    if words[:2] == ["api", "v1"]:
        group, rest = "", words[2:]
    elif words[0] == "apis" and words[2:3] == ["v1"]:
        group, rest = words[1], words[3:]
    else:
        return Target()
    namespace = ""
    if rest[:1] == ["namespaces"] and len(rest) > 2 and rest[2] != "status":
        namespace, rest = rest[1], rest[2:]
    kind = next((k for k in KINDS if rest and k.group == group and k.plural == rest[0]), None)
    return Target(kind, namespace, *(rest[1:3])) if kind else Target()


def verb(method, to, query):
    if method != "GET":
        return VERBS.get(method, method.lower())
    if query.get("watch") in ("1", "true"):
        return "watch"
    return "get" if to.name else "list"


# --- discovery ---

def _group(name):
    version = {"groupVersion": f"{name}/v1", "version": "v1"}
    return {"name": name, "versions": [version], "preferredVersion": version}


def _resource(kind, subresource=""):
    return {"name": kind.plural + subresource, "singularName": "", "namespaced": kind.namespaced, "kind": kind.name,
            "verbs": ["get", "patch", "update"] + ([] if subresource else ["create", "delete", "list", "watch"])}


def discovery(path, missing):
    """The document at the path, or None. `missing` are groups that this server does not have."""
    groups = sorted({k.group for k in KINDS if k.group} - set(missing))
    if path == "/version":
        return {"major": "1", "minor": "36", "gitVersion": "v1.36.0-fault", "platform": "linux/amd64"}
    if path == "/api":
        return {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []}
    if path == "/apis":
        return {"kind": "APIGroupList", "apiVersion": "v1", "groups": [_group(g) for g in groups]}
    for group in groups:
        if path == f"/apis/{group}":
            return {"kind": "APIGroup", "apiVersion": "v1", **_group(group)}
    for group in ["", *groups]:
        version = f"{group}/v1" if group else "v1"
        if path == (f"/apis/{version}" if group else "/api/v1"):
            kinds = [k for k in KINDS if k.group == group]
            return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": version,
                    "resources": [_resource(k) for k in kinds] + [_resource(k, "/status") for k in kinds if k.status]}
    return None
