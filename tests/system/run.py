# SPDX-License-Identifier: Apache-2.0
# Runs the system tests: real programs and real traffic in network namespaces. Prints TAP, one line a test.
"""usage: run.py --build DIR [--verbose] [--list] [PATTERN...]

PATTERN is a part of "bed: test". --verbose prints the drawing of each test's topology and every command."""
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

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parent))
import beds  # noqa: E402
from netlab import Lab  # noqa: E402

MODULES = sorted(p.stem for p in Path(__file__).parent.glob("test_*.py"))


class Bench:
    """The bed that is made up at the moment. One that could not be made twice is not tried again."""

    def __init__(self, build, verbose):
        self.build, self.verbose = build, verbose
        self.lab = self.cluster = None
        self.refused = collections.Counter()

    def ready(self, bed):
        if self.cluster is not None and self.cluster.sluice.process.running():
            return self.cluster
        self.close()
        if self.refused[bed.name] >= 2:
            raise beds.LabError("this bed can't be made: see above")
        self.refused[bed.name] += 1
        self.lab = Lab(verbose=self.verbose)
        self.cluster = beds.make(bed, self.lab, self.build)
        self.refused[bed.name] = 0
        return self.cluster

    def close(self):
        if self.lab is not None:
            self.lab.close()
        self.lab = self.cluster = None


def run_one(bench, test):
    """None, or what went wrong."""
    try:
        cluster = bench.ready(test.bed)
        test.function(cluster)
        cluster.forget()
        return None
    except Exception as e:  # noqa: BLE001  whatever it is, it is this test's failure and the next one starts afresh
        return explain(bench, e)
    finally:
        if bench.cluster is not None and bench.cluster.manifests:
            bench.close()


def explain(bench, error):
    frames = [f for f in traceback.extract_tb(error.__traceback__) if Path(f.filename).name.startswith("test_")]
    where = "".join(f"{Path(f.filename).name}:{f.lineno}: {f.line}\n" for f in frames)
    text = f"{where}{error}" if isinstance(error, beds.LabError) else where + "".join(traceback.format_exception(error))
    if bench.cluster is not None and not bench.cluster.sluice.process.running():
        text += f"\nsluiced is dead, status {bench.cluster.sluice.process.popen.returncode}"
    if bench.cluster is not None and "its log ends" not in text:
        text += "\nsluiced's log ends:\n" + bench.cluster.sluice.process.log()[-2000:]
    return text


def drawing(test):
    return sys.modules[test.function.__module__].__doc__ or ""


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("--build", default=os.environ.get("SLUICE_BUILD", "build"))
    parser.add_argument("--verbose", action="store_true")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("patterns", nargs="*")
    options = parser.parse_args()
    for module in MODULES:
        importlib.import_module(module)
    chosen = [t for t in beds.tests
              if not options.patterns or any(p in f"{t.bed.name}: {t.name}" for p in options.patterns)]
    chosen.sort(key=lambda t: t.bed.name)  # stable: within a bed in order of the files
    if options.list:
        print(*(f"{t.bed.name}: {t.name}" for t in chosen), sep="\n")
        return 0
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit(143))
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs have it ignored
    failed = 0
    bench = Bench(Path(options.build).resolve(), options.verbose)
    try:
        for _, group in itertools.groupby(chosen, key=lambda t: t.bed.name):
            for test in group:
                name = f"{test.bed.name}: {test.name}"
                if options.verbose:
                    print(f"# {name}", *drawing(test).splitlines(), sep="\n# ")
                began = time.monotonic()
                wrong = run_one(bench, test)
                failed += wrong is not None
                print(f"{'ok' if wrong is None else 'not ok'} - {name}", flush=True)
                for line in (wrong or "").splitlines():
                    print(f"# {line}")
                if options.verbose:
                    print(f"# {time.monotonic() - began:.1f} s")
            bench.close()
    finally:
        bench.close()
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
