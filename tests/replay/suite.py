# SPDX-License-Identifier: Apache-2.0
# The list of cases: a function with @case, once for each family and mode that it names.
import functools
import importlib
import itertools
import sys
from pathlib import Path

CASES = {}  # name: (function, {"family", "mode"}, workers)


def case(family=4, mode=None, workers=(1, 3)):
    """Register a function that plays one case. Tuples of families and modes make a case of each pair; each case runs
    with every number of workers and must come to the same decisions."""
    families = family if isinstance(family, tuple) else (family,)
    modes = mode if isinstance(mode, tuple) else (mode,)

    def register(function):
        topic = function.__module__.rpartition(".")[2]
        for f, m in itertools.product(families, modes):
            name = f"{topic}/{function.__name__}"
            name += f"-{m}" if len(modes) > 1 else ""
            name += f"-v{f}" if len(families) > 1 else ""
            assert name not in CASES, name
            CASES[name] = (function, {"family": f, "mode": m}, workers)
        return function
    return register


@functools.cache
def load():
    here = Path(__file__).resolve().parent
    sys.path.insert(0, str(here))
    for path in sorted((here / "cases").glob("*.py")):
        importlib.import_module(f"cases.{path.stem}")
    return CASES
