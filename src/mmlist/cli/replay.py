"""`mmlist replay`: logs in, verdicts out, a database left behind."""

from __future__ import annotations

import gc
import math
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import click

from mmlist.bundled import bundled
from mmlist.cli import CANNOT_RUN, HELP, render
from mmlist.cli.follow import followed, unkept
from mmlist.cli.jsonlines import line as json_line
from mmlist.cli.logs import every_log
from mmlist.cli.progress import shown
from mmlist.cli.words import mapping, symbol_files, symbols
from mmlist.db.file import check_writable
from mmlist.db.read import runs
from mmlist.notice import refused
from mmlist.replay import apart
from mmlist.replay.errors import DatabaseError, InputError, MmlistError, OptionError
from mmlist.replay.facts import Fact
from mmlist.replay.history import History
from mmlist.replay.log import Log
from mmlist.replay.options import Options
from mmlist.report import Report
from mmlist.timings import Timings

_WORST_FIRST = (CANNOT_RUN, 1, 3, 0)
_COLLECTED = 20_000, 20, 50
"""As gc.set_threshold wants it: few of the objects of a replay are in cycles, and all that was imported stays."""


def duration(value: str) -> float:
    """Seconds: `10s`, `500ms`, `2min`, or a number of them. Raises ValueError for anything else, or nothing positive."""
    units = {"ms": 0.001, "min": 60.0, "s": 1.0, "h": 3600.0}
    unit = next((unit for unit in units if value.endswith(unit)), "")
    seconds = float(value.removesuffix(unit)) * units.get(unit, 1.0)
    if not 0 < seconds < math.inf:
        raise ValueError("a duration must be above 0")
    return seconds


def number(value: str) -> int:
    """A whole number, decimal or 0x-hex."""
    return int(value, 0)


def _codes(_: click.Context, __: click.Parameter, given: tuple[str, ...]) -> frozenset[str]:
    return frozenset(code.strip().upper() for one in given for code in one.split(",") if code.strip())


@click.command(context_settings=HELP)
@click.argument("logs", metavar="LOG...", nargs=-1, required=True)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    help="The database. [default: LOG's file name + .db, in this folder]",
)
@click.option("--no-db", is_flag=True, help="Leave no database.")
@click.option("--profile", default="auto", show_default=True, metavar="P", help="auto, 2.6.9, 2.6.10 or modern.")
@click.option("--mmlist-offset", type=number, metavar="N", help="Offset of mmlist in mm_struct, in bytes.")
@click.option("--init-mm", type=number, metavar="ADDR", help="Address of init_mm, the list's head.")
@click.option(
    "--leak-after",
    type=duration,
    default="10s",
    show_default=True,
    metavar="T",
    help="How long an mm may have users without a task (10s, 500ms).",
)
@click.option("--map", "maps", multiple=True, metavar="FILE.toml", help="What your own event names mean (repeatable).")
@symbol_files
@click.option("--select", multiple=True, callback=_codes, metavar="CODE", help="Check only these (M1,M2; repeatable).")
@click.option("--ignore", multiple=True, callback=_codes, metavar="CODE", help="Do not check these.")
@click.option(
    "--require", multiple=True, callback=_codes, metavar="CODE", help="Not checked: then the verdict is unknown."
)
@click.option(
    "--events", type=click.Choice(["changes", "all"]), default="changes", show_default=True, help="Which to store."
)
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True)
@click.option(
    "--fail-on",
    type=click.Choice(["E", "W", "never"]),
    default="E",
    show_default=True,
    help="What exit code 1 takes: an error, a suspicion too, nothing.",
)
@click.option(
    "--follow", is_flag=True, help="Follow a LOG that grows: tell violations as they come, the verdict at its end."
)
@click.option("--strict", is_flag=True, help="Exit with 2 if any line could not be read.")
@click.option(
    "--no-fast", "fast", flag_value=False, default=True, help="Lark itself reads each line: slower, the same result."
)
@click.option(
    "--one-process", "processes", flag_value=False, default=True, help="All in one process: slower, the same result."
)
@click.option("--timings", is_flag=True, help="Say what each stage takes, all in one process, on standard error.")
@click.option("-q", "--quiet", is_flag=True, help="No progress on a terminal.")
@click.pass_context
def replay(
    ctx: click.Context,
    /,
    logs: tuple[str, ...],
    output: Path | None,
    no_db: bool,
    form: str,
    fail_on: str,
    follow: bool,
    strict: bool,
    processes: bool,
    timings: bool,
    quiet: bool,
    events: str,
    maps: tuple[str, ...],
    vmlinux: str | None,
    kallsyms: str | None,
    **given: Any,
) -> None:
    """Replay each LOG (- is standard input) and tell whether mmlist was ever wrong.

    \b
    Examples:
      mmlist replay trace.txt
      mmlist replay trace.txt.zst --profile modern -o run.db
      mmlist replay trace.txt --map probes.toml    # docs/mapping.md
      cat trace_pipe.txt | mmlist replay - --no-db --format json
      cat /sys/kernel/tracing/trace_pipe | mmlist replay --follow -

    gz, xz, bz2 and zst are told by their first bytes. The first line of a log's report is `LOG: verdict`. Several logs
    go into one database, one run each; the worst decides the exit code: 2, then 1, 3, 0. With --format json each
    violation is one object a line, and so is the run at the end.

    With --follow, violations are told within a second of the line that shows them, with their certainty so far
    (--format json: kind `found`); but an event of a name that is new to the log has it read from its beginning first.
    A pipe's end, SIGINT or SIGTERM ends the log, and so does a file that is cut short or replaced; then a copy of it,
    kept in TMPDIR, is replayed as any log: that gives report, database and exit code, and names what was told and
    does not hold in view of the whole. A database is not there before. What only a log's end shows is not told before
    it.
    """
    if no_db and output is not None:
        raise click.UsageError("--no-db and -o contradict each other")
    if follow and len(logs) > 1:
        raise click.UsageError("--follow takes one log")
    options = Options(all_events=events == "all", mapping=mapping(maps), symbols=symbols(vmlinux, kallsyms), **given)
    database = None if no_db else output or default_database(logs[0])
    codes = set()
    for name in logs:
        try:
            for log in followed(name, options, form) if follow else every_log(name):
                try:
                    times = Timings(wanted=timings)
                    report = run(log, options, database, times, progress=not quiet, processes=processes and not timings)
                except InputError as error:
                    if not log.archived:
                        raise
                    click.echo(f"mmlist: {log.name} {error.message}: passed over", err=True)
                    continue
                codes.add(exit_code(report, fail_on))
                for line in unkept(log, report):
                    click.echo(line, err=True)
                report.alone = len(logs) == 1 and (database is None or len(runs(database)) == 1)
                for line in render.FORMATS[form](report):
                    click.echo(line)
                for line in times.table(report.run.lines):
                    click.echo(line, err=True)
                if strict and (first := refused(report)) is not None:
                    codes.add(CANNOT_RUN)
                    why = f"with --strict, all of the log must be read: {report.unparsed:,} not"
                    _say(log.name, first.error(why), form)
        except (DatabaseError, OptionError, BrokenPipeError):
            raise
        except (MmlistError, OSError) as error:
            codes.add(CANNOT_RUN)
            _say(name, error, form)
    ctx.exit(next((code for code in _WORST_FIRST if code in codes), CANNOT_RUN))


def _say(log: str, error: Exception, form: str) -> None:
    click.echo(f"mmlist: {error}", err=True)
    if form == "json":
        click.echo(json_line("error", {"file": log, "message": str(error)}))


def default_database(log: str) -> Path:
    """Where a run goes without -o: the log's file name with `.db`, in the current folder."""
    return Path(("stdin" if log == "-" else Path(log).name) + ".db")


def run(
    log: Log, options: Options, database: Path | None, times: Timings, *, progress: bool, processes: bool
) -> Report:
    """Replay one log, into the database where one is given; tell how far it is, and measure what it takes, if asked to."""
    report = Report()
    if database is not None:
        check_writable(database)
    gc.freeze()
    gc.set_threshold(*_COLLECTED)
    processes = processes and apart.possible()
    with shown(log, progress) as watched:

        def facts() -> Iterator[Fact]:
            watched.history = history = times.call("survey", History)(log, bundled(log, options), processes=processes)
            times.watch(history)
            yield from history.facts()

        said = report.watch(times.each("facts", facts()))
        if database is None:
            for _ in said:
                pass
        else:
            report.database = str(database)
            report.number = _stored(database, said, times, processes=processes and log.about >= apart.WORTH)
    return report


def _stored(database: Path, facts: Iterator[Fact], times: Timings, *, processes: bool) -> int:
    """With `processes`, in one that is made before the first fact is asked for: it imports while this one surveys."""

    def store(facts: Iterable[Fact]) -> int:
        from mmlist.db.store import store  # imported late: SQLAlchemy costs every start 0.2 s

        return store(database, facts)

    return apart.consumed(store, facts) if processes else times.call("store", store)(facts)


def exit_code(report: Report, fail_on: str) -> int:
    """0, 1 or 3. `fail_on` W counts suspicions too; `never` does not count violations, but unknown stays unknown."""
    if fail_on != "never" and report.decisive("EW" if fail_on == "W" else "E"):
        return 1
    return 3 if report.run.verdict == "unknown" else 0
