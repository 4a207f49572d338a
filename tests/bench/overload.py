# SPDX-License-Identifier: Apache-2.0
# Rows control/overload/...: what sluiced carries, answers and loses while more is offered than it can carry.
"""sluice-bench offers UDP flows over memif and counts what comes back; sluiced (fullnat, one worker) has the next CPU. A first turn offers without
end: what comes back is what Sluice carries. Then turns at parts of that, and without end, take turns. What the ring has no room for is
what a NIC would drop, so it counts as lost at the device; the rest is asked of `GET /v1/stats`."""
import contextlib
import json
import os
import shutil
import statistics
import subprocess
import tempfile
from pathlib import Path

import forward
import memif
import rows

MAC = "02:00:00:00:00:01"
LOADS = {"0.5": 0.5, "1": 1, "most": None}  # times what Sluice carries; None: without end, there answers and losses are looked at
OVERLOAD = 1.5  # less shows nothing
TURN, ENDLESS = 400, 1_000_000_000  # ms, packets a second
LOST = ("device", "buffers", "ring", "table", "transmit")
ROW = rows.Row("forward", "fullnat", proto="udp", flows=4096)
kept = {}


class Offerer(forward.Program):
    """sluice-bench offer: a turn for each line that it reads."""

    def __init__(self, program, directory, cpu):
        self.errors = directory / "offer.log"
        with open(self.errors, "wb") as log:
            self.popen = subprocess.Popen([program.path, "offer", f"device={memif.device(directory, 'server', 0)}", f"mac={MAC}", f"cpu={cpu}",
                                           f"flows={ROW.flows}", f"proto={ROW.proto}"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log)

    def turn(self, rate):
        self.popen.stdin.write(f"{int(rate)} {TURN}\n".encode())
        self.popen.stdin.flush()
        said = self.popen.stdout.readline()
        if not said:
            raise forward.Failed("sluice-bench offer: " + " ".join(self.errors.read_text(errors="replace").splitlines()[-1:]))
        return json.loads(said)


def lost(stats):
    return {place: sum(counters.values()) for place, counters in stats["lostAt"].items()} | {"all": sum(stats["drops"].values())}


class Run:
    def __init__(self, program, stack):
        directory = Path(tempfile.mkdtemp(prefix="sluice-bench."))
        stack.callback(shutil.rmtree, directory, ignore_errors=True)
        other = next((c for c in sorted(os.sched_getaffinity(0)) if c != program.cpu), program.cpu)
        self.offerer = Offerer(program, directory, other)
        stack.callback(self.offerer.close)
        config = forward.configuration(directory, ROW, memif.device(directory, "client", 0), [program.cpu], False)
        config["ports"][0].update(mac=MAC, profile="memif")
        self.sluiced = forward.Sluiced(program.build, directory, config, 1)
        stack.callback(self.sluiced.close)
        self.before = lost(self.sluiced.stats())

    def turn(self, rate):
        """What became of it, with what Sluice lost in it."""
        said = self.offerer.turn(rate)
        now = lost(self.sluiced.stats())
        said["lost"] = {place: now[place] - self.before[place] for place in now}
        self.before = now
        unexplained = said["offered"] - said["refused"] - said["returned"] - said["lost"]["all"]
        if abs(unexplained) > said["offered"] // 1000 + 64:
            raise forward.Failed(f"{unexplained} of {said['offered']} packets are gone without a name")
        return said


def times(turns, what):
    found = sorted(us for t in turns for us in t[what])
    if not found:
        raise forward.Failed(f"{what} was never answered")
    return {f"{what}/p50": found[len(found) // 2], f"{what}/p99": found[len(found) * 99 // 100]}


def losses(turns):
    """By place, in percent of what was offered."""
    offered = sum(t["offered"] for t in turns)
    by_place = {place: sum(t["lost"].get(place, 0) for t in turns) for place in LOST}
    by_place["device"] += sum(t["refused"] for t in turns)
    return {f"lost/{place}": 100 * n / offered for place, n in by_place.items()}


def figures(run, passes):
    run.turn(ENDLESS)  # flows begin
    carried = statistics.median(run.turn(ENDLESS)["returned"] for _ in range(passes)) / TURN * 1000
    turns = {name: [] for name in LOADS}
    for _ in range(passes):
        for name, load in LOADS.items():
            turns[name].append(run.turn(ENDLESS if load is None else load * carried))
    for name, load in LOADS.items():
        offered = statistics.median(t["offered"] for t in turns[name]) / TURN * 1000 / carried
        if offered < (OVERLOAD if load is None else 0.8 * load):
            raise forward.Failed(f"only {offered:.1f} times of what Sluice carries could be offered, not {load or OVERLOAD}")
    goodput = {name: statistics.median(t["returned"] for t in turns[name]) / TURN * 1000 for name in LOADS}
    most = max(carried, *goodput.values())
    return {"carried": most / 1e6, "offered": offered, **{f"goodput/{name}": rate / most for name, rate in goodput.items()},
            **times(turns["most"], "arp"), **times(turns["most"], "echo"), **losses(turns["most"])}


def measure(program):
    """Kept: all rows come from one run."""
    if not kept:
        with contextlib.ExitStack() as stack:
            try:
                kept.update(figures(Run(program, stack), program.passes), valid=True)
            except (forward.Failed, OSError, KeyError, ValueError, forward.http.client.HTTPException) as e:
                kept.update(valid=False, error=str(e))
    return kept
