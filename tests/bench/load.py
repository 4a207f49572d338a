#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# The API server of the rows control/api/...: tests/apifault's, in a process of its own, with a cluster in it and changes at a fixed rate.
"""A line of JSON in, a line of JSON out: {"do": NAME, ...words} calls the method NAME. Times are of CLOCK_MONOTONIC, in ns: every process has the same."""
import ipaddress
import json
import random
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "apifault"))
from objects import managed_fields, meta, slice_of  # noqa: E402
from resources import NODES, SERVICES, SLICES  # noqa: E402
from server import ApiServer  # noqa: E402

MANAGED = 1200  # bytes of managedFields in each object, about as real ones have
VIPS, PODS, FRESH = (int(ipaddress.ip_address(a)) for a in ("198.18.0.0", "10.128.0.0", "10.192.0.0"))
NAMESPACES = 100


def text(n):
    return str(ipaddress.ip_address(n))


def name(i):
    return f"service-{i}", f"ns-{i % NAMESPACES}"


class Load:
    def __init__(self):
        self.server = ApiServer()
        self.server.gzip = False  # zlib's time is not ours
        self.sent = []
        self.server.on_sent = lambda events: self.sent.extend((e.version, time.monotonic_ns()) for e in events if e.kind is SLICES)
        self.ballast = managed_fields(MANAGED)
        self.pods = 0
        self.n = self.each = 0

    def service(self, i, ip):
        service, ns = name(i)
        held = {"finalizers": ["service.kubernetes.io/load-balancer-cleanup"]} if ip else {}
        return {"metadata": meta(service, ns, generation=1, managedFields=self.ballast, **held), "spec": {
                    "type": "LoadBalancer", "ports": [{"name": "http", "port": 80, "protocol": "TCP", "targetPort": 8080, "nodePort": 30000}],
                    "selector": {"app": service}, "clusterIP": "10.96.0.1", "clusterIPs": ["10.96.0.1"], "ipFamilies": ["IPv4"],
                    "ipFamilyPolicy": "SingleStack", "externalTrafficPolicy": "Cluster", "sessionAffinity": "None"},
                "status": self.written(ip) if ip else {"loadBalancer": {}}}

    @staticmethod
    def written(ip):
        """As an appliance that has been there for long has left it: nothing remains to be written."""
        conditions = [("Allocated", f"{ip} from pool public"), ("Programmed", "all ports are served")]
        return {"loadBalancer": {"ingress": [{"ip": ip, "ipMode": "VIP"}]},
                "conditions": [{"type": f"sluice.dev/{reason}", "status": "True", "reason": reason, "message": message, "observedGeneration": 1,
                                "lastTransitionTime": "2026-01-01T00:00:00Z"} for reason, message in conditions]}

    def slice(self, i, addresses):
        service, ns = name(i)
        o = slice_of(service, addresses, ns)
        o["metadata"]["managedFields"] = self.ballast
        return o

    def fill(self, services, endpoints):
        """So many Services with so many endpoints each, one slice each, and a node."""
        self.n, self.each = services, endpoints
        for i in range(services):
            self.server.put(SERVICES, self.service(i, text(VIPS + i)))
            self.server.put(SLICES, self.slice(i, [text(PODS + i * endpoints + k) for k in range(endpoints)]))
        self.server.put(NODES, {"metadata": meta("node-1", ""), "status": {"addresses": [{"type": "InternalIP", "address": "10.0.0.11"}]}})
        return {"bytes": {k.plural: sum(len(e.data) for e in self.server.store.snapshot(k)[1]) for k in (SERVICES, SLICES)}}

    def serve(self):
        self.server.start()
        return {"url": self.server.url, "version": self.server.store.version}

    def version(self):
        return {"version": self.server.store.version}

    def away(self):
        self.server.stop()
        return {}

    def replace_pod(self, i):
        """One endpoint of a Service is another one now."""
        service, ns = name(i)
        o = self.server.object(SLICES, ns, service + "-1")
        addresses = [e["addresses"][0] for e in o["endpoints"]]
        addresses[random.randrange(len(addresses))] = text(FRESH + self.pods)
        self.pods += 1
        self.server.put(SLICES, self.slice(i, addresses))

    def churn(self, rate, seconds):
        """So many slices a second, each another one; when the bytes of each went out."""
        self.sent.clear()
        random.seed(1)
        began = time.monotonic()
        for n in range(rate * seconds):
            time.sleep(max(0, began + n / rate - time.monotonic()))
            self.replace_pod(random.randrange(self.n))
        time.sleep(0.1)
        return {"sent": self.sent, "seconds": time.monotonic() - began - 0.1}

    def relist(self):
        """All watches are too old at once, and one slice differs. When the first request came that asks for everything."""
        mark = self.server.mark()
        self.replace_pod(0)
        self.server.store.advance()
        self.server.store.compact()
        self.server.drop()
        end = time.monotonic() + 60
        while time.monotonic() < end:
            asked = [e for e in self.server.asked(kind=SLICES, since=mark) if e.verb == "list" or e.query.get("sendInitialEvents")]
            if asked:
                return {"asked": int(asked[0].at * 1e9), "version": self.server.store.version}
            time.sleep(0.0005)
        return {"error": "no relist"}

    def quiet(self, seconds, limit):
        """Waits until nothing has been written for so long; how many writes there were and how long they took."""
        began, mark = time.monotonic(), self.server.mark()
        while True:
            written = [e.at for e in self.server.asked(since=mark) if e.verb in ("patch", "create", "update")]
            last = max(written, default=began)
            if time.monotonic() - last > seconds:
                return {"writes": len(written), "seconds": last - began}
            if time.monotonic() - began > limit:
                return {"error": f"still writing after {limit} s: {len(written)} writes"}
            time.sleep(0.05)

    def create(self, rate, seconds):
        """New Services with endpoints; ms until the status of each names an address."""
        began, at = time.monotonic(), {}
        mark = self.server.mark()
        for n in range(rate * seconds):
            i = self.n + n
            time.sleep(max(0, began + n / rate - time.monotonic()))
            at[name(i)[0]] = time.monotonic()
            self.server.put(SLICES, self.slice(i, [text(FRESH + (1 << 20) + i)]))
            self.server.put(SERVICES, self.service(i, None))
        done, end = {}, time.monotonic() + 10
        while len(done) < len(at) and time.monotonic() < end:
            time.sleep(0.05)
            for e in self.server.asked("patch", SERVICES, mark):
                if e.target.name in at and e.target.name not in done and e.status == 200 and self.has_address(e):
                    done[e.target.name] = 1000 * (e.at - at[e.target.name])
        self.n += len(at)
        return {"ms": sorted(done.values()), "missing": len(at) - len(done)}

    @staticmethod
    def has_address(exchange):
        balancer = (exchange.request.json().get("status") or {}).get("loadBalancer") or {}
        return bool(balancer.get("ingress"))


def main():
    load = Load()
    for line in sys.stdin:
        words = json.loads(line)
        print(json.dumps(getattr(load, words.pop("do"))(**words)), flush=True)


if __name__ == "__main__":
    main()
