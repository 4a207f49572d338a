#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# What of a run's JSON is right or wrong on any machine, as TAP: each row's packets, drops and flows, never a time.
"""verdict.py FILE

A row that is not valid is a failure, unless it is so because of what Sluice is held against (testpmd did not start, or ended)."""
import json
import sys
from pathlib import Path

import tables


def line(row):
    if row["valid"]:
        return f"ok - {row['name']}"
    said = f"{row['name']}: {tables.fault(row)}"
    return f"# {said}" if row.get("fault_of") else f"not ok - {said}"


def main():
    rows = json.loads(Path(sys.argv[1]).read_text())["rows"]
    lines = [line(row) for row in rows] or ["not ok - no row was measured"]
    print(*lines, sep="\n")
    return any(text.startswith("not ok") for text in lines)


if __name__ == "__main__":
    sys.exit(main())
