"""One kernel, put together from the files that tell of it: an image, and what the image may lack."""

from __future__ import annotations

import re

import msgspec

from mmlist.kernel import fields, image
from mmlist.kernel.btf import FUNC, PTR, STRUCT, Btf
from mmlist.kernel.dwarf import Dwarf
from mmlist.kernel.functions import SOURCES, Status, statuses
from mmlist.kernel.layout import Field, Types
from mmlist.kernel.symbols import Symbols
from mmlist.kernel.traceable import traceable
from mmlist.replay.errors import InputError, OptionError

ARCHES = tuple(fields.BY_ARCH)
_ENTRIES = {"__x64_": "x86_64", "__arm64_": "arm64"}
_SYSCALLS = {"__x64_sys_swapoff": "x86_64", "__arm64_sys_swapoff": "arm64"}


class Kernel(msgspec.Struct):
    """What is known of a kernel. `fields`: `struct.field` -> where it lies; `functions`: name -> what has become of it.

    `release` is None where nothing tells it. `types_from`, `symbols_from`: in words. `notes`: what could not be read, and why.
    """

    file: str
    release: str | None
    arch: str
    fields: dict[str, Field | None]
    types_from: str
    functions: dict[str, Status]
    symbols_from: str
    notes: list[str]
    symbols: Symbols | None = None
    btf: Btf | None = None

    @property
    def version(self) -> tuple[int, int] | None:
        """The two numbers that the release begins with."""
        found = re.match(r"(\d+)\.(\d+)", self.release or "")
        return (int(found[1]), int(found[2])) if found else None

    def parameters(self, function: str) -> list[tuple[str, int]] | None:
        """Names and types of what a function takes; None where its BTF does not say, or has several of that name."""
        found = self.btf.find(FUNC, function) if self.btf is not None else []
        return self.btf.parameters(found[0]) if self.btf is not None and len(found) == 1 else None

    def returned(self, function: str) -> int | None:
        """The type that a function returns; None where its BTF does not say."""
        found = self.btf.find(FUNC, function) if self.btf is not None else []
        return self.btf.refers(self.btf.refers(found[0])) if self.btf is not None and len(found) == 1 else None

    def pointee(self, id_: int) -> str:
        """The struct that the BTF type `id_` points to, empty where it points to none."""
        if self.btf is None or self.btf.kind(stripped := self.btf.strip(id_)) != PTR:
            return ""
        target = self.btf.strip(self.btf.refers(stripped))
        return self.btf.name(target) if self.btf.kind(target) == STRUCT else ""

    def has_symbol(self, name: str) -> bool:
        """Whether data may be fetched by the symbol `name`: it is there, and once."""
        return self.symbols is not None and len(self.symbols.named(name)) == 1


def describe(
    file: str,
    *,
    system_map: str | None = None,
    btf: str | None = None,
    release: str | None = None,
    arch: str | None = None,
) -> Kernel:
    """Read the kernel `file`; its symbols from `system_map`, its types from `btf`, where these are given.

    `release` and `arch` (of `ARCHES`) go before what the file says. Raises InputError for a file that cannot be read,
    OptionError for an unknown `arch`.
    """
    if arch is not None and arch not in ARCHES:
        raise OptionError(f"no architecture {arch!r}: known are {', '.join(ARCHES)}")
    found = image.read(file)
    symbols, notes = found.symbols, []
    if system_map is not None:
        symbols = image.read(system_map).symbols
        if symbols is None:
            raise InputError("has no symbols", file=system_map, expected="a System.map or a copy of /proc/kallsyms")
    if symbols is None:
        notes.append("no symbols: stripped, without tables of kallsyms; give --system-map, or --kallsyms")
    elif not any(symbol.address for symbol in symbols.all):
        notes.append(f"{symbols.source} hides all addresses (kernel.kptr_restrict; read it as root)")
    table = found.btf
    if btf is not None:
        table = image.read(btf).btf
        if table is None:
            raise InputError("has no BTF", file=btf, expected="/sys/kernel/btf/vmlinux, or a vmlinux with .BTF")
    dwarf = None
    if found.elf is not None and found.elf.has_dwarf:
        dwarf = Dwarf(found.elf, {file for files in SOURCES.values() for file in files})
    traced = traceable(found.elf, symbols) if found.elf is not None and symbols is not None else None
    types: Types | None = table if table is not None else dwarf
    if types is None:
        notes.append("no types, neither BTF nor DWARF: no offset is known; give --btf")
    arch = arch or found.arch or _arch_of(symbols)
    return Kernel(
        file,
        release or found.release,
        arch,
        fields.located(types, fields.wanted(arch)),
        "BTF" if table is not None else "DWARF" if dwarf is not None else "nothing",
        {name: one for name, one in statuses(symbols, table, dwarf, traced).items() if _is_of(name, arch)},
        symbols.source if symbols is not None else "nothing",
        notes,
        symbols,
        table,
    )


def _arch_of(symbols: Symbols | None) -> str:
    """The machine, by the names of its system calls; x86_64 where they do not tell."""
    found = (arch for name, arch in _SYSCALLS.items() if symbols is not None and symbols.named(name))
    return next(found, ARCHES[0])


def _is_of(function: str, arch: str) -> bool:
    """Whether a kernel for `arch` can have it: an entry of a system call is a machine's own."""
    return all(other == arch or not function.startswith(prefix) for prefix, other in _ENTRIES.items())
