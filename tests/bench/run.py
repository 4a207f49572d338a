#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# Runs rows and prints what came out: a table, JSON, a comparison, a picture, the tables of docs/performance.md.
"""The front end of the benchmark; tools/bench builds, lends huge pages and calls it. See docs/performance.md."""
import argparse
import dataclasses
import json
import os
import re
import signal
import statistics
import subprocess
import sys
import time
from pathlib import Path

import follow
import forward
import idle
import machine
import memif
import overload
import plot
import rows
import tables


def arguments():
    p = argparse.ArgumentParser(prog="tools/bench", description="Speed of Sluice on this machine; docs/performance.md explains.")
    p.add_argument("--quick", action="store_true", help="the most telling rows, in less than a minute")
    p.add_argument("--json", action="store_true", help="one JSON object in place of the table")
    p.add_argument("--only", metavar="REGEX", help="rows whose name matches (and the rulers they are held against)")
    p.add_argument("--list", action="store_true", help="names of the rows, nothing measured")
    p.add_argument("--passes", type=int, help="passes of each row (5; spread is over them)")
    p.add_argument("--cpu", type=int, help="the CPU that workers run on (the last one)")
    p.add_argument("--from", dest="source", metavar="FILE", help="show an earlier JSON, measure nothing")
    p.add_argument("--compare", metavar="FILE", help="the change of each row against an earlier JSON")
    p.add_argument("--plot", metavar="FILE.svg", help="ns a packet over flows, Sluice and the bare limit")
    p.add_argument("--markdown", metavar="FILE", help="renew the tables between the marks of docs/performance.md; - prints them")
    p.add_argument("--stages", action="store_true", help="cycles of each stage as well")
    p.add_argument("--hugepages", action="store_true", help=argparse.SUPPRESS)
    p.add_argument("--build", type=Path, help=argparse.SUPPRESS)
    return p.parse_args()


def chosen(args):
    found = rows.quick() if args.quick else rows.everything()
    if args.only:
        found = [r for r in found if re.search(args.only, r.name)]
        found = sorted(set(found) | {r.limit() for r in found if r.kind == "pipeline"}, key=rows.Row.place)
    return found


def leave(*_):
    sys.exit(143)


class Program:
    """sluice-bench: raw figures of one row a run."""

    def __init__(self, args):
        self.build = args.build
        self.path = args.build / "tests/bench/sluice-bench"
        self.passes = args.passes or 5
        self.count = 1_000_000 if args.quick else 4_000_000
        self.cpu = args.cpu
        self.kept = {}

    def run(self, verb, program=None, **words):
        words = {"cpu": self.cpu, "passes": self.passes} | words
        key = (verb, *sorted(words.items()))
        if key not in self.kept:
            run = subprocess.run([program or self.path, verb, *(f"{k}={v}" for k, v in words.items())], capture_output=True, text=True)
            said = [line for line in run.stderr.splitlines() if not line.startswith("EAL:")]
            self.kept[key] = json.loads(run.stdout) if run.returncode == 0 else {"valid": False, "error": " ".join(said)}
        return self.kept[key]

    def tsc_hz(self):
        return self.run("limit", flows=1, count=32, passes=1)["tsc_hz"]

    def packets(self, row):
        words = {"family": row.family, "proto": row.proto, "direction": row.direction, "frontends": row.frontends,
                 "packets": row.packets, "flows": row.flows, "new": row.new_share, "table": row.table,
                 "count": max(self.count // 4, 100_000) if row.packets == "cold" else self.count}
        if row.mode:
            words["mode"] = row.mode
        return self.run(row.kind, **words)


def describe(row):
    out = {"name": row.name, "kind": row.kind}
    if row.kind == "control":
        return {**out, "value": None, "unit": row.unit, "valid": False}
    for key in ("mode", "family", "proto", "direction", "frontends", "packets", "flows", "new_share", "workers"):
        out[key] = getattr(row, key)
    if row.what:
        out["variant"] = row.what
    if row.table != "roomy":
        out["variant"] = f"table-{row.table}"
    for key in ("cycles_per_packet", "ns_per_packet", "spread", "mpps", "ceiling_mpps", "ratio"):
        out[key] = None
    return {**out, "valid": False}


def rates(result, cycles, hz):
    """Figures out of the cycles of each pass."""
    middle = statistics.median(cycles)
    result["cycles_per_packet"] = round(middle, 2)
    result["ns_per_packet"] = round(middle / hz * 1e9, 2)
    result["spread"] = round((max(cycles) - min(cycles)) / middle, 3)
    result["mpps"] = round(hz / middle / 1e6, 2)


def measure_packets(program, row, limits):
    result, raw = describe(row), program.packets(row)
    for key in ("error", "drops", "flows_expected", "misses", "huge_flows"):
        if raw.get(key) not in (None, {}):
            result[key] = raw[key]
    if raw.get("flows") not in (None, raw.get("flows_expected")):
        result["flows_found"] = raw["flows"]
    if not raw["valid"]:
        return result
    cycles = [(both - alone) / raw["packets_a_pass"] for alone, both in zip(raw["alone"], raw["both"])]
    rates(result, cycles, raw["tsc_hz"])
    result["valid"] = True
    if row.kind == "limit":
        limits[row.name] = result
    ruler = limits.get(row.limit().name)
    if row.kind == "pipeline" and ruler:
        result["ceiling_mpps"] = ruler["mpps"]
        result["ratio"] = round(result["mpps"] / ruler["mpps"], 3)
        result["times_limit"] = round(ruler["mpps"] / result["mpps"], 2)
    return result


def measure_control(program, row):
    result = describe(row)
    if row.what.startswith("memory/"):
        raw = program.packets(dataclasses.replace(row, kind="pipeline", what=None))
        raw["table_mib"] = raw.get("table_bytes", 0) / 2**20
    elif row.what.startswith("idle/"):
        raw = idle.measure(row.what.split("/")[1], program)
    elif row.what.startswith("api/"):
        raw = follow.measure(program)
    elif row.what.startswith("overload/"):
        raw = overload.measure(program)
    else:
        raw = program.run("control", **row.words)
    result["valid"] = raw["valid"] and row.value in raw
    if "error" in raw and not result["valid"]:
        result["error"] = raw["error"]
    if result["valid"]:
        result["value"] = round(raw[row.value], 3)
    return result


def measure(args):
    program, limits, results = Program(args), {}, []
    todo = chosen(args)
    with forward.Bench(args.build, program) as bench:
        for i, row in enumerate(todo):
            if sys.stderr.isatty():
                print(f"\r{i + 1}/{len(todo)} {row.name:<60}", end="", file=sys.stderr, flush=True)
            if row.kind == "forward":
                results.append(bench.measure(row, describe(row), rates, memif.turns if row.what == "memif" else forward.Bench.turns))
            elif row.kind == "control":
                results.append(measure_control(program, row))
            else:
                results.append(measure_packets(program, row, limits))
        if sys.stderr.isatty():
            print("\r" + " " * 72 + "\r", end="", file=sys.stderr)
    out = {"machine": machine.describe(args.build, args.cpu), "rows": results}
    out["machine"]["huge_tables"] = all(r.pop("huge_flows", True) for r in results)
    if args.stages:
        clocks = args.build / "tests/bench/sluice-bench-stages"
        out["stages"] = {f"{mode}/{way}": program.run("stages", clocks, mode=mode, direction=way, count=1_000_000)
                         for mode, ways in rows.MODES.items() for way in ways}
    return out


def show(args, out):
    if args.plot:
        Path(args.plot).write_text(plot.svg(out))
    if args.markdown:
        tables.markdown(out, args.markdown)
    if args.json:
        print(json.dumps(out, indent=1))
    elif args.compare:
        tables.compare(json.loads(Path(args.compare).read_text()), out)
    elif args.markdown != "-":
        tables.human(out)


def main():
    args = arguments()
    args.cpu = max(os.sched_getaffinity(0)) if args.cpu is None else args.cpu
    if args.hugepages:
        print(0 if args.source or args.list else rows.hugepages(chosen(args)))
    elif args.list:
        print(*(r.name for r in chosen(args)), sep="\n")
    else:
        signal.signal(signal.SIGTERM, leave) # what runs is ended, what was made is removed
        started = time.monotonic()
        out = json.loads(Path(args.source).read_text()) if args.source else measure(args)
        show(args, out)
        if not args.source:
            print(f"{len(out['rows'])} rows in {time.monotonic() - started:.0f} s", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
