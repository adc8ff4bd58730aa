"""What a reader is told of each violation in the fixtures: message, why it is that certain, what it follows from, its witness.

An expectation beside a fixture states what was broken; `tests/data/told.txt` has the words and the lines of the proof, for
all fixtures. Where a change is meant to change them: `ACCEPT=1 make test ARGS="-k told"` writes it anew; look at the diff.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mmlist import expectation
from mmlist.replay.facts import Violation, Witness
from mmlist.replay.history import replay
from mmlist.replay.log import Log
from mmlist.replay.mapfile import load as load_map
from mmlist.replay.options import Options

ROOT = Path(__file__).parent.parent
TOLD = Path(__file__).parent / "data" / "told.txt"
SLOW = ".xz"  # long logs, packed well: each one's violation stands in another fixture too
LOGS = [
    log for log in expectation.fixtures(ROOT / "fixtures") if log.suffix != SLOW and log.parent.name != "unreadable"
]


def name(log: Path) -> str:
    return log.relative_to(ROOT / "fixtures").as_posix()


def told(log: Path) -> str:
    """All violations of a fixture, in words."""
    stated = expectation.load(expectation.expectation_of(log))
    options: dict[str, Any] = dict(stated.get("options", {}))
    if "map" in options:
        options["mapping"] = load_map(log.with_name(options.pop("map")))
    for key in ("select", "ignore", "require"):
        options[key] = frozenset(options.get(key, ()))
    with Log.open(str(log)) as opened:
        facts = list(replay(opened, Options(profile=stated.get("profile", "auto"), **options)))
    found = {fact.id: fact for fact in facts if isinstance(fact, Violation)}
    return "".join(f"{line}\n" for one in found.values() for line in in_words(one, found))


def in_words(one: Violation, found: dict[int, Violation]) -> Iterator[str]:
    cause = found[one.follows_from].code if one.follows_from is not None else None
    yield f"{one.code} {one.certainty}, line {one.at.line}" + (
        f", follows from {cause} ({one.follows_from})" if cause else ""
    )
    yield f"  {one.message}"
    yield f"  {one.reason}"
    for line in one.witness:
        yield "    " + " | ".join(filter(None, of_line(line)))


def of_line(line: Witness) -> tuple[str, ...]:
    return str(line.at.line), line.role, line.site, line.state, line.should


def sections() -> dict[str, str]:
    parts = TOLD.read_text("utf-8").split("\n== ")[1:] if TOLD.exists() else []
    return {part.partition("\n")[0]: part.partition("\n")[2] for part in parts}


KNOWN = sections()


@pytest.mark.parametrize("log", LOGS, ids=name)
def test_a_violation_is_told_with_its_proof(log: Path) -> None:
    if os.environ.get("ACCEPT"):
        pytest.skip("written anew")
    assert told(log).rstrip("\n") == KNOWN.get(name(log), "").rstrip("\n")


def test_what_is_told_is_of_fixtures_that_are_there() -> None:
    if os.environ.get("ACCEPT"):
        every = "".join(f"\n== {name(log)}\n{words}" for log in LOGS if (words := told(log)))
        TOLD.write_text(f"# Written by tests/test_told.py.\n{every}", "utf-8")
    assert sorted(set(sections()) - set(map(name, LOGS))) == []
