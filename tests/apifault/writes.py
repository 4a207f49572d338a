# SPDX-License-Identifier: Apache-2.0
# Writing: create, update, the patches, delete; with preconditions, finalizers and the status subresource as k8s.io/apiserver has them.
import copy
import json

import patch
from faults import status
from store import now

APPLY = ("application/apply-patch+yaml", "application/apply-patch+json")
PATCHES = {"application/merge-patch+json": patch.merge, "application/strategic-merge-patch+json": patch.strategic}

SYSTEM = ("name", "namespace", "uid", "creationTimestamp", "deletionTimestamp", "generation")  # nobody writes these


class Refused(Exception):
    def __init__(self, code, reason, message, details=None):
        super().__init__(message)
        self.status = status(code, reason, message, details)


def not_found(to):
    return status(404, "NotFound", f'{to.kind.plural} "{to.name}" not found', {"name": to.name, "kind": to.kind.plural})


def write(store, exchange):
    """(HTTP status, body)."""
    try:
        with store.changed:  # read, check and change are one step
            return {"create": _create, "update": _update, "patch": _patch, "delete": _delete}[exchange.verb](store, exchange)
    except Refused as e:
        return e.status["code"], e.status
    except (KeyError, ValueError, TypeError, AttributeError) as e:
        return 400, status(400, "BadRequest", f"{type(e).__name__}: {e}")


def _manager(exchange):
    return exchange.query.get("fieldManager") or exchange.request.headers.get("user-agent", "unknown").split("/")[0]


def _old(store, exchange):
    to = exchange.target
    entry = store.get(to.kind, to.namespace, to.name)
    if entry is None:
        raise Refused(404, "NotFound", f'{to.kind.plural} "{to.name}" not found')
    return entry


def _check(to, old, meta, another_uid=(409, "Conflict")):
    """The preconditions that a body carries."""
    if meta.get("uid", old["uid"]) != old["uid"]:
        raise Refused(*another_uid, f"metadata.uid: {meta['uid']} is not that of the object, {old['uid']}")
    if meta.get("resourceVersion") not in (None, "", old["resourceVersion"]):
        raise Refused(409, "Conflict", f'Operation cannot be fulfilled on {to.kind.plural} "{to.name}": the object has been modified; '
                                       "please apply your changes to the latest version and try again")


def _create(store, exchange):
    to, o = exchange.target, exchange.request.json()
    meta = o["metadata"] = {**o["metadata"]}
    if to.namespace:
        meta["namespace"] = to.namespace
    if "name" not in meta:
        meta["name"] = f"{meta['generateName']}{store.version:x}"
    if store.get(to.kind, to.namespace, meta["name"]) is not None:
        raise Refused(409, "AlreadyExists", f'{to.kind.plural} "{meta["name"]}" already exists')
    owners = {_manager(exchange): set(patch.fields(o))}
    return 201, store.put(to.kind, o, owners).whole(to.kind)


def _update(store, exchange):
    old, o = _old(store, exchange), exchange.request.json()
    _check(exchange.target, old.object["metadata"], o.get("metadata", {}))
    return _store(store, exchange, old, o)


def _patch(store, exchange):
    to, kind = exchange.target, exchange.request.headers.get("content-type", "").split(";")[0]
    body = exchange.request.json()
    if kind in APPLY:
        return _apply(store, exchange, body)
    old = _old(store, exchange)
    if kind not in PATCHES:
        raise Refused(415, "UnsupportedMediaType", f"the body of the request was in an unknown format: {kind}")
    _check(to, old.object["metadata"], body.get("metadata") or {}, (422, "Invalid"))  # the field is immutable
    return _store(store, exchange, old, PATCHES[kind](copy.deepcopy(old.object), body))


def _apply(store, exchange, config):
    to = exchange.target
    if "fieldManager" not in exchange.query:
        raise Refused(422, "Invalid", "fieldManager: Required value: is required for apply patch")
    if config.get("apiVersion") != to.kind.api_version or config.get("kind") != to.kind.name:
        raise Refused(400, "BadRequest", "apply: apiVersion and kind must be those of the object")
    old = store.get(to.kind, to.namespace, to.name)
    if old is None and not to.subresource:
        return _create(store, exchange)
    old = _old(store, exchange)
    _check(to, old.object["metadata"], config.get("metadata", {}))
    try:
        o, owners = patch.apply(old.object, old.owners, config, _manager(exchange), exchange.query.get("force") == "true")
    except patch.Conflict as e:
        causes = [{"reason": "FieldManagerConflict", "message": f'conflict with "{m}" using {to.kind.api_version}',
                   "field": "." + ".".join(p)} for m, p in e.fields]
        raise Refused(409, "Conflict", f"Apply failed with {len(causes)} conflict(s)", {"causes": causes}) from None
    return _store(store, exchange, old, o, owners)


def _store(store, exchange, old, o, owners=None):
    """What changed, where this path may change it: a subresource's writer can't touch spec, the object's can't touch status."""
    to = exchange.target
    system = {k: v for k, v in old.object["metadata"].items() if k in SYSTEM}
    o = {**o, "metadata": {**(o.get("metadata") or {}), **system}}
    kept = "spec" if to.subresource == "status" else "status" if to.kind.status else None
    if kept is not None:
        o = {k: v for k, v in o.items() if k != kept} | ({kept: old.object[kept]} if kept in old.object else {})
    meta = o["metadata"] = {k: v for k, v in o["metadata"].items() if k != "resourceVersion" and v is not None}
    if owners is None:
        owners = patch.take_over(old.object, o, old.owners, _manager(exchange))
    if "deletionTimestamp" in meta and not meta.get("finalizers"):
        return 200, store.remove(to.kind, to.namespace, to.name).whole(to.kind)
    if patch.fields(o) == patch.fields(old.object):
        old.owners = owners
        return 200, old.whole(to.kind)  # nothing changed: no new version, nobody is told
    if o.get("spec") != old.object.get("spec"):
        meta["generation"] = meta.get("generation", 1) + 1
    return 200, store.put(to.kind, o, owners).whole(to.kind)


def _delete(store, exchange):
    old, to = _old(store, exchange), exchange.target
    body = json.loads(exchange.request.body or b"{}")
    _check(to, old.object["metadata"], body.get("preconditions") or {})
    return 200, delete(store, to.kind, to.namespace, to.name).whole(to.kind)


def delete(store, kind, namespace, name):
    """As a user's: an object with finalizers stays, marked, until the last one is taken off. Returns its entry, None: it is not there."""
    with store.changed:
        old = store.get(kind, namespace, name)
        if old is None:
            return None
        meta = old.object["metadata"]
        if not meta.get("finalizers"):
            return store.remove(kind, namespace, name)
        if "deletionTimestamp" in meta:
            return old
        return store.put(kind, {**old.object, "metadata": {**meta, "deletionTimestamp": now(), "deletionGracePeriodSeconds": 0}})
