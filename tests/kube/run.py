# SPDX-License-Identifier: Apache-2.0
# Runs sluiced against a real Kubernetes control plane, with real traffic in network namespaces. Prints TAP, one line a test.
"""run.py --build DIR [--verbose] [--list] [PATTERN...]

PATTERN is a part of "bed: test". --verbose prints the drawing and every command."""
import sys
from pathlib import Path

sys.dont_write_bytecode = True
here = Path(__file__).resolve().parent
sys.path[:0] = [str(here), str(here.parents[1] / "tools")]
import tap  # noqa: E402

if __name__ == "__main__":
    sys.exit(tap.main(here, __doc__))
