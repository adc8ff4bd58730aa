"""A reader of BTF over the bytes of a .BTF section: types by id, their members only when they are asked for.

Layout and kinds: Documentation/bpf/btf.rst, include/uapi/linux/btf.h. The section is one array of 32-bit words, so one
walk over it finds where each type begins. A split BTF (a module's) goes on with the ids and strings of its base.
"""

from __future__ import annotations

import struct
import sys
from array import array
from functools import cached_property

from mmlist.kernel.layout import Member
from mmlist.replay.errors import InputError

MAGIC = 0xEB9F
KINDS = (
    "VOID", "INT", "PTR", "ARRAY", "STRUCT", "UNION", "ENUM", "FWD", "TYPEDEF", "VOLATILE", "CONST", "RESTRICT", "FUNC",
    "FUNC_PROTO", "VAR", "DATASEC", "FLOAT", "DECL_TAG", "TYPE_TAG", "ENUM64",
)  # fmt: skip
"""Names of the kinds, by number."""

(VOID, INT, PTR, ARRAY, STRUCT, UNION, ENUM, FWD, TYPEDEF, VOLATILE, CONST, RESTRICT, FUNC, FUNC_PROTO, VAR, DATASEC,
 FLOAT, DECL_TAG, TYPE_TAG, ENUM64) = range(len(KINDS))  # fmt: skip

_HEADER = 24
_FIXED = {INT: 1, ARRAY: 3, VAR: 1, DECL_TAG: 1}
_EACH = {STRUCT: 3, UNION: 3, ENUM: 2, FUNC_PROTO: 2, DATASEC: 3, ENUM64: 3}
_BEHIND = [_FIXED.get(kind, 0) for kind in range(32)]
_PER_ITEM = [_EACH.get(kind, 0) for kind in range(32)]
"""Words behind a type's own three, by kind: once, and for each of its vlen items."""
_SIZED = frozenset({INT, STRUCT, UNION, ENUM, DATASEC, FLOAT, ENUM64})
_MODIFIERS = frozenset({TYPEDEF, VOLATILE, CONST, RESTRICT, TYPE_TAG})
_NESTED = 64  # modifiers one behind another (the kernel's verifier allows 32: MAX_RESOLVE_DEPTH)


class Btf:
    """The types of one BTF. Ids are those of `bpftool btf dump`: 0 is void, a split BTF's follow its base's."""

    def __init__(self, data: bytes, *, base: Btf | None = None, file: str | None = None) -> None:
        """Reads the header and finds all types. Raises InputError (file, offset, what was expected)."""
        self._file = file
        self._base = base
        begin, length, strings, strings_length = self._header(data)
        words = array("I", data[begin : begin + length])
        if self.big_endian != (sys.byteorder == "big"):
            words.byteswap()
        self._words = words
        self._strings = data[strings : strings + strings_length]
        self._first = len(base) if base is not None else 1
        self._string_base: int = base._string_end if base is not None else 0
        self._string_end: int = self._string_base + strings_length
        self._at = self._walk()

    def _header(self, data: bytes) -> tuple[int, int, int, int]:
        if len(data) < _HEADER:
            raise self._wrong(f"has {len(data)} bytes", f"a BTF header of {_HEADER}")
        order = "<" if data[:2] == b"\x9f\xeb" else ">"
        magic, version, _, size, type_off, type_len, str_off, str_len = struct.unpack_from(order + "HBBIIIII", data)
        if magic != MAGIC or version != 1:
            raise self._wrong(f"begins with {data[:3].hex(' ')}", f"BTF: magic {MAGIC:#x}, version 1")
        self.big_endian = order == ">"
        begin, strings = size + type_off, size + str_off
        if (
            size < _HEADER
            or begin + type_len > len(data)
            or strings + str_len > len(data)
            or type_len % 4
            or type_off % 4
        ):
            raise self._wrong(
                f"the BTF header puts {type_len} bytes of types at {begin} and {str_len} of strings at {strings}",
                f"both within the {len(data)} bytes that there are",
            )
        if str_len and data[strings + str_len - 1]:
            raise self._wrong(f"the strings at offset {strings} do not end with a NUL", "BTF")
        return begin, type_len, strings, str_len

    def _walk(self) -> array[int]:
        """The word that each type begins at. One pass: a hundred thousand types in some hundredths of a second."""
        words, found = self._words, array("I")
        append, at, end = found.append, 0, len(self._words)
        while at + 3 <= end:
            info = words[at + 1]
            kind = info >> 24 & 0x1F
            if not 0 < kind <= ENUM64:
                raise self._wrong(f"the type at offset {4 * at} of the types has kind {kind}", "a kind from 1 to 19")
            append(at)
            at += 3 + _BEHIND[kind] + _PER_ITEM[kind] * (info & 0xFFFF)
        if at != end:
            raise self._wrong(f"the last type, at offset {4 * (found[-1] if found else 0)}, ends early", "whole types")
        return found

    def _wrong(self, message: str, expected: str) -> InputError:
        return InputError(message, file=self._file, expected=expected)

    def __len__(self) -> int:
        """How many ids there are, void and the base's with them."""
        return self._first + len(self._at)

    def _type(self, id_: int) -> tuple[Btf, int]:
        """Who holds the type, and the word that it begins at."""
        if self._base is not None and id_ < self._first:
            return self._base._type(id_)
        if not self._first <= id_ < len(self):
            raise self._wrong(f"a type refers to type {id_}", f"an id below {len(self)}")
        return self, self._at[id_ - self._first]

    def string(self, offset: int) -> str:
        """The string at `offset`; bytes that are not UTF-8 as surrogate escapes."""
        if offset < self._string_base and self._base is not None:
            return self._base.string(offset)
        offset -= self._string_base
        if not 0 <= offset < max(len(self._strings), 1):
            raise self._wrong(f"a name lies at offset {offset} of the strings", f"less than {len(self._strings)}")
        return self._strings[offset : self._strings.find(b"\0", offset)].decode("utf-8", "surrogateescape")

    def kind(self, id_: int) -> int:
        """The kind of a type: one of the numbers of `KINDS`."""
        if not id_:
            return VOID
        owner, at = self._type(id_)
        return owner._words[at + 1] >> 24 & 0x1F

    def name(self, id_: int) -> str:
        """The name of a type, empty where it has none."""
        if not id_:
            return "void"
        owner, at = self._type(id_)
        return owner.string(owner._words[at])

    def size(self, id_: int) -> int | None:
        """Bytes of a type, as it says; None for a kind that has no size of its own."""
        if self.kind(id_) not in _SIZED:
            return None
        owner, at = self._type(id_)
        return owner._words[at + 2]

    def refers(self, id_: int) -> int:
        """The type that a pointer, modifier, function, variable or tag is of."""
        owner, at = self._type(id_)
        return owner._words[at + 2]

    def strip(self, id_: int) -> int:
        """What is left of a type without typedefs and qualifiers. Raises InputError where they go round in a loop."""
        for _ in range(_NESTED):
            if self.kind(id_) not in _MODIFIERS:
                return id_
            id_ = self.refers(id_)
        raise self._wrong(f"type {id_} is one of more than {_NESTED} modifiers in a row", "types that end")

    def members(self, id_: int) -> list[Member]:
        """The members of a struct or union; none of another kind. With kind_flag set the offset's top byte is a width."""
        if self.kind(id_) not in (STRUCT, UNION):
            return []
        owner, at = self._type(id_)
        info, words = owner._words[at + 1], owner._words[at + 3 : at + 3 + 3 * (owner._words[at + 1] & 0xFFFF)]
        found = []
        for name, type_, offset in zip(words[::3], words[1::3], words[2::3], strict=True):
            bits = offset >> 24 if info >> 31 else 0
            found.append(Member(owner.string(name), type_, offset & 0xFFFFFF if info >> 31 else offset, bits))
        return found

    def parameters(self, function: int) -> list[tuple[str, int]]:
        """Names and types of what a FUNC (or FUNC_PROTO) takes."""
        proto = self.refers(function) if self.kind(function) == FUNC else function
        if self.kind(proto) != FUNC_PROTO:
            return []
        owner, at = self._type(proto)
        words = owner._words[at + 3 : at + 3 + 2 * (owner._words[at + 1] & 0xFFFF)]
        return [(owner.string(name), type_) for name, type_ in zip(words[::2], words[1::2], strict=True)]

    def extra(self, id_: int) -> list[int]:
        """The words behind a type's first three, as they are: what no other method makes sense of."""
        owner, at = self._type(id_)
        info = owner._words[at + 1]
        kind = info >> 24 & 0x1F
        return list(owner._words[at + 3 : at + 3 + _BEHIND[kind] + _PER_ITEM[kind] * (info & 0xFFFF)])

    @cached_property
    def _names(self) -> dict[tuple[int, str], list[int]]:
        found: dict[tuple[int, str], list[int]] = {}
        words, string = self._words, self.string
        for id_, at in enumerate(self._at, self._first):
            kind = words[at + 1] >> 24 & 0x1F
            if words[at] and kind in (STRUCT, UNION, FUNC):
                found.setdefault((kind, string(words[at])), []).append(id_)
        return found

    def find(self, kind: int, name: str) -> list[int]:
        """All types of that kind (STRUCT, UNION or FUNC) and name: one name may stand for several."""
        before = self._base.find(kind, name) if self._base is not None else []
        return before + self._names.get((kind, name), [])

    def structs(self, name: str) -> list[int]:
        """All structs of that name."""
        return self.find(STRUCT, name)
