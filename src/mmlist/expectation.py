"""What a fixture expects: a log `<slug>[-case].trace`, and beside it, in TOML, `<slug>[-case].expected`.

Only what an expectation states is compared. Where it has violations or memberships, these must be all there are, unless
it says `complete = false`. The folder gives the verdict where the file does not: `conforming/`, `violating/`,
`unknown/`, `unreadable/`.
"""

from __future__ import annotations

import difflib
import json
import tomllib
from collections.abc import Iterator
from itertools import takewhile
from pathlib import Path
from typing import Any

from mmlist.replay.errors import InputError, OptionError
from mmlist.replay.facts import Membership, Violation
from mmlist.replay.history import replay
from mmlist.replay.log import Log
from mmlist.replay.mapfile import load as load_map
from mmlist.replay.options import Options
from mmlist.report import Report

Table = dict[str, Any]

SUFFIXES = (".trace", ".trace.gz", ".trace.xz", ".trace.bz2", ".trace.zst")
FOLDERS = {"conforming": "conforming", "violating": "violated", "unknown": "unknown", "unreadable": "unreadable"}
"""Folder of a fixture -> the verdict it expects."""

EXITS = {"conforming": 0, "violated": 1, "unreadable": 2, "unknown": 3}

_SCALARS = (
    *("verdict", "exit", "profile", "profile_is", "compared", "differing", "not_checked", "message", "complete"),
)
_GIVEN = ("profile", "complete", "options")  # said to the replay or to us, not found by it
_VIOLATION = ("code", "certainty", "root", "line", "mm", "count")
_LISTS = {
    "violation": (*_VIOLATION, "slug", "severity", "generation", "entry", "type", "last_line", "message", "signature"),
    "membership": (
        *("mm", "generation", "joined_line", "joined_seen_line", "joined_by", "after_mm"),
        *("left_line", "left_by", "evidence"),
    ),
}
_OPTIONS = ("mmlist_offset", "init_mm", "select", "ignore", "require", "map", "leak_after")
_HEX = ("mm", "after_mm", "entry")


def expectation_of(log: Path) -> Path:
    """The file beside `log` that says what is expected of it."""
    suffix = max((one for one in SUFFIXES if log.name.endswith(one)), key=len, default=log.suffix)
    return log.with_name(log.name.removesuffix(suffix) + ".expected")


def fixtures(path: Path) -> Iterator[Path]:
    """The logs of a folder and of those below it, by name; a file is its own fixture."""
    if path.is_dir():
        yield from sorted(one for one in path.rglob("*.trace*") if one.name.endswith(SUFFIXES))
    elif path.exists():
        yield path
    else:
        raise OptionError(f"{path}: no such file or folder")


def load(path: Path) -> Table:
    """What an expectation states, its keys checked; raises `OptionError` where it cannot be understood."""
    try:
        found = tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise OptionError(f"{path}: there is no expectation (`mmlist check --accept` writes it)") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise OptionError(f"{path}: {error}") from error
    _refuse_unknown(path, found, (*_SCALARS, "options", *_LISTS))
    _refuse_unknown(path, found.get("options", {}), _OPTIONS)
    for name, keys in _LISTS.items():
        for entry in found.get(name, ()):
            _refuse_unknown(path, entry, keys)
            entry |= {key: hex(entry[key]) for key in _HEX if isinstance(entry.get(key), int)}
    return found


def _refuse_unknown(path: Path, table: Table, known: tuple[str, ...]) -> None:
    for key in table:
        if key not in known:
            raise OptionError(f"{path}: unknown key {key}, there are {', '.join(known)}")


def expected(log: Path, stated: Table) -> Table:
    """What is expected of `log`: what its expectation states, and what its folder implies."""
    verdict = stated.get("verdict") or FOLDERS.get(log.parent.name)
    if verdict not in EXITS:
        raise OptionError(f"{expectation_of(log)}: the verdict must be one of {', '.join(EXITS)}")
    return {"verdict": verdict, "exit": EXITS[verdict]} | stated


def replayed(log: Path, stated: Table) -> Table:
    """What a replay of `log` yields, with every key that an expectation may state."""
    options: Table = dict(stated.get("options", {}))
    if "map" in options:
        options["mapping"] = load_map(log.with_name(options.pop("map")))
    for name in ("select", "ignore", "require"):
        options[name] = frozenset(options.get(name, ()))
    report = Report()
    memberships: list[Membership] = []
    try:
        with Log.open(str(log)) as opened:
            for fact in report.watch(replay(opened, Options(profile=stated.get("profile", "auto"), **options))):
                if isinstance(fact, Membership):
                    memberships.append(fact)
    except InputError as error:
        return {"verdict": "unreadable", "exit": EXITS["unreadable"], "message": error.message}
    memberships.sort(key=lambda one: (one.joined_seq, one.rank))
    run = report.run
    return {
        "verdict": run.verdict,
        "exit": EXITS[run.verdict],
        "profile_is": run.profile,
        "compared": run.compared,
        "differing": run.differing,
        "not_checked": [one.code for one in report.checked if one.status == "not checked"],
        "violation": [_violation(one) for one in report.violations],
        "membership": [_plain(one, _LISTS["membership"]) for one in memberships],
    }


def _violation(one: Violation) -> Table:
    keys = tuple(key for key in _LISTS["violation"] if key not in ("root", "line"))
    return _plain(one, keys) | {"root": one.follows_from is None, "line": one.at.line}


def _plain(one: Violation | Membership, keys: tuple[str, ...]) -> Table:
    """A fact's values as TOML has them: addresses and entries in hex, `unknown` for None."""
    values = {key: getattr(one, key) for key in keys}
    values |= {key: hex(values[key]) for key in _HEX if values.get(key) is not None}
    return {key: "unknown" if value is None else value for key, value in values.items()}


def stated_of(found: Table, wanted: Table) -> Table:
    """`found` cut down to what `wanted` states: the same table if all is as expected."""
    table = {key: found.get(key, "none") for key in _SCALARS if key in wanted}
    table |= {key: wanted[key] for key in _GIVEN if key in wanted}
    for name in _LISTS:
        if name in wanted:
            table[name] = _entries(found.get(name, []), wanted[name], name, complete=wanted.get("complete", True))
    return table


def _entries(found: list[Table], wanted: list[Table], name: str, *, complete: bool) -> list[Table]:
    """What was found: as a wanted entry states it where one fits, else, if all were to be listed, in the usual keys."""
    left = sorted(wanted, key=len, reverse=True)  # the most precise first, lest a vague one takes what is another's
    fitting: dict[int, Table] = {}
    for entry in left:
        for index, one in enumerate(found):
            if index not in fitting and all(one[key] == value for key, value in entry.items()):
                fitting[index] = entry
                break
    unfit = len(fitting) < len(wanted)
    return [fitting.get(i) or _usual(one, name) for i, one in enumerate(found) if i in fitting or complete or unfit]


def _usual(entry: Table, name: str) -> Table:
    keys = _VIOLATION if name == "violation" else _LISTS[name]
    return {key: entry[key] for key in keys if entry[key] != "unknown" and (key, entry[key]) != ("count", 1)}


def accepted(log: Path, stated: Table, found: Table) -> Table:
    """The expectation that `found` meets: of the same keys; a new one has the violations, or the message."""
    new: Table = {"message": ""} if found["verdict"] == "unreadable" else {"violation": []}
    table = {key: value for key, value in stated_of(found, stated or new).items() if value != "none"}
    if FOLDERS.get(log.parent.name) != found["verdict"]:
        table["verdict"] = found["verdict"]
    return table


def toml(table: Table) -> str:
    """A table as TOML, in a stable order."""
    lines = [f"{key} = {_value(table[key])}" for key in _SCALARS if key in table]
    lines += [f"{name} = []" for name in _LISTS if table.get(name) == []]
    if table.get("options"):
        lines += ["", "[options]", *(f"{key} = {_value(value)}" for key, value in sorted(table["options"].items()))]
    for name, keys in _LISTS.items():
        for entry in sorted(table.get(name, ()), key=_place):
            lines += ["", f"[[{name}]]", *(f"{key} = {_value(entry[key])}" for key in keys if key in entry)]
    return "\n".join(lines).lstrip("\n") + "\n"


def _place(entry: Table) -> tuple[int, str]:
    line = entry.get("line", entry.get("joined_line", 0))
    return line if isinstance(line, int) else 0, repr(sorted(entry.items()))


def _value(value: object) -> str:
    return json.dumps(value)  # strings, integers, booleans and lists of them are the same in TOML


def head_comment(text: str) -> str:
    """The comment that a file begins with: the scenario, in words."""
    lines = list(takewhile(lambda line: line.startswith("#"), text.splitlines()))
    return "\n".join(lines) + "\n\n" if lines else ""


def difference(wanted: Table, found: Table) -> str:
    """A unified diff from what is expected to what was found; empty if nothing differs."""
    before, after = (toml(table).splitlines(keepends=True) for table in (wanted, stated_of(found, wanted)))
    return "".join(difflib.unified_diff(before, after, "expected", "found"))
