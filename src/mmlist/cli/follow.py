"""`mmlist replay --follow`: what is told while a log grows, and the log that it has become at its end."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator

import click
import msgspec

from mmlist.cli.jsonlines import line as json_line
from mmlist.following import Interrupts, source
from mmlist.replay.display import printable
from mmlist.replay.growing import Kept
from mmlist.replay.live import Found, Live
from mmlist.replay.log import Log
from mmlist.replay.options import Options
from mmlist.report import Report


class Followed(Log):
    """A log that was followed to its end. `told`: what was told of it meanwhile."""

    told: list[Found]


def followed(name: str, options: Options, form: str) -> Iterator[Log]:
    """Follow the log at `name` to its end and tell what is found; then the log that it is. Raises as Live.follow."""
    spool = tempfile.NamedTemporaryFile(prefix="mmlist-")  # noqa: SIM115 - closed by the log
    try:
        with Interrupts() as interrupts:
            kept = Kept(name, source(name, interrupts, _say), spool)
            live = Live(kept, options, lambda found: click.echo(_line(name, found, form)))  # click flushes
            live.follow()
        log = Followed(name, spool.name, spool)
    except BaseException:
        spool.close()
        raise
    log.told = list(live.told.values())
    del live, kept  # the model of a long log, which the replay makes anew
    with log:
        yield log


def unkept(log: Log, report: Report) -> Iterator[str]:
    """What was told while `log` was followed and does not hold in view of the whole, in words."""
    if not isinstance(log, Followed):
        return
    held = {(one.code, one.mm) for one in report.violations}
    for found in log.told:
        if (found.code, found.mm) not in held:
            yield f"mmlist: {printable(log.name)}:{found.line}: withdrawn, now that the log is whole: {found.code} {found.slug}"


def _line(name: str, found: Found, form: str) -> str:
    if form == "json":
        return json_line("found", {"file": name, **msgspec.structs.asdict(found)})
    where = f"{printable(name)}:{found.line}"
    return f"{where}: {found.code} {found.slug}: {found.certainty} so far: {printable(found.message)}"


def _say(message: str) -> None:
    click.echo(f"mmlist: {message}", err=True)
