"""`mmlist check`: fixtures against their expectations."""

from __future__ import annotations

import difflib
from pathlib import Path

import click

from mmlist import expectation
from mmlist.cli import HELP
from mmlist.replay.errors import MmlistError, OptionError


@click.command(context_settings=HELP)
@click.argument("paths", metavar="PATH...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--accept", is_flag=True, help="Write what was found as the expectation, and show what changed.")
@click.pass_context
def check(ctx: click.Context, paths: tuple[Path, ...], accept: bool) -> None:
    """Replay each fixture and compare with the expectation beside it; folders are walked.

    \b
    Examples:
      mmlist check fixtures
      mmlist check fixtures/violating/double-join.trace --accept

    A fixture is a log NAME.trace (or .trace.gz, .xz, .bz2, .zst) with NAME.expected beside it. One line each,
    `PATH: ok` or `PATH: FAILED`, the latter with a diff. The exit code is 1 when any failed.
    """
    logs = [log for path in paths for log in expectation.fixtures(path)]
    if not logs:
        raise OptionError(f"no fixture (NAME.trace) in {', '.join(map(str, paths))}")
    failed = 0
    for log in logs:
        told = accept_one(log) if accept else check_one(log)
        failed += bool(told) and not accept
        click.echo(f"{log}: {'ok' if not told else 'accepted' if accept else 'FAILED'}")
        if told:
            click.echo("".join(f"    {line}\n" for line in told.splitlines()), nl=False)
    ctx.exit(1 if failed else 0)


def check_one(log: Path) -> str:
    """What differs from the expectation of `log`; empty if nothing does."""
    try:
        stated = expectation.load(expectation.expectation_of(log))
        return expectation.difference(expectation.expected(log, stated), expectation.replayed(log, stated))
    except MmlistError as error:
        return str(error)


def accept_one(log: Path) -> str:
    """Write what a replay of `log` yields as its expectation, if it is not met; the change as a diff, else empty."""
    path = expectation.expectation_of(log)
    before = path.read_text("utf-8") if path.exists() else ""
    if before and not check_one(log):
        return ""
    stated = expectation.load(path) if before else {}
    head = expectation.head_comment(before) or f"# {log.name}: the scenario in words.\n\n"
    after = head + expectation.toml(expectation.accepted(log, stated, expectation.replayed(log, stated)))
    if after.rstrip("\n") == before.rstrip("\n"):
        return ""
    path.write_text(after, "utf-8")
    return "".join(difflib.unified_diff(before.splitlines(True), after.splitlines(True), "before", "after"))
