"""Counts the lines of a log: each physical line once, as what it was read as."""

from __future__ import annotations

from collections import Counter

import msgspec


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
