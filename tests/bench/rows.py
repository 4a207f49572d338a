# SPDX-License-Identifier: Apache-2.0
# The one list of what tools/bench measures. A later forwarding mode is a line of MODES.
"""A row says what it is in the words of its JSON; its name follows from them, so it stays as it is when others come."""
from dataclasses import dataclass, field

MODES = {  # forwarding mode: the directions that pass through it
    "dsr": ["forward"],
    "dnat": ["forward", "reverse"],
    "fullnat": ["forward", "reverse"],
}
FLOWS = [1, 10_000, 65_536, 1_000_000, 8_000_000]
MOST_FLOWS = 10_000_000
FAMILIES, PROTOCOLS = [4, 6], ["tcp", "udp"]
FORWARD_FLOWS = [65_536, 1_000_000]
CAPACITY = 1 << 20  # of a table that has fewer flows


@dataclass(frozen=True)
class Row:
    kind: str
    mode: str = None  # None: no mode (limit), or all
    family: int = 4
    proto: str = "tcp"
    direction: str = "forward"
    frontends: int = 1000
    packets: str = "hot"
    flows: int = 65_536
    new_share: float = 0
    workers: int = 1
    table: str = "roomy"
    what: str = None  # of kind control, or a variant of kind forward
    unit: str = None
    words: dict = field(default_factory=dict, hash=False, compare=False)  # more for the program
    value: str = "p50"  # of what the program says

    @property
    def name(self):
        if self.kind == "control":
            return "control/" + self.what
        parts = [self.kind, self.mode, f"ipv{self.family}", self.proto, str(self.flows)]
        if self.direction != "forward":
            parts.append(self.direction)
        if self.frontends != 1000:
            parts.append(f"frontends-{self.frontends}")
        if self.packets != "hot":
            parts.append(self.packets)
        if self.new_share:
            parts.append(f"new-{self.new_share:g}")
        if self.table != "roomy":
            parts.append(f"table-{self.table}")
        if self.workers != 1:
            parts.append(f"workers-{self.workers}")
        if self.what:
            parts.append(self.what)
        return "/".join(p for p in parts if p)

    def limit(self):
        """The row of the ruler that this one is held against."""
        flows = 1_000_000 if self.table == "full" else self.flows
        return Row("limit", family=self.family, proto=self.proto, packets=self.packets, flows=flows, new_share=self.new_share)

    def place(self):
        """The order of a run: a ruler right before what it measures."""
        kinds = ["limit", "pipeline", "forward", "control"]
        late = self.kind in ("forward", "control")
        return (late, kinds.index(self.kind) if late else 0, self.flows, self.new_share, self.packets, self.family, self.proto,
                kinds.index(self.kind), self.mode or "", self.direction, self.name)


def pipeline():
    ways = [(mode, way) for mode, directions in MODES.items() for way in directions]
    for flows in FLOWS:
        for mode, way in ways:
            for family in FAMILIES:
                for proto in PROTOCOLS:
                    yield Row("pipeline", mode, family, proto, way, flows=flows)
                yield Row("pipeline", mode, family, "tcp", way, flows=flows, packets="cold")
        for mode in MODES:
            yield Row("pipeline", mode, flows=flows, frontends=1)
    for mode in MODES:
        for family in FAMILIES:
            for proto in PROTOCOLS:
                for flows in (65_536, 1_000_000):
                    yield Row("pipeline", mode, family, proto, flows=flows, new_share=0.01)
                for flows in (1_000_000, 8_000_000):
                    yield Row("pipeline", mode, family, proto, flows=flows, new_share=1)
        yield Row("pipeline", mode, flows=CAPACITY, new_share=1, table="full")
    for way in MODES["fullnat"]:
        yield Row("pipeline", "fullnat", direction=way, flows=MOST_FLOWS)


def forward():
    for flows in FORWARD_FLOWS:
        for mode in MODES:
            yield Row("forward", mode, proto="udp", flows=flows)
        yield Row("forward", "dsr", proto="tcp", flows=flows, what="syn")
    for mode in ("dsr", "fullnat"):
        yield Row("forward", mode, proto="udp", workers=2)
    for mode in ("dsr", "fullnat"):
        yield Row("forward", mode, proto="udp", flows=1024, what="memif")  # between testpmd's flowgen and itself
    yield Row("forward", "fullnat", proto="udp", workers=2, what="mixed")  # each file has flows of both workers: hand-over


def control():
    for n in (10, 100, 1000):
        yield Row("control", what=f"maglev/{n}", unit="ms", words={"what": "maglev", "backends": n})
    for p in ("p50", "p99"):
        yield Row("control", what=f"publish/10000/{p}", unit="us", value=p,
                  words={"what": "publish", "services": 10_000, "backends": 10, "mode": "fullnat"})
    for mode in MODES:
        for family in FAMILIES:
            yield Row("control", what=f"bytes/{mode}/ipv{family}", unit="bytes a flow",
                      words={"what": "bytes", "mode": mode, "family": family})
    yield Row("control", what=f"memory/{MOST_FLOWS}", unit="MiB", value="table_mib", mode="fullnat", flows=MOST_FLOWS)
    for value, unit, name in (("p50", "s", "time"), ("cycles_before", "cycles a packet", "packet-before"),
                              ("cycles_while", "cycles a packet", "packet-while")):
        yield Row("control", what=f"expire/1000000/{name}", unit=unit, value=value, flows=1_000_000,
                  words={"what": "expire", "mode": "fullnat", "proto": "udp", "flows": 1_000_000})
    yield Row("control", what="idle/sleep/cpu", unit="percent of a core", value="cpu")
    for device in ("tap", "af_packet"):  # with receive interrupts, and without
        for value, unit in (("cpu", "percent of a core"), ("first-packet-p50", "us"), ("first-packet-p99", "us")):
            yield Row("control", what=f"idle/{device}/{value}", unit=unit, value=value)
    for value, unit in (("cold-start", "s"), ("event/p50", "ms"), ("event/p99", "ms"), ("relist", "s"), ("memory", "MiB"),
                        ("create/p50", "ms"), ("create/p99", "ms"), ("snapshot-start", "s")):
        yield Row("control", what=f"api/{value}", unit=unit, value=value)
    for value, unit in (("carried", "Mpps"), ("offered", "times the carried"), *((f"goodput/{n}", "of the most") for n in ("0.5", "1", "most")),
                        ("arp/p50", "us"), ("arp/p99", "us"), ("echo/p50", "us"), ("echo/p99", "us"),
                        *((f"lost/{n}", "percent of the offered") for n in ("device", "buffers", "ring", "table", "transmit"))):
        yield Row("control", what=f"overload/{value}", unit=unit, value=value)


def everything():
    rows = [*pipeline(), *forward(), *control()]
    rows += {r.limit() for r in rows if r.kind == "pipeline"}
    return sorted(rows, key=Row.place)


QUICK = {
    *(f"pipeline/{m}/ipv4/tcp/{n}" for m in MODES for n in (65_536, 1_000_000)),
    "pipeline/dsr/ipv4/tcp/1", "pipeline/dnat/ipv4/tcp/65536/reverse", "pipeline/fullnat/ipv4/tcp/65536/reverse",
    "pipeline/fullnat/ipv4/tcp/1000000/reverse",
    "pipeline/dsr/ipv6/tcp/65536", "pipeline/fullnat/ipv6/tcp/65536",
    "pipeline/dsr/ipv4/tcp/65536/cold", "pipeline/dsr/ipv4/tcp/65536/frontends-1",
    "pipeline/dsr/ipv4/tcp/1000000/new-1", "pipeline/fullnat/ipv4/tcp/1000000/new-1",
    "forward/dsr/ipv4/udp/65536", "forward/fullnat/ipv4/udp/65536",
    "control/maglev/100", "control/publish/10000/p50", "control/publish/10000/p99",
    "control/bytes/dsr/ipv4", "control/bytes/fullnat/ipv4",
}


def quick():
    rows = [r for r in everything() if r.name in QUICK]
    rulers = {r.limit() for r in rows if r.kind == "pipeline"}
    return sorted(set(rows) | rulers, key=Row.place)


def table_mib(row):
    """Memory of the flow table: of both families, as an appliance has it."""
    flows = 2 * row.flows if row.new_share else row.flows
    capacity = row.flows if row.table == "full" else flows if row.new_share == 1 else max(CAPACITY, flows)
    if row.kind == "limit":
        return (1 if row.new_share == 1 else 2) * capacity * (16 if row.family == 4 else 64) >> 20
    return capacity * (154 if row.mode == "fullnat" else 79) >> 20


def hugepages(rows):
    """2 MiB pages that the largest of the rows needs."""
    need = 640
    for row in rows:
        if row.kind in ("pipeline", "limit") or row.name.startswith("control/memory"):
            need = max(need, (table_mib(row) + 512) // 2)
        elif row.kind == "forward":
            need = max(need, (2 * row.flows * 512 + max(CAPACITY, 2 * row.flows) * 154 >> 21) + 400)
    return need
