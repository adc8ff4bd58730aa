"""A kernel's ELF file by pyelftools: machine, sections, .symtab, .BTF and DWARF.

pyelftools raises whatever it trips over; here that is an InputError. The symbol table is read by struct: it has some
200,000 entries, for each of which pyelftools makes an object.
"""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

from elftools.elf.elffile import ELFFile

from mmlist.kernel.payload import LIMIT
from mmlist.kernel.symbols import Symbol
from mmlist.replay.errors import InputError

_MACHINES = {"EM_X86_64": "x86_64", "EM_AARCH64": "arm64"}
_MOST_SECTIONS = 1 << 16
_COMPRESSED = 0x800  # SHF_COMPRESSED
_FUNC, _OBJECT, _NOTYPE = 2, 1, 0  # STT_*
_EXECUTABLE, _WRITABLE = 4, 1  # SHF_*


class Elf:
    """One ELF file; `data` is its bytes, or an mmap of them."""

    def __init__(self, data: Any, file: str) -> None:
        """Reads header and section headers. Raises InputError where they are broken."""
        self.data, self.file = data, file
        try:
            self._elf = ELFFile(_stream(data))
            if self._elf.num_sections() > _MOST_SECTIONS:
                raise ValueError(f"{self._elf.num_sections()} sections")
            self._sections = [(one.name, one.header) for one in self._elf.iter_sections()]
            self.machine = str(self._elf["e_machine"])
        except Exception as error:  # of its many kinds none is promised
            raise InputError(f"is no whole ELF file: {_told(error)}", file=file, expected="a vmlinux") from None
        self.bits: int = self._elf.elfclass
        self.big_endian: bool = not self._elf.little_endian

    @property
    def arch(self) -> str | None:
        """x86_64, arm64, or None for another machine."""
        return _MACHINES.get(self.machine)

    def section(self, name: str) -> bytes | None:
        """The bytes of a section, unpacked; None where there is none. Raises InputError where they are not all there."""
        for found, header in self._sections:
            if found == name and header["sh_type"] != "SHT_NOBITS":
                return self._bytes(name, header)
        return None

    def _bytes(self, name: str, header: Any) -> bytes:
        begin, size = header["sh_offset"], header["sh_size"]
        if begin + size > len(self.data):
            raise InputError(
                f"section {name} takes {size} bytes at offset {begin}, the file has {len(self.data)}",
                file=self.file,
                expected="a whole vmlinux",
            )
        data = bytes(self.data[begin : begin + size])
        if not header["sh_flags"] & _COMPRESSED:
            return data
        head = 24 if self.bits == 64 else 12
        try:
            return zlib.decompressobj().decompress(data[head:], LIMIT)
        except zlib.error as error:
            raise InputError(f"section {name} at offset {begin} is damaged: {error}", file=self.file) from None

    def at(self, address: int, size: int) -> bytes | None:
        """The `size` bytes that lie at `address` once the kernel is loaded; None where the file does not have them."""
        for _, header in self._sections:
            begin, length = header["sh_addr"], header["sh_size"]
            if begin and begin <= address and address + size <= begin + length and header["sh_type"] != "SHT_NOBITS":
                offset = header["sh_offset"] + address - begin
                found = bytes(self.data[offset : offset + size])
                return found if len(found) == size else None
        return None

    def address(self, offset: int) -> int | None:
        """Where the byte at `offset` of the file lies once the kernel is loaded; None where it is not loaded."""
        for _, header in self._sections:
            begin = header["sh_offset"]
            if header["sh_addr"] and header["sh_type"] != "SHT_NOBITS" and begin <= offset < begin + header["sh_size"]:
                return int(header["sh_addr"] + offset - begin)
        return None

    def symbols(self) -> list[Symbol]:
        """The symbols of .symtab, in order of address, with nm's letters; none where it was stripped."""
        table, strings = self.section(".symtab"), self.section(".strtab")
        if table is None or strings is None:
            return []
        layout = struct.Struct((">" if self.big_endian else "<") + ("IBBHQQ" if self.bits == 64 else "IIIBBH"))
        table = table[: len(table) - len(table) % layout.size]
        flags = [header["sh_flags"] for _, header in self._sections]
        found = []
        for entry in layout.iter_unpack(table):
            if self.bits == 64:
                name, info, _, section, value, _ = entry
            else:
                name, value, _, info, _, section = entry
            if info & 0xF in (_FUNC, _OBJECT, _NOTYPE) and section and name < len(strings):
                spelled = strings[name : strings.find(b"\0", name)].decode("utf-8", "surrogateescape")
                if spelled:
                    found.append(Symbol(value, _letter(info, section, flags), spelled))
        return sorted(found)

    @property
    def has_dwarf(self) -> bool:
        """Whether there is DWARF of functions and types."""
        names = {name for name, _ in self._sections}
        return {".debug_info", ".debug_abbrev"} <= names

    def dwarf(self) -> Any:
        """pyelftools' DWARFInfo. Raises InputError where it cannot be read."""
        try:
            return self._elf.get_dwarf_info(relocate_dwarf_sections=False)
        except Exception as error:
            raise InputError(f"its DWARF cannot be read: {_told(error)}", file=self.file) from None


def _letter(info: int, section: int, flags: list[int]) -> str:
    """As nm says it: t code, d data, r read-only, A absolute; upper case if global."""
    if section >= len(flags):
        letter = "a"
    elif flags[section] & _EXECUTABLE:
        letter = "t"
    else:
        letter = "d" if flags[section] & _WRITABLE else "r"
    return letter.upper() if info >> 4 else letter


def _told(error: Exception) -> str:
    return " ".join(f"{type(error).__name__} {error}".split())[:200]


def _stream(data: Any) -> Any:
    """What pyelftools reads from; an mmap is one already, and a vmlinux with DWARF is too large to be copied."""
    if isinstance(data, bytes):
        return io.BytesIO(data)
    data.seek(0)
    return data
