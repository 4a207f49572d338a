# SPDX-License-Identifier: Apache-2.0
# Runs meson's unit tests of a build directory and prints each test case (not only each program) as a line of TAP.
"""usage: run.py BUILD_DIR JOBS"""
import json
import re
import subprocess
import sys
from pathlib import Path

LINE = re.compile(r"^(ok|not ok) \d+(?: -)?(.*?)(?:# SKIP(.*))?$")


def report(result):
    """One program's cases. A program that ends badly without a failed case is a failed case itself."""
    name, text = result["name"], result.get("stdout", "")
    bad = result["result"] not in ("OK", "SKIP", "EXPECTEDFAIL")
    named = skipped = False
    for line in text.splitlines():
        found = LINE.match(line)
        if not found:
            continue
        verdict, case, skip = found.groups()
        if skip is not None:  # cmocka 1.1 says "not ok" here
            print(f"ok - {name}: {case.strip() or skip.strip()} # SKIP by the test itself")
            skipped = True
        else:
            named |= verdict == "not ok"
            print(f"{verdict} - {name}: {case.strip()}")
    if skipped and not named and result.get("returncode") == 0:
        return
    if bad and not named:
        print(f"not ok - {name}: {result['result'].lower()}, status {result.get('returncode')}")
    if bad:
        for line in (text + result.get("stderr", "")).splitlines()[-50:]:
            if not line.startswith("ok "):
                print(f"# {line}")


def main():
    build, jobs = Path(sys.argv[1]), sys.argv[2]
    log = build / "meson-logs" / "testlog.json"
    log.unlink(missing_ok=True)
    run = subprocess.run(
        ["meson", "test", "-C", str(build), "--no-rebuild", "--suite", "unit", "--num-processes", jobs],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if not log.exists():
        print(*("# " + line for line in run.stdout.splitlines()), sep="\n")
        return 0 if "No tests defined" in run.stdout else 1
    for line in log.read_text().splitlines():
        report(json.loads(line))
    return 0


if __name__ == "__main__":
    sys.exit(main())
