"""Follows a log that still grows: tells violations as their lines come, of a log that ended there.

A preview, and no second judge: it knows only what has come. A replay takes facts from the whole log (survey.py: which events
it carries, where init_mm lies), so where the log shows more than was known, this begins anew with what was kept. What is
found is told once, and no stronger than what has come can bear; what counts is the replay of the whole at the end.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable, Iterator

import msgspec

from mmlist.replay.errors import InputError
from mmlist.replay.facts import Violation
from mmlist.replay.growing import TICK, Growing, Kept, Packed
from mmlist.replay.history import History
from mmlist.replay.log import Block
from mmlist.replay.options import Options
from mmlist.replay.order import WINDOW, Item
from mmlist.replay.parse import Parser
from mmlist.replay.record import Record, Unparsed
from mmlist.replay.skim import names_in_text

_FREE = 64 << 20
_TIMES = 4
"""Of what has come, as much is read again at most: so many bytes, and so many times all."""
_SURVEYED = 8 << 20
"""Bytes after which a survey of the beginning is that of a plain replay (setup.py looks at 50,000 records)."""
_ALONE = "the line says it by itself"


class Found(msgspec.Struct):
    """A violation as it is told: `certainty` is that of a log that ended here. `line` and the rest as of Violation."""

    line: int
    code: str
    slug: str
    severity: str
    certainty: str
    message: str
    mm: int | None
    entry: int | None


class _Anew(Exception):
    """The log shows more than the pass now going on knows of."""


class Live:
    """One log, followed to its end."""

    def __init__(self, kept: Kept, options: Options, tell: Callable[[Found], object]) -> None:
        """`kept`: what comes. `tell` hears each violation, once, as soon as it is found."""
        self._tell = tell
        self.told: dict[tuple[str, int, int | None, int | None], Found] = {}
        self._kept = kept
        self._options = options
        self._aliases = None if options.mapping is None else options.mapping.aliases
        self._names: frozenset[str] = frozenset()
        self._surveyed = 0  # bytes that the survey of this pass saw
        self._reread = 0
        self._outdated = False
        self._begin()

    def _begin(self) -> None:
        self._held: list[tuple[int, int, Item]] = []
        self._lines: deque[int] = deque()
        self._count = self._before = 0  # items taken, and how many there were a tick ago
        self._read = self._now = 0
        self._history: History | None = None
        self._parser: Parser | None = None
        self._heard = 0  # violations of this pass that were looked at

    def follow(self) -> None:
        """Follow the log to its end. Raises Packed if the log is packed, OptionError as History."""
        while not self._kept.ended:
            try:
                for item in self._items():
                    if not isinstance(item, Unparsed):
                        self._hold(item)
            except _Anew:
                pass
            except Packed:
                raise
            except InputError:
                if self._kept.whole and not self._kept.ended:
                    self._wait()  # in no known dialect, as far as it goes
            if self._history is not None and self._kept.ended and not self._outdated:
                self._release(len(self._held))
                self._hear()

    def _items(self) -> Iterator[Item]:
        """All that the log says, from its beginning, as long as this pass holds."""
        piece: bytes | None = b" "
        while piece is not TICK or not self._kept.whole:  # all that is there by now
            piece = self._kept.pull()
            if self._kept.ended:
                return
        self._begin()
        self._outdated = False
        self._reread += self._kept.whole
        self._surveyed = self._kept.whole
        log = Growing(self._kept, self._more)
        self._names = names_in_text(log.blocks(), self._aliases)
        self._history = History(log, self._options)
        self._parser = parser = self._history.setup.new_parser()
        log.live = True
        yield from self._history.setup.records(parser)

    def _wait(self) -> None:
        """Until there is twice as much, or the end."""
        until = 2 * self._kept.whole
        while self._kept.size < until and self._kept.pull() != b"":
            pass

    # --- what comes --------------------------------------------------------------------------------------------------

    def _more(self) -> bool:
        """Take what comes next; at a tick, step on what has waited for one."""
        before = self._kept.whole
        piece = self._kept.pull()
        if piece is TICK:
            self._tick()
            return True
        if self._kept.whole > before:
            data = self._kept.at(before)
            if names_in_text([Block(0, before, data)], self._aliases) - self._names:
                self._outdated = True
        return not self._kept.ended

    def _tick(self) -> None:
        """What was there at the tick before waits no longer: a line of another CPU would have come meanwhile."""
        self._release(len(self._held) - (self._count - self._before))
        self._before = self._count
        if not self._outdated:
            self._hear()
        grown = self._surveyed < _SURVEYED and self._kept.whole >= 2 * self._surveyed
        if (self._outdated or grown) and self._reread <= (_TIMES - 1) * self._kept.whole + _FREE:
            raise _Anew
        self._hear()

    # --- order -------------------------------------------------------------------------------------------------------

    def _hold(self, item: Item) -> None:
        """An item waits for its turn, as in order.py."""
        if isinstance(item, Record):
            self._lines.append(item.at.line)
        elif getattr(item, "kind", "") == "backwards":
            self._release(len(self._held))
            self._step(item)
            self._read = self._now = 0
            return
        if item.at.ts is not None:
            self._read = item.at.ts
        if self._read < self._now:
            self._outdated = True  # it came too late for this pass
        self._count += 1
        heapq.heappush(self._held, (self._read, self._count, item))
        self._release(len(self._held) - WINDOW)

    def _release(self, count: int) -> None:
        for _ in range(count):
            ts, _number, item = heapq.heappop(self._held)
            self._now = max(self._now, ts)
            if isinstance(item, Record):
                item.at.seq = self._lines.popleft()
            self._step(item)

    def _step(self, item: Item) -> None:
        history, parser = self._history, self._parser
        assert history is not None and parser is not None
        history.follow(item, parser.slips)

    # --- what is told ------------------------------------------------------------------------------------------------

    def _hear(self) -> None:
        history = self._history
        if history is None:
            return
        violations = history.judge.violations
        for violation in violations[self._heard :]:
            key = violation.code, violation.at.line, violation.mm, violation.entry
            if key not in self.told:
                found = self.told[key] = self._found(violation)
                self._tell(found)
        self._heard = len(violations)

    def _found(self, one: Violation) -> Found:
        assert self._history is not None and self._parser is not None
        certainty = one.certainty
        lossy = self._history.losses or self._parser.losing
        if self._outdated or (lossy and one.reason != _ALONE):
            certainty = "undecided"  # what a CPU lost last, it says before its next line
        return Found(one.at.line, one.code, one.slug, one.severity, certainty, one.message, one.mm, one.entry)
