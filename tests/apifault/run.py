#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# Runs the tests of each failure mode of an API server: a real sluiced against the fault server. Prints TAP, one line a test.
"""usage: run.py --build DIR [--jobs N] [--verbose] [--list] [PATTERN...]

PATTERN is a part of a test's name. No root needed; what carries real packets is skipped without it."""
import argparse
import concurrent.futures
import importlib
import os
import signal
import sys
import threading
import time
import traceback
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parent))
import bed  # noqa: E402
from netlab import Lab  # noqa: E402

MODULES = sorted(p.stem for p in Path(__file__).parent.glob("test_*.py"))
LONG = 20  # seconds: such tests mostly wait, and have threads of their own
printing = threading.Lock()


def where(error):
    frames = [f for f in traceback.extract_tb(error.__traceback__) if Path(f.filename).name.startswith("test_")]
    cause = error.__cause__ or error
    frames = frames or [f for f in traceback.extract_tb(cause.__traceback__) if Path(f.filename).name.startswith("test_")]
    return "".join(f"{Path(f.filename).name}:{f.lineno}: {f.line}\n" for f in frames)


def run_one(test, verbose):
    began = time.monotonic()
    wrong = None
    if test.root and not bed.is_root():
        verdict = f"ok - {test.name} # SKIP network namespaces need root"
    else:
        try:
            bed.run(test)
            verdict = f"ok - {test.name}"
        except Exception as e:  # noqa: BLE001  whatever it is, it is this test's failure
            wrong = f"{where(e)}{e if isinstance(e, bed.LabError) else ''.join(traceback.format_exception(e))}"
            verdict = f"not ok - {test.name}"
    with printing:
        print(verdict, flush=True)
        for line in (wrong or "").splitlines():
            print(f"# {line}")
        if verbose:
            print(f"# {time.monotonic() - began:.1f} s", flush=True)
    return wrong is not None


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("--build", default=os.environ.get("SLUICE_BUILD", "build"))
    parser.add_argument("--jobs", type=int, default=4)
    parser.add_argument("--verbose", action="store_true")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("patterns", nargs="*")
    options = parser.parse_args()
    for module in MODULES:
        importlib.import_module(module)
    chosen = [t for t in bed.tests if not options.patterns or any(p in t.name for p in options.patterns)]
    if options.list:
        print(*(t.name for t in chosen), sep="\n")
        return 0
    bed.build = Path(options.build).resolve()
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: os._exit(143))  # daemons are tied to this process
    if any(t.root for t in chosen) and bed.is_root():
        Lab().close()  # makes this process's mount namespace, which belongs to a thread: before there are others
    chosen.sort(key=lambda t: -t.seconds)
    patient = [t for t in chosen if t.seconds >= LONG]
    with concurrent.futures.ThreadPoolExecutor(len(patient) or 1) as slow, concurrent.futures.ThreadPoolExecutor(options.jobs) as quick:
        runs = [(slow if t in patient else quick).submit(run_one, t, options.verbose) for t in chosen]
        failed = sum(r.result() for r in runs)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
