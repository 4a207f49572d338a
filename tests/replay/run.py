#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# Runs the replay cases: packets into sluice-replay, packets out of it. README.md tells how to write one.
import argparse
import concurrent.futures
import os
import shutil
import sys
import tempfile
import time
import traceback
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parent))
import case  # noqa: E402
import suite  # noqa: E402
import text  # noqa: E402


def difference(results):
    """Decisions that the number of workers changed."""
    (w1, one), (w2, two) = results
    for a, b in zip(one, two):
        if a != b:
            return f"decisions differ:\n  workers {w1}: {a}\n  workers {w2}: {b}"
    return None


def run_one(name, program, top, options):
    """None, or what went wrong and where the captures are."""
    v = suite.load()[name]
    results = []
    for n in v.workers if v.ends or options.all else v.workers[-1:]:
        directory = Path(top) / name.replace("/", ".") / f"workers-{n}"
        directory.mkdir(parents=True)
        c = case.Case(program, directory, v.family, v.mode, n)
        try:
            v.function(c)
            c.finish(n == v.workers[-1] and not v.heavy and (v.first or options.all))
            if c.result:
                results.append((n, c.decisions()))
        except (case.Failed, text.Bad) as e:
            c.leave_expected()
            return f"with {n} workers: {e}\n  captures, configuration, command: {directory}"
        except Exception:
            return f"with {n} workers: {traceback.format_exc()}  files: {directory}"
    wrong = difference(results) if len(results) == 2 else None
    if wrong:
        return f"{wrong}\n  captures, configuration, command: {directory.parent}"
    if not options.verbose:
        shutil.rmtree(directory.parent, ignore_errors=True)
    return None


def options():
    p = argparse.ArgumentParser(description="Replay cases: packets in, packets out.")
    p.add_argument("build", nargs="?", help="a build directory; the output is then TAP")
    p.add_argument("--replay", help="the program, in place of a build directory")
    p.add_argument("--case", action="append", default=[], help="only cases whose name contains this; may be repeated")
    p.add_argument("--all", action="store_true", default=os.environ.get("SLUICE_LONG") == "1",
                   help="every case with every number of workers, and twice")
    p.add_argument("--jobs", type=int, default=2 * len(os.sched_getaffinity(0)))
    p.add_argument("--list", action="store_true", help="only name the cases")
    p.add_argument("-v", "--verbose", action="store_true", help="say how long each took, keep the files of all")
    return p.parse_args()


def timed(*arguments):
    start = time.monotonic()
    return run_one(*arguments), time.monotonic() - start


def report(tap, verbose, name, wrong, seconds):
    if wrong is None:
        print(f"ok - {name}" if tap else f"ok {name}" + (f"  {seconds:.1f} s" if verbose else ""), flush=True)
        return
    first, *rest = wrong.splitlines()
    if tap:
        print(f"not ok - {name}", *(f"# {line}" for line in [first] + rest), sep="\n", flush=True)
    else:
        print(f"FAIL {name} {first}", *rest, sep="\n", flush=True)


def main():
    o = options()
    names = [n for n in suite.load() if not o.case or any(c in n for c in o.case)]
    names.sort(key=lambda n: not suite.load()[n].heavy)
    if o.list:
        print(*names, sep="\n")
        return 0
    program = o.replay or (o.build and str(Path(o.build) / "app/sluice-replay/sluice-replay"))
    if not program or not os.access(program, os.X_OK):
        print(f"run.py: no program to run: {program or 'give a build directory or --replay'}", file=sys.stderr)
        return 2
    top = tempfile.mkdtemp(prefix="sluice-replay-")
    failed = 0
    with concurrent.futures.ProcessPoolExecutor(o.jobs) as pool:
        jobs = {pool.submit(timed, n, os.path.abspath(program), top, o): n for n in names}
        for job in concurrent.futures.as_completed(jobs):
            wrong, seconds = job.result()
            failed += wrong is not None
            report(bool(o.build), o.verbose, jobs[job], wrong, seconds)
    if o.verbose and not o.build:
        print(f"files: {top}")
    elif not failed:
        os.rmdir(top) if not os.listdir(top) else None
    if not o.build:
        print(f"{len(names) - failed} passed, {failed} failed, 0 skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
