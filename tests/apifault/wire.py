# SPDX-License-Identifier: Apache-2.0
# HTTP/1.1 on a socket, with every byte in the caller's hands: where a chunk ends, where the stream does.
import json
import socket
import struct


class Closed(Exception):
    """The other side went away, or a fault ends the connection."""


class Request:
    def __init__(self, method, url, headers, body):
        self.method, self.url, self.headers, self.body = method, url, headers, body
        self.status = 0  # of the answer, once it began

    def json(self):
        return json.loads(self.body)


def _head(reader):
    line = reader.readline(65536)
    if not line:
        raise Closed
    words = line.decode("latin-1").split()
    if len(words) != 3:
        raise Closed
    headers = {}
    while (line := reader.readline(65536)) not in (b"\r\n", b""):
        key, _, value = line.decode("latin-1").partition(":")
        headers[key.strip().lower()] = value.strip()
    return words, headers


def _body(reader, headers):
    if headers.get("transfer-encoding", "").lower() != "chunked":
        return reader.read(int(headers.get("content-length", 0)))
    parts = []
    while size := int(reader.readline(100).split(b";")[0], 16):
        parts.append(reader.read(size))
        reader.readline(10)
    reader.readline(10)
    return b"".join(parts)


def read_request(reader, send):
    """The next request of a connection; raises Closed."""
    try:
        (method, url, _), headers = _head(reader)
        if headers.get("expect", "").lower() == "100-continue":
            send(b"HTTP/1.1 100 Continue\r\n\r\n")
        return Request(method, url, headers, _body(reader, headers))
    except (OSError, ValueError) as e:
        raise Closed from e


class Response:
    """One answer. What faults may set before it begins:

    edges     cuts each piece of the body into chunks: data -> [data, ...]
    cut       the connection ends after so many bytes of the body (None: never)
    reset     ... by RST
    mute      the head is sent, and then nothing: a connection that lies
    """

    def __init__(self, sock, request):
        self.sock, self.request = sock, request
        self.edges = None
        self.cut = None
        self.reset = self.mute = False
        self.sent = 0
        self.chunked = False

    def raw(self, data):
        try:
            self.sock.sendall(data)
        except OSError as e:
            raise Closed from e

    def begin(self, status, headers=(), length=None):
        """length None: chunked."""
        self.request.status = status
        self.chunked = length is None
        size = "Transfer-Encoding: chunked" if self.chunked else f"Content-Length: {length}"
        lines = [f"HTTP/1.1 {status} -", size, "Content-Type: application/json", *(f"{k}: {v}" for k, v in headers)]
        self.raw("\r\n".join(lines).encode() + b"\r\n\r\n")

    def write(self, data):
        if self.mute or not data:
            return
        if self.cut is not None and self.sent + len(data) >= self.cut:
            self._send(data[:self.cut - self.sent])
            self.abort()
        self._send(data)

    def _send(self, data):
        self.sent += len(data)
        pieces = [p for p in self.edges(data) if p] if self.edges else [data] if data else []
        if not self.chunked:
            for p in pieces:
                self.raw(p)
        elif len(pieces) == 1:
            self.raw(b"%x\r\n" % len(data) + data + b"\r\n")
        else:
            self.raw(b"".join(b"%x\r\n%s\r\n" % (len(p), p) for p in pieces))

    def end(self):
        if self.chunked and not self.mute:
            self.raw(b"0\r\n\r\n")

    def whole(self, status, value, headers=()):
        data = value if isinstance(value, bytes) else json.dumps(value).encode()
        self.begin(status, headers, len(data))
        self.write(data)

    def abort(self):
        """Ends the connection in the middle of what it says."""
        if self.reset:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        raise Closed


def every(n):
    """Chunk edges after each n bytes, wherever that falls."""
    return lambda data: [data[i:i + n] for i in range(0, len(data), n)]
