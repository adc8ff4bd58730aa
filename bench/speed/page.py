"""docs/bench.md: the goals beside the figures, and every table."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Iterator
from pathlib import Path

from speed import cases, plot
from speed.cases import FLOOR, MIXES, Goal
from speed.contenders import MMLIST
from speed.logs import ROOT
from speed.parts import PYTHON
from speed.results import Results, Row, Stages, Table

_NEARLY = 0.9  # of the lines asked for: a log may have a few less
_WORDS = {"aim": "aim reached", "must": "must reached", "missed": "**missed**"}


def write(results: Results, folder: Path) -> list[Path]:
    """The page and its plot into `folder`; their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    text, picture = folder / "bench.md", folder / "bench.svg"
    picture.write_text(plot.drawn(results.part("main")), encoding="utf-8")
    text.write_text("\n".join(_page(results)) + "\n", encoding="utf-8")
    return [text, picture]


def machine() -> str:
    """What the figures hold for."""
    found = f"{os.cpu_count()} cores ({platform.machine()}), {platform.system()}"
    return f"{found}, {platform.python_implementation()} {platform.python_version()}"


def version() -> str:
    """The commit that was measured; empty where there is no git."""
    command = ["git", "-C", str(ROOT), "describe", "--always", "--dirty"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""


def _page(results: Results) -> Iterator[str]:
    yield from (
        "# Speed: mmlist beside what else reads such logs",
        "",
        "Measured by `make bench` (bench/speed) on logs of `mmlist simulate`: what is ours is a valid history of a simulated",
        "kernel, seen by the probes of our kit; the noise is sched, irq and kmem. Written by the program: run it again rather",
        "than editing.",
        "",
        f"* {results.machine}; commit {results.version or 'unknown'}.",
        f"* Whole processes, in turns, {results.turns} each: medians, the shortest and longest run in brackets. Absolute figures",
        "  drift with the machine; read the ratios.",
        "* CPU is user and system time of all threads. Peak memory is what the kernel says; below 11 MB nothing can be told.",
        "* mmlist runs with its defaults: parse, bind, model, all invariants, certainty, the database with its indexes, summary.",
        "",
        *_goals(results),
        "![How many times as long as mawk each program takes](bench.svg)",
        "",
    )
    for heading, part in (("Side by side", "main"), ("Programs that make DataFrames", "short"), ("Other logs", "own")):
        if found := results.part(part):
            yield from (f"## {heading}", "")
            for one in found:
                yield from table(one)
    yield from _forms(results.part("forms"))
    yield from _growth(results)
    if found := results.part("start"):
        yield from ("## Start", "", *_start(found[-1]))
    yield from _stages(results.stages)


# --- the goals ---------------------------------------------------------------------------------------------------------


def _goals(results: Results) -> Iterator[str]:
    rows = [*_ratios(results), *_peaks(results), *_starts(results), *_frames(results), *_growths(results)]
    if rows:
        yield from ("## Goals", "", "| | must | aim | measured | |", "|---|---:|---:|---:|---|")
        for what, goal, figure in rows:
            sign = "≥" if goal.least else "≤"
            bounds = f"{sign} {goal.must:g} | {sign} {goal.aim:g}"
            yield f"| {what} | {bounds} | {figure:.{0 if figure >= 100 else 1}f} | {_WORDS[goal.verdict(figure)]} |"
        yield ""
    short = [one for one in results.part("main") if one.lines < _NEARLY * MIXES[one.case.mix].long]
    if short:
        named = ", ".join(f"{MIXES[one.case.mix].long:,} lines for {MIXES[one.case.mix].title}" for one in short)
        yield from (f"Not judged, for start-up counts on shorter logs: the goal is of {named}.", "")


def _ratios(results: Results) -> Iterator[tuple[str, Goal, float]]:
    for one in results.part("main"):
        mix, ratio = MIXES[one.case.mix], one.ratio(MMLIST)
        if one.lines < _NEARLY * mix.long:
            continue
        if mix.must is not None and mix.aim is not None and ratio is not None:
            yield f"{one.case.title}: times mawk", Goal(mix.must, mix.aim), ratio


def _peaks(results: Results) -> Iterator[tuple[str, Goal, float]]:
    found = [(row.peak, one) for one in results.tables if (row := one.row(MMLIST)) is not None and one.part != "own"]
    if found:
        longest = max(one.lines for _, one in found)
        for peak, one in found:
            if one.part == "growth" and one.lines > 0.9 * longest:
                yield f"{one.case.title}: peak memory, MB", cases.PEAK, peak


def _starts(results: Results) -> Iterator[tuple[str, Goal, float]]:
    for one in results.part("start"):
        if (ratio := one.ratio(MMLIST, to=PYTHON)) is not None:
            yield f"a replay of ten lines: times `{PYTHON}`", cases.START, ratio


def _frames(results: Results) -> Iterator[tuple[str, Goal, float]]:
    for one in results.part("short"):
        for name, goal in (("trappy", cases.TRAPPY), ("LISA", cases.LISA)):
            if (ratio := one.ratio(name, to=MMLIST)) is not None:
                yield f"{one.case.title}: times as fast as {name}", goal, ratio


def _growths(results: Results) -> Iterator[tuple[str, Goal, float]]:
    for half, whole in _pairs(results.part("growth")):
        one, two = half.row(MMLIST), whole.row(MMLIST)
        if one is not None and two is not None:
            yield f"{whole.case.title}: times half of them", cases.GROWTH, two.wall / one.wall


def _pairs(tables: list[Table]) -> Iterator[tuple[Table, Table]]:
    for whole in tables:
        for half in tables:
            same = (half.case.mix, half.case.form) == (whole.case.mix, whole.case.form)
            if same and half.case.lines == whole.case.lines // 2:
                yield half, whole


# --- the tables --------------------------------------------------------------------------------------------------------


def table(one: Table) -> Iterator[str]:
    """All programs on one log, slowest last; then who did not run, and why."""
    yield from (f"### {one.case.title}", "", f"{one.lines:,} lines, {one.size / 1e6:,.1f} MB.", "")
    yield "| program | wall, s | x mawk | CPU, s | x mawk | lines/s | peak, MB | does |"
    yield "|---|---:|---:|---:|---:|---:|---:|---|"
    for row in sorted((row for row in one.rows if row.samples), key=lambda row: row.wall):
        wall, cpu = (_times(one.ratio(row.name, cpu=cpu)) for cpu in (False, True))
        speed = f"{_rounded(one.lines / row.wall):,}"
        name = f"**{row.name}**" if row.name.startswith(MMLIST) else row.name
        yield f"| {name} | {_wall(row)} | {wall} | {row.cpu:.2f} | {cpu} | {speed} | {row.peak:.0f} | {row.does} |"
    yield ""
    lacking = [f"{row.name} ({row.lacking})" for row in one.rows if not row.samples]
    if lacking:
        yield from (f"Not measured: {'; '.join(lacking)}.", "")


def _forms(tables: list[Table]) -> Iterator[str]:
    if not tables:
        return
    yield from ("## Forms", "", "The same events, as each tool prints them.", "")
    yield from ("| form | MB | mmlist, s | x mawk | peak, MB |", "|---|---:|---:|---:|---:|")
    for one in tables:
        if (row := one.row(MMLIST)) is not None:
            yield f"| {one.case.form} | {one.size / 1e6:.1f} | {_wall(row)} | {_times(one.ratio(MMLIST))} | {row.peak:.0f} |"
    yield ""


def _growth(results: Results) -> Iterator[str]:
    tables = results.part("growth")
    if not tables:
        return
    yield from ("## Growth", "", "| log | mmlist, s | µs a line | x mawk | peak, MB |", "|---|---:|---:|---:|---:|")
    for one in tables:
        if (row := one.row(MMLIST)) is not None:
            each = f"{row.wall / one.lines * 1e6:.2f}"
            yield f"| {one.case.title} | {_wall(row)} | {each} | {_times(one.ratio(MMLIST))} | {row.peak:.0f} |"
    yield ""


def _start(one: Table) -> Iterator[str]:
    yield from (f"| ten lines | wall, s | x {PYTHON} | peak, MB |", "|---|---:|---:|---:|")
    for row in one.rows:
        if row.samples:
            yield f"| {row.name} | {_wall(row)} | {_times(one.ratio(row.name, to=PYTHON))} | {row.peak:.0f} |"
    yield ""


def _stages(found: list[Stages]) -> Iterator[str]:
    if not found:
        return
    names = list(dict.fromkeys(name for one in found for name, _ in one.stages))
    yield from (
        "## Stages of mmlist",
        "",
        "CPU time in µs a line; of `start` (imports, grammars, an empty database) in seconds, whatever the log. A log is",
        "read again and again, each time through one stage more: a stage is the difference, exact to some per cent of the",
        "sum. `survey` reads the log's beginning before the replay; `facts` is what the history adds to the stages before.",
        "",
    )
    yield from (f"| log | {' | '.join(names)} | sum |", "|---|" + "---:|" * (len(names) + 1))
    for one in found:
        taken = dict(one.stages)
        each = [f"{_stage(name, taken.get(name, 0.0), one.lines)}" for name in names]
        total = sum(max(seconds, 0.0) for name, seconds in one.stages if name != "start") / one.lines * 1e6
        yield f"| {one.case.title} | {' | '.join(each)} | {total:.2f} |"
    yield ""


def _stage(name: str, seconds: float, lines: int) -> str:
    return f"{seconds:.2f} s" if name == "start" else f"{max(seconds, 0.0) / lines * 1e6:.2f}"


# --- figures -----------------------------------------------------------------------------------------------------------


def _wall(row: Row) -> str:
    low, high = row.spread
    digits = 3 if row.wall < 1 else 2
    spread = f" ({low:.{digits}f}-{high:.{digits}f})" if len(row.samples) > 1 else ""
    return f"{row.wall:.{digits}f}{spread}"


def _times(ratio: float | None) -> str:
    if ratio is None:
        return "-"
    return f"{ratio:.0f}" if ratio >= 100 else f"{ratio:.1f}"


def _rounded(speed: float) -> int:
    return round(speed, -3 if speed >= 10_000 else 0).__int__()


__all__ = ["FLOOR", "machine", "table", "version", "write"]
