"""`mmlist simulate`: a log of a kernel that never ran, correct or with a known bug, and the truth beside it."""

from __future__ import annotations

import itertools
import json
import sys
from pathlib import Path
from typing import IO

import click
import msgspec

from mmlist.cli import HELP
from mmlist.replay.simulate import BUGS, DIALECTS, PROFILES, VIEWS, Settings, Simulation

_AT_ONCE = 4096  # lines between two writes

_RATE = click.FloatRange(0, 1)


@click.command(context_settings=HELP)
@click.option("--profile", type=click.Choice(PROFILES), default="modern", show_default=True, help="Which kernel.")
@click.option("--seed", type=int, default=0, show_default=True, help="The same seed prints the same log.")
@click.option("--lines", type=click.IntRange(1), default=2000, show_default=True, help="About how long the log is.")
@click.option("--cpus", type=click.IntRange(1, 64), default=2, show_default=True)
@click.option(
    "--tasks", type=click.IntRange(1, 1000), default=8, show_default=True, help="About how many live at once."
)
@click.option("--areas", type=click.IntRange(1, 8), default=2, show_default=True, help="Swap areas, at most.")
@click.option(
    "--view", type=click.Choice(VIEWS), default="explicit", show_default=True, help="Which events: docs/events.md"
)
@click.option("--dialect", type=click.Choice(DIALECTS), default="tracefs", show_default=True)
@click.option("--ties", type=_RATE, default=0.0, metavar="RATE", help="Share of lines at the time of the line before.")
@click.option(
    "--loss", type=_RATE, default=0.0, metavar="RATE", help="Share of lines at which events begin to be lost."
)
@click.option("--noise", type=_RATE, default=0.0, metavar="RATE", help="Share of lines that are of other subsystems.")
@click.option(
    "--pace", type=click.IntRange(1), default=12, show_default=True, metavar="US", help="Microseconds a step."
)
@click.option("--locks", is_flag=True, help="Print lock_acquire and lock_release, too.")
@click.option("--omit", multiple=True, metavar="EVENT", help="An event that is not printed (repeatable).")
@click.option("--bug", metavar="NAME", help="Seed this bug.")
@click.option("--list-bugs", is_flag=True, help="List the bugs, and exit.")
@click.option("-o", "--output", metavar="FILE", default="-", help="The log; the truth goes to FILE.truth.json.")
def simulate(bug: str | None, list_bugs: bool, output: str, omit: tuple[str, ...], **options: object) -> None:
    """Print a log of a small simulated kernel, to try mmlist or a script of yours on what is known.

    \b
    Examples:
      mmlist simulate --seed 7 --lines 100000 -o right.trace
      mmlist simulate --bug drain-ignores-inuse --view probes -o wrong.trace
      mmlist simulate --list-bugs

    The truth (FILE.truth.json): the bug, the line at which its step went wrong (of several lines of one step, the
    first), the code of the invariant that names it as the root, who stands on mmlist at the end. Without -o the log goes
    to the standard output and the truth nowhere.
    """
    if list_bugs:
        _list()
        return
    if bug is not None and bug not in BUGS:
        raise click.UsageError(f"No bug {bug!r}: mmlist simulate --list-bugs names them.")
    settings = msgspec.convert({**options, "bug": bug, "omit": list(omit)}, Settings)
    if bug is not None and settings.profile not in BUGS[bug].profiles:
        raise click.UsageError(f"{bug} is a bug of {', '.join(BUGS[bug].profiles)}.")
    simulation = Simulation(settings)
    if output == "-":
        _write(simulation, sys.stdout)
        return
    with Path(output).open("w", encoding="utf-8", newline="\n") as log:
        _write(simulation, log)
    truth = json.dumps(msgspec.to_builtins(simulation.truth()), indent=1)
    Path(output + ".truth.json").write_text(truth + "\n", encoding="utf-8")


def _write(simulation: Simulation, log: IO[str]) -> None:
    lines = simulation.lines()
    while some := list(itertools.islice(lines, _AT_ONCE)):
        log.write("\n".join(some))
        log.write("\n")


def _list() -> None:
    for bug in BUGS.values():
        kernels = " ".join(bug.profiles)
        click.echo(f"{bug.root:4} {bug.name:32} {kernels:22} {bug.undone}")
