# SPDX-License-Identifier: Apache-2.0
# The three kinds of patch, and who owns which field: enough of server-side apply to see two writers meet.
"""A field is a path of keys down to a value or to a list that is replaced whole. Lists of conditions are maps by their type,
finalizers are a set; status.loadBalancer.ingress, say, is one field.

    apply       the fields named become the manager's; what another one owns with another value is a conflict (unless forced);
                what the manager named before and names no longer is removed
    the others  take over whatever they change, without asking
"""
import copy

MAPS = {"conditions": "type"}
SETS = {"finalizers"}
IDENTITY = {("kind",), ("apiVersion",), *(("metadata", k) for k in ("name", "namespace", "uid", "resourceVersion", "managedFields"))}


class Conflict(Exception):
    """Others' fields: [(manager, path)]."""

    def __init__(self, fields):
        super().__init__("conflict")
        self.fields = fields


def merge(old, patch):
    """RFC 7386."""
    if not isinstance(patch, dict):
        return patch
    out = dict(old) if isinstance(old, dict) else {}
    for key, value in patch.items():
        if value is None:
            out.pop(key, None)
        else:
            out[key] = merge(out.get(key), value)
    return out


def strategic(old, patch):
    """The same, but lists that are maps or sets are merged by their items."""
    if not isinstance(patch, dict):
        return patch
    out = dict(old) if isinstance(old, dict) else {}
    for key, value in patch.items():
        if key.startswith("$"):
            continue
        if key.startswith("$deleteFromPrimitiveList/"):
            continue
        if value is None:
            out.pop(key, None)
        elif key in MAPS and isinstance(value, list):
            out[key] = _merge_map(out.get(key) or [], value, MAPS[key])
        elif key in SETS and isinstance(value, list):
            out[key] = list(dict.fromkeys([*(out.get(key) or []), *value]))
        else:
            out[key] = strategic(out.get(key), value)
    for key, value in patch.items():
        if key.startswith("$deleteFromPrimitiveList/"):
            name = key.split("/", 1)[1]
            out[name] = [v for v in out.get(name) or [] if v not in value]
    return out


def _merge_map(old, patch, key):
    items = {item[key]: item for item in old}
    for item in patch:
        if item.get("$patch") == "delete":
            items.pop(item[key], None)
        else:
            items[item[key]] = strategic(items.get(item[key]), item)
    return list(items.values())


def fields(o, path=()):
    """{path: value} of everything in o that can be owned."""
    if isinstance(o, dict) and o:
        found = {}
        for key, value in o.items():
            found.update(fields(value, (*path, key)))
        return {p: v for p, v in found.items() if p not in IDENTITY}
    if isinstance(o, list) and path and path[-1] in MAPS:
        found = {}
        for item in o:
            found.update(fields(item, (*path, item[MAPS[path[-1]]])))
        return found
    if isinstance(o, list) and path and path[-1] in SETS:
        return {(*path, item): item for item in o}
    return {path: o}


def _remove(o, path):
    """A copy of o without the field."""
    key, rest = path[0], path[1:]
    if isinstance(o, list):
        if not rest:
            return [v for v in o if v != key]
        return [_remove(v, rest) if v.get("type") == key else v for v in o]
    if not isinstance(o, dict) or key not in o:
        return o
    out = dict(o)
    if rest:
        out[key] = _remove(out[key], rest)
    else:
        del out[key]
    return out


def apply(old, owners, config, manager, force):
    """(object, owners); raises Conflict."""
    wanted, present = fields(config), fields(old)
    foreign = [(other, path) for other, paths in owners.items() if other != manager
               for path in paths if path in wanted and present.get(path) != wanted[path]]
    if foreign and not force:
        raise Conflict(foreign)
    out = strategic(copy.deepcopy(old), config)
    owners = {other: set(paths) - {p for m, p in foreign if m == other} for other, paths in owners.items()}
    kept = {p for other, paths in owners.items() if other != manager for p in paths}
    for path in owners.get(manager, set()) - set(wanted) - kept:
        out = _remove(out, path)
    owners[manager] = set(wanted)
    return out, owners


def take_over(old, new, owners, manager):
    """The owners after an update by manager."""
    before, after = fields(old), fields(new)
    changed = {p for p in after if before.get(p) != after[p]}
    gone = set(before) - set(after)
    owners = {other: set(paths) - changed - gone for other, paths in owners.items()}
    owners[manager] = owners.get(manager, set()) | changed
    return owners
