"""How far a replay is, on a terminal: how much of the log, how fast, how long still, violations so far."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mmlist.replay.history import History
from mmlist.replay.log import Log

_EVERY = 0.2  # seconds
_MB = 1_000_000


class Watched:
    """What is shown: once there is a history, its violations so far."""

    history: History | None = None

    @property
    def words(self) -> str:
        """What is going on."""
        if self.history is None:
            return "a first look"
        found = len(self.history.judge.violations)
        return f"{found:,} violation{'' if found == 1 else 's'} so far"


@contextmanager
def shown(log: Log, wanted: bool) -> Iterator[Watched]:
    """Show how far `log` has been read, a few times a second; by the content's bytes, which a first look has counted."""
    watched = Watched()
    # Not rich's own test: FORCE_COLOR makes it take any log of a CI for a terminal.
    if not wanted or os.environ.get("CI") or not sys.stderr.isatty():
        yield watched
        return
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    speed = TextColumn("{task.fields[read]}")
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        speed,
        TimeRemainingColumn(),
        TextColumn("{task.fields[said]}"),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(escape(Path(log.name).name), total=None, read="", said=watched.words)
        over = threading.Event()

        def watch() -> None:
            while not over.wait(_EVERY):
                if watched.history is not None and progress.tasks[0].total is None:
                    progress.reset(task, total=log.size)
                rate = progress.tasks[0].speed
                read = f"{log.position // _MB:,} MB" + (f", {rate / _MB:.1f} MB/s" if rate else "")
                progress.update(task, completed=log.position, read=read, said=watched.words)

        thread = threading.Thread(target=watch, daemon=True)
        thread.start()
        try:
            yield watched
        finally:
            over.set()
            thread.join()
