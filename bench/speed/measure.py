"""Runs programs side by side: one run of each in every turn, so that what else the machine does falls on all alike."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from speed.contenders import Contender
from speed.logs import environment
from speed.results import Row, Sample

Say = Callable[[str], None]

_FOLDERS = re.compile(r"(?<!\S)(?:/[^\s/]+)+/")
"""Of this machine: no matter of the page's."""


class Failure(Exception):
    """A program that did not do what it was asked."""


def run(contender: Contender) -> Sample:
    """One run in an empty folder of its own. Raises Failure."""
    clock = [sys.executable, "-I", "-S", str(Path(__file__).with_name("clock.py"))]
    with tempfile.TemporaryDirectory() as folder:
        found = subprocess.run(
            [*clock, *contender.command], cwd=folder, env=environment(), stdout=subprocess.PIPE, check=True
        )
    told = json.loads(found.stdout)
    if told["exit"] not in contender.fine:
        raise Failure(f"exit {told['exit']}: {_FOLDERS.sub('', told['said'])[:120]}")
    return Sample(told["wall"], told["cpu"], told["peak"])


def side_by_side(contenders: list[Contender], turns: int, say: Say) -> list[Row]:
    """Each of `contenders` once a turn; who fails is left out of the rest."""
    rows = [Row(one.name, one.does, [], one.lacking) for one in contenders]
    for turn in range(turns):
        for one, row in zip(contenders, rows, strict=True):
            if row.lacking:
                continue
            try:
                row.samples.append(run(one))
            except Failure as failure:
                row.lacking, row.samples = f"fails: {failure}", []
                say(f"  {one.name}: {row.lacking}")
            else:
                say(f"  turn {turn + 1}: {one.name:24} {row.samples[-1].wall:8.3f} s")
    return rows
