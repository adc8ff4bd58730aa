"""`mmlist doctor`: what a log can decide, and which events would decide more."""

from __future__ import annotations

import click

from mmlist.bundled import bundled
from mmlist.cli import HELP, rows
from mmlist.cli.jsonlines import line as json_line
from mmlist.cli.logs import every_log
from mmlist.cli.words import symbol_files, symbols
from mmlist.replay.display import printable
from mmlist.replay.doctor import NOT, PARTLY, Health, examine
from mmlist.replay.options import Options

_ADVICE = 8


@click.command(context_settings=HELP)
@click.argument("logs", metavar="LOG...", nargs=-1, required=True)
@click.option("--profile", default="auto", show_default=True, metavar="P", help="auto, 2.6.9, 2.6.10 or modern.")
@symbol_files
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True)
def doctor(logs: tuple[str, ...], profile: str, vmlinux: str | None, kallsyms: str | None, form: str) -> None:
    """Say of each invariant whether each LOG can decide it: decidable, partly (and what is missing), or not.

    \b
    Examples:
      mmlist doctor trace.txt
      mmlist doctor --format json trace.txt.zst
      mmlist doctor capture.tar.gz          # also what to do better next time: docs/capture.md

    Nothing is accused here: that is `mmlist replay`. It ends with the events that would decide more (docs/events.md).
    """
    options = Options(profile=profile, symbols=symbols(vmlinux, kallsyms))
    for name in logs:
        for log in every_log(name):
            health = examine(log, bundled(log, options))
            if form == "json":
                _write_json(health)
            else:
                _write(health)


def _write_json(health: Health) -> None:
    for one in health.diagnoses:
        click.echo(
            json_line(
                "diagnosis",
                {
                    "log": health.name,
                    "code": one.code,
                    "slug": one.slug,
                    "state": one.state,
                    "missing": one.missing,
                    "add": one.add,
                },
            )
        )
    click.echo(
        json_line(
            "health", {"log": health.name, "profile": health.profile, "bounds": health.bounds, "better": health.better}
        )
    )


def _write(health: Health) -> None:
    states = [one.state for one in health.diagnoses]
    count = len(states)
    whole = count - states.count(PARTLY) - states.count(NOT)
    click.echo(
        f"{health.name}: profile {health.profile}, {whole} decidable, {states.count(PARTLY)} partly, "
        f"{states.count(NOT)} not"
    )
    for bound in health.bounds:
        click.echo(f"  {bound}")
    rows.write(
        ["code", "slug", "state", "missing"],
        [(one.code, one.slug, one.state, "; ".join(one.missing)) for one in health.diagnoses],
        "table",
    )
    if health.better:
        click.echo("to do better next time")
        for one in health.better:
            click.echo(f"  {printable(one)}")
    if health.advice:
        click.echo("to decide more, record")
        for event, codes in health.advice[:_ADVICE]:
            click.echo(f"  {event}: {', '.join(codes)}")
