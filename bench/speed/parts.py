"""The parts of the benchmark: which programs run on which logs."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec

from speed.cases import FORMS, MIXES, SHORT, Case
from speed.contenders import MMLIST, PEERS, Contender, field, floor, frames, mmlist, peers_python
from speed.logs import KEPT, build, counted, environment, head, unpacked
from speed.measure import Say, side_by_side
from speed.results import Results, Stages, Table

PYTHON = "python -c pass"
TEN = 10
_PACKED = "mmlist, the log as it is packed"
_FRAMES_TAKE = 150_000
"""Lines of a log that trappy and LISA are still asked to read."""


class Asked(msgspec.Struct, frozen=True):
    """What the user asked for. `form`: instead of each mix's own. `quick`: nothing but the floor, a script and mmlist."""

    lines: int
    growth: int
    turns: int
    mixes: tuple[str, ...]
    form: str | None = None
    quick: bool = False

    def case(self, mix: str, lines: int | None = None) -> Case:
        """The log of `mix` in the form asked for."""
        return Case(mix, self.form or MIXES[mix].form, lines or self.lines)


def main(asked: Asked, found: Results, say: Say) -> None:
    """Each mix, read by all."""
    python = None if asked.quick else peers_python()
    for mix in asked.mixes:
        case = asked.case(mix)
        log = _built(case, say)
        others = list(field(log, python))[: 1 if asked.quick else None]
        found.add(_table("main", case, log, [*floor(log), *others, mmlist(log)], asked.turns, say))


def short(asked: Asked, found: Results, say: Say) -> None:
    """What makes DataFrames. trappy reads no text with brackets in it, so the events are explicit."""
    case = Case("explicit", "trace_cmd", min(SHORT, asked.lines))
    log = _built(case, say)
    every = [*floor(log), *frames(log, peers_python()), mmlist(log)]
    found.add(_table("short", case, log, every, asked.turns, say))


def forms(asked: Asked, found: Results, say: Say) -> None:
    """The same events in each form."""
    for form in FORMS:
        case = Case("ours", form, min(SHORT, asked.lines))
        log = _built(case, say)
        found.add(_table("forms", case, log, [*floor(log)[:1], mmlist(log)], asked.turns, say))


def growth(asked: Asked, found: Results, say: Say) -> None:
    """Each mix at half the length and at the whole one."""
    for mix in asked.mixes:
        for lines in (asked.growth // 2, asked.growth):
            case = asked.case(mix, lines)
            log = _built(case, say)
            found.add(_table("growth", case, log, [*floor(log)[:1], mmlist(log)], asked.turns, say))


def start(asked: Asked, found: Results, say: Say) -> None:
    """What a run takes that has next to nothing to do."""
    case = Case("explicit", "tracefs", TEN)
    log = head(_built(Case("explicit", "tracefs", 1000), say), KEPT / "ten.txt", TEN + 11)  # eleven are its header
    every = [
        Contender(PYTHON, "starts, ends", [sys.executable, "-c", "pass"]),
        Contender("mmlist --version", "imports the command", [sys.executable, "-m", "mmlist", "--version"]),
        mmlist(log, "--no-db", name="mmlist replay --no-db"),
        mmlist(log),
    ]
    found.add(_table("start", case, log, every, 5 * asked.turns, say))


def stages(asked: Asked, found: Results, say: Say) -> None:
    """mmlist's stages on each mix."""
    for mix in asked.mixes:
        case = asked.case(mix)
        log = _built(case, say)
        say(f"stages of {case.title}")
        path = {"PYTHONPATH": f"{PEERS.parent.parent}:{environment()['PYTHONPATH']}"}
        told = subprocess.run(
            [sys.executable, "-m", "speed.stages", str(log)],
            env={**environment(), **path},
            stdout=subprocess.PIPE,
            check=True,
        )
        found.add_stages(Stages(case, counted(log), [(name, taken) for name, taken in json.loads(told.stdout)]))


def own(log: Path, folder: Path, asked: Asked, say: Say) -> Table:
    """A log of the user's, unpacked in `folder` for those that cannot do that themselves. Raises InputError."""
    plain = folder / "log.txt"
    lines = unpacked(log, plain)
    with log.open("rb") as given, plain.open("rb") as text:
        packed = given.read(64) != text.read(64)
    python = None if asked.quick else peers_python()
    every = [
        *floor(plain),
        *field(plain, python),
        *(frames(plain, python) if lines <= _FRAMES_TAKE else ()),
        mmlist(plain),
    ]
    if packed:
        every.append(mmlist(log.resolve(), "-o", "run.db", name=_PACKED))
    return _table("own", Case(log.name, "", lines), plain, every, asked.turns, say)


def _built(case: Case, say: Say) -> Path:
    say(f"log: {case.title}")
    return build(case)


def _table(part: str, case: Case, log: Path, contenders: list[Contender], turns: int, say: Say) -> Table:
    say(f"{part}: {case.title}")
    lines = counted(log)
    return Table(part, case, lines, log.stat().st_size, side_by_side(contenders, turns, say))


Part = Callable[[Asked, Results, Say], None]
PARTS: dict[str, Part] = {
    "main": main,
    "short": short,
    "forms": forms,
    "growth": growth,
    "start": start,
    "stages": stages,
}
__all__ = ["MMLIST", "PARTS", "PYTHON", "Asked", "own"]
