"""Texts of what replays of the fixtures yield, in one file, to be looked through as a diff when a change is meant.

`ACCEPT=1 make test ARGS="-n 0 -k recorded"` writes the files anew.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mmlist import expectation
from mmlist.replay import facts as f
from mmlist.replay import history
from mmlist.replay.facts import Fact
from mmlist.replay.history import replay
from mmlist.replay.invariants.base import Finding, Invariant
from mmlist.replay.judge import Judge
from mmlist.replay.log import Log
from mmlist.replay.mapfile import load as load_map
from mmlist.replay.model.changes import Change
from mmlist.replay.options import Options

DATA = Path(__file__).parent / "data"
FIXTURES = Path(__file__).parent.parent / "fixtures"
KINDS = (f.Violation, f.Life, f.Membership, f.Holding, f.SwapArea, f.Swapoff)
LONG = ".xz"  # what these show stands in shorter ones too
LOGS = [log for log in expectation.fixtures(FIXTURES) if log.suffix != LONG and log.parent.name != "unreadable"]


def name(log: Path) -> str:
    """What a fixture is called in these files."""
    return log.relative_to(FIXTURES).as_posix()


def options_of(log: Path) -> Options:
    """The options that a fixture's expectation states."""
    stated = expectation.load(expectation.expectation_of(log))
    options: dict[str, Any] = dict(stated.get("options", {}))
    if "map" in options:
        options["mapping"] = load_map(log.with_name(options.pop("map")))
    for key in ("select", "ignore", "require"):
        options[key] = frozenset(options.get(key, ()))
    return Options(profile=stated.get("profile", "auto"), **options)


@functools.cache
def replayed(log: Path) -> tuple[list[Fact], list[tuple[str, Finding]]]:
    """What a replay of a fixture yields."""
    return replay_of(log, options_of(log))


def replay_of(
    log: Path, options: Options, kinds: tuple[type[Fact], ...] = KINDS, hear: Callable[[Change], None] | None = None
) -> tuple[list[Fact], list[tuple[str, Finding]]]:
    """What a replay yields of `kinds`, and the findings behind it.

    With `hear`, all that the model answers is told to it, and tied lines are not tried in all orders.
    """
    findings: list[tuple[str, Finding]] = []
    add, judge = Judge._add, Judge.judge

    def tell(self: Judge, invariant: Invariant, finding: Finding) -> None:
        findings.append((invariant.code, finding))
        add(self, invariant, finding)

    def judged(self: Judge, changes: list[Change]) -> None:
        for change in changes:
            if hear is not None:
                hear(change)
        judge(self, changes)

    with pytest.MonkeyPatch.context() as patch, Log.open(str(log)) as opened:
        patch.setattr(Judge, "_add", tell)
        if hear is not None:
            patch.setattr(history, "MOST_LINES", 0)
            patch.setattr(Judge, "judge", judged)
        return [fact for fact in replay(opened, options) if isinstance(fact, kinds)], findings


def opened_lines(log: Path) -> list[str]:
    """The lines of a fixture, unpacked, but what is no text."""
    with Log.open(str(log)) as opened:
        return b"".join(block.data for block in opened.blocks()).decode("utf-8", "replace").splitlines()


class Recorded:
    """A file of sections, one a fixture."""

    def __init__(self, file: str, logs: list[Path], text: Callable[[Path], str]) -> None:
        self.path = DATA / file
        self.logs = frozenset(logs)
        self.text = text
        if os.environ.get("ACCEPT"):
            write(self.path, {name(log): words for log in logs if (words := text(log))})
        self.sections = sections(self.path)

    def check(self, log: Path) -> None:
        """Assert that a replay yields what stands there."""
        assert self.text(log).rstrip("\n") == self.sections.get(name(log), "").rstrip("\n")


def sections(path: Path) -> dict[str, str]:
    """The texts of such a file, by name."""
    parts = path.read_text("utf-8").split("\n== ")[1:]
    return {part.partition("\n")[0]: part.partition("\n")[2] for part in parts}


def write(path: Path, texts: dict[str, str]) -> None:
    """Write such a file."""
    every = "".join(f"\n== {name}\n{words}" for name, words in texts.items())
    path.write_text(f"# Written by the tests, see recorded.py.\n{every}", "utf-8")
