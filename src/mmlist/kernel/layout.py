"""Where a field lies in a struct, whoever tells of types: BTF (btf.py) or DWARF (dwarf.py).

A path goes through structs within, `mm_users.counter`, and finds what anonymous members hold, as C does: mm_struct keeps
all its fields in one (include/linux/mm_types.h).
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

_NESTED = 32
_LOOKED_AT = 100_000
"""Members that one path may be sought among: structs that hold each other in a loop have no end."""


class Member(NamedTuple):
    """A member: its name (empty: anonymous), its type's id, its offset and, of a bit field, its width in bits."""

    name: str
    type: int
    offset: int
    bits: int


class Field(NamedTuple):
    """Where a field lies, and what it takes, in bytes; `size` is None where its type has none that is told.

    `inside`: the one member of a struct around a number (atomic_t, swp_entry_t, memdesc_flags_t); empty where it is none.
    """

    offset: int
    size: int | None
    inside: str = ""


class Types(Protocol):
    """What tells of types, by ids of its own."""

    def structs(self, name: str) -> list[int]:
        """All structs of that name."""

    def members(self, id_: int) -> list[Member]:
        """The members of a struct or union."""

    def strip(self, id_: int) -> int:
        """A type without typedefs and qualifiers."""

    def size(self, id_: int) -> int | None:
        """Bytes of a type."""


def field(types: Types, struct: str, path: str) -> Field | None:
    """The field `path` of `struct`; None where there is none, where it is a bit field, or where structs of that name differ.

    Raises InputError where the types are broken.
    """
    found = set()
    for id_ in types.structs(struct):
        place = _within(types, id_, path.split("."))
        if place is not None:
            found.add(place)
    return found.pop() if len(found) == 1 else None


def _within(types: Types, struct: int, path: list[str]) -> Field | None:
    offset, id_ = 0, struct
    for name in path:
        member = _member(types, id_, name)
        if member is None:
            return None
        offset += member.offset
        id_ = types.strip(member.type)
    members = types.members(id_)
    return Field(offset, types.size(id_), members[0].name if len(members) == 1 else "")


def _member(types: Types, struct: int, name: str) -> Member | None:
    """The member of that name, its offset in bytes from the beginning of `struct`."""
    inside, looked_at = [(struct, 0, 0)], 0
    while inside and looked_at < _LOOKED_AT:
        id_, begin, depth = inside.pop()
        for member in types.members(id_):
            looked_at += 1
            offset = begin + member.offset
            if member.name == name:
                return None if member.bits or offset % 8 else Member(name, member.type, offset // 8, 0)
            if not member.name and depth < _NESTED:
                inside.append((types.strip(member.type), offset, depth + 1))
    return None
