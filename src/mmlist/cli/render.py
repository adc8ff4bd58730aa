"""The report of one replay, as text for people or as JSON for programs."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Callable, Iterator

import msgspec

from mmlist.cli.jsonlines import line as json_line
from mmlist.cli.rows import printable
from mmlist.cli.words import colored, count, hexed
from mmlist.replay.explain import as_rows
from mmlist.replay.facts import Checked, Violation
from mmlist.report import Report

_GROUPS = 20  # more are not read on a screen; the database has them all
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
    yield _row("because", run.reason)
    yield _row("profile", f"{run.profile} ({run.profile_reason})")
    yield _row("log", ", ".join(_log(report)))
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
    yield f"events lost in {count(report.losses, 'place')}" if report.losses else "no loss"
    yield f"{run.dialect or 'no dialect'}, clock {run.clock}"


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
    """The report as JSON, an object a line: each violation, each invariant's status, the run at the end."""
    run = report.run
    for violation in report.violations:
        row, steps = as_rows(violation, run.log)
        witness = [{"text" if key == "raw" else key: value for key, value in step.items()} for step in steps]
        yield json_line("violation", {**row, "witness": witness})
    for one in report.checked:
        yield json_line("invariant", msgspec.structs.asdict(one))
    told = msgspec.structs.asdict(run) | {"init_mm": hexed(run.init_mm)}
    added = {"losses": report.losses, "unparsed": report.unparsed, "violations": len(report.violations)}
    yield json_line("run", {**told, **added, "database": report.database, "number": report.number})


FORMATS: dict[str, Callable[[Report], Iterator[str]]] = {"text": text, "json": objects}
"""Name of a format -> what renders a report in it."""
