"""Puts what a log says into replay order: by time, file order among equals, through a bounded window.

CPUs' lines may stand milliseconds out of order in a log that lost nothing. What is read waits in a sorted window; only
the part of it that new items reach into is sorted again, which in a log that is nearly in order is next to nothing.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from collections.abc import Iterable, Iterator

from mmlist.replay.record import Loss, Record, Unparsed

Item = Record | Loss | Unparsed

WINDOW = 65536
_CHUNK = 4096


class Ordered:
    """Items in replay order. `late`: records older than one released before, because the window was too small."""

    def __init__(self, items: Iterable[Item], window: int = WINDOW) -> None:
        """`window`: records that wait."""
        self.late = 0
        self._items = iter(items)
        self._window = window
        self._chunk = max(1, min(_CHUNK, window))
        self._times: list[int] = []
        self._waiting: list[Record | Loss] = []
        self._lines: deque[int] = deque()
        self._read = 0
        self._now = 0

    def __iter__(self) -> Iterator[Item]:
        """Once through all items. Sets `at.seq` of each record: the line number of the record whose turn it takes."""
        chunk: list[Record | Loss] = []
        for item in self._items:
            if isinstance(item, Record):
                self._lines.append(item.at.line)
            elif isinstance(item, Unparsed):
                yield item
                continue
            elif item.kind == "backwards":
                # Another capture: nothing behind it comes before it.
                self._take(chunk)
                chunk = []
                yield from self._release(len(self._waiting))
                yield item
                self._read = self._now = 0
                continue
            chunk.append(item)
            if len(chunk) >= self._chunk:
                self._take(chunk)
                chunk = []
                yield from self._release(len(self._waiting) - self._window)
        self._take(chunk)
        yield from self._release(len(self._waiting))

    def _take(self, chunk: list[Record | Loss]) -> None:
        """Put a chunk into the window."""
        if not chunk:
            return
        times = self._stamps(chunk)
        known, waiting = self._times, self._waiting
        if known:
            # What waits and is later than the earliest of the chunk is sorted with it; file order decides ties.
            start = bisect_right(known, min(times))
            if start < len(known):
                times = known[start:] + times
                chunk = waiting[start:] + chunk
                del known[start:], waiting[start:]
        if times != sorted(times):
            order = sorted(range(len(times)), key=times.__getitem__)
            times, chunk = [times[i] for i in order], [chunk[i] for i in order]
        known.extend(times)
        waiting.extend(chunk)

    def _stamps(self, chunk: list[Record | Loss]) -> list[int]:
        """The times to sort by; what has none stays behind what was read before it."""
        now, times = self._read, []
        for item in chunk:
            ts = item.at.ts
            if ts is None:
                ts = now
            times.append(ts)
            now = ts
        self._read = now
        return times

    def _release(self, count: int) -> Iterator[Record | Loss]:
        """Hand out the `count` earliest."""
        if count <= 0:
            return
        ready, times = self._waiting[:count], self._times[:count]
        del self._waiting[:count], self._times[:count]
        if times[0] < self._now:
            self.late += sum(1 for ts in times if ts < self._now)
        self._now = max(self._now, times[-1])
        next_line = self._lines.popleft
        for item in ready:
            if isinstance(item, Record):
                item.at.seq = next_line()
            yield item


def ordered(items: Iterable[Item], window: int = WINDOW) -> Ordered:
    """Iterate `items` in (time, file order), at most `window` records waiting; see `Ordered.late`.

    Losses take part with the time at which they end; unparsed lines pass at once; another capture joined to the log
    (a loss of kind `backwards`) begins after all that stood before it.
    """
    return Ordered(items, window)
