"""The ring buffer: which events are enabled, the lines in the order of their time stamps, and the clock.

A probe takes its time stamp first and fetches then (kernel/trace/trace_kprobe.c: the ring buffer reserves, then the
arguments are read), so a line may be reserved, and filled when other CPUs have done a step more. Lines of equal time
stand together by CPU, as a reader merges the CPUs' buffers.
"""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

from mmlist.replay.simulate.settings import Settings

HOOKS = frozenset({"mmlist_add", "mmlist_del", "mmlist_visit", "mmlist_drain", "swap_assign", "swap_clear"})
"""What a kernel with hook functions says beside its probes (the view `both`)."""

_TICK = 1000  # ns: what the clock prints


class Line:
    """One line to be: time in ns, CPU, the task's name and id, the event. `body` is None while it is only reserved."""

    __slots__ = ("body", "comm", "cpu", "marked", "name", "pid", "ts")

    def __init__(self, ts: int, cpu: int, comm: str, pid: int, name: str, body: str | None) -> None:
        self.ts = ts
        self.cpu = cpu
        self.comm = comm
        self.pid = pid
        self.name = name
        self.body = body
        self.marked = False


class Ring:
    """Collects lines; `take()` hands out those whose order is settled."""

    def __init__(self, settings: Settings, random: Random) -> None:
        self.explicit = settings.view == "explicit"
        self.probes = settings.view != "explicit"
        self.hooks = settings.view == "both"
        self.locks = settings.locks
        self.omit = settings.omit
        self.ties = settings.ties
        self.pace = settings.pace * 1000
        self.random = random.random
        self.now = 1_000_000_000
        self.lines: list[Line] = []
        self.reserved = 0
        self.count = 0
        self.mark_next = False  # the next line is the first behind the bug's first step

    def _stamp(self) -> int:
        if not self.ties or self.random() >= self.ties:
            self.now += _TICK + int(self.random() * self.pace)
        return self.now - self.now % _TICK

    def line(self, cpu: int, comm: str, pid: int, name: str, body: str | None) -> Line | None:
        """One line more; None where the event is not enabled."""
        if name in self.omit:
            return None
        line = Line(self._stamp(), cpu, comm, pid, name, body)
        self.lines.append(line)
        self.count += 1
        if body is None:
            self.reserved += 1
        if self.mark_next:
            line.marked, self.mark_next = True, False
        return line

    def fill(self, line: Line | None, body: str) -> None:
        """What a reserved line fetched."""
        if line is not None:
            line.body = body
            self.reserved -= 1

    def take(self, last: bool = False) -> Iterator[Line]:
        """The lines that nothing can come before any more, all of them if they are the `last`."""
        if self.reserved and not last:
            return
        lines, cut = self.lines, len(self.lines)
        if not last:
            while cut and lines[cut - 1].ts == lines[-1].ts:
                cut -= 1
        done, self.lines = lines[:cut], lines[cut:]
        done.sort(key=lambda line: (line.ts, line.cpu))
        yield from (line for line in done if line.body is not None)
