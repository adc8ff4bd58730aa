"""Reads a file or a pipe that still grows, until its end or a signal: the source of replay/growing.py.

A pipe ends where its writer closes it; a file, where it is cut short, moved or deleted (a rotated log is another log);
both at SIGINT or SIGTERM.
"""

from __future__ import annotations

import os
import select
import signal
import stat
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType, TracebackType

from mmlist.replay.errors import InputError
from mmlist.replay.growing import TICK
from mmlist.replay.log import BLOCK

SECONDS = 0.1
"""Between ticks. A line waits for three of them, so what it shows is told within a second; where it shows a new name, for
six, and for what was kept to be read again."""


class Interrupts:
    """While it is entered, SIGINT and SIGTERM set `came` and do nothing else."""

    def __init__(self) -> None:
        """No signal came yet."""
        self.came = False
        self._before: dict[int, Callable[[int, FrameType | None], object] | int | None] = {}

    def __enter__(self) -> Interrupts:
        """Take the signals over."""
        for number in (signal.SIGINT, signal.SIGTERM):
            self._before[number] = signal.signal(number, self._take)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Give them back: one that comes now interrupts as ever."""
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _take(self, _number: int, _frame: FrameType | None) -> None:
        self.came = True


def source(path: str, interrupts: Interrupts, say: Callable[[str], None]) -> Iterator[bytes | None]:
    """What comes of the log at `path` (- is standard input), with ticks; `say` hears why a file ended.

    Raises InputError if it cannot be opened or read.
    """
    try:
        descriptor = sys.stdin.fileno() if path == "-" else os.open(path, os.O_RDONLY)
    except OSError as error:
        raise InputError(error.strerror or str(error), file=path, expected="a log file that can be read") from None
    try:
        yield from _pieces(path, descriptor, interrupts, say)
    except OSError as error:
        raise InputError(error.strerror or str(error), file=path, expected="a log file that can be read") from None
    finally:
        if path != "-":
            os.close(descriptor)


def _pieces(path: str, descriptor: int, interrupts: Interrupts, say: Callable[[str], None]) -> Iterator[bytes | None]:
    grows = stat.S_ISREG(os.fstat(descriptor).st_mode)
    ticked = time.monotonic()
    place = 0
    largest = os.fstat(descriptor).st_size  # 0 for good in tracefs, whose files have no size
    while not interrupts.came:
        ready, _, _ = select.select([descriptor], [], [], SECONDS)
        piece = os.read(descriptor, BLOCK) if ready else b""
        place += len(piece)
        if piece:
            yield piece
        elif ready and not grows:
            return
        elif grows:
            largest = max(largest, os.fstat(descriptor).st_size)
            if why := _over(path, descriptor, place if largest else 0):
                say(f"{path} {why}: the log ends there")
                return
            if ready:
                time.sleep(SECONDS)
        if time.monotonic() - ticked >= SECONDS:
            ticked = time.monotonic()
            yield TICK


def _over(path: str, descriptor: int, place: int) -> str:
    """Why a file grows no more; empty if it may. `place`: the size that it had at least."""
    mine = os.fstat(descriptor)
    if mine.st_size < place:
        return "was cut short"
    if path == "-":
        return ""
    try:
        there = Path(path).stat()
    except OSError:
        return "was moved or deleted"
    return "" if (there.st_dev, there.st_ino) == (mine.st_dev, mine.st_ino) else "was replaced"
