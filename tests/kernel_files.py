"""Makes kernel files for tests: BTF, ELF, the tables of kallsyms, vmlinuz; and excerpts of real ones.

    PYTHONPATH=src:tests python tests/kernel_files.py VMLINUZ tests/data/kernels/NAME

writes NAME.btf and NAME.map: the types and symbols of a kernel that `mmlist probes` asks for, and no others.
"""

from __future__ import annotations

import bz2
import gzip
import lzma
import struct
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import lz4.block

from mmlist.kernel import btf as b
from mmlist.kernel.fields import BY_ARCH, COMMON
from mmlist.kernel.functions import SOURCES
from mmlist.kernel.image import read
from mmlist.kernel.symbols import Symbol

DATA = Path(__file__).parent / "data" / "kernels"
TEXT = 0xFFFFFFFF81000000
PLACED = 0xFFFFFFFF82000000
BANNER = b"Linux version 6.1.0-56-amd64 (a@b) (gcc 12.2.0) #1 SMP Debian 6.1.192-2\n\0"


class Btf:
    """Builds BTF, type by type: each method answers with the new type's id."""

    def __init__(self, base: b.Btf | None = None) -> None:
        self.strings = bytearray() if base else bytearray(b"\0")
        self._string_base = base._string_end if base else 0
        self._known: dict[str, int] = {"": 0}
        self.words: list[int] = []
        self.count = (len(base) - 1) if base else 0

    def string(self, text: str) -> int:
        if text not in self._known:
            self._known[text] = self._string_base + len(self.strings)
            self.strings += text.encode() + b"\0"
        return self._known[text]

    def add(
        self, kind: int, name: str = "", value: int = 0, extra: Sequence[int] = (), vlen: int = 0, flag: int = 0
    ) -> int:
        self.words += [self.string(name), flag << 31 | kind << 24 | vlen, value, *extra]
        self.count += 1
        return self.count

    def int(self, name: str, size: int = 4) -> int:
        return self.add(b.INT, name, size, [8 * size])

    def ptr(self, to: int) -> int:
        return self.add(b.PTR, "", to)

    def struct(
        self, name: str, size: int, members: Iterable[tuple[str, int, int]], kind: int = b.STRUCT, flag: int = 0
    ) -> int:
        """Members are (name, type, offset in bits)."""
        rows = list(members)
        extra = [word for name_, type_, offset in rows for word in (self.string(name_), type_, offset)]
        return self.add(kind, name, size, extra, len(rows), flag)

    def func(self, name: str, returns: int, parameters: Sequence[tuple[str, int]]) -> int:
        extra = [word for name_, type_ in parameters for word in (self.string(name_), type_)]
        return self.add(b.FUNC, name, self.add(b.FUNC_PROTO, "", returns, extra, len(parameters)))

    def bytes(self, order: str = "<") -> bytes:
        types = struct.pack(f"{order}{len(self.words)}I", *self.words)
        head = struct.pack(order + "HBBIIIII", 0xEB9F, 1, 0, 24, 0, len(types), len(types), len(self.strings))
        return head + types + bytes(self.strings)


def excerpt(source: b.Btf, structs: Iterable[str], functions: Iterable[str]) -> bytes:
    """The named structs with all their members, and functions, of `source`; other structs become empty ones of their size."""
    whole = {id_ for name in structs for id_ in source.structs(name)}
    made, ids = Btf(), {0: 0}

    def copy(id_: int, depth: int = 0) -> int:
        if id_ in ids:
            return ids[id_]
        kind, name = source.kind(id_), source.name(id_)
        if kind in (b.STRUCT, b.UNION):
            kept = id_ in whole or not name or name in ("list_head", "atomic_t", "path", "swp_entry_t")
            members = source.members(id_) if kept else []
            flag = int(any(member.bits for member in members))
            ids[id_] = placeholder = made.add(
                kind, name, source.size(id_) or 0, [0] * 3 * len(members), len(members), flag
            )
            at = len(made.words) - 3 * len(members)
            for number, member in enumerate(members):
                offset = member.bits << 24 | member.offset if flag else member.offset
                row = [made.string(member.name), copy(member.type, depth + 1), offset]
                made.words[at + 3 * number : at + 3 * number + 3] = row
            return placeholder
        if kind in (b.PTR, b.TYPEDEF, b.CONST, b.VOLATILE, b.RESTRICT):
            target = source.refers(id_)
            to_other = kind == b.PTR and source.strip(target) not in whole
            ids[id_] = made.add(kind, name, 0)
            at = len(made.words) - 1
            made.words[at] = 0 if to_other else copy(target, depth + 1)
            return ids[id_]
        if kind == b.ARRAY:
            extra = source.extra(id_)
            element, index = copy(extra[0]), copy(extra[1])
            ids[id_] = made.add(kind, "", 0, [element, index, extra[2]])
        elif kind in (b.INT, b.FLOAT):
            ids[id_] = made.add(kind, name, source.size(id_) or 0, source.extra(id_))
        elif kind in (b.ENUM, b.ENUM64):
            ids[id_] = made.add(b.ENUM, name, source.size(id_) or 0)
        else:
            ids[id_] = 0
        return ids[id_]

    for id_ in sorted(whole):
        copy(id_)
    for name in functions:
        for id_ in source.find(b.FUNC, name):
            returns = copy(source.refers(source.refers(id_)))
            made.func(name, returns, [(name_, copy(type_)) for name_, type_ in source.parameters(id_)])
    return made.bytes()


def kallsyms(symbols: Sequence[Symbol], layout: str, *, percpu: bool = True, order: str = "<") -> bytes:
    """The tables as scripts/kallsyms.c writes them: `layout` is old (before 6.2), seqs (6.2, 6.3), new (since 6.4), or
    placed (7.3), as they lie at the address `PLACED`.
    """
    tokens = [b"mm_" if code == 1 else bytes([code]) if 0x20 < code < 0x7F else b"" for code in range(256)]
    base = min(symbol.address for symbol in symbols if symbol.address > 1 << 32)
    names, markers = bytearray(), []
    for number, symbol in enumerate(symbols):
        if number % 256 == 0:
            markers.append(len(names))
        packed = (symbol.type + symbol.name).encode().replace(b"mm_", b"\x01")
        names += bytes([len(packed)]) if len(packed) < 0x80 else bytes([len(packed) & 0x7F | 0x80, len(packed) >> 7])
        names += packed
    offsets = [
        symbol.address - base
        if not percpu
        else symbol.address
        if symbol.address < 1 << 31
        else base - 1 - symbol.address
        for symbol in symbols
    ]
    table = {
        "offsets": b"".join(struct.pack(order + "I", offset & 0xFFFFFFFF) for offset in offsets),
        "base": struct.pack(order + "Q", base),
        "num": struct.pack(order + "I", len(symbols)),
        "names": bytes(names),
        "markers": struct.pack(f"{order}{len(markers)}I", *markers),
        "seqs": b"\0\1\2" * (len(symbols) + -len(symbols) % 8),  # no NUL between them and the tokens
        "tokens": b"".join(token + b"\0" for token in tokens),
        "index": struct.pack(order + "256H", *(sum(len(one) + 1 for one in tokens[:code]) for code in range(256))),
    }
    orders = {
        "old": "offsets base num names markers tokens index",
        "seqs": "offsets base num names markers seqs tokens index",
        "new": "num names markers tokens index offsets base seqs",
        "placed": "num names markers tokens index offsets seqs",
    }
    found = bytearray(b"\xcc" * (68 if layout == "placed" else 64))  # 68: aligned to four bytes, and to no more
    for part in orders[layout].split():
        if (layout, part) == ("placed", "offsets"):
            begin = PLACED + len(found)
            offsets = [symbol.address - begin - 4 * number for number, symbol in enumerate(symbols)]
            table[part] = struct.pack(f"{order}{len(offsets)}i", *offsets)
        found += table[part] + bytes(-len(table[part]) % (4 if layout == "placed" else 8))
    return bytes(found) + b"\xcc" * 64


def elf(
    sections: dict[str, bytes],
    symbols: Sequence[Symbol] = (),
    machine: int = 62,
    addresses: dict[str, int] | None = None,
) -> bytes:
    """A 64-bit little-endian ELF file of these sections; with `symbols`, .symtab and .strtab too."""
    sections = dict(sections)
    if symbols:
        strings, table = bytearray(b"\0"), bytearray(24)
        for symbol in symbols:
            info = (16 if symbol.type.isupper() else 0) | (2 if symbol.type in "tT" else 1)
            table += struct.pack("<IBBHQQ", len(strings), info, 0, 1, symbol.address, 0)
            strings += symbol.name.encode() + b"\0"
        sections |= {".symtab": bytes(table), ".strtab": bytes(strings)}
    names = bytearray(b"\0")
    rows, body = [struct.pack("<IIQQQQIIQQ", *([0] * 10))], bytearray(64)
    sections[".shstrtab"] = b""
    for name, data in sections.items():
        at, begin = len(names), len(body)
        names += name.encode() + b"\0"
        data = bytes(names) if name == ".shstrtab" else data
        body += data + bytes(-len(data) % 8)
        kind = {".symtab": 2, ".strtab": 3, ".shstrtab": 3}.get(name, 1)
        flags = 6 if name == ".text" else 2
        link = list(sections).index(".strtab") + 1 if name == ".symtab" else 0
        entry = 24 if name == ".symtab" else 0
        address = (addresses or {}).get(name, 0)
        rows.append(struct.pack("<IIQQQQIIQQ", at, kind, flags, address, begin, len(data), link, 0, 8, entry))
    head = struct.pack(
        "<16sHHIQQQIHHHHHH",
        b"\x7fELF\2\1\1",
        2,
        machine,
        1,
        0,
        0,
        len(body),
        0,
        64,
        56,
        0,
        64,
        len(rows),
        len(rows) - 1,
    )
    return head + bytes(body[64:]) + b"".join(rows)


def vmlinuz(payload: bytes, packer: str) -> bytes:
    """A bzImage with this payload."""
    packed = PACKERS[packer](payload) + struct.pack("<I", len(payload))
    setup = bytearray(b"MZ" + bytes(1022))
    setup[0x1F1] = 1
    setup[0x202:0x206] = b"HdrS"
    struct.pack_into("<II", setup, 0x248, 512, len(packed))
    return bytes(setup) + b"\x90" * 512 + packed


def _lz4(data: bytes) -> bytes:
    found = b"\x02\x21\x4c\x18"
    for at in range(0, len(data), 8 << 20):
        block = lz4.block.compress(data[at : at + (8 << 20)], store_size=False)
        found += struct.pack("<I", len(block)) + block
    return found


def _zstd(data: bytes) -> bytes:
    if sys.version_info >= (3, 14):
        from compression import zstd
    else:
        from backports import zstd
    return zstd.compress(data)


def _xz(data: bytes) -> bytes:
    filters = [{"id": lzma.FILTER_X86}, {"id": lzma.FILTER_LZMA2, "preset": 6}]
    return lzma.compress(data, lzma.FORMAT_XZ, lzma.CHECK_CRC32, filters=filters)


PACKERS: dict[str, Any] = {
    "gzip": gzip.compress,
    "xz": _xz,
    "lzma": lambda data: lzma.compress(data, lzma.FORMAT_ALONE),
    "bzip2": bz2.compress,
    "zstd": _zstd,
    "lz4": _lz4,
}


def main(file: str, out: str) -> None:
    image = read(file)
    assert image.btf is not None and image.symbols is not None
    fields = [*COMMON, *BY_ARCH[image.arch or "x86_64"]]
    structs = dict.fromkeys(field.partition(".")[0] for field in fields)
    Path(out + ".btf").write_bytes(excerpt(image.btf, structs, SOURCES))
    wanted = {
        *SOURCES,
        "_text",
        "__init_begin",
        "__init_end",
        "init_mm",
        "mmlist_lock",
        "swap_info",
        "trace_kprobe_create",
        "trace_fprobe_create",
    }
    lines = [
        f"{one.address:016x} {one.type} {one.name}\n"
        for one in image.symbols.all
        if one.name.partition(".")[0] in wanted
    ]
    Path(out + ".map").write_text("".join(lines))


if __name__ == "__main__":
    main(*sys.argv[1:])
