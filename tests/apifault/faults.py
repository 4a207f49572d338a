# SPDX-License-Identifier: Apache-2.0
# What a real API server would not do on demand. A fault is (which requests, how often, what becomes of them).
"""    server.faults.add(Fault("watch", SERVICES, act=gone_event()))              the next watch of Services
    server.faults.add(Fault("list", act=throttled(retry_after=1), times=20))   twenty lists of whatever
    fault.count                                                               how many it has met

An action gets the server, the Exchange (request, response, verb, target, query) and `go_on`, which answers as if there were no fault.
"""
import itertools
import threading

GONE = {"code": 410, "reason": "Expired", "message": "too old resource version: 1 (1000)"}


def status(code, reason, message, details=None):
    """A v1 Status."""
    out = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": message, "reason": reason, "code": code}
    return {**out, "details": details} if details else out


class Fault:
    def __init__(self, verb=None, kind=None, act=None, times=1, when=None):
        """verb, kind None: any. times None: until it is removed. when: a further condition on the Exchange."""
        self.verb, self.kind, self.act, self.times, self.when = verb, kind, act, times, when
        self.count = 0

    def meets(self, exchange):
        return ((self.times is None or self.count < self.times) and self.verb in (None, exchange.verb)
                and self.kind in (None, exchange.target.kind) and (self.when is None or self.when(exchange)))


class Faults:
    def __init__(self):
        self.lock = threading.Lock()
        self.list = []

    def add(self, fault):
        with self.lock:
            self.list.append(fault)
        return fault

    def remove(self, fault):
        with self.lock:
            self.list.remove(fault)

    def clear(self):
        with self.lock:
            self.list.clear()

    def take(self, exchange):
        """The first fault that meets the request; it counts."""
        with self.lock:
            for fault in self.list:
                if fault.meets(exchange):
                    fault.count += 1
                    return fault
        return None


# --- actions ---

def refused(code, reason, message="by a test", headers=(), details=None):
    """A Status instead of an answer."""
    def act(_, exchange, __):
        exchange.response.whole(code, status(code, reason, message, details), headers)
    return act


def throttled(retry_after=None):
    return refused(429, "TooManyRequests", "too many requests", [("Retry-After", str(retry_after))] if retry_after is not None else ())


def unavailable(code=503, retry_after=None):
    return refused(code, "ServiceUnavailable", "etcd has no leader", [("Retry-After", str(retry_after))] if retry_after is not None else ())


def gone():
    return refused(410, "Expired", GONE["message"])


def too_large():
    """The server's cache is behind what the client has seen."""
    return refused(504, "Timeout", "Too large resource version: 9999, current: 1000", [("Retry-After", "1")],
                   {"causes": [{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}], "retryAfterSeconds": 1})


def garbage(data=b"<html>a proxy's word</html>", code=200):
    def act(_, exchange, __):
        exchange.response.whole(code, data)
    return act


def told(*events):
    """A watch that says these (type, object or None) and ends."""
    def act(server, exchange, _):
        exchange.response.begin(200)
        for kind, o in events:
            exchange.response.write(server.event(kind, o))
        exchange.response.end()
    return act


def gone_event():
    """410 in the stream itself, after HTTP has said 200."""
    return told(("ERROR", status(410, "Expired", GONE["message"])))


def empty_watch():
    """Ends at once, without an event."""
    return told()


def cut(after, reset=False):
    """The connection ends after so many bytes of the body."""
    def act(_, exchange, go_on):
        exchange.response.cut, exchange.response.reset = after, reset
        go_on()
    return act


def cut_at_each(n, step=1, first=0):
    """Of n answers, each ends a little later than the one before. For a Fault with times=n."""
    offsets = itertools.count(first, step)

    def act(_, exchange, go_on):
        exchange.response.cut = next(offsets)
        go_on()
    return act


def edges(split):
    """Chunk edges where split puts them."""
    def act(_, exchange, go_on):
        exchange.response.edges = split
        go_on()
    return act


def mute():
    """The head, and then not a byte: what a client sees of a machine that lost its power."""
    def act(_, exchange, go_on):
        exchange.response.mute = True
        go_on()
    return act


def wait_for(event, seconds=60):
    """No answer until the event is set."""
    def act(_, __, go_on):
        event.wait(seconds)
        go_on()
    return act


def without(keep):
    """A list that lacks the entries for which keep(object) is false, as if they had never been."""
    def act(_, exchange, go_on):
        exchange.keep = keep
        go_on()
    return act
