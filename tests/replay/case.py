# SPDX-License-Identifier: Apache-2.0
# One case as it runs: its configuration, manifests and packets, the rounds in which variables become known, comparison.
#
# A case is written front to back, yet sluice-replay reads whole captures. So when a line needs a variable that only the
# program's output can tell (a SNAT port, the chosen backend), the packets so far are run and compared, which binds it;
# then the case goes on. The last round runs everything. Because equal input gives equal output, each round must repeat
# what the ones before it said.
import collections
import json
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import check
import manifests
import net
import packet
import pcap
import text

EPOCH = 1_700_000_000 * 10**9  # of the first packet; times in a case are seconds since it
STEP = 10**6                   # from packet to packet where the case doesn't say: 1 ms
NOT_DROPS = {"neighbor", "punt"}
REASON = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


class Failed(Exception):
    pass


class Input:
    def __init__(self, number, port, time, fields, frame, line):
        self.number, self.port, self.time, self.frame = number, port, time, frame
        self.fields, self.given = packet.dissect(frame), fields
        self.line = line
        self.outputs = []   # [(port, wanted fields, line)]
        self.reasons = None # of a drop; or a decision's reason, beside outputs
        self.verb = None    # None: outputs or drop; any, held, neighbor
        self.service = self.backend = None


class Result:
    """What one run of the program said."""

    def __init__(self, report, outputs):
        self.report = report
        self.groups = collections.defaultdict(list)  # time -> [(port, frame, fields)]
        for port, packets in outputs.items():
            for time, frame in packets:
                self.groups[time].append((port, frame, packet.dissect(frame)))
        self.start, at = {}, 0  # of each group in the numbering of outputs
        for time in sorted(self.groups):
            self.start[time], at = at, at + len(self.groups[time])
        self.count = at


class Case:
    def __init__(self, program, directory, family=4, mode=None, workers=1):
        self.program, self.dir = program, Path(directory)
        self.family, self.mode, self.workers = family, mode, workers
        self.config = net.config()
        self.config["dataplane"]["workers"] = workers
        self.inputs, self.values, self.now = [], {}, None
        self.services, self.nodes, self.files = {}, {}, {}
        self.epochs = []            # [(seconds or None, {path: content}, {service: (mode, meaning)})]
        self.written, self.known = [], {}  # the epochs of the last run; backends_at()'s answers for it
        self.macs = {}              # of hosts beside those of net.py
        self.form = "yaml"          # of the manifests: a YAML file for each Service, or "list": all in one of JSON
        self.pcap = {}              # how captures are written: nano, order
        self.done, self.result = 0, None

    # --- what the case says ---

    def service(self, name, **fields):
        """A Service and its EndpointSlices; a second call changes what it names."""
        if name not in self.services:
            self.services[name] = manifests.Service(name, self.family)
            self.services[name].set(mode=self.mode)
        self.services[name].set(**fields)

    def delete(self, name):
        del self.services[name]

    def node(self, name, **fields):
        self.nodes[name] = manifests.node(name, **fields)

    def hosts(self, macs):
        """More hosts behind lan: {address: MAC}."""
        self.macs.update(macs)
        self.config["neighbors"] += [{"address": a, "mac": m, "port": "lan"} for a, m in macs.items()]

    def mac_of(self, address):
        return self.macs.get(address) or net.mac_of(address)

    def change(self, seconds):
        """Manifests as they are now hold until `seconds`; what follows describes those that hold from then on."""
        self.epochs.append(self.epoch())
        self.pending = seconds

    pending = None

    def timeouts(self, **seconds):
        self.config["dataplane"].setdefault("timeouts", {}).update(seconds)

    def play(self, script):
        """Packets and expectations, a line each."""
        for line in script.splitlines():
            line = line.partition("#")[0].strip()
            if line:
                self.line(line)

    def line(self, line):
        first, _, rest = line.partition(" ")
        reader = text.Reader(self.family, self.values)
        if first == "at":
            self.now = round(float(rest) * 10**9)
        elif first.endswith(">") and len(first) > 1:
            if reader.unbound(rest):
                self.sync()
                if reader.unbound(rest):
                    raise Failed(f"nothing has told {reader.unbound(rest)}: {line}")
            self.send(first[:-1], reader.packet(rest), line)
        elif first.endswith("<"):
            what, _, tail = rest.partition(";")
            self.inputs[-1].outputs.append((first[:-1], what.strip(), line))
            self.remark(tail.split())
        elif first == "drop":
            self.inputs[-1].verb, self.inputs[-1].reasons = "drop", rest.split("|")
        elif first in ("any", "held", "neighbor"):
            self.inputs[-1].verb, self.inputs[-1].reasons = first, rest.split("|") if rest else None
        elif first == "flows":
            self.sync()
            self.same(self.result.report["flows"], int(rest), "flows")
        else:
            raise Failed(f"not a line of a script: {line}")

    def remark(self, words):
        """After a semicolon: the decision's reason, service= and backend=."""
        for word in words:
            key, eq, value = word.partition("=")
            if eq:
                setattr(self.inputs[-1], key, value)
            else:
                self.inputs[-1].reasons = key.split("|")

    def send(self, port, fields, line=None):
        """One packet in, from fields (or a frame). Returns its Input."""
        self.now = 0 if self.now is None else self.now
        if isinstance(fields, bytes):
            fields = {"kind": "RAW", "data": fields}
        self.complete(port, fields)
        frame = packet.build(fields)
        self.inputs.append(Input(len(self.inputs), port, EPOCH + self.now, fields, frame, line))
        self.now += STEP
        return self.inputs[-1]

    def complete(self, port, f):
        """What a line leaves out of a packet that comes in."""
        if f["kind"] == "RAW":
            return
        if f["kind"] == "ARP":
            sender = net.mac_of(f["spa"]) or net.MACS["gw"]
            f.setdefault("sha", sender)
            f.setdefault("tha", "00:00:00:00:00:00" if f["op"] == 1 else net.MACS[port])
            f.setdefault("smac", f["sha"])
            f.setdefault("dmac", net.MACS["broadcast"] if f["op"] == 1 else net.MACS[port])
        elif f["kind"] in ("NS", "NA"):
            f.setdefault("ttl", 255)
            f.setdefault("smac", net.mac_of(f["src"]) or net.MACS["gw"])
            f.setdefault("dmac", "33:33:" + f"{packet.addr(f['dst'])[12:].hex(':')}" if f["dst"].startswith("ff")
                         else net.MACS[port])
        else:
            f.setdefault("smac", net.MACS["gw"] if port == "wan" else net.mac_of(f["src"]) or net.MACS["b1"])
        f.setdefault("dmac", self.port(port)["mac"])
        f.setdefault("vlan", self.port(port).get("vlan", 0))
        if f["kind"] == "TCP" and "A" in f.get("flags", ""):
            f.setdefault("ack", 1)

    # --- what the manifests mean ---

    def epoch(self):
        files = {}
        if self.form == "list":
            items = [o for s in self.services.values() for o in s.objects()]
            files["list.json"] = json.dumps({"apiVersion": "v1", "kind": "List", "items": items})
        for name, s in self.services.items() if self.form == "yaml" else ():
            files[f"{s.ns}-{name}.yaml"] = "---\n".join(map(manifests.document, s.objects()))
        for name, n in self.nodes.items():
            files[f"node-{name}.yaml"] = manifests.document(n)
        files.update(self.files)
        means = {f"{s.ns}/{name}": (s.mode, s.meaning(s.mode or self.default_mode(), self.nodes))
                 for name, s in self.services.items()}
        return self.pending, files, means

    def twin(self):
        """Another appliance, to be compared with this one; its case must finish() it."""
        self.twins = getattr(self, "twins", 0) + 1
        return Case(self.program, self.dir / f"twin-{self.twins}", self.family, self.mode, self.workers)

    def outputs(self, i):
        """[(port, fields)] of an input, after sync()."""
        return [(port, f) for port, _, f in self.result.groups.get(i.time, [])]

    def decision(self, i):
        return self.result.report["decisions"][i.number]

    def require(self, holds, message):
        if not holds:
            raise Failed(message)

    def means_at(self, time):
        now = (time - EPOCH) / 10**9
        return [means for seconds, _, means in self.written if seconds is None or seconds <= now]

    def mode_of(self, service, cause):
        """The forwarding mode of a service when an input came in."""
        found = [means[service][0] for means in self.means_at(cause.time) if service in means]
        return found[-1] if found and found[-1] else self.default_mode()

    def default_mode(self):
        return self.config["services"].get("defaults", {}).get("forwarding", "fullnat")

    def backends_at(self, service, cause, only_usable):
        """ADDR:PORT of all that was ever a backend of a service up to an input, or of those usable at its time."""
        means = [m[service][1] for m in self.means_at(cause.time) if service in m]
        key = service, len(means), only_usable
        if key not in self.known:
            self.known[key] = {check.text(*end) for m in (means[-1:] if only_usable else means) for known in m.values()
                               for end, usable in known.items() if usable or not only_usable}
        return self.known[key]

    def port(self, name):
        return next(p for p in self.config["ports"] if p["name"] == name)

    # --- running ---

    def command(self, count, tag="out"):
        """Write everything the program reads; returns its command line."""
        self.dir.mkdir(parents=True, exist_ok=True)
        words = [self.program, "--config", str(self.dir / "sluice.yaml")]
        self.written, self.known = self.epochs + [self.epoch()], {}
        for i, (seconds, files, _) in enumerate(self.written):
            directory = self.dir / f"manifests-{i}"
            shutil.rmtree(directory, ignore_errors=True)
            directory.mkdir()
            for name, content in files.items():
                (directory / name).write_text(content)
            if seconds is not None:
                words += ["--apply", f"{seconds:g}={directory}"]
        self.config["services"].setdefault("manifests", str(self.dir / "manifests-0"))
        (self.dir / "sluice.yaml").write_text(manifests.document(self.config))
        for port in self.config["ports"]:
            name = port["name"]
            pcap.write(self.dir / f"in-{name}.pcap",
                       [(i.time, i.frame) for i in self.inputs[:count] if i.port == name], **self.pcap)
            words += ["--rx", f"{name}={self.dir}/in-{name}.pcap", "--tx", f"{name}={self.dir}/{tag}-{name}.pcap"]
        if tag == "again":
            words.append("--stages-only")
        return words + ["--json", str(self.dir / f"{tag}.json")]

    def execute(self, words, timeout=100):
        (self.dir / "command").write_text(shlex.join(words) + "\n")
        run = subprocess.run(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                             timeout=timeout)
        return run.returncode, run.stdout.decode(errors="replace"), run.stderr.decode(errors="replace")

    def run(self, tag="out"):
        words = self.command(len(self.inputs), tag)
        status, _, errors = self.execute(words)
        self.errors = errors
        if status != 0:
            raise Failed(f"exit status {status}\n{errors[-4000:]}")
        report = json.loads((self.dir / f"{tag}.json").read_text())
        outputs = {}
        for port in self.config["ports"]:
            try:
                outputs[port["name"]] = pcap.read(self.dir / f"{tag}-{port['name']}.pcap")
            except (OSError, ValueError) as e:
                raise Failed(f"the output of {port['name']}: {e}")
        return Result(report, outputs)

    def sync(self):
        """Run what there is, compare it with what is expected, bind variables."""
        if self.done == len(self.inputs) and self.result:
            return
        self.result = self.run()
        self.done = len(self.inputs)
        self.compare()

    def finish(self, twice):
        """The last round, and a second run of it, without the short way, that must give the same bytes."""
        if not self.inputs:
            return
        self.sync()
        if not twice:
            return
        self.run("again")
        for name in ["json"] + [p["name"] for p in self.config["ports"]]:
            end = ".json" if name == "json" else f"-{name}.pcap"
            one, two = self.dir / f"out{end}", self.dir / f"again{end}"
            if one.read_bytes() != two.read_bytes():
                raise Failed(f"the short way and the stages differ: {one.name} and {two.name}")

    def decisions(self):
        """What must not depend on the number of workers."""
        return [(d["in"], d["out"] is None, d["service"], d["backend"], d["reason"])
                for d in self.result.report["decisions"]]

    # --- comparing ---

    def same(self, got, want, what):
        if got != want:
            raise Failed(f"{what}: {got}, expected {want}")

    def compare(self):
        report, result = self.result.report, self.result
        self.same(report["packets_in"], len(self.inputs), "packets_in")
        self.same(report["packets_out"], result.count, "packets_out against the packets in the files")
        self.same(report["punted"], 0, "punted")
        self.same([d["in"] for d in report["decisions"]], list(range(len(self.inputs))), "numbers of the decisions")
        known = {i.time for i in self.inputs}
        self.causes = {d["out"]: d["in"] for d in report["decisions"] if d["out"] is not None}
        for time in result.groups:
            if time not in known:
                raise Failed(f"an output at {(time - EPOCH) / 10**9} s, when nothing came in: {self.got(time)}")
        for i in self.inputs:
            try:
                self.compare_one(i, report["decisions"][i.number])
            except check.Broken as e:
                self.fail(i, str(e))
        self.compare_drops(report)

    def compare_drops(self, report):
        """Drops are counted under their decision's reason; what was answered may be counted beside them (no-flow)."""
        drops = collections.Counter(d["reason"] for d in report["decisions"] if d["out"] is None)
        counted = collections.Counter(report["drops"])
        for reason in NOT_DROPS:
            drops.pop(reason, None)
        answered = sum(d["reason"].startswith(("answered-", "neighbor-")) for d in report["decisions"])
        extra = sum((counted - drops).values())
        if drops - counted or extra > answered:
            raise Failed(f"drops: {dict(+counted)}, but the decisions say {dict(drops)}")

    def got(self, time):
        group = self.result.groups.get(time, [])
        return "".join(f"\n    {port}< {text.describe(f)}" for port, _, f in group) or " nothing"

    def fail(self, i, message):
        decision = self.result.report["decisions"][i.number]
        at = (i.time - EPOCH) / 10**9
        line = i.line or text.describe(i.fields)
        raise Failed(f"{message}\n  input {i.number} at {at:g}: {line}\n  got:{self.got(i.time)}\n"
                     f"  decision: {json.dumps(decision)}")

    def compare_one(self, i, decision):
        group = list(self.result.groups.get(i.time, []))
        for port, want, line in i.outputs:
            self.take(i, group, port, want, line)
        self.laws(i)
        left = [o for o in group if not check.is_resolution(o[2])]
        if i.verb != "any" and left:
            self.fail(i, "more left than expected" if i.outputs else "nothing should have left")
        if i.verb is None and not i.outputs:
            self.fail(i, "the case doesn't say what becomes of this packet")
        self.compare_decision(i, decision)

    def take(self, i, group, port, want, line):
        """Find an expected packet among those that left, and take it out of them."""
        fields = text.Reader(self.family, self.values).packet(want)
        for n, (at, _, got) in enumerate(group):
            bound = {}
            if at == port and text.matches(fields, got, bound):
                self.values.update(bound)
                del group[n]
                return
        self.fail(i, f"missing: {line}")

    def laws(self, i):
        """The checker's view of each output that belongs to this input."""
        for n, (port, frame, got) in enumerate(self.result.groups.get(i.time, [])):
            number = self.result.start[i.time] + n
            cause, decision = self.cause(i, number)
            check.output(self, cause, port, frame, got, decision)

    def cause(self, i, number):
        """The input whose decision names this output: an older one that was held, or else the one at that time."""
        cause = min(self.causes.get(number, i.number), i.number)
        return self.inputs[cause], self.result.report["decisions"][cause]

    def compare_decision(self, i, d):
        out, reason = d["out"], d["reason"]
        if not (isinstance(reason, str) and (REASON.fullmatch(reason) or (out is not None and not reason))):
            self.fail(i, f"not a reason: {reason!r}")
        if i.verb == "held" and i.reasons is None:
            later = [t for t in self.result.groups if t > i.time and out is not None
                     and self.result.start[t] <= out < self.result.start[t] + len(self.result.groups[t])]
            if not later and self.released(i):
                self.fail(i, "a packet that was held should name the output that left later")
        elif i.verb == "neighbor":
            if out is not None or reason != "neighbor":
                self.fail(i, "expected out null and reason neighbor")
        elif i.verb in ("drop", "held"):
            if out is not None:
                self.fail(i, "expected no output")
            if i.reasons != ["*"] and reason not in i.reasons:
                self.fail(i, f"expected reason {'|'.join(i.reasons)}")
        elif i.verb is None:
            first = self.result.start[i.time]
            if out is None or not first <= out < first + len(self.result.groups[i.time]):
                self.fail(i, f"its output is one of {first}..{first + len(self.result.groups[i.time]) - 1}")
            if i.reasons and reason not in i.reasons:
                self.fail(i, f"expected reason {'|'.join(i.reasons)}")
        for key in ("service", "backend"):
            want = getattr(i, key)
            if want is not None and d[key] != self.expand(want):
                self.fail(i, f"expected {key} {self.expand(want)}")

    def released(self, i):
        """Whether the case has gone beyond the release of what was held: a later input says `neighbor`."""
        return any(j.verb == "neighbor" for j in self.inputs[i.number:])

    def expand(self, want):
        """backend=b1:8080 -> 10.0.0.11:8080"""
        if "/" in want or not want:
            return want
        host, port = text.Reader(self.family, self.values).endpoint(want)
        return check.text(host, port)

    # --- for the one who looks into a failure ---

    def leave_expected(self):
        """Write what was expected to leave, as far as fields tell, beside what was got."""
        for port in self.config["ports"]:
            packets = []
            for i in self.inputs:
                for at, want, _ in i.outputs:
                    if at == port["name"]:
                        packets.append((i.time, self.expected_frame(i, port, want)))
            pcap.write(self.dir / f"expected-{port['name']}.pcap", packets)

    def expected_frame(self, i, port, want):
        f = {k: v for k, v in text.Reader(self.family, self.values).packet(want).items() if not isinstance(v, text.Var)}
        own = {"kind", "trunc", "pad", "quote", "cut", "type", "code", "rest"}
        base = {k: v for k, v in i.given.items() if k not in own}
        merged = {**base, "smac": port["mac"], "dmac": net.MACS["gw"], "vlan": port.get("vlan", 0),
                  "sha": port["mac"], "tha": net.MACS["gw"], "spa": "0.0.0.0", "tpa": "0.0.0.0", **f}
        merged.setdefault("ttl", 64)
        try:
            return packet.build(merged)
        except Exception:  # an expectation made of wildcards has no bytes
            return b""
