"""The report of one replay, as text for people or as JSON for programs."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import islice

import msgspec

from mmlist.cli.jsonlines import line as json_line
from mmlist.cli.words import colored, count, hexed
from mmlist.notice import Notice, Refused, notices
from mmlist.replay.display import pointed, printable
from mmlist.replay.explain import as_rows
from mmlist.replay.facts import SYMBOLS, Checked, Violation
from mmlist.replay.mapping import IGNORED, MAPPED
from mmlist.replay.missing import in_words
from mmlist.report import Report

_GROUPS = 20  # more are not read on a screen; the database has them all
_MAPPED = 12  # names of a map
_NAMED = 20  # events of a class of the ledger in a run's JSON object
_STRONGEST_FIRST = ("proven", "likely", "undecided")


class Group(msgspec.Struct):
    """Violations with one signature: the same bug. `first` is the first of them."""

    first: Violation
    certainty: str
    times: int
    violations: int
    root: bool


def grouped(violations: list[Violation]) -> list[Group]:
    """Violations by signature: roots first, then as they were found."""
    groups: dict[str, Group] = {}
    for one in violations:
        root = one.follows_from is None
        group = groups.setdefault(one.signature, Group(one, one.certainty, 0, 0, root))
        if root and not group.root:
            group.first, group.root = one, True
        group.certainty = min(group.certainty, one.certainty, key=_STRONGEST_FIRST.index)
        group.times += one.count
        group.violations += 1
    return sorted(groups.values(), key=lambda group: (not group.root, group.first.id))


def text(report: Report) -> Iterator[str]:
    """The report in lines: `LOG: verdict` first."""
    run = report.run
    yield f"{printable(run.log)}: {colored(run.verdict)}"
    for notice in notices(report):
        yield from _warning(notice)
    yield _row("because", run.reason)
    yield _row("profile", f"{run.profile} ({run.profile_reason})")
    yield _row("log", ", ".join(_log(report)))
    if report.lines:
        yield _row("lines", _ledger(report))
    yield from _map(report)
    for number, one in enumerate(one for one in report.statistics if one.name.split(" ")[0] == SYMBOLS):
        yield _row("" if number else SYMBOLS, printable(one.text))
    yield _row("compared", f"{run.compared} links, heads and counts in the log, {run.differing} differ from the model")
    if run.differing:
        differences = [one for one in report.statistics if one.name.startswith("difference ")]
        for one in differences[:3]:
            yield _row("", f"line {one.value}: {one.text}")
    yield from _violations(report)
    yield from _not_checked(report.checked)
    if report.database is not None:
        yield _row("database", f"{printable(report.database)}, run {report.number}")
        yield _row("next", _next(report))


def _row(head: str, said: str) -> str:
    return f"  {head:<11} {said}".rstrip()


def _next(report: Report) -> str:
    """The command to type next, that it can be pasted into a shell."""
    database = shlex.quote(printable(str(report.database)))
    if report.violations:
        return f"mmlist explain {database}" + ("" if report.alone else f" --run {report.number}")
    return f"mmlist sql {database} memberships_open" + ("" if report.alone else f" --param run={report.number}")


def _log(report: Report) -> Iterator[str]:
    run = report.run
    yield count(run.lines, "line")
    yield count(run.events, "event")
    yield f"{report.unparsed} unparsed" if report.unparsed else "all read"
    yield in_words(report.losses) or "no loss"
    yield f"{run.dialect or 'no dialect'}, clock {run.clock}"


def _ledger(report: Report) -> str:
    """All lines as the sum of what they were read as."""
    parts = [f"{lines:,} {kind}" for kind, lines in report.ledger.items() if lines]
    return f"{report.run.lines:,} = {' + '.join(parts) or 0}"


def _map(report: Report) -> Iterator[str]:
    """What the names of a map turned out to be, the commonest first."""
    mapped = [
        (one.value, printable(one.name.removeprefix(MAPPED)), one.text)
        for one in report.statistics
        if one.name.startswith(MAPPED)
    ]
    mapped.sort(key=lambda one: -one[0])
    shown = [f"{name} {meaning} ({events:,})" for events, name, meaning in mapped if events]
    absent = [name for events, name, meaning in mapped if not events and meaning != IGNORED]
    if mapped:
        yield _row("map", _first(shown) if shown else "none of its names became an event")
    if absent:
        yield _row("", f"never seen, or never counted: {_first(absent)}")


def _first(words: list[str]) -> str:
    more = f" and {len(words) - _MAPPED} more" if len(words) > _MAPPED else ""
    return ", ".join(words[:_MAPPED]) + more


def _warning(notice: Notice) -> Iterator[str]:
    yield _row("warning", notice.message).replace("warning", colored("warning"), 1)
    if notice.others:
        told = [f"{printable(name)} {lines:,}" for name, lines in notice.others.items()]
        yield _row("", f"the commonest: {', '.join(told)}")
    for name, near in notice.nearest.items():
        yield _row("", f"{printable(name)}: the nearest event of ours is {near}")
    if notice.others:
        yield _row("", "`mmlist parse --unknown LOG` lists them all; --map tells which of ours they are")
    if notice.first is not None:
        yield from _refused(notice.first)


def _refused(first: Refused) -> Iterator[str]:
    yield _row("", f"{printable(first.file)}:{first.line}:{first.column}: {printable(first.why)}")
    for shown in pointed(first.text, first.column):
        yield _row("", f"  {shown}")
    if first.name is not None and first.name != first.near:
        yield _row("", f"{printable(first.name)}: the nearest event of ours is {first.near}")


def _violations(report: Report) -> Iterator[str]:
    groups = grouped(report.violations)
    if not groups:
        yield _row("violations", "none")
        return
    yield _row("violations", f"{len(report.violations)}, of {count(len(groups), 'kind')}:")
    codes = {one.id: one.code for one in report.violations}
    for group in groups[:_GROUPS]:
        one = group.first
        times = f", {count(group.times, 'time')}" if group.times > 1 else ""
        cause = "" if one.follows_from is None else f", follows from {codes[one.follows_from]} [{one.follows_from}]"
        severity = " (W)" if one.severity == "W" else ""
        head = f"{one.code} {one.slug}{severity}: {colored(group.certainty)}{times}{cause}"
        yield f"    {head}"
        yield f"        {printable(report.run.log)}:{one.at.line}: {printable(one.message)} [{one.id}]"
    if len(groups) > _GROUPS:
        yield f"    and {len(groups) - _GROUPS} more kinds: mmlist sql DB violations_by_signature"


def _not_checked(checked: list[Checked]) -> Iterator[str]:
    """What was not checked, by name; a reason that many share is said once."""
    counts = Counter(one.status for one in checked)
    yield _row("checked", f"{counts['checked']} of {count(len(checked), 'invariant')}")
    reasons: dict[str, list[str]] = {}
    for one in checked:
        if one.status != "checked":
            reasons.setdefault(f"{one.status}: {one.reason}", []).append(f"{one.code} {one.slug}")
    for reason, names in reasons.items():
        status, _, why = reason.partition(": ")
        yield _row("", f"{status}: {', '.join(names)} ({why})")


def objects(report: Report) -> Iterator[str]:
    """The report as JSON, an object a line: warnings, each violation, each invariant's status, the run at the end."""
    run = report.run
    for notice in notices(report):
        yield json_line("warning", msgspec.structs.asdict(notice))
    for violation in report.violations:
        row, steps = as_rows(violation, run.log)
        witness = [{"text" if key == "raw" else key: value for key, value in step.items()} for step in steps]
        yield json_line("violation", {**row, "witness": witness})
    for one in report.checked:
        yield json_line("invariant", msgspec.structs.asdict(one))
    told = msgspec.structs.asdict(run) | {"init_mm": hexed(run.init_mm)}
    added = {"losses": report.losses.total(), "unparsed": report.unparsed, "violations": len(report.violations)}
    read = {"ledger": report.ledger, "ours": _names(report, "ours"), "other": _names(report, "other")}
    mapped = {
        one.name.removeprefix(MAPPED): {"meaning": one.text, "events": one.value}
        for one in report.statistics
        if one.name.startswith(MAPPED)
    }
    added_map = {"mapped": mapped} if mapped else {}
    yield json_line("run", {**told, **added, **read, **added_map, "database": report.database, "number": report.number})


def _names(report: Report, kind: str) -> dict[str, int]:
    """The commonest events of a class of the ledger, with their lines."""
    named = ((row.name, row.lines) for row in report.lines if row.kind == kind and row.name is not None)
    return dict(islice(named, _NAMED))


FORMATS: dict[str, Callable[[Report], Iterator[str]]] = {"text": text, "json": objects}
"""Name of a format -> what renders a report in it."""
