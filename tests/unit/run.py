# SPDX-License-Identifier: Apache-2.0
# Runs meson's tests of a build directory and prints each test case (not only each program) as a line of TAP.
"""usage: run.py BUILD_DIR JOBS"""
import json
import subprocess
import sys
import xml.etree.ElementTree as xml
from pathlib import Path


def cases(suite):
    """(name, what went wrong or None, why skipped or None) of each test case."""
    for case in suite.iter("testcase"):
        wrong = next((case.find(tag) for tag in ("failure", "error") if case.find(tag) is not None), None)
        skipped = case.find("skipped")
        yield (
            f"{suite.get('name')}: {case.get('name')}",
            None if wrong is None else (wrong.get("message") or wrong.text or ""),
            None if skipped is None else (skipped.get("message") or "no reason given"),
        )


def main():
    build, jobs = Path(sys.argv[1]), sys.argv[2]
    logs = build / "meson-logs"
    for name in ("testlog.junit.xml", "testlog.json"):
        (logs / name).unlink(missing_ok=True)
    run = subprocess.run(
        ["meson", "test", "-C", str(build), "--no-rebuild", "--suite", "unit", "--num-processes", jobs],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if not (logs / "testlog.junit.xml").exists():
        if "No tests defined" in run.stdout or "No suitable tests defined" in run.stdout:
            return 0
        print(run.stdout)
        return run.returncode or 1

    broken = set()  # programs of which a failed case is named
    for suite in xml.parse(logs / "testlog.junit.xml").getroot().iter("testsuite"):
        for name, wrong, skipped in cases(suite):
            if wrong is not None:
                broken.add(suite.get("name"))
                print(f"not ok - {name}")
            elif skipped is not None:
                print(f"ok - {name} # SKIP {skipped}")
            else:
                print(f"ok - {name}")
    for line in (logs / "testlog.json").read_text().splitlines():
        result = json.loads(line)
        if result["result"] in ("OK", "SKIP", "EXPECTEDFAIL"):
            continue
        if not any(result["name"].endswith(name.split(".")[-1]) or name.endswith(result["name"]) for name in broken):
            print(f"not ok - {result['name']}: {result['result'].lower()}, status {result.get('returncode')}")
        for text in (result.get("stdout", "") + result.get("stderr", "")).splitlines()[-40:]:
            if not text.startswith("ok "):
                print(f"# {text}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
