"""A small kernel that runs at random and prints what a tracer would see: correct histories, and ones with a known bug.

It is the other side of the reference model: it imports nothing of replay.model, replay.bind, replay.judge or the
invariants, so that a wrong idea there cannot hide here. The same settings print the same log.

    simulation = Simulation(Settings(profile="modern", seed=7, lines=1000, bug="drain-ignores-inuse"))
    for line in simulation.lines(): ...
    simulation.truth()
"""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

import msgspec

from mmlist.replay.simulate.bugs import BUGS, Bug
from mmlist.replay.simulate.kernel import Kernel
from mmlist.replay.simulate.memory import Mm, Oops, walk
from mmlist.replay.simulate.printing import Printer, header
from mmlist.replay.simulate.settings import DIALECTS, PROFILES, VIEWS, Settings
from mmlist.replay.simulate.workload import boot

__all__ = ["BUGS", "DIALECTS", "PROFILES", "VIEWS", "Bug", "Settings", "Simulation", "Truth"]

_AT_ONCE = 512  # turns between two looks at the ring buffer
_STUCK = 20_000  # turns without a line: the machine hangs
_LEAKED = 12_000_000_000  # an mm has outlived its tasks by so much for a user that was never put: nanoseconds
_LATER = 4  # times as many lines as were wanted, at most, until it has


class Truth(msgspec.Struct):
    """What really happened. `line` is the first line of the task whose step went wrong (None: lost, or none did).

    `steps` is how often the bug's step went wrong; `members` are the addresses on mmlist at the end, from the head on.
    """

    settings: Settings
    lines: int
    losses: int
    members: list[str]
    ended: str
    bug: str | None = None
    root: str | None = None
    also: tuple[str, ...] = ()
    line: int | None = None
    steps: int = 0


class Simulation:
    """One run. `lines()` can be read once; `truth()` holds afterwards."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.kernel = Kernel(settings)
        # Damage has dice of its own, so that it does not change what happens.
        self.printer = Printer(settings, Random(settings.seed ^ 0x5EED))
        self.ended = "cut"
        self._taskless: dict[tuple[int, int], int] = {}  # mms that nobody has, by index and generation, and since when

    def lines(self) -> Iterator[str]:
        """The log, a line at a time, without line ends."""
        ring, printer, wanted = self.kernel.ring, self.printer, self.settings.lines
        for text in header(self.settings):
            printer.printed += 1
            yield text
        boot(self.kernel)
        silent = 0
        while (self._shows_later() or printer.printed < wanted) and silent < _STUCK:
            before = ring.count
            try:
                for _ in range(_AT_ONCE):
                    self.kernel.turn()
            except Oops as oops:
                self.ended = str(oops)
                break
            silent = silent + _AT_ONCE if ring.count == before else 0
            yield from printer.lines(ring.take())
        else:
            self.ended = "stuck" if silent else "cut"
        yield from printer.lines(ring.take(last=True))

    def _shows_later(self) -> bool:
        """Whether a user was forgotten, and no mm has outlived its tasks by so much yet that it can be told."""
        kernel = self.kernel
        if kernel.bug is None or kernel.bug.root != "C6" or not kernel.fired:
            return False
        had = {id(task.mm) for task in kernel.tasks.values()}
        now = kernel.ring.now
        left = [mm for mm in kernel.mms if mm.born and mm.users > 0 and id(mm) not in had]
        self._taskless = {(mm.addr, mm.generation): self._taskless.get((mm.addr, mm.generation), now) for mm in left}
        told = any(now - since > _LEAKED for since in self._taskless.values())
        return not told and self.printer.printed < _LATER * self.settings.lines

    def truth(self) -> Truth:
        """What the log should be found to say."""
        bug = self.kernel.bug
        members = [f"{mm.addr:#x}" for mm in walk(self.kernel.init_mm, 100_000) if isinstance(mm, Mm)]
        truth = Truth(self.settings, self.printer.printed, self.printer.losses, members, self.ended)
        if bug is not None and self.kernel.fired:
            truth.bug, truth.root, truth.also = bug.name, bug.root, bug.also
            truth.line, truth.steps = self.printer.marked, self.kernel.fired
        return truth
