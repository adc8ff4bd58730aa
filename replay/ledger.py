"""Counts the lines of a log: each physical line once, as what it was read as."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping

import msgspec

CLASSES = ("ours", "other", "header", "continuation", "loss", "blank", "unparsed")
"""All that a line can be read as, in the order in which people are told."""

NAMED = 1_000
"""Rows of other events at most; the rarer ones share one row."""

REST = "..."
"""Stands for the names that were not told apart."""

_APART = 1 << 14  # names of other events that are counted one by one, in the order in which they come
_LONGEST = 120  # a kernel's event has 63 characters, its system as many


class Ledger(msgspec.Struct):
    """What became of the lines.

    `ours`: records that were yielded; `other`: records of other names, by name (`<kind>` where a record has none);
    `continuation`: further lines of a record, stack frames; `loss`: markers of lost events; `header`: what a tool says.
    """

    header: int = 0
    ours: int = 0
    other: Counter[str] = msgspec.field(default_factory=Counter)
    continuation: int = 0
    loss: int = 0
    blank: int = 0
    unparsed: int = 0

    @property
    def lines(self) -> int:
        """The number of lines of the log."""
        counted = self.header + self.ours + self.continuation + self.loss + self.blank + self.unparsed
        return counted + self.other.total()

    @property
    def records(self) -> int:
        """The number of records, ours and other."""
        return self.ours + self.other.total()

    def count_other(self, name: str, lines: int = 1) -> None:
        """Count records of another event. A log may invent names without end: what is too much counts as REST."""
        other = self.other
        if len(name) > _LONGEST:
            name = name[:_LONGEST] + REST
        if name not in other and len(other) >= _APART:
            name = REST
        other[name] += lines

    def rows(self, ours: Mapping[str, int]) -> Iterator[tuple[str, str | None, int]]:
        """(class, name, lines), one row at least a class, names by how often they came; the lines add up to `lines`.

        `ours` are the records of ours by name, as many as `self.ours`. A name is None where the class has none.
        """
        for kind in CLASSES:
            if kind == "ours":
                yield from _named(kind, ours)
            elif kind == "other":
                yield from _named(kind, self.other)
            else:
                yield kind, None, getattr(self, kind)


def _named(kind: str, counts: Mapping[str, int]) -> Iterator[tuple[str, str | None, int]]:
    if not counts:
        yield kind, None, 0
        return
    told = sorted((-lines, name) for name, lines in counts.items() if name != REST)
    for lines, name in told[:NAMED]:
        yield kind, name, -lines
    rest = counts.get(REST, 0) - sum(lines for lines, _ in told[NAMED:])
    if rest:
        yield kind, REST, rest
