"""`mmlist diff`: two runs held against each other."""

from __future__ import annotations

import click

from mmlist.cli import HELP
from mmlist.cli.jsonlines import line as json_line
from mmlist.replay.difference import Difference, Replayed, compare, replayed
from mmlist.replay.errors import OptionError
from mmlist.replay.facts import Violation
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
    """Compare two logs, or one log under two profiles: where they part, and which violations are new, gone or changed.

    \b
    Examples:
      mmlist diff before.txt after.txt
      mmlist diff trace.txt --profiles 2.6.10,modern

    Violations of two logs are compared by signature (the same bug has the same one at other addresses, lines and times),
    those of one log by code and line. Exit code 0: no difference, 1: some, 2: a log that cannot be read.
    """
    if (other is None) == (profiles is None):
        raise click.UsageError("give two logs, or one and --profiles P,Q")
    if profiles is not None:
        names = [name.strip() for name in profiles.split(",")]
        if len(names) != 2:
            raise OptionError("--profiles takes two, as in 2.6.10,modern")
        sides = [(one, names[0]), (one, names[1])]
    else:
        sides = [(one, profile), (other or "", profile)]
    lines = profiles is not None
    before, after = (_side(name, which, lines) for name, which in sides)
    found = compare(before, after, lines=lines)
    if form == "json":
        _write_json(found)
    else:
        _write(found)
    ctx.exit(0 if found.same else _DIFFER)


def _side(name: str, profile: str, lines: bool) -> Replayed:
    with Log.open(name) as log:
        return replayed(log, Options(profile=profile), lines=lines)


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
