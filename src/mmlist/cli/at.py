"""`mmlist at`: the members of mmlist at one line or time of the log, in list order."""

from __future__ import annotations

import re
from pathlib import Path

import click
import msgspec

from mmlist.cli import HELP
from mmlist.db.read import Record, members_at_line, members_at_time, run_of
from mmlist.replay.errors import OptionError

_EXAMPLES = """\b
Examples:
  mmlist at run.db --line 4711
  mmlist at run.db --time 123.456789
"""


@click.command(epilog=_EXAMPLES, context_settings=HELP)
@click.argument("database", metavar="DB", type=click.Path(path_type=Path))
@click.option("--line", type=click.IntRange(min=0), help="After the step of this line; 0 is before the log's first.")
@click.option("--time", "time", metavar="T", help="After all steps up to T, written as the log does (123.456789).")
@click.option("--run", type=int, help="Which run, where the database holds several.")
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True)
def at(database: Path, line: int | None, time: str | None, run: int | None, form: str) -> None:
    """Print who stood on mmlist, in list order, one member a line: its address, then since when and by what."""
    if (line is None) == (time is None):
        raise click.UsageError("give either --line N or --time T")
    chosen = run_of(database, run)
    number = chosen["run"]
    if time is not None:
        members = members_at_time(database, number, _moment(time, chosen["ts_unit"]))
    else:
        assert line is not None
        if line > chosen["lines"]:
            raise OptionError(f"--line {line}: the log has only {chosen['lines']} lines")
        members = members_at_line(database, number, line)
    if not members:
        click.echo("mmlist is empty there", err=True)
    for member in members:
        click.echo(msgspec.json.encode(member).decode() if form == "json" else _text(member, chosen["ts_unit"]))


def _moment(text: str, unit: str) -> int:
    """A time as the log prints it, as the integer that the database holds; nothing is rounded."""
    if unit == "none":
        raise OptionError("--time: this log has no times, use --line")
    if unit == "raw":
        if not re.fullmatch(r"-?[0-9]{1,18}", text):
            raise OptionError(f"--time {text}: this log's clock counts in whole numbers, give one")
        return int(text)
    match = re.fullmatch(r"(-?)([0-9]{1,9})\.([0-9]{1,9})", text)
    if match is None:
        raise OptionError(f"--time {text}: give seconds with a dot, as the log does (123.456789)")
    nanoseconds = int(match[2]) * 10**9 + int(match[3].ljust(9, "0"))
    return -nanoseconds if match[1] else nanoseconds


def _text(member: Record, unit: str) -> str:
    since = "before the log"
    if member["joined_line"] is not None:
        since = f"line {member['joined_line']}"
    if member["joined_ts"] is not None and unit != "none":
        since += f" ({_clock(int(str(member['joined_ts'])), unit)})"
    after = f" after {member['after_mm']}" if member["after_mm"] is not None else ""
    inferred = ", inferred" if member["evidence"] == "inferred" else ""
    return (
        f"{member['mm']}  generation {member['generation']}, since {since}, by {member['joined_by']}{after}{inferred}"
    )


def _clock(ts: int, unit: str) -> str:
    if unit == "raw":
        return str(ts)
    sign, ts = ("-", -ts) if ts < 0 else ("", ts)
    seconds, rest = divmod(ts, 10**9)
    return f"{sign}{seconds}.{rest:09}" if rest % 1000 else f"{sign}{seconds}.{rest // 1000:06}"
