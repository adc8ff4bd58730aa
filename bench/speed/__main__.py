"""Measure mmlist side by side with other programs, and write docs/bench.md and docs/bench.svg.

    make bench                              # all parts, 10^6 lines; the logs are built first
    make bench ARGS="--lines 10000000 --mix sparse --part main --keep"
    make bench FILE=trace.txt.gz            # a log of yours: printed, nothing is written

Parts: main (each mix: floor, scripts, libraries, mmlist), short (10^5 lines: trappy, LISA), forms (the same events in each
form of log), growth (twice the lines; peak memory), start (ten lines), stages. TRACE_PROCESSOR=path adds Perfetto's.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

from mmlist.replay.errors import MmlistError
from speed import page, parts, results
from speed.cases import FORMS, MAIN, QUICK
from speed.logs import ROOT

KEPT = ROOT / ".bench" / "results.json"


def main() -> None:
    """Measure, print, write the page."""
    given = _given()
    asked = parts.Asked(
        lines=QUICK if given.quick else given.lines,
        growth=QUICK if given.quick else given.growth or given.lines,
        turns=1 if given.quick else given.turns,
        mixes=tuple(given.mix or (MAIN[:1] if given.quick else MAIN)),
        form=given.form,
        quick=given.quick,
    )
    if given.log:
        _own(given.log, asked)
        return
    found = results.load(KEPT) if given.keep and not given.quick else results.Results()
    found.machine, found.version, found.turns = page.machine(), page.version(), asked.turns
    for name in given.part or (("main",) if given.quick else parts.PARTS):
        parts.PARTS[name](asked, found, _say)
        if not given.quick:
            results.save(found, KEPT)
    for log in given.also:
        found.add(_measured(log, asked))
    if given.also and not given.quick:
        results.save(found, KEPT)
    for path in page.write(found, given.output):
        print(path.relative_to(ROOT) if path.is_relative_to(ROOT) else path)


def _own(logs: list[Path], asked: parts.Asked) -> None:
    found = results.Results(machine=page.machine(), version=page.version(), turns=asked.turns)
    for log in logs:
        table = _measured(log, asked)
        found.add(table)
        print("\n".join(page.table(table)))


def _measured(log: Path, asked: parts.Asked) -> results.Table:
    with tempfile.TemporaryDirectory() as folder:
        return parts.own(log, Path(folder), asked, _say)


def _given() -> argparse.Namespace:
    parser = argparse.ArgumentParser("bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("log", nargs="*", type=Path, help="logs of yours: only these, and no page")
    parser.add_argument("--lines", type=int, default=10**6, help="of each log (10^5 to 10^7; default 10^6)")
    parser.add_argument("--growth", type=int, default=0, help="of the longer log of part growth (default: --lines)")
    parser.add_argument("--turns", type=int, default=3, help="runs of each program, in turns (default 3)")
    parser.add_argument("--mix", action="append", choices=MAIN, help="only this mix (repeatable)")
    parser.add_argument("--form", choices=FORMS, help="instead of each mix's own")
    parser.add_argument("--part", action="append", choices=list(parts.PARTS), help="only this part (repeatable)")
    parser.add_argument(
        "--also", action="append", default=[], type=Path, help="a log of yours, on the page (repeatable)"
    )
    parser.add_argument("--keep", action="store_true", help="keep on the page what was measured before, and is not now")
    parser.add_argument("--quick", action="store_true", help=f"whether it works: {QUICK:,} lines, one turn")
    parser.add_argument("-o", "--output", type=Path, default=ROOT / "docs", help="folder of the page and the plot")
    return parser.parse_args()


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    try:
        main()
    except (MmlistError, OSError, subprocess.CalledProcessError) as error:
        sys.exit(f"bench: {error}")
