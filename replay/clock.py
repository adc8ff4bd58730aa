"""The time of a log: exact integers from printed stamps, when losses end, time that goes backwards.

Within one CPU the ring buffer's order is right, and its time does not go back, but by some microseconds: the fast clocks may,
where timekeeping was updated (kernel/time/timekeeping.c: ktime_get_mono_fast_ns). A line that goes back by more was forged by
user space within a marker, or begins another capture that was joined; which of both shows only with the lines that follow on
that CPU.
"""

from __future__ import annotations

import msgspec

from mmlist.replay.dialect import SECONDS
from mmlist.replay.ledger import Ledger
from mmlist.replay.record import At, Loss, Record, Unparsed

_SLIP = 100_000
"""Nanoseconds that a clock may go back on one CPU: 24 microseconds were seen. What is forged or joined goes back by more."""
_PATIENCE = 3
"""So many lines of one CPU in a row that go back are another capture."""


class Suspect(msgspec.Struct):
    """A line that goes back in time: `record` if it is true (None: of another `name`), `unparsed` if it is not."""

    cpu: int
    stamp: bytes
    name: str
    record: Record | None
    unparsed: Unparsed


Held = Record | Loss | Unparsed | Suspect


class Clock:
    """Follows the time of each CPU of one log. `out` is always the list that the parser's items go to."""

    def __init__(self, ledger: Ledger) -> None:
        """Nothing was seen yet."""
        self.last: dict[int, bytes] = {}
        self.watched: set[int | None] = set()
        """The CPUs (None: any) of which somebody waits for the next record."""
        self.unit = "none"
        self.digits = 0
        self.scale = SECONDS
        """What a stamp without its dot is multiplied with, by the number of its decimals: the dialect's."""
        self.slips: list[tuple[int, int]] = []
        """Where the clock itself went back, in the order of the log: (to, from), for who knows how exact an order is there."""
        self._ledger = ledger
        self._joined: int | None = None
        self._earlier: dict[int, bytes] = {}
        self._losses: dict[int | None, list[Loss]] = {}
        self._suspects: dict[int, int] = {}

    def moment(self, stamp: bytes) -> int:
        """A printed stamp as an integer: nanoseconds, or the number itself of a clock that does not count seconds."""
        whole, _, digits = stamp.partition(b".")
        return int(whole + digits) * self.scale[len(digits)]

    @property
    def undecided(self) -> bool:
        """Whether a line is held back."""
        return bool(self._suspects)

    def follows(self, cpu: int, stamp: bytes, at: At, out: list[Held]) -> bool:
        """Whether a record at `stamp` is in time on `cpu`; another capture that begins with it is told."""
        if self.unit == "none":
            _, dot, digits = stamp.partition(b".")
            counts = dot or self.scale[0] != 1
            self.unit = "ns" if counts else "raw"
            self.digits = 10 - len(str(self.scale[len(digits)])) if counts else 0
        when, last = self.moment(stamp), self.last.get(cpu)
        if self._joined is not None:
            self._join(self._joined, cpu, when, at, out)
            return True
        return last is None or when >= self.moment(last)

    def slipped(self, cpu: int, stamp: bytes) -> int | None:
        """The time that a record which does not follow has by its place, where the clock merely slipped; None if it did not."""
        if self.unit != "ns" or cpu in self._suspects:
            return None
        when, last = self.moment(stamp), self.moment(self.last[cpu])
        if last - when > _SLIP:
            return None
        self.slips.append((when, last))
        return last

    def lost(self, loss: Loss) -> None:
        """A loss begins here: it ends with the next record of its CPU."""
        if loss.kind not in ("overwritten", "buffer_started"):
            last = self.last.get(loss.cpu) if loss.cpu is not None else None
            loss.since = self._latest() if loss.cpu is None else None if last is None else self.moment(last)
        self._losses.setdefault(loss.cpu, []).append(loss)
        self.watched.add(loss.cpu)

    @property
    def losing(self) -> bool:
        """Whether a loss has begun that no record has ended yet."""
        return bool(self._losses)

    def header(self) -> None:
        """A tracer's header: another capture begins behind it, or another CPU's file of the same."""
        if self.last:
            self._joined, self._earlier = self._latest(), dict(self.last)
            self.last.clear()

    def arrive(self, cpu: int, stamp: bytes, out: list[Held]) -> None:
        """A record in time on a watched CPU: its losses end, its suspects were forged."""
        if cpu in self._suspects:
            self._settle(cpu, out, forged=True)
        ended = [*self._losses.pop(None, ()), *self._losses.pop(cpu, ())]
        for loss in sorted(ended, key=lambda loss: loss.at.line):
            loss.until = loss.at.ts = self.moment(stamp)
            out.append(loss)
        self.watched.difference_update((None, cpu))

    def suspect(self, suspect: Suspect, out: list[Held]) -> None:
        """A line that goes back: held, until its CPU goes on as before or stays back."""
        cpu = suspect.cpu
        out.append(suspect)
        self._suspects[cpu] = self._suspects.get(cpu, 0) + 1
        if self._suspects[cpu] < _PATIENCE:
            self.watched.add(cpu)
            return
        place = next(i for i, item in enumerate(out) if isinstance(item, Suspect) and item.cpu == cpu)
        first = out[place]
        assert isinstance(first, Suspect)
        told: list[Held] = []
        since, until = self.moment(self.last[cpu]), self.moment(first.stamp)
        self._begin_again(cpu, cpu, since, until, first.unparsed.at, told)
        out[place:place] = told
        self._settle(cpu, out, forged=False)
        self.last[cpu] = suspect.stamp

    def settle(self, out: list[Held]) -> None:
        """No more is waited for: what is suspect was forged."""
        for cpu in tuple(self._suspects):
            self._settle(cpu, out, forged=True)

    def finish(self, out: list[Held]) -> None:
        """The log ends: what was lost has no end, what was suspect was forged."""
        self.settle(out)
        left = [loss for losses in self._losses.values() for loss in losses]
        left.sort(key=lambda loss: loss.at.line)
        out.extend(left)
        self._losses.clear()

    def _join(self, latest: int, cpu: int, when: int, at: At, out: list[Held]) -> None:
        """The first record behind a header: what went on between two captures is missing."""
        self._joined = None
        if when >= latest:
            out.append(Loss(At(at.line, at.offset, when, cpu, None, b""), None, None, latest, when, "joined"))
        elif cpu in self._earlier:
            self._begin_again(cpu, None, latest, when, at, out)
        else:
            self.last.update(self._earlier)  # per_cpu/cpu*/trace, one behind the other

    def _latest(self) -> int | None:
        return max(map(self.moment, self.last.values()), default=None)

    def _begin_again(self, cpu: int, only: int | None, since: int, until: int, at: At, out: list[Held]) -> None:
        place = At(at.line, at.offset, until, cpu, None, b"")
        out.append(Loss(place, only, None, since, until, "backwards"))
        if only is None:
            self.last.clear()

    def _settle(self, cpu: int, out: list[Held], *, forged: bool) -> None:
        del self._suspects[cpu]
        kept: list[Held] = []
        for item in out:
            if not isinstance(item, Suspect) or item.cpu != cpu:
                kept.append(item)
            elif forged:
                self._ledger.unparsed += 1
                kept.append(item.unparsed)
            elif item.record is None:
                self._ledger.count_other(item.name)
            else:
                self._ledger.ours += 1
                kept.append(item.record)
        out[:] = kept
        self._watch()

    def _watch(self) -> None:
        self.watched.clear()
        self.watched.update(self._losses, self._suspects)
