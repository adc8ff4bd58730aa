"""What a reader is told of each violation in the fixtures: message, why it is that certain, what it follows from, its witness.

An expectation beside a fixture states what was broken; `data/told.txt` has the words and the lines of the proof.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from recorded import LOGS, Recorded, replayed

from mmlist.replay.facts import Violation


def told(log: Path) -> str:
    """All violations of a fixture, in words."""
    found = {fact.id: fact for fact in replayed(log)[0] if isinstance(fact, Violation)}
    return "".join(f"{line}\n" for one in found.values() for line in in_words(one, found))


def in_words(one: Violation, found: dict[int, Violation]) -> Iterator[str]:
    cause = (
        f", follows from {found[one.follows_from].code} ({one.follows_from})" if one.follows_from is not None else ""
    )
    yield f"{one.code} {one.certainty}, line {one.at.line}{cause}"
    yield f"  {one.message}"
    yield f"  {one.reason}"
    for step in one.witness:
        yield "    " + " | ".join(filter(None, (str(step.at.line), step.role, step.site, step.state, step.should)))


RECORDED = Recorded("told.txt", LOGS, told)
