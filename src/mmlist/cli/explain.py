"""`mmlist explain`: the witness of a violation, step by step."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click
import msgspec

from mmlist.cli import HELP
from mmlist.cli.jsonlines import line as json_line
from mmlist.cli.words import colored, line_of, place
from mmlist.db import read
from mmlist.replay.errors import OptionError
from mmlist.replay.explain import Explanation, Related, Step, first_root, sentence
from mmlist.replay.explain import explain as explained

_CAUSES = 8  # more are not read; in JSON all are there


@click.command(context_settings=HELP)
@click.argument("database", metavar="DB", type=click.Path(path_type=Path))
@click.argument("id_", metavar="[ID]", type=int, required=False)
@click.option("--run", "run", type=int, help="Which run, where the database holds several.")
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True)
def explain(database: Path, id_: int | None, run: int | None, form: str) -> None:
    """Show the lines that prove violation ID of DB: what each shows, and what the kernel should have done.

    \b
    Examples:
      mmlist explain trace.txt.db
      mmlist explain trace.txt.db 3 --format json

    Without ID it is the first violation that has no other as its cause. Original lines are shown as they are, but for
    control characters, which are escaped.
    """
    chosen = read.run_of(database, run)
    known = read.violations(database, chosen["run"])
    if id_ is None:
        root = first_root(known)
        if root is None:
            click.echo(f"{chosen['file']}: {chosen['verdict']}, there is no violation to explain", err=True)
            return
        id_ = root["id"]
    violation = next((row for row in known if row["id"] == id_), None)
    if violation is None:
        raise OptionError(f"{database}: run {chosen['run']} has no violation {id_}, there are {len(known)}")
    found = explained(violation, read.witness(database, chosen["run"], violation["id"]), known)
    if form == "json":
        told = msgspec.structs.asdict(found)
        click.echo(json_line("explanation", {"run": chosen["run"], **told}))
        return
    for part in render(found, chosen["ts_unit"]):
        click.echo(part)


def render(found: Explanation, unit: str) -> Iterator[str]:
    """An explanation as lines of text."""
    yield f"{found.code} {found.slug}: {found.message}"
    yield "  " + "; ".join(_about(found))
    for step in found.steps:
        yield ""
        yield from _step(step, unit)
    yield ""
    yield f"certainty     {colored(found.certainty)}: {found.reason}"
    cause = found.follows_from
    yield f"follows from  {_related(cause) if cause else 'no other violation: this is a root'}"
    for number, echo in enumerate(found.causes[:_CAUSES]):
        yield f"{'' if number else 'causes':12}  {_related(echo)}"
    if len(found.causes) > _CAUSES:
        yield f"{'':12}  and {len(found.causes) - _CAUSES} more"
    yield f"signature     {found.signature}"


def _about(found: Explanation) -> Iterator[str]:
    yield f"seen at {found.file}:{found.line}"
    if found.count > 1:
        yield f"{found.count} times, last at line {found.last_line}"
    if found.mm is not None:
        yield f"mm {found.mm} (generation {found.generation})"
    if found.entry is not None:
        yield f"swap entry {found.entry}"
    if found.type is not None:
        yield f"swap area {found.type}"


def _step(step: Step, unit: str) -> Iterator[str]:
    yield f"{step.number}. {sentence(step)}"
    yield f"   {step.file}:{step.line}  {place(step, unit)}".rstrip()
    yield f"   | {'(the line was not kept)' if step.text is None else line_of(step.text)}"
    if step.place is not None:
        yield f"   at     {step.place}"
    if step.state:
        yield f"   before: {step.state}"
    if step.should:
        yield f"   should: {step.should}"


def _related(other: Related) -> str:
    return f"violation {other.id}, {other.code} {other.slug} at line {other.line}, {other.certainty}"
