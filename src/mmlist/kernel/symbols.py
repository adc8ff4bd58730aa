"""The kernel's symbols: their addresses by name, where one name may stand for several.

Read from text as System.map and /proc/kallsyms have it (`ADDRESS TYPE NAME [MODULE]`); .symtab (elf.py) and the kernel's own
tables (kallsyms.py) give the same.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cached_property
from typing import NamedTuple

from mmlist.replay.errors import InputError

_LINE = re.compile(rb"(?m)^([0-9a-fA-F]{4,16}) ([A-Za-z?]) ([^\s]+)(\t\[[^\]\n]*\])?[ \r]*$")
_STUB = b"The real System.map is in the "
"""What a Debian package's /boot/System.map-* says instead of its symbols."""

_SOME = 1 << 16
_VARIANT = re.compile(r"\.(part|isra|constprop|cold|llvm|lto_priv)\b")


class Symbol(NamedTuple):
    """A symbol: `address` is 0 where it is hidden; `type` is that of nm: t, T, d, D ..."""

    address: int
    type: str
    name: str

    @property
    def is_code(self) -> bool:
        """Whether it may be a function."""
        return self.type in "tTwW"


class Symbols:
    """All symbols of the kernel itself, without its modules'."""

    def __init__(self, symbols: Iterable[Symbol], source: str) -> None:
        """`source`: where they are from, in words."""
        self.source = source
        self.all = list(symbols)

    @cached_property
    def _names(self) -> dict[str, list[Symbol]]:
        found: dict[str, list[Symbol]] = {}
        for symbol in self.all:
            found.setdefault(symbol.name, []).append(symbol)
        return found

    @cached_property
    def _variants(self) -> dict[str, list[Symbol]]:
        found: dict[str, list[Symbol]] = {}
        for symbol in self.all:
            if "." in symbol.name and symbol.is_code and _VARIANT.search(symbol.name):
                found.setdefault(symbol.name.partition(".")[0], []).append(symbol)
        return found

    def named(self, name: str) -> list[Symbol]:
        """The symbols of exactly that name."""
        return self._names.get(name, [])

    def address(self, name: str) -> int | None:
        """The address of `name`; None where there is none, or several, or it is hidden."""
        found = {symbol.address for symbol in self.named(name)}
        return (found.pop() or None) if len(found) == 1 else None

    def variants(self, name: str) -> list[Symbol]:
        """What the compiler made of parts of the function `name`: `name.part.0`, `name.isra.0`, `name.constprop.0`."""
        return [symbol for symbol in self._variants.get(name, []) if ".cold" not in symbol.name]

    def in_init(self, symbol: Symbol) -> bool:
        """Whether it lies in what is freed after boot (include/asm-generic/sections.h: __init_begin, __init_end)."""
        begin, end = self.address("__init_begin"), self.address("__init_end")
        return begin is not None and end is not None and begin <= symbol.address < end

    @cached_property
    def base(self) -> int | None:
        """The address of _text, which kprobes may be put relative to."""
        return self.address("_text")


def looks_like_symbols(data: bytes) -> bool:
    """Whether these are the first bytes of a System.map, or of /proc/kallsyms."""
    first = data[:_SOME].split(b"\n", 1)[0]
    return _LINE.match(first) is not None or _STUB in first


def from_text(data: bytes, file: str) -> Symbols:
    """The symbols of a System.map or a copy of /proc/kallsyms. Raises InputError where it has none."""
    found = [
        Symbol(int(address, 16), type_.decode(), name.decode("utf-8", "surrogateescape"))
        for address, type_, name, module in _LINE.findall(data)
        if not module
    ]
    if not found:
        raise InputError(
            "has no symbols: it only names the package that has them" if _STUB in data[:_SOME] else "has no symbols",
            file=file,
            expected="lines `ffffffff81000000 T _text`, as System.map and /proc/kallsyms have",
        )
    return Symbols(found, file)
