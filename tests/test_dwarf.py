"""DWARF tells what was inlined into what, and where fields lie; a vmlinux whose DWARF is broken is refused or read."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kernel_files import DATA

from mmlist.capture.choose import choose
from mmlist.capture.syntax import lines
from mmlist.kernel.describe import describe
from mmlist.kernel.dwarf import Dwarf
from mmlist.kernel.elf import Elf
from mmlist.kernel.functions import SOURCES
from mmlist.kernel.image import Image
from mmlist.kernel.layout import Field, field
from mmlist.replay.errors import InputError

FILE = DATA / "inlined.vmlinux"
WHOLE = FILE.read_bytes()
FILES = {file for files in SOURCES.values() for file in files}


def dwarf(data: bytes = WHOLE, *more: str) -> Dwarf:
    return Dwarf(Elf(data, "x"), {*FILES, *more})


def test_functions_have_the_addresses_of_the_symbol_table() -> None:
    symbols = {(one.name, one.address) for one in Elf(WHOLE, "x").symbols()}
    found = dwarf(WHOLE, "init/main.c").functions
    assert {(one.name, one.address) for one in found} <= symbols
    assert [one.file for one in found if one.name == "mm_init"] == ["kernel/fork.c", "init/main.c"]


def test_only_the_files_that_are_asked_for_are_read() -> None:
    assert {one.file for one in dwarf().functions} == {"kernel/fork.c"}


def test_inlined_function_is_found_with_its_register() -> None:
    """objdump -d: begin_new_exec has `mm` in %rax where exec_mmap's code begins."""
    (copy,) = (one for one in dwarf().inlined if one.function == "exec_mmap")
    begin = next(one.address for one in dwarf().functions if one.name == "begin_new_exec")
    assert (copy.into, copy.address - copy.offset) == ("begin_new_exec", begin)
    assert copy.offset > 0 and set(copy.registers) == {"mm"}


@pytest.mark.parametrize(
    ("path", "place"),
    [
        ("mm_users", Field(32, 4, inside="counter")),
        ("mm_users.counter", Field(32, 4)),
        ("mmlist.prev", Field(48, None)),
        ("mm_count", Field(0, 4, inside="counter")),
        ("pad", Field(8, None)),
        ("none", None),
    ],
)
def test_fields_are_found_without_btf(path: str, place: Field | None) -> None:
    assert field(dwarf(), "mm_struct", path) == place


def test_ambiguous_name_is_resolved_and_what_is_inlined_is_probed() -> None:
    kernel = describe(str(FILE), release="6.1")
    assert kernel.types_from == "DWARF"
    assert kernel.functions["mm_init"].told.startswith("probe-able at _text+0x")
    fork = next(one for one in dwarf().functions if one.name == "mm_init")
    found = lines(choose(kernel), "kprobe")
    assert f"p:mmlist/mm_init _text+{fork.address - 0x401000:#x} mm=$arg1:x64 task=$arg2:x64" in found
    (line,) = (one for one in found if one.startswith("p:mmlist/exec_mmap begin_new_exec+0x"))
    assert " users=+32(%" in line and " prev=+48(%" in line


def test_functions_are_not_of_files_whose_name_ends_alike() -> None:
    renamed = WHOLE.replace(b"kernel/fork.c", b"xernel/fork.c")
    assert renamed != WHOLE
    assert dwarf(renamed).functions == []


def sections(data: bytes) -> dict[str, tuple[int, int]]:
    """Name of each section -> (offset, size)."""
    table, entry, count, names = struct.unpack_from("<Q10xHHH", data, 40)
    rows = [struct.unpack_from("<IIQQQQ", data, table + entry * number) for number in range(count)]
    begin = rows[names][4]
    return {data[begin + row[0] : data.index(b"\0", begin + row[0])].decode(): (row[4], row[5]) for row in rows}


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_altered_dwarf_is_read_or_refused(data: st.DataObject) -> None:
    altered = bytearray(WHOLE)
    places = [
        at
        for name, (offset, size) in sections(WHOLE).items()
        if name in (".debug_info", ".debug_abbrev", ".debug_loclists", ".debug_rnglists")
        for at in range(offset, offset + size)
    ]
    for _ in range(data.draw(st.integers(1, 6))):
        altered[data.draw(st.sampled_from(places))] = data.draw(st.integers(0, 255))
    try:
        found = Dwarf(Image(bytes(altered), "x").elf, FILES)
        field(found, "mm_struct", "mmlist.prev")
    except InputError as error:
        assert str(error).startswith("x: ")
