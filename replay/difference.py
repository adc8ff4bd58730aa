"""Two replays held against each other: where their histories part, and which violations are new, gone or changed.

Two runs of one log (under two profiles, or before and after a change of mmlist) are compared line by line. Two logs have
other addresses and lines: what happened is compared in its order, without them, and violations by their signature.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from itertools import zip_longest

import msgspec

from mmlist.replay import facts as f

_STRENGTH = {"undecided": 0, "likely": 1, "proven": 2}


class Step(msgspec.Struct, frozen=True):
    """A join, a removal or a violation: what happened, at which line (0: before the log), to which mm (None: a violation)."""

    line: int
    what: str
    mm: int | None = None

    def text(self, name: str) -> str:
        """For people."""
        who = "" if self.mm is None else f"mm {self.mm:#x} "
        return f"{name}:{self.line}: {who}{self.what}"


class Replayed(msgspec.Struct):
    """One side: what a replay told that is compared. `sha256` is the log's."""

    name: str
    sha256: str
    profile: str
    verdict: str
    checked: set[str]
    steps: list[Step]
    violations: list[f.Violation]


class Changed(msgspec.Struct):
    """A kind of violation that both have: certainty and number on either side."""

    signature: str
    before: tuple[str, int]
    after: tuple[str, int]


class Difference(msgspec.Struct):
    """What is otherwise. `first` are the first steps that differ, None where one side has no more."""

    one: Replayed
    other: Replayed
    first: tuple[Step | None, Step | None] | None
    gone: list[f.Violation]
    new: list[f.Violation]
    changed: list[Changed]

    @property
    def same(self) -> bool:
        """Whether nothing differs."""
        verdicts = self.one.verdict == self.other.verdict and self.one.checked == self.other.checked
        return verdicts and self.first is None and not (self.gone or self.new or self.changed)


def gathered(name: str, facts: Iterable[f.Fact]) -> Replayed:
    """What is compared of a history's `facts`, `Run` among them."""
    steps: list[tuple[int, Step]] = []
    violations: list[f.Violation] = []
    checked: set[str] = set()
    run: f.Run | None = None
    for fact in facts:
        if isinstance(fact, f.Membership):
            steps.append((fact.joined_seq, Step(fact.joined_line or 0, f"joins by {fact.joined_by}", fact.mm)))
            if fact.left_line is not None:
                steps.append((fact.left_seq or 0, Step(fact.left_line, f"leaves by {fact.left_by}", fact.mm)))
        elif isinstance(fact, f.Violation):
            violations.append(fact)
            steps.append((fact.at.seq, Step(fact.at.line, f"{fact.code} {fact.slug}")))
        elif isinstance(fact, f.Checked) and fact.status == "checked":
            checked.add(fact.code)
        elif isinstance(fact, f.Run):
            run = fact
    assert run is not None, "a history ends with its run"
    steps.sort(key=lambda step: (step[0], step[1].what, step[1].mm or 0))
    told = [step for _, step in steps]
    return Replayed(name, run.sha256, run.profile, run.verdict, checked, told, violations)


def compare(one: Replayed, other: Replayed) -> Difference:
    """What is otherwise in `other`: of one log with lines and addresses, of two without."""
    lines = one.sha256 == other.sha256
    first = None
    for mine, its in zip_longest(one.steps, other.steps):
        if mine is None or its is None or mine.what != its.what or (lines and mine != its):
            first = (mine, its)
            break
    before, after = _kinds(one, lines=lines), _kinds(other, lines=lines)
    changed = [
        Changed(before[key][0].signature, _summary(before[key]), _summary(after[key]))
        for key in before
        if key in after and _summary(before[key]) != _summary(after[key])
    ]
    gone = [found[0] for key, found in before.items() if key not in after]
    new = [found[0] for key, found in after.items() if key not in before]
    return Difference(one, other, first, gone, new, changed)


def _kinds(one: Replayed, *, lines: bool) -> dict[str, list[f.Violation]]:
    found: dict[str, list[f.Violation]] = {}
    for violation in one.violations:
        key = f"{violation.code} {violation.at.line}" if lines else violation.signature
        found.setdefault(key, []).append(violation)
    return found


def _summary(violations: list[f.Violation]) -> tuple[str, int]:
    best = max((one.certainty for one in violations), key=_STRENGTH.__getitem__)
    return best, Counter(one.certainty for one in violations).total()
