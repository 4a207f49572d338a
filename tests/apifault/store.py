# SPDX-License-Identifier: Apache-2.0
# What an API server remembers: objects, the revision of each change, and a log that watches are served from.
"""Every change gets the next resourceVersion, over all kinds, as etcd gives it. An object is encoded once, when it changes; lists and
watches then only join bytes. Objects are never changed in place: whoever holds one may keep it."""
import collections
import copy
import json
import threading
import time
import uuid

from resources import SERVICES

Event = collections.namedtuple("Event", "version type kind old new")  # old, new: Entry or None
FIRST_VERSION = 1000


def encode(value):
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


def now():
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def admitted(kind, o):
    """As the strategy of its kind leaves it: only Services of type LoadBalancer have a status.loadBalancer."""
    if kind is not SERVICES or o.get("spec", {}).get("type") == "LoadBalancer" or not o.get("status"):
        return o
    return {**o, "status": {**o["status"], "loadBalancer": {}}}


class Entry:
    """An object, its bytes as an item of a list, and who wrote which field (see patch.py)."""
    __slots__ = ("object", "data", "version", "owners")

    def __init__(self, o, version, owners):
        self.object, self.version, self.owners = o, version, owners
        self.data = encode({k: v for k, v in o.items() if k not in ("kind", "apiVersion")})

    def whole(self, kind):
        """As a watch or a get shows it: lists leave kind and apiVersion to the list."""
        return b'{"kind":"%s","apiVersion":"%s",' % (kind.name.encode(), kind.api_version.encode()) + self.data[1:]


class Store:
    def __init__(self):
        self.changed = threading.Condition()  # guards everything below
        self.version = FIRST_VERSION
        self.entries = collections.defaultdict(dict)  # kind: {(namespace, name): Entry}
        self.log = collections.defaultdict(list)  # kind: [Event]
        self.compacted = collections.defaultdict(lambda: FIRST_VERSION)  # kind: watches from before it are too old

    def get(self, kind, namespace, name):
        return self.entries[kind].get((namespace, name))

    def snapshot(self, kind):
        """(resourceVersion, entries in order of key) at one moment."""
        with self.changed:
            found = self.entries[kind]
            return self.version, [found[key] for key in sorted(found)]

    def put(self, kind, o, owners=None):
        """Creates or replaces. Fills in what a server fills in; returns the new entry."""
        with self.changed:
            meta = o["metadata"]
            key = (meta.get("namespace", ""), meta["name"])
            old = self.entries[kind].get(key)
            self.version += 1
            was = old.object["metadata"] if old else {"uid": str(uuid.uuid4()), "creationTimestamp": now()}
            kept = {k: was[k] for k in ("uid", "creationTimestamp") if k in was}
            o = admitted(kind, o)
            o = {"kind": kind.name, "apiVersion": kind.api_version, **o,
                 "metadata": {**kept, **meta, "resourceVersion": str(self.version)}}
            entry = Entry(o, self.version, owners if owners is not None else (old.owners if old else {}))
            self.entries[kind][key] = entry
            self._tell(Event(self.version, "MODIFIED" if old else "ADDED", kind, old, entry))
            return entry

    def remove(self, kind, namespace, name):
        """The entry as it is told to watches, or None: the last state, with a resourceVersion of its own."""
        with self.changed:
            old = self.entries[kind].pop((namespace, name), None)
            if old is None:
                return None
            self.version += 1
            last = copy.copy(old.object)
            last["metadata"] = {**last["metadata"], "resourceVersion": str(self.version)}
            gone = Entry(last, self.version, {})
            self._tell(Event(self.version, "DELETED", kind, old, gone))
            return gone

    def _tell(self, event):
        self.log[event.kind].append(event)
        self.changed.notify_all()

    def since(self, kind, index):
        """(events from that index of the log on, the next index, the version they lead to)."""
        log = self.log[kind]
        return log[index:], len(log), self.version

    def index_after(self, kind, version):
        """Where in the log a watch from this version begins."""
        log = self.log[kind]
        low, high = 0, len(log)
        while low < high:
            middle = (low + high) // 2
            if log[middle].version <= version:
                low = middle + 1
            else:
                high = middle
        return low

    # --- what etcd and its operators do ---

    def compact(self, kind=None):
        """History is gone: a watch must begin at the present version or later."""
        with self.changed:
            for k in [kind] if kind else list(self.entries):
                self.compacted[k] = self.version

    def advance(self, n=1):
        """Something else in the cluster changed."""
        with self.changed:
            self.version += n
            self.changed.notify_all()

    def backup(self):
        with self.changed:
            return self.version, {kind: dict(found) for kind, found in self.entries.items()}

    def restore(self, saved):
        """etcd is back at an older state: versions are given a second time, to other changes."""
        with self.changed:
            self.version = saved[0]
            self.entries = collections.defaultdict(dict, {kind: dict(found) for kind, found in saved[1].items()})
            self.log = collections.defaultdict(list)
            self.compacted = collections.defaultdict(lambda: FIRST_VERSION)
            self.changed.notify_all()
