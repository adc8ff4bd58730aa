"""A kernel's symbols as a replay needs them: addresses by name, and the symbol that an address lies in.

They are of the kernel's file, or of one boot: where the kernel lay in the boot that a log is of is told by relocation.py. What
reads kernel files is no part of the replay (mmlist.kernel), and gives its symbols to this.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from collections.abc import Iterable
from functools import cached_property

DENSE = 5_000
"""Symbols from which on a table is one of a whole kernel: between two that stand in it there is none of that kernel's."""


class Symbols:
    """`source` names where they are from; `release` and `mmlist_offset` (bytes) are None where it does not say them."""

    def __init__(
        self,
        symbols: Iterable[tuple[int, str]],
        source: str,
        *,
        release: str | None = None,
        mmlist_offset: int | None = None,
    ) -> None:
        """`symbols`: (address, name). Of several at one address the first stands for it (kernel/kallsyms.c: get_symbol_pos)."""
        self.source, self.release, self.mmlist_offset = source, release, mmlist_offset
        self._named: dict[str, list[int]] = {}
        first: dict[int, str] = {}
        for address, name in symbols:
            self._named.setdefault(name, []).append(address)
            first.setdefault(address, name)
        self._addresses = sorted(first)
        self._names = [first[address] for address in self._addresses]

    @property
    def dense(self) -> bool:
        """Whether they are all symbols of a kernel."""
        return len(self._addresses) >= DENSE

    @cached_property
    def digest(self) -> str:
        """Tells one table from another."""
        found = hashlib.sha256()
        for address, name in zip(self._addresses, self._names, strict=True):
            found.update(f"{address:x} {name}\n".encode("utf-8", "surrogateescape"))
        return found.hexdigest()

    def address(self, name: str) -> int | None:
        """The address of `name`; None where there is none, or several."""
        found = self._named.get(name, [])
        return found[0] if len(found) == 1 else None

    def sizes(self, name: str) -> list[int]:
        """How far it is from each symbol `name` to the next symbol, in bytes."""
        found = []
        for address in self._named.get(name, []):
            after = bisect_right(self._addresses, address)
            if after < len(self._addresses):
                found.append(self._addresses[after] - address)
        return found

    def within(self, address: int) -> tuple[str, int, int] | None:
        """(name, offset, size) of the symbol that `address` lies in; None where it lies in none, or behind the last."""
        after = bisect_right(self._addresses, address)
        if not 0 < after < len(self._addresses):
            return None
        begin = self._addresses[after - 1]
        return self._names[after - 1], address - begin, self._addresses[after] - begin
