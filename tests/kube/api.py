# SPDX-License-Identifier: Apache-2.0
# The Kubernetes API as tests need it: JSON over HTTPS, from inside the control plane's network namespace.
import contextlib
import ctypes
import http.client
import json
import os
import ssl

CLONE_NEWNET = 0x40000000
MERGE = "application/merge-patch+json"
_libc = ctypes.CDLL(None, use_errno=True)


class ApiError(Exception):
    """What the server refused; status is that of HTTP, reason its machine-readable word."""

    def __init__(self, status, body):
        try:
            said = json.loads(body)
        except ValueError:
            said = {}
        self.status, self.reason = status, said.get("reason", "")
        super().__init__(f"{status} {said.get('message', body[:300])}")


@contextlib.contextmanager
def inside(namespace):
    """This thread in a network namespace; a socket made there stays there."""
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    there = os.open(f"/run/netns/{namespace.name}", os.O_RDONLY)
    try:
        _setns(there)
        try:
            yield
        finally:
            _setns(home)
    finally:
        os.close(there)
        os.close(home)


def _setns(fd):
    if _libc.setns(fd, CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")


class Client:
    """One connection, made again when the server closed it."""

    def __init__(self, namespace, host, port, ca, certificate=None, token=None):
        self.namespace, self.host, self.port = namespace, host, port
        self.context = ssl.create_default_context(cafile=ca)
        if certificate:
            self.context.load_cert_chain(*certificate)
        self.headers = {"Authorization": f"Bearer {token}"} if token else {}
        self.connection = None

    def _connect(self):
        self.connection = http.client.HTTPSConnection(self.host, self.port, timeout=60, context=self.context)
        with inside(self.namespace):
            self.connection.connect()

    def _exchange(self, method, path, body, headers):
        if self.connection is None:
            self._connect()
        self.connection.request(method, path, body, headers)
        answer = self.connection.getresponse()
        return answer.status, answer.read()

    def raw(self, method, path, body=None, kind="application/json"):
        """(status, bytes)"""
        headers = {**self.headers, "Accept": "application/json", "Content-Type": kind}
        text = None if body is None else json.dumps(body)
        try:
            return self._exchange(method, path, text, headers)
        except (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError):
            self.close()  # it was idle for too long, or the server restarted: nothing of the request was answered
            return self._exchange(method, path, text, headers)
        except OSError:
            self.close()
            raise

    def close(self):
        if self.connection is not None:
            self.connection.close()
        self.connection = None

    def call(self, method, path, body=None, kind="application/json"):
        status, answer = self.raw(method, path, body, kind)
        if status >= 300:
            raise ApiError(status, answer.decode(errors="replace"))
        return json.loads(answer) if answer.lstrip().startswith((b"{", b"[")) else answer.decode()

    def get(self, path):
        return self.call("GET", path)

    def find(self, path):
        """The object, or None where there is none."""
        try:
            return self.get(path)
        except ApiError as e:
            if e.status == 404:
                return None
            raise

    def create(self, path, body):
        return self.call("POST", path, body)

    def patch(self, path, body, kind=MERGE):
        return self.call("PATCH", path, body, kind)

    def delete(self, path, **options):
        """Fine when it is gone already."""
        try:
            self.call("DELETE", path, {"kind": "DeleteOptions", "apiVersion": "v1", **options})
        except ApiError as e:
            if e.status != 404:
                raise

    def can(self, verb, resource, group="", namespace="", subresource="", name=""):
        """Whether these credentials may, by the server's own word."""
        asked = {"verb": verb, "group": group, "resource": resource, "namespace": namespace, "subresource": subresource, "name": name}
        review = {"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview", "spec": {"resourceAttributes": asked}}
        return self.create("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", review)["status"]["allowed"]
