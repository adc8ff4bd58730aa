"""`mmlist invariants`: what is checked, and why the kernel needs it."""

from __future__ import annotations

import difflib

import click

from mmlist.cli import HELP, rows
from mmlist.cli.jsonlines import line as json_line
from mmlist.replay.errors import OptionError
from mmlist.replay.invariants import Invariant, collect


@click.command(context_settings=HELP)
@click.argument("code", metavar="[CODE]", required=False)
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True)
def invariants(code: str | None, form: str) -> None:
    """List the invariants, or explain the one with this CODE or slug.

    \b
    Examples:
      mmlist invariants
      mmlist invariants M1
      mmlist invariants unlisted-swap-holder

    E is an error of the traced kernel, W is suspicious and worth a look. An invariant is judged only under the
    profiles (kernels) in its row.
    """
    known = collect()
    chosen = known if code is None else [_named(code, known)]
    if form == "json":
        for one in chosen:
            click.echo(json_line("invariant", as_json(one)))
    elif code is None:
        rows.write(list(_HEADS), [_row(one) for one in known], "table")
    else:
        (one,) = chosen
        click.echo(f"{one.code} {one.slug}: {one.title}")
        click.echo(f"severity {one.severities}; profiles {_profiles(one)}; needs {needs_of(one)}\n")
        click.echo(one.doc.strip())


def as_json(invariant: Invariant) -> dict[str, object]:
    """An invariant as the values of its JSON object."""
    return {
        "code": invariant.code,
        "slug": invariant.slug,
        "severity": invariant.severity,
        "title": invariant.title,
        "profiles": list(invariant.profiles),
        "needs": [sorted(names) for names in invariant.needs],
        "doc": invariant.doc.strip(),
    }


def needs_of(invariant: Invariant) -> str:
    """The events that a log must carry, in words."""
    return " and ".join(_any_of(names) for names in invariant.needs) or "nothing"


_HEADS = ("code", "slug", "severity", "profiles", "title")


def _row(one: Invariant) -> tuple[str, ...]:
    return one.code, one.slug, one.severity, _profiles(one), one.title


def _profiles(one: Invariant) -> str:
    return "all" if len(one.profiles) == 3 else ", ".join(one.profiles)


def _any_of(names: frozenset[str]) -> str:
    return next(iter(names)) if len(names) == 1 else f"one of ({', '.join(sorted(names))})"


def _named(given: str, known: list[Invariant]) -> Invariant:
    names = {name: one for one in known for name in (one.code, one.slug)}
    found = names.get(given) or names.get(given.upper())
    if found is None:
        near = difflib.get_close_matches(given, names, n=1, cutoff=0.5)
        hint = f"did you mean {near[0]}?" if near else "`mmlist invariants` lists them"
        raise OptionError(f"no invariant {given!r}: {hint}")
    return found
