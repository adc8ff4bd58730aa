"""Logs that nobody would write: fixtures and simulated logs, damaged by dice, and what replays of them yield, in digests.

Fixtures show one thing each, in a log that is whole. What the model does where several meet (a tie beside a loss, a look that
comes late, an event that the log does not carry) is shown by chance: a variant is a log and a number, which seeds what is done
to it. A record of it says nothing of whether that is right: it says that a change of the model changed it.

    python tests/variants.py "violating/double-join.trace 7"     prints the log, and all that its replay yields
"""

from __future__ import annotations

import hashlib
import re
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from random import Random
from typing import TypeVar

from model_facts import in_short as model_in_short
from msgspec import Struct
from recorded import FIXTURES, KINDS, opened_lines, options_of, replay_of
from rested_on import in_short as finding_in_short

from mmlist.replay.errors import MmlistError
from mmlist.replay.facts import Run, Violation
from mmlist.replay.model.changes import Change
from mmlist.replay.model.mm import Mm
from mmlist.replay.options import Options
from mmlist.replay.record import At
from mmlist.replay.simulate import BUGS, PROFILES, Settings, Simulation

SIMULATED = {"simulated": 2, "probed": 4}
"""Names of logs that are no fixtures, and how often they are damaged at most; what is probed is of a modern kernel."""

LINES = 120
OMITTED = (
    "mmlist_add",
    "mmlist_del",
    "mmlist_drain",
    "swap_free",
    "swap_clear",
    "exit_mmap",
    "mm_free",
    "unuse_mm",
    "mmget",
)
_TIME = re.compile(r"(?<= )(\d+\.\d{6})(?=: )")
_NAME = re.compile(r"(?<=: )\w+(?=: )")
_ADDRESS = re.compile(r"\b(?:0x)?[0-9a-f]{8,16}\b(?!:)")
_VALUE = re.compile(r"(?<==)\d{1,4}\b")

Lines = list[str]
T = TypeVar("T")


class Dice:
    """Random numbers that are the same in every version of Python."""

    def __init__(self, name: str) -> None:
        self.random = Random(int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "big")).random

    def below(self, limit: int) -> int:
        return int(self.random() * limit)

    def one(self, of: Sequence[T]) -> T:
        return of[self.below(len(of))]


def coarse(lines: Lines, dice: Dice) -> Lines:
    """A clock that sees but tens or hundreds of microseconds."""
    digits = 1 + dice.below(2)
    return [_TIME.sub(lambda match: match[1][:-digits] + "0" * digits, line) for line in lines]


def lost(lines: Lines, dice: Dice) -> Lines:
    """Some lines are lost, and the log says so."""
    start, count = place(lines, dice), 1 + dice.below(5)
    return [*lines[:start], f"CPU:{dice.below(2)} [LOST {count} EVENTS]", *lines[start + count :]]


def missing(lines: Lines, dice: Dice) -> Lines:
    """A line is not there, and nothing says so."""
    start = place(lines, dice)
    return [*lines[:start], *lines[start + 1 :]]


def doubled(lines: Lines, dice: Dice) -> Lines:
    """A line stands there twice."""
    start = place(lines, dice)
    return [*lines[: start + 1], *lines[start:]]


def exchanged(lines: Lines, dice: Dice) -> Lines:
    """A line comes some lines later than it should, at the time of what stood there."""
    start, by = place(lines, dice), 1 + dice.below(4)
    there = lines[start + by] if start + by < len(lines) else ""
    first, second = _TIME.search(lines[start]), _TIME.search(there)
    if first is None or second is None:
        return lines
    moved = [_TIME.sub(first[1], there), *lines[start + 1 : start + by], _TIME.sub(second[1], lines[start])]
    return [*lines[:start], *moved, *lines[start + by + 1 :]]


def without(lines: Lines, dice: Dice) -> Lines:
    """A log that does not carry some event."""
    found = _NAME.search(lines[place(lines, dice)])
    return lines if found is None else [line for line in lines if f": {found[0]}: " not in line]


def mistaken(lines: Lines, dice: Dice) -> Lines:
    """A line speaks of another mm or place."""
    start, other = place(lines, dice), _ADDRESS.search(lines[place(lines, dice)])
    return lines if other is None else changed(lines, start, lambda line: _ADDRESS.sub(other[0], line, count=1))


def miscounted(lines: Lines, dice: Dice) -> Lines:
    """A value is another."""
    value = str(dice.below(4))
    return changed(lines, place(lines, dice), lambda line: _VALUE.sub(value, line, count=1))


def cut(lines: Lines, dice: Dice) -> Lines:
    """The log begins later."""
    head = next((index for index, line in enumerate(lines) if _TIME.search(line)), 0)
    return [*lines[:head], *lines[head + dice.below(max(1, (len(lines) - head) // 2)) :]]


DAMAGE: list[Callable[[Lines, Dice], Lines]] = [
    *(coarse, coarse, lost, missing, missing, doubled, exchanged, exchanged, without, mistaken, miscounted, cut)
]


def place(lines: Lines, dice: Dice) -> int:
    """Where an event stands."""
    found = [index for index, line in enumerate(lines) if _TIME.search(line)]
    return dice.one(found or range(len(lines)))


def changed(lines: Lines, index: int, how: Callable[[str], str]) -> Lines:
    return [*lines[:index], how(lines[index]), *lines[index + 1 :]]


def settings_of(dice: Dice, *, probed: bool) -> Settings:
    """Some simulated kernel."""
    profile = "modern" if probed else dice.one(PROFILES)
    view = dice.one(("probes", "both")) if probed else "explicit"
    bugs = [bug for bug in BUGS.values() if profile in bug.profiles and view in bug.views]
    bug = dice.one([None, *bugs])
    return Settings(
        profile=profile,
        seed=dice.below(1000),
        lines=LINES * (2 if bug is not None and bug.rare else 1),
        cpus=1 + dice.below(4),
        tasks=2 + dice.below(5),
        areas=1 + dice.below(3),
        view=view,
        ties=dice.one((0.0, 0.2, 0.6)),
        loss=dice.one((0.0, 0.0, 0.02)),
        locks=bug.locks if bug is not None else dice.random() < 0.2,
        omit=frozenset(name for name in OMITTED if dice.random() < 0.07),
        pace=bug.pace if bug is not None else 12,
        bug=None if bug is None else bug.name,
    )


def made(name: str) -> tuple[Lines, Options]:
    """The log of a variant, and how it is replayed."""
    base, _, _ = name.partition(" ")
    dice = Dice(name)
    if base in SIMULATED:
        settings = settings_of(dice, probed=base == "probed")
        lines, options = list(Simulation(settings).lines()), Options(profile=settings.profile)
        times = dice.below(1 + SIMULATED[base])
    else:
        lines, options = opened_lines(FIXTURES / base), options_of(FIXTURES / base)
        times = 1 + dice.below(4)
    for _ in range(times):
        lines = dice.one(DAMAGE)(lines, dice)
    return lines, options


def yielded(name: str) -> Iterator[tuple[str, str]]:
    """What the replay of a variant yields: a kind, and a line of text."""
    log, options = made(name)
    changes: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "log.trace")
        path.write_text("\n".join(log) + "\n", "utf-8")
        try:
            facts, findings = replay_of(
                path, options, (*KINDS, Run), lambda change: changes.append(change_in_short(change))
            )
        except MmlistError as error:
            yield "error", str(error).replace(folder, "")
            return
    run = facts.pop()
    assert isinstance(run, Run)
    yield from (("change", change) for change in changes)
    yield "run", f"{run.verdict}, compared {run.compared}, differing {run.differing}"
    found = {fact.id: fact for fact in facts if isinstance(fact, Violation)}
    for fact in facts:
        if isinstance(fact, Violation):
            cause = "" if fact.follows_from is None else f" from {found[fact.follows_from].code}"
            lines = [step.at.line for step in fact.witness]
            yield "violation", f"{fact.code} {fact.certainty} {fact.at.line} {lines}{cause}"
        else:
            yield type(fact).__name__.lower(), f"{model_in_short(fact)} {getattr(fact, 'generation', '')}"
    yield from (("finding", f"{code} {finding_in_short(finding)}") for code, finding in findings)


def change_in_short(change: Change) -> str:
    """What the model answers, by the names of its fields; an mm by its address, a line by its number."""
    return f"{type(change).__name__} " + " ".join(plain(getattr(change, name)) for name in change.__struct_fields__)


def plain(value: object) -> str:
    if isinstance(value, At):
        return f"@{value.line}"
    if isinstance(value, Mm):
        return f"{value.address:x}.{value.generation}"
    if isinstance(value, list | tuple):
        return "[" + ",".join(map(plain, value)) + "]"
    if value is None or isinstance(value, int | str | bytes):
        return repr(value)
    if isinstance(value, Struct):
        return f"{type(value).__name__}({','.join(plain(getattr(value, name)) for name in value.__struct_fields__)})"
    return f"{type(value).__name__}{plain(getattr(value, 'at', None))}"


def digests(name: str) -> str:
    """A line for each kind: how many lines of text, and their digest."""
    texts: dict[str, list[str]] = {}
    for kind, line in yielded(name):
        texts.setdefault(kind, []).append(line)
    return "".join(
        f"{kind} {len(of)} {hashlib.sha256(chr(10).join(of).encode()).hexdigest()[:10]}\n"
        for kind, of in sorted(texts.items())
    )


if __name__ == "__main__":
    print("\n".join(made(sys.argv[1])[0]))
    for kind, line in yielded(sys.argv[1]):
        print(f"{kind}: {line}")
