"""A kernel file, whatever it is: what can be read of it at once, and what only when it is asked for.

vmlinuz, vmlinux with or without DWARF, arm64 Image, a bare .BTF section (/sys/kernel/btf/vmlinux), System.map or
/proc/kallsyms, each perhaps compressed.
"""

from __future__ import annotations

import mmap
import re
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

from mmlist.kernel import kallsyms, symbols
from mmlist.kernel.btf import Btf
from mmlist.kernel.elf import Elf
from mmlist.kernel.payload import ELF, LIMIT, is_btf, unpacked
from mmlist.kernel.symbols import Symbols
from mmlist.replay.errors import InputError

_BANNER = re.compile(rb"Linux version (\d+\.\d+[!-~]{0,128}) \(")
_BTF_HEADER = re.compile(rb"\x9f\xeb\x01\x00\x18\0\0\0|\xeb\x9f\x01\x00\0\0\0\x18")
_BTF_PLACES = 16  # of a raw image that look like a BTF header
_KIND = "a vmlinuz, a vmlinux, a BTF file, a System.map or a copy of /proc/kallsyms"


class Image:
    """One kernel file, with what it has: each of `symbols`, `btf` and `elf` may be None, `release` and `arch` too."""

    def __init__(self, data: Any, file: str) -> None:
        """`data`: its bytes or an mmap of them. Raises InputError where it is no such file, or is broken."""
        self.file = file
        self._data = unpacked(data, file)
        self.elf: Elf | None = None
        self.btf: Btf | None = None
        self.symbols: Symbols | None = None
        self.release: str | None = None
        self.arch: str | None = None
        if is_btf(self._data):
            self.btf = Btf(bytes(self._data), file=file)
        elif bytes(self._data[:4]) == ELF:
            self._read_elf()
        elif symbols.looks_like_symbols(bytes(self._data[: 1 << 12])):
            self.symbols = symbols.from_text(bytes(self._data), file)
        elif bytes(self._data[56:60]) == b"ARMd" or _BANNER.search(self._data):
            self._read_raw()
        else:
            raise InputError(f"begins with {bytes(self._data[:8]).hex(' ')}", file=file, expected=_KIND)

    def _read_elf(self) -> None:
        self.elf = Elf(self._data, self.file)
        self.arch = self.elf.arch
        self.release = self._banner()
        section = self.elf.section(".BTF")
        if section is not None:
            self.btf = Btf(section, file=self.file)
        found = self.elf.symbols()
        if found:
            self.symbols = Symbols(found, ".symtab")
        else:
            self._recover(self.elf.bits, self.elf.big_endian, self.elf.address)

    def _read_raw(self) -> None:
        """An image that is what lies in memory, without ELF around it: arm64's."""
        self.arch = "arm64" if bytes(self._data[56:60]) == b"ARMd" else None
        self.release = self._banner()
        self._recover(64, False, lambda offset: offset)
        for place in islice(_BTF_HEADER.finditer(self._data), _BTF_PLACES):
            try:
                self.btf = Btf(bytes(self._data[place.start() :]), file=self.file)
            except InputError:
                continue
            break

    def _recover(self, bits: int, big_endian: bool, address_of: Callable[[int], int | None]) -> None:
        found = kallsyms.recovered(self._data, bits=bits, big_endian=big_endian, address_of=address_of)
        if found is not None:
            self.symbols = Symbols(found, "the tables of kallsyms in the image")

    def _banner(self) -> str | None:
        """The release that linux_banner names (init/version.c)."""
        found = _BANNER.search(self._data)
        return None if found is None else found[1].decode("ascii", "replace")


def read(path: str) -> Image:
    """The kernel file at `path`. Raises InputError where it cannot be read, or is none."""
    try:
        with Path(path).open("rb") as file:
            data = _mapped(file, path)
    except IsADirectoryError:
        raise InputError("is a directory", file=path, expected=_KIND) from None
    except OSError as error:
        raise InputError(error.strerror or str(error), file=path, expected=_KIND) from None
    if not len(data):
        raise InputError("is empty", file=path, expected=_KIND)
    return Image(data, path)


def _mapped(file: Any, path: str) -> Any:
    """The file mapped, or read where it cannot be (/proc, /sys, a pipe)."""
    try:
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except (ValueError, OSError):
        data = file.read(LIMIT + 1)
        if len(data) > LIMIT:
            raise InputError(f"has more than {LIMIT >> 20} MiB", file=path, expected=_KIND) from None
        return data
