"""Progress on standard error, where a person is looking; nothing anywhere else."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from mmlist.replay.facts import Fact

Watch = Callable[[Iterable[Fact]], Iterator[Fact]]

_EVERY = 100  # facts between two looks


@contextmanager
def shown(log: str, wanted: bool) -> Iterator[Watch]:
    """Something to pass facts through that shows how far the replay of `log` is."""
    # Not rich's own test: FORCE_COLOR makes it take any log of a CI for a terminal.
    if not wanted or os.environ.get("CI") or not sys.stderr.isatty():
        yield iter
        return
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        name = escape(log)
        task = progress.add_task(f"{name}: a first look")

        def watch(facts: Iterable[Fact]) -> Iterator[Fact]:
            for number, fact in enumerate(facts):
                if number % _EVERY == 0:
                    progress.update(task, description=f"{name}: {number:,} facts{_line(fact)}")
                yield fact

        yield watch


def _line(fact: Fact) -> str:
    line = getattr(getattr(fact, "at", fact), "line", None)
    return "" if line is None else f", at line {line:,}"
