"""What headers say of the machine: of how many CPUs, and how many entries, the log should be."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping

import msgspec

_ONLINE = re.compile(rb"#P:([0-9]{1,4})\b")
_EMPTY = re.compile(rb"CPU ([0-9]{1,4}) is empty")
_MOST = 8192
"""CPUs that a header may claim (include/linux/threads.h: NR_CPUS)."""
FEW = 256
"""Fewer records are a short test, whose pids and CPUs mean nothing, or an excerpt below the header of the whole."""


class Machine(msgspec.Struct):
    """`cpus`: how many the headers know, 0 if none says; `empty`: those of them that had nothing to say; `entries`: in all their
    buffers, None if none says, or several `headers` do.

    per_cpu/cpuN/trace has the lines of one CPU below the header of all (kernel/trace/trace.c: print_event_info), as trace-cmd
    report --cpu has.
    """

    cpus: int = 0
    entries: int | None = None
    headers: int = 0
    empty: set[int] = msgspec.field(default_factory=set)

    def hear(self, kind: str, parts: Mapping[str, bytes], text: bytes) -> None:
        """A line of notes.lark, of `kind`."""
        if kind == "cpus":
            self.cpus = min(int(parts["cpus"]), _MOST)
        elif kind == "entries":
            self.headers += 1
            self.entries = int(parts["kept"]) if self.headers == 1 else None
            if (online := _ONLINE.search(parts.get("rest", b""))) is not None:
                self.cpus = min(int(online[1]), _MOST)
        elif kind == "tool" and (empty := _EMPTY.fullmatch(text)) is not None and len(self.empty) < _MOST:
            self.empty.add(int(empty[1]))

    def one_cpu(self, seen: Collection[int], records: int, more: int) -> bool:
        """Whether a log of `records`, all on the CPUs `seen`, and `more` lines that are entries is of one CPU out of several."""
        if len(seen) != 1 or records < FEW or not set(range(self.cpus)) - {*seen, *self.empty}:
            return False
        return self.entries is None or self.short(records, more)

    def short(self, records: int, more: int) -> bool:
        """Whether `records` and `more` lines that are entries are fewer than the header has: somebody has taken some out."""
        return self.entries is not None and self.entries > records + more
