"""DWARF by pyelftools: where functions lie, what they were inlined into and with which registers, and structs.

Only the compile units of the files that are asked for are read: a kernel has 3000 of them, in whose first entries the file
stands. What is read is DWARF 4 and 5 as gcc and clang write it: DW_TAG_inlined_subroutine has DW_AT_abstract_origin, and an
address in DW_AT_entry_pc, DW_AT_low_pc or DW_AT_ranges (dwarfstd.org, DWARF 5, 3.3.8).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from elftools.dwarf.locationlists import BaseAddressEntry, LocationExpr, LocationParser

from mmlist.kernel.elf import Elf
from mmlist.kernel.layout import Member
from mmlist.replay.errors import InputError

_MOST_ENTRIES = 2_000_000
"""Entries that are looked at: the six files of a kernel have 150,000."""
_ORIGINS = 8
_REG0, _REG31 = 0x50, 0x6F  # DW_OP_reg0 ... DW_OP_reg31
_MODIFIERS = frozenset({"DW_TAG_typedef", "DW_TAG_const_type", "DW_TAG_volatile_type", "DW_TAG_restrict_type"})


class Function(NamedTuple):
    """A function that is there: its name, the file that it is of, its address."""

    name: str
    file: str
    address: int


class Inlined(NamedTuple):
    """A copy of `function` in the code of `into`, `offset` bytes behind its beginning, where it begins.

    `registers`: its parameters that lie in a register there -> the register's DWARF number. `traceable`: whether `into` may
    have probes.
    """

    function: str
    into: str
    offset: int
    address: int
    registers: dict[str, int]
    traceable: bool = True


class Dwarf:
    """What some files of the kernel's source say in DWARF. It is a `layout.Types` too, whose ids are offsets of entries."""

    def __init__(self, elf: Elf, files: Iterable[str]) -> None:
        """Reads the compile units of `files` (`kernel/fork.c`). Raises InputError where the DWARF is broken."""
        self.functions: list[Function] = []
        self.inlined: list[Inlined] = []
        self._structs: dict[str, list[int]] = {}
        self._file = elf.file
        self._info = elf.dwarf()
        self._locations: Any = None
        self._entries = 0
        wanted = tuple(files)
        with self._refusing():
            self._locations = LocationParser(self._info.location_lists())
            for unit in self._info.iter_CUs():
                name = _text(unit.get_top_DIE(), "DW_AT_name")
                file = next((one for one in wanted if name == one or name.endswith("/" + one)), None)
                if file is not None:
                    self._read(unit, file)

    @contextmanager
    def _refusing(self) -> Iterator[None]:
        """Whatever pyelftools trips over, of which it promises no kind, is an InputError."""
        try:
            yield
        except InputError:
            raise
        except Exception as error:
            told = " ".join(f"{type(error).__name__} {error}".split())[:200]
            raise InputError(f"its DWARF cannot be read: {told}", file=self._file) from None

    def _children(self, entry: Any) -> Iterator[Any]:
        """The entries within `entry`; so many in all, for siblings may go round in a ring."""
        for child in entry.iter_children():
            self._entries += 1
            if self._entries > _MOST_ENTRIES:
                raise InputError(f"its DWARF has more than {_MOST_ENTRIES} entries", file=self._file)
            yield child

    def _read(self, unit: Any, file: str) -> None:
        for entry in self._children(unit.get_top_DIE()):
            if entry.tag == "DW_TAG_structure_type" and "DW_AT_byte_size" in entry.attributes:
                self._structs.setdefault(_text(entry, "DW_AT_name"), []).append(entry.offset)
            elif entry.tag == "DW_TAG_subprogram":
                address = self._begin(entry)
                if address is not None:
                    into = Function(_name(entry), file, address)
                    self.functions.append(into)
                    self._seek_inlined(entry, into)

    def _seek_inlined(self, function: Any, into: Function) -> None:
        pending = [function]
        while pending:
            entry = pending.pop()
            if entry.tag == "DW_TAG_inlined_subroutine":
                address = self._begin(entry)
                if address is not None and address >= into.address:
                    registers = dict(self._registers(entry, address))
                    self.inlined.append(Inlined(_name(entry), into.name, address - into.address, address, registers))
            if entry.has_children:
                pending += [one for one in self._children(entry) if one.tag in _CODE]

    def _begin(self, entry: Any) -> int | None:
        """Where code begins: DW_AT_entry_pc, else DW_AT_low_pc, else the first range; None for what has no code."""
        found = entry.attributes
        base = found["DW_AT_low_pc"].value if "DW_AT_low_pc" in found else None
        if "DW_AT_entry_pc" in found:
            at = found["DW_AT_entry_pc"]
            if at.form == "DW_FORM_addr" or at.form.startswith("DW_FORM_addrx"):
                return int(at.value)
            base = self._lowest(entry) if base is None else base
            return None if base is None else int(base + at.value)
        return int(base) if base is not None else self._lowest(entry)

    def _lowest(self, entry: Any) -> int | None:
        """The first address of the first range."""
        if "DW_AT_ranges" not in entry.attributes:
            return None
        lists = self._info.range_lists()
        if lists is None:
            return None
        base = _base(entry.cu)
        for one in lists.get_range_list_at_offset(entry.attributes["DW_AT_ranges"].value, cu=entry.cu):
            if not hasattr(one, "begin_offset"):
                base = one.base_address
            else:
                return int(one.begin_offset if getattr(one, "is_absolute", False) else base + one.begin_offset)
        return None

    def _registers(self, entry: Any, address: int) -> Iterator[tuple[str, int]]:
        for child in self._children(entry):
            if child.tag == "DW_TAG_formal_parameter" and "DW_AT_location" in child.attributes:
                operations = self._location(child, address)
                if operations is not None and len(operations) == 1 and _REG0 <= operations[0] <= _REG31:
                    yield _name(child), operations[0] - _REG0

    def _location(self, entry: Any, address: int) -> list[int] | None:
        """The bytes of the expression that says where a variable is at `address`."""
        attribute = entry.attributes["DW_AT_location"]
        if not LocationParser.attribute_has_location(attribute, entry.cu["version"]):
            return None
        found = self._locations.parse_from_attribute(attribute, entry.cu["version"], entry)
        if isinstance(found, LocationExpr):
            return list(found.loc_expr)
        base = _base(entry.cu)
        for one in found:
            if isinstance(one, BaseAddressEntry):
                base = one.base_address
                continue
            shift = 0 if one.is_absolute else base
            if shift + one.begin_offset <= address < shift + one.end_offset:
                return list(one.loc_expr)
        return None

    # --- types -------------------------------------------------------------------------------------------------------

    def structs(self, name: str) -> list[int]:
        """The structs of that name in the units that were read, each once a unit."""
        return self._structs.get(name, [])

    def members(self, id_: int) -> list[Member]:
        """The members of a struct or union."""
        with self._refusing():
            found = []
            for child in self._children(self._entry(id_)):
                if child.tag == "DW_TAG_member" and "DW_AT_type" in child.attributes:
                    offset = child.attributes.get("DW_AT_data_member_location")
                    bits = child.attributes.get("DW_AT_bit_size")
                    value = offset.value if offset is not None and isinstance(offset.value, int) else 0
                    type_ = child.get_DIE_from_attribute("DW_AT_type").offset
                    found.append(Member(_text(child, "DW_AT_name"), type_, 8 * value, bits.value if bits else 0))
        return found

    def strip(self, id_: int) -> int:
        """A type without typedefs and qualifiers."""
        with self._refusing():
            for _ in range(_ORIGINS * _ORIGINS):
                entry = self._entry(id_)
                if entry.tag not in _MODIFIERS or "DW_AT_type" not in entry.attributes:
                    return id_
                id_ = entry.get_DIE_from_attribute("DW_AT_type").offset
        raise InputError(f"its DWARF has typedefs in a loop at offset {id_}", file=self._file)

    def size(self, id_: int) -> int | None:
        """Bytes of a type; None for arrays and pointers."""
        with self._refusing():
            entry = self._entry(id_)
            size = entry.attributes.get("DW_AT_byte_size")
            return int(size.value) if size is not None and entry.tag != "DW_TAG_pointer_type" else None

    def _entry(self, offset: int) -> Any:
        return self._info.get_DIE_from_refaddr(offset)


_CODE = frozenset({"DW_TAG_inlined_subroutine", "DW_TAG_lexical_block"})


def _base(unit: Any) -> int:
    low = unit.get_top_DIE().attributes.get("DW_AT_low_pc")
    return 0 if low is None else int(low.value)


def _text(entry: Any, attribute: str) -> str:
    found = entry.attributes.get(attribute)
    return (
        found.value.decode("utf-8", "surrogateescape") if found is not None and isinstance(found.value, bytes) else ""
    )


def _name(entry: Any) -> str:
    """The name of an entry, or of the one that it is a copy of."""
    for _ in range(_ORIGINS):
        found = _text(entry, "DW_AT_name")
        if found:
            return found
        origin = next(
            (one for one in ("DW_AT_abstract_origin", "DW_AT_specification") if one in entry.attributes), None
        )
        if origin is None:
            break
        entry = entry.get_DIE_from_attribute(origin)
    return ""
