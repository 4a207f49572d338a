# SPDX-License-Identifier: Apache-2.0
# The list of cases: a function with @case, once for each family and mode that it names.
import collections
import functools
import importlib
import itertools
import sys
from pathlib import Path

Variant = collections.namedtuple("Variant", "function family mode workers ends first heavy")
CASES = {}  # name: Variant


def case(family=4, mode=None, workers=(1, 3), heavy=False):
    """Register a function that plays one case. Tuples of families and modes make a case of each pair.

    The first and the last of them run with each number of workers and must come to the same decisions; those between
    run with the last number only. The first one runs a second time, through the stages alone, and must give equal bytes.
    (With --all each does all of that.) A heavy one begins early."""
    families = family if isinstance(family, tuple) else (family,)
    modes = mode if isinstance(mode, tuple) else (mode,)

    def register(function):
        topic = function.__module__.rpartition(".")[2]
        pairs = list(itertools.product(families, modes))
        for i, (f, m) in enumerate(pairs):
            name = f"{topic}/{function.__name__}"
            name += f"-{m}" if len(modes) > 1 else ""
            name += f"-v{f}" if len(families) > 1 else ""
            assert name not in CASES, name
            CASES[name] = Variant(function, f, m, workers, i in (0, len(pairs) - 1), i == 0, heavy)
        return function
    return register


@functools.cache
def load():
    here = Path(__file__).resolve().parent
    sys.path.insert(0, str(here))
    for path in sorted((here / "cases").glob("*.py")):
        importlib.import_module(f"cases.{path.stem}")
    return CASES
