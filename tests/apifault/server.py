#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# An API server in memory that does on demand what a real one does once a year.
"""One thread a connection, HTTP/1.1, with or without TLS:

    client --- Connection --- ApiServer.answer --- faults ---- list, watch, get, create, update, patch, delete --- Store
                                                     |
                                              tests put them here

    server = ApiServer(); server.start()            on a free port of 127.0.0.1
    server.put(SERVICES, {...})                     tests change objects directly
    server.faults.add(Fault("watch", SERVICES, act=gone_event()))
    server.asked("list", SERVICES)                  what was asked, in order
    server.stop(); server.start()                   the same port: away and back

What it does unlike a real one is what tests set: `missing` groups, `tokens`, `watch_list`, `gone_as`, `bookmarks`, faults.
"""
import collections
import contextlib
import gzip
import json
import socket
import ssl
import sys
import threading
import time
from dataclasses import dataclass, field

import answers
import resources
import wire
import writes
from faults import Faults, status
from resources import BY_NAME
from store import Store, encode

GZIP_FROM = 128 * 1024


@dataclass
class Exchange:
    request: wire.Request
    response: wire.Response
    verb: str
    target: resources.Target
    path: str
    query: dict
    at: float = field(default_factory=time.monotonic)
    keep: object = None  # see faults.without()

    @property
    def status(self):
        return self.request.status


class Connection(threading.Thread):
    def __init__(self, server, sock):
        super().__init__(daemon=True)
        self.server, self.sock = server, sock
        self.closed = False

    def run(self):
        try:
            self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            context = self.server.tls
            if context is not None:
                self.sock = context.wrap_socket(self.sock, server_side=True)
            if not self.closed:  # in the middle of the handshake, when there was no socket to close
                self._serve()
        except (OSError, wire.Closed):
            pass
        finally:
            self.server.connections.discard(self)
            self.close()

    def _serve(self):
        reader = self.sock.makefile("rb", 65536)
        while True:
            request = wire.read_request(reader, self.sock.sendall)
            self.server.answer(request, wire.Response(self.sock, request))
            if request.headers.get("connection", "").lower() == "close":
                return

    def close(self):
        self.closed = True
        with contextlib.suppress(OSError):
            self.sock.shutdown(socket.SHUT_RDWR)
        with contextlib.suppress(OSError):
            self.sock.close()


class ApiServer:
    def __init__(self, host="127.0.0.1", port=0, make_socket=socket.socket):
        """make_socket: for a socket in another network namespace."""
        self.host, self.port, self.make_socket = host, port, make_socket
        self.store = Store()
        self.faults = Faults()
        self.connections = set()
        self.listener = None
        self.tls = None  # an ssl.SSLContext: https
        self.missing = set()  # API groups that are not there
        self.tokens = None  # a set: others get 401
        self.forbidden = set()  # (verb, plural): 403
        self.watch_list = True  # sendInitialEvents is understood
        self.gone_as = "event"  # how a watch from too old a version is told: event, status
        self.bookmarks = 60.0  # seconds between them
        self.gzip = True
        self.pages = answers.Pages()
        self.lock = threading.Lock()
        self.exchanges = []  # all, in order of arrival
        self.watching = collections.Counter()  # watches under way, by kind
        self.on_sent = None  # called with a watch's events when their bytes are about to go

    # --- life ---

    def start(self):
        listener = self.make_socket(socket.AF_INET, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((self.host, self.port))
        listener.listen(64)
        self.port = listener.getsockname()[1]
        self.listener = listener
        threading.Thread(target=self._accept, args=(listener,), daemon=True).start()
        return self

    def _accept(self, listener):
        while True:
            try:
                sock, _ = listener.accept()
            except OSError:
                return
            connection = Connection(self, sock)
            self.connections.add(connection)
            if self.listener is not listener:  # stopped meanwhile
                connection.close()
            connection.start()

    def stop(self):
        """Connections are refused from here on, and those that were open end."""
        listener, self.listener = self.listener, None
        if listener is not None:
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            listener.close()
        self.drop()

    def drop(self):
        """Ends every open connection; new ones are welcome."""
        for connection in list(self.connections):
            connection.close()
        with self.store.changed:
            self.store.changed.notify_all()

    def restore(self, saved):
        """etcd's backup comes back, and the API server restarts with it."""
        self.stop()
        self.store.restore(saved)
        self.start()

    @property
    def url(self):
        return f"{'https' if self.tls else 'http'}://{self.host}:{self.port}"

    def use_tls(self, certificate, key):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        self.tls = context

    # --- for tests ---

    def delete(self, kind, namespace, name):
        """As kubectl does: finalizers hold the object."""
        return writes.delete(self.store, kind, namespace, name)

    def put(self, kind, *objects):
        return [self.store.put(kind, o) for o in objects]

    def put_all(self, objects):
        """Objects of any kind, each naming its own."""
        for o in objects:
            self.store.put(BY_NAME[o["kind"]], o)

    def remove(self, kind, namespace, name):
        """At once, whatever finalizers it has."""
        return self.store.remove(kind, namespace, name)

    def object(self, kind, namespace, name):
        entry = self.store.get(kind, namespace, name)
        return entry.object if entry else None

    def asked(self, verb=None, kind=None, since=0):
        """Exchanges so far; since: an index, as mark() gave it."""
        with self.lock:
            return [e for e in self.exchanges[since:] if verb in (None, e.verb) and kind in (None, e.target.kind)]

    def mark(self):
        with self.lock:
            return len(self.exchanges)

    # --- answers ---

    def answer(self, request, response):
        path, query = resources.split(request.url)
        to = resources.target(path)
        exchange = Exchange(request, response, resources.verb(request.method, to, query), to, path, query)
        with self.lock:
            self.exchanges.append(exchange)
        fault = self.faults.take(exchange)
        if fault is not None:
            fault.act(self, exchange, lambda: self._go_on(exchange))
        else:
            self._go_on(exchange)

    def _go_on(self, exchange):
        refusal = self._refusal(exchange)
        if refusal is None:
            answers.give(self, exchange)
        else:
            exchange.response.whole(refusal["code"], refusal)

    def _refusal(self, exchange):
        token = exchange.request.headers.get("authorization", "").removeprefix("Bearer ")
        kind = exchange.target.kind
        if self.tokens is not None and token not in self.tokens:
            return status(401, "Unauthorized", "Unauthorized")
        if kind is None:
            return None
        if kind.group in self.missing:
            return status(404, "NotFound", "the server could not find the requested resource")
        if (exchange.verb, kind.plural) in self.forbidden:
            return status(403, "Forbidden", f'{kind.plural} is forbidden: User "sluice" cannot {exchange.verb} resource "{kind.plural}"')
        return None

    def event(self, type, o):
        """A line of a watch out of an object in Python's terms."""
        return b'{"type":"%s","object":' % type.encode() + encode(o) + b"}\n"

    def compressed(self, exchange, data):
        """(headers, data) of a list's body."""
        if self.gzip and len(data) >= GZIP_FROM and "gzip" in exchange.request.headers.get("accept-encoding", ""):
            return [("Content-Encoding", "gzip")], gzip.compress(data, 1)
        return [], data


def main():
    """usage: server.py [PORT] [FILE.json...]: serves the objects of kubectl's lists, for a look by hand."""
    server = ApiServer(port=int(sys.argv[1]) if len(sys.argv) > 1 else 0)
    for path in sys.argv[2:]:
        with open(path, encoding="utf-8") as f:
            value = json.load(f)
        server.put_all(value.get("items", [value]))
    server.start()
    print(server.url, flush=True)
    threading.Event().wait()


if __name__ == "__main__":
    main()
