# SPDX-License-Identifier: Apache-2.0
# Reading: list, pages, watch, initial events, bookmarks, discovery; as k8s.io/apiserver's watch cache and etcd3 store answer them.
import select
import time

import matching
import resources
import writes
from faults import status

LOOK = 0.2  # seconds after which a watch looks whether its client is still there
INITIAL_END = {"k8s.io/initial-events-end": "true"}


def give(server, exchange):
    """Answers as a server does that is well."""
    kind, path = exchange.target.kind, exchange.path
    if kind is None:
        _other(server, exchange, path)
    elif exchange.verb == "list":
        _list(server, exchange)
    elif exchange.verb == "watch":
        _watch(server, exchange)
    elif exchange.verb == "get":
        to = exchange.target
        entry = server.store.get(kind, to.namespace, to.name)
        exchange.response.whole(*((200, entry.whole(kind)) if entry else (404, writes.not_found(to))))
    else:
        exchange.response.whole(*writes.write(server.store, exchange))


def _other(server, exchange, path):
    if path in ("/healthz", "/livez", "/readyz"):
        exchange.response.whole(200, b"ok")
        return
    found = resources.discovery(path, server.missing)
    if found is None:
        found = status(404, "NotFound", "the server could not find the requested resource")
    exchange.response.whole(found.get("code", 200), found)


def _version(text):
    return int(text) if text.isdigit() else 0


def _too_large(store, text):
    return status(504, "Timeout", f"Too large resource version: {text}, current: {store.version}",
                  {"causes": [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}], "retryAfterSeconds": 1})


def _matching(entries, exchange):
    namespace, matches = exchange.target.namespace, matching.matcher(exchange.query)
    if namespace:
        entries = [e for e in entries if e.object["metadata"].get("namespace") == namespace]
    if exchange.keep is not None:
        entries = [e for e in entries if exchange.keep(e.object)]
    return entries if matches is None else [e for e in entries if matches(e.object)]


# --- lists ---

def _list(server, exchange):
    query, store, kind = exchange.query, server.store, exchange.target.kind
    asked = query.get("resourceVersion", "")
    if "continue" in query:
        found = _next_page(server, exchange)
        if found is None:
            refusal = status(410, "Expired", "The provided continue parameter is too old to display a consistent list result.")
            refusal["metadata"] = {"continue": "bm90LXRvLWJlLXVzZWQ", "resourceVersion": ""}
            exchange.response.whole(410, refusal)
            return
        version, entries = found
    elif _version(asked) > store.version:
        refusal = _too_large(store, asked)
        exchange.response.whole(504, refusal, [("Retry-After", "1")])
        return
    else:
        version, entries = store.snapshot(kind)
        entries = _matching(entries, exchange)
    meta, entries = _page(server, exchange, version, entries, asked)
    head = b'{"kind":"%sList","apiVersion":"%s","metadata":{%s},"items":[' % (kind.name.encode(), kind.api_version.encode(), meta)
    headers, body = server.compressed(exchange, head + b",".join(e.data for e in entries) + b"]}\n")
    exchange.response.begin(200, headers)
    exchange.response.write(body)
    exchange.response.end()


def _page(server, exchange, version, entries, asked):
    """(metadata, the entries of this answer). The cache (resourceVersion=0) knows no limit."""
    limit = int(exchange.query.get("limit", 0))
    meta = b'"resourceVersion":"%d"' % version
    if not limit or len(entries) <= limit or asked == "0":
        return meta, entries
    token = server.pages.keep(version, entries[limit:])
    return meta + b',"continue":"%s","remainingItemCount":%d' % (token.encode(), len(entries) - limit), entries[:limit]


def _next_page(server, exchange):
    found = server.pages.take(exchange.query["continue"])
    if found is None or found[0] < server.store.compacted[exchange.target.kind]:
        return None
    return found


class Pages:
    """The rest of lists that were cut into pages, by token."""

    def __init__(self):
        self.rest = {}

    def keep(self, version, entries):
        token = f"page-{len(self.rest)}-{version}"
        self.rest[token] = (version, entries)
        return token

    def take(self, token):
        return self.rest.get(token)


# --- watches ---

class Watch:
    def __init__(self, server, exchange):
        self.server, self.exchange, self.response = server, exchange, exchange.response
        self.kind, self.query = exchange.target.kind, exchange.query
        self.namespace, self.matches = exchange.target.namespace, matching.matcher(exchange.query)
        self.listener = server.listener  # a server that restarts ends its watches

    def run(self):
        store, asked = self.server.store, self.query.get("resourceVersion", "")
        if self.query.get("sendInitialEvents") == "true":
            if _version(asked) > store.version:
                self.response.whole(504, _too_large(store, asked), [("Retry-After", "1")])
                return
            self.response.begin(200)
            index, version = self._initial()
        else:
            with store.changed:
                version = _version(asked) or store.version
                too_old = version < store.compacted[self.kind]
                index = store.index_after(self.kind, version)
            if too_old:
                self._too_old(asked)
                return
            self.response.begin(200)
            if asked in ("", "0"):
                index, version = self._initial()
        self._follow(index, version)

    def _too_old(self, asked):
        refusal = status(410, "Expired", f"too old resource version: {asked} ({self.server.store.version})")
        if self.server.gone_as == "status":
            self.response.whole(410, refusal)
            return
        self.response.begin(200)
        self.response.write(self.server.event("ERROR", refusal))
        self.response.end()

    def _initial(self):
        """Everything there is, as ADDED; with sendInitialEvents a bookmark says that this was it."""
        store = self.server.store
        with store.changed:
            version, entries = store.snapshot(self.kind)
            index = len(store.log[self.kind])
        for batch in _batches(_matching(entries, self.exchange), 256):
            self.response.write(b"".join(_line(b"ADDED", e, self.kind) for e in batch))
        if self.query.get("sendInitialEvents") == "true":
            self.response.write(self._bookmark(version, INITIAL_END))
        return index, version

    def _bookmark(self, version, annotations=None):
        meta = {"resourceVersion": str(version), "creationTimestamp": None}
        if annotations:
            meta["annotations"] = annotations
        return self.server.event("BOOKMARK", {"kind": self.kind.name, "apiVersion": self.kind.api_version, "metadata": meta})

    def _follow(self, index, version):
        """version: what the client has. From a future that this server does not know, it hears nothing until that has come."""
        server, store = self.server, self.server.store
        seconds = float(self.query.get("timeoutSeconds", 1800))
        end = time.monotonic() + seconds
        mark = time.monotonic() + server.bookmarks
        bookmarks = self.query.get("allowWatchBookmarks") in ("1", "true")
        while True:
            with store.changed:
                events, following, latest = store.since(self.kind, index)
                if not events:
                    now = time.monotonic()
                    if server.listener is not self.listener:
                        self.response.abort()
                    if now >= end:
                        break
                    if now < mark or not bookmarks:
                        store.changed.wait(max(0.0, min(end, mark if bookmarks else end, now + LOOK) - now))
                        if select.select([self.response.sock], [], [], 0)[0]:
                            self.response.abort()  # a client says nothing more, unless it leaves
                        continue
            if events:
                index = following
                self._tell([e for e in events if e.version > version])
            else:
                mark = time.monotonic() + server.bookmarks
                if latest >= version:
                    self.response.write(self._bookmark(latest))
        self.response.end()

    def _tell(self, events):
        lines = [line for e in events if (line := self._event(e))]
        if not lines:
            return
        if self.server.on_sent is not None:
            self.server.on_sent(events)
        self.response.write(b"".join(lines))

    def _wants(self, entry):
        if entry is None or self.namespace and entry.object["metadata"].get("namespace") != self.namespace:
            return False
        return self.matches is None or self.matches(entry.object)

    def _event(self, event):
        """A change as seen through the selectors: what begins to match is added, what stops is deleted."""
        before = event.old is not None and self._wants(event.old)
        after = event.type != "DELETED" and self._wants(event.new)
        if after:
            return _line(b"MODIFIED" if before else b"ADDED", event.new, self.kind)
        return _line(b"DELETED", event.new, self.kind) if before else b""


def _line(type, entry, kind):
    return b'{"type":"%s","object":%s}\n' % (type, entry.whole(kind))


def _batches(items, n):
    return (items[i:i + n] for i in range(0, len(items), n))


def _watch(server, exchange):
    if exchange.query.get("sendInitialEvents") == "true" and not server.watch_list:
        exchange.response.whole(422, status(422, "Invalid", "sendInitialEvents: Forbidden: sendInitialEvents is forbidden for watch "
                                                           "unless the WatchList feature gate is enabled"))
        return
    kind = exchange.target.kind
    with server.lock:
        server.watching[kind] += 1
    try:
        Watch(server, exchange).run()
    finally:
        with server.lock:
            server.watching[kind] -= 1
