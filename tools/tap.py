# SPDX-License-Identifier: Apache-2.0
# Runs tests that lie in beds (a topology with a running sluiced). Prints TAP, one line a test.
"""A test is a function of what its bed makes; its name is the claim. Tests of one bed share what it made, one after another;
each makes its own Services, which are removed behind it. A test that fails, or leaves the bed dead, gets the next one a fresh bed.

A bed is a name and make(lab, build). What it makes has alive(), forget() (removes what a test made), dirty (whether there is
something to forget) and last_words() (for a failure: what the programs said)."""
import argparse
import collections
import importlib
import itertools
import os
import signal
import sys
import time
import traceback
from pathlib import Path

from netlab import Lab, LabError

Bed = collections.namedtuple("Bed", "name make")
Test = collections.namedtuple("Test", "name function bed")
tests = []


def test(*beds):
    """Registers a test for each of the beds."""
    def register(function):
        tests.extend(Test(function.__name__, function, bed) for bed in beds)
        return function
    return register


def expect(condition, *what):
    """Fails with what was seen."""
    if not condition:
        raise LabError(" ".join(map(str, what)))


class Bench:
    """The bed that is made up at the moment. One that could not be made twice is not tried again."""

    def __init__(self, build, verbose):
        self.build, self.verbose = build, verbose
        self.lab = self.made = None
        self.refused = collections.Counter()

    def ready(self, bed):
        if self.made is not None and self.made.alive():
            return self.made
        self.close()
        if self.refused[bed.name] >= 2:
            raise LabError("this bed can't be made: see above")
        self.refused[bed.name] += 1
        self.lab = Lab(verbose=self.verbose)
        self.made = bed.make(self.lab, self.build)
        self.refused[bed.name] = 0
        return self.made

    def close(self):
        if self.lab is not None:
            self.lab.close()
        self.lab = self.made = None


def run_one(bench, one):
    """None, or what went wrong."""
    try:
        made = bench.ready(one.bed)
        one.function(made)
        made.forget()
        return None
    except Exception as e:  # noqa: BLE001  whatever it is, it is this test's failure and the next one starts afresh
        return explain(bench, e)
    finally:
        if bench.made is not None and bench.made.dirty:
            bench.close()


def explain(bench, error):
    frames = [f for f in traceback.extract_tb(error.__traceback__) if Path(f.filename).name.startswith("test_")]
    where = "".join(f"{Path(f.filename).name}:{f.lineno}: {f.line}\n" for f in frames)
    text = f"{where}{error}" if isinstance(error, LabError) else where + "".join(traceback.format_exception(error))
    if bench.made is not None and "its log ends" not in text:
        text += "\n" + bench.made.last_words()
    return text


def drawing(one):
    return sys.modules[one.function.__module__].__doc__ or ""


def run_group(bench, group, verbose):
    """The number of failures."""
    failed = 0
    for one in group:
        name = f"{one.bed.name}: {one.name}"
        if verbose:
            print(f"# {name}", *drawing(one).splitlines(), sep="\n# ")
        began = time.monotonic()
        wrong = run_one(bench, one)
        failed += wrong is not None
        print(f"{'ok' if wrong is None else 'not ok'} - {name}", flush=True)
        for line in (wrong or "").splitlines():
            print(f"# {line}")
        if verbose:
            print(f"# {time.monotonic() - began:.1f} s")
    bench.close()
    return failed


def main(folder, usage):
    """Runs the tests of the modules test_*.py in a folder that is on sys.path. The exit status."""
    parser = argparse.ArgumentParser(usage=usage)
    parser.add_argument("--build", default=os.environ.get("SLUICE_BUILD", "build"))
    parser.add_argument("--verbose", action="store_true")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("patterns", nargs="*")
    options = parser.parse_args()
    for module in sorted(p.stem for p in Path(folder).glob("test_*.py")):
        importlib.import_module(module)
    chosen = [t for t in tests if not options.patterns or any(p in f"{t.bed.name}: {t.name}" for p in options.patterns)]
    chosen.sort(key=lambda t: t.bed.name)  # stable: within a bed in order of the files
    if options.list:
        print(*(f"{t.bed.name}: {t.name}" for t in chosen), sep="\n")
        return 0
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit(143))
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs have it ignored
    bench = Bench(Path(options.build).resolve(), options.verbose)
    try:
        groups = itertools.groupby(chosen, key=lambda t: t.bed.name)
        return 1 if sum(run_group(bench, group, options.verbose) for _, group in groups) else 0
    finally:
        bench.close()
