"""Draw mutants of the model and the invariants, try each against the tests, say which survive.

make mutation ARGS="--seed 4 --sample 200"
make mutation ARGS="--seed 4 --sample 200 --in replay/model --tests tests/test_dumb_model.py"
"""

from __future__ import annotations

import argparse
import os
import random
import sys
import time
from collections import Counter

os.environ["MMLIST_SOURCES"] = "1"

import pytest

from mutation.mutants import FOLDERS, ROOT, Mutant, every
from mutation.suite import Suite, in_turns

QUICK = [
    *("recorded", "fixtures", "invariants", "swapoffs", "swapoff_over", "locks", "model", "bind", "judge", "at"),
    *("explain", "survey", "ties", "mmlist", "variants"),
]
"""Tests of the model and what is around it that take seconds together."""


def drawn(given: argparse.Namespace) -> list[Mutant]:
    """The sample: of all that is not prose, by seed."""
    mutants = [mutant for mutant in every() if mutant.path.startswith(given.folder)]
    tried = [mutant for mutant in mutants if not mutant.prose]
    print(f"{len(mutants)} mutants, {len(mutants) - len(tried)} of them of prose: not tried")
    return random.Random(given.seed).sample(tried, min(given.sample, len(tried)))


def main() -> int:
    """Try the sample."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sample", type=int, default=200, help="how many mutants")
    parser.add_argument("--seed", type=int, default=0, help="of the sample")
    parser.add_argument("--in", dest="folder", default="replay/", help="only of files whose path begins so")
    parser.add_argument("--tests", nargs="*", default=[f"tests/test_{name}.py" for name in QUICK])
    parser.add_argument("--jobs", type=int, default=1)
    given = parser.parse_args()
    mutants = drawn(given)

    def trials(suite: Suite) -> None:
        start = time.perf_counter()
        early = [one for one in mutants if (one.path, one.line) in suite.early]
        print(f"{len(early)} mutants of the sample are of functions that run on import")
        killed: Counter[str] = Counter()
        tried: Counter[str] = Counter()
        starts = ((mutant, suite.start(mutant)) for mutant in mutants)
        for number, (mutant, killer) in enumerate(in_turns(starts, given.jobs), 1):
            folder = next(folder for folder in FOLDERS if mutant.path.startswith(folder))
            tried[folder] += 1
            killed[folder] += bool(killer)
            if killer:
                suite.killers[mutant.path, killer] += 1
            else:
                reach = "" if suite.tests_of(mutant) else " (no test comes there)"
                print(f"{number}. survived{reach}: {mutant.diff()}", flush=True)
        for folder, count in tried.items():
            print(f"{folder}: {killed[folder]} of {count} killed ({killed[folder] / count:.1%})")
        print(f"{time.perf_counter() - start:.0f} s")

    os.chdir(ROOT)
    options = ["-q", "-s", "-p", "no:cacheprovider", "-n", "0", "-o", "tmp_path_retention_policy=none"]
    return int(pytest.main([*options, *given.tests], plugins=[Suite(trials)]))


if __name__ == "__main__":
    sys.exit(main())
