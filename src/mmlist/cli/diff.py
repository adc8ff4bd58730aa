"""`mmlist diff`: two runs held against each other, replayed now or stored."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import click

from mmlist.cli import HELP
from mmlist.cli.jsonlines import line as json_line
from mmlist.db.read import run_of
from mmlist.db.stored import is_database, runs, stored
from mmlist.replay.difference import Difference, Replayed, compare, gathered
from mmlist.replay.errors import OptionError
from mmlist.replay.facts import Violation
from mmlist.replay.history import replay
from mmlist.replay.log import Log
from mmlist.replay.options import Options

_DIFFER = 1


@click.command(context_settings=HELP)
@click.argument("one", metavar="A")
@click.argument("other", metavar="[B]", required=False)
@click.option("--profile", default="auto", show_default=True, metavar="P", help="Of both logs.")
@click.option("--profiles", metavar="P,Q", help="Compare A under two profiles, in place of two logs.")
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True)
@click.pass_context
def diff(ctx: click.Context, one: str, other: str | None, profile: str, profiles: str | None, form: str) -> None:
    """Compare two runs: where they part, and which violations are new, gone or changed.

    A and B are logs, or databases that `mmlist replay` wrote, with one run each. A alone is a database with two runs, or
    with --profiles a log.

    \b
    Examples:
      mmlist diff before.txt after.txt
      mmlist diff before.db after.txt
      mmlist diff trace.txt --profiles 2.6.10,modern

    Violations of two logs are compared by signature (the same bug has the same one at other addresses, lines and times),
    those of one log by code and line. Exit code 0: no difference, 1: some, 2: a log that cannot be read.
    """
    if profiles is not None:
        sides = _of_profiles(one, other, profiles)
    elif other is not None:
        sides = [_Side(one, profile, _only_run(one)), _Side(other, profile, _only_run(other))]
    else:
        sides = _of_database(one, profile)
    found = compare(*(side.gathered() for side in sides))
    if form == "json":
        _write_json(found)
    else:
        _write(found)
    ctx.exit(0 if found.same else _DIFFER)


class _Side(NamedTuple):
    """A log under a profile, or a run of a database."""

    name: str
    profile: str
    run: int | None

    def gathered(self) -> Replayed:
        """What is compared of it."""
        if self.run is not None:
            return gathered(self.name, stored(Path(self.name), self.run))
        with Log.open(self.name) as log:
            return gathered(self.name, replay(log, Options(profile=self.profile)))


def _of_profiles(one: str, other: str | None, profiles: str) -> list[_Side]:
    names = [name.strip() for name in profiles.split(",")]
    if other is not None or is_database(Path(one)):
        raise click.UsageError("--profiles compares one log with itself")
    if len(names) != 2:
        raise OptionError("--profiles takes two, as in 2.6.10,modern")
    return [_Side(one, name, None) for name in names]


def _of_database(one: str, profile: str) -> list[_Side]:
    numbers = runs(Path(one)) if is_database(Path(one)) else []
    if len(numbers) != 2:
        raise click.UsageError(
            "give two logs or databases, or one database with two runs, or one log and --profiles P,Q"
        )
    return [_Side(one, profile, number) for number in numbers]


def _only_run(name: str) -> int | None:
    """The run of a database; None for a log."""
    path = Path(name)
    return int(run_of(path, None)["run"]) if is_database(path) else None


def _write(found: Difference) -> None:
    one, other = found.one, found.other
    click.echo(f"A {one.name}: {one.verdict}, profile {one.profile}, {len(one.checked)} invariants checked")
    click.echo(f"B {other.name}: {other.verdict}, profile {other.profile}, {len(other.checked)} invariants checked")
    for name, codes in (("A", one.checked - other.checked), ("B", other.checked - one.checked)):
        if codes:
            click.echo(f"  only checked in {name}: {', '.join(sorted(codes))}")
    if found.same:
        click.echo("no difference")
        return
    if found.first is not None:
        click.echo("they part at")
        for name, side, step in (("A", one, found.first[0]), ("B", other, found.first[1])):
            click.echo(f"  {name} " + (step.text(side.name) if step is not None else "has nothing more"))
    for title, violations in (("gone", found.gone), ("new", found.new)):
        for violation in violations:
            click.echo(f"{title}: {violation.code} {violation.slug}, {violation.certainty}, line {violation.at.line}")
            click.echo(f"    {violation.message}")
    for change in found.changed:
        before, after = (f"{count} {certainty}" for certainty, count in (change.before, change.after))
        click.echo(f"changed: {change.signature}: {before} -> {after}")


def _violation(violation: Violation) -> dict[str, object]:
    return {
        "code": violation.code,
        "slug": violation.slug,
        "certainty": violation.certainty,
        "line": violation.at.line,
        "signature": violation.signature,
        "message": violation.message,
    }


def _write_json(found: Difference) -> None:
    first = found.first or (None, None)
    click.echo(
        json_line(
            "difference",
            {
                "same": found.same,
                "logs": [found.one.name, found.other.name],
                "profiles": [found.one.profile, found.other.profile],
                "verdicts": [found.one.verdict, found.other.verdict],
                "first": [None if step is None else {"line": step.line, "what": step.what} for step in first],
                "gone": [_violation(one) for one in found.gone],
                "new": [_violation(one) for one in found.new],
                "changed": [
                    {"signature": one.signature, "before": list(one.before), "after": list(one.after)}
                    for one in found.changed
                ],
                "only_checked": [
                    sorted(found.one.checked - found.other.checked),
                    sorted(found.other.checked - found.one.checked),
                ],
            },
        )
    )
