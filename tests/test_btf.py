"""Our reader of BTF says what bpftool says, fast, and of broken BTF what is wrong with it."""

from __future__ import annotations

import json
import struct
import time

import kernel_files
import pytest
from hypothesis import given
from hypothesis import strategies as st
from kernel_files import DATA

from mmlist.kernel import btf as b
from mmlist.kernel.btf import KINDS, Btf
from mmlist.kernel.layout import Field, field
from mmlist.replay.errors import InputError

TINY = (DATA / "tiny.btf").read_bytes()


def told(btf: Btf, wanted: dict) -> dict:
    """Of a type what bpftool tells of it, as bpftool tells it."""
    id_ = wanted["id"]
    found = {"id": id_, "kind": KINDS[btf.kind(id_)], "name": btf.name(id_) or "(anon)"}
    if "size" in wanted:
        found["size"] = btf.size(id_)
    for key in ("type_id", "ret_type_id"):
        if key in wanted:
            found[key] = btf.extra(id_)[0] if found["kind"] == "ARRAY" else btf.refers(id_)
    if "members" in wanted:
        found["members"] = [
            {"name": name or "(anon)", "type_id": type_, "bits_offset": offset}
            | ({"bitfield_size": bits} if bits else {})
            for name, type_, offset, bits in btf.members(id_)
        ]
    if "params" in wanted:
        found["params"] = [{"name": name or "(anon)", "type_id": type_} for name, type_ in btf.parameters(id_)]
    return found


def compared(wanted: dict) -> dict:
    return {
        key: value
        for key, value in wanted.items()
        if key in ("id", "kind", "name", "size", "type_id", "ret_type_id", "members", "params")
    }


def test_reads_what_bpftool_reads() -> None:
    btf, types = Btf(TINY), json.loads((DATA / "tiny.json").read_text())
    assert len(types) == len(btf) - 1 == 38
    assert [told(btf, one) for one in types] == [compared(one) for one in types]
    assert any(one.get("bitfield_size") for type_ in types for one in type_.get("members", []))


def test_reads_split_btf_as_bpftool_does() -> None:
    btf, types = (
        Btf((DATA / "tiny-split.btf").read_bytes(), base=Btf(TINY)),
        json.loads((DATA / "tiny-split.json").read_text()),
    )
    assert types[0]["id"] == 39
    assert [told(btf, one) for one in types] == [compared(one) for one in types]


def test_split_btf_goes_on_in_its_base() -> None:
    btf = Btf((DATA / "tiny-split.btf").read_bytes(), base=Btf(TINY))
    assert field(btf, "own", "l.prev") == Field(8, None)
    assert field(btf, "mm", "mmlist.prev") == Field(24, None)
    assert btf.name(1) == Btf(TINY).name(1)


@pytest.mark.parametrize(
    ("path", "place"),
    [
        ("users", Field(0, 4)),  # in a union in an anonymous struct
        ("mmlist", Field(16, 16)),
        ("mmlist.prev", Field(24, None)),
        ("bits.a", None),  # a bit field
        ("bits", Field(32, 16)),
        ("matrix", Field(96, None)),
        ("nothing", None),
        ("users.counter", None),
    ],
)
def test_field_is_found_where_the_compiler_put_it(path: str, place: Field | None) -> None:
    assert field(Btf(TINY), "mm", path) == place


def made(order: str = "<", twice: int = 8) -> bytes:
    make = kernel_files.Btf()
    number = make.int("int")
    make.struct("mm", 8, [("users", number, 0), ("count", number, 32)])
    make.struct("mm", 16, [("users", number, twice)])
    make.struct("bits", 8, [("a", number, 3 << 24), ("b", number, 5 << 24 | 3)], flag=1)
    make.add(b.DECL_TAG, "tag", number, [0xFFFFFFFF])
    make.add(b.TYPE_TAG, "user", number)
    make.add(b.FLOAT, "double", 8)
    make.add(b.ENUM64, "wide", 8, [make.string("A"), 1, 2], 1)
    make.add(b.VAR, "init_mm", number, [1])
    make.add(b.DATASEC, ".data", 4, [9, 0, 4], 1)
    make.add(b.FWD, "later")
    make.func("mmput", 0, [("mm", make.ptr(2))])
    return make.bytes(order)


@pytest.mark.parametrize("order", ["<", ">"])
def test_both_byte_orders_read_the_same(order: str) -> None:
    btf = Btf(made(order))
    names = "INT STRUCT STRUCT STRUCT DECL_TAG TYPE_TAG FLOAT ENUM64 VAR DATASEC FWD PTR FUNC_PROTO FUNC"
    assert [KINDS[btf.kind(id_)] for id_ in range(1, len(btf))] == names.split()
    assert [tuple(one) for one in btf.members(4)] == [("a", 1, 0, 3), ("b", 1, 3, 5)]
    assert btf.parameters(btf.find(b.FUNC, "mmput")[0]) == [("mm", 12)]
    assert btf.extra(8) == [btf._words[btf._at[7] + 3], 1, 2]
    assert btf.size(7) == 8


def test_structs_of_one_name_that_differ_have_no_field() -> None:
    assert field(Btf(made()), "mm", "users") is None
    assert field(Btf(made()), "mm", "count") == Field(4, 4)
    assert field(Btf(made(twice=0)), "mm", "users") == Field(0, 4)


def test_types_that_loop_end() -> None:
    make = kernel_files.Btf()
    first = make.add(b.TYPEDEF, "a", 2)
    make.add(b.CONST, "", first)
    make.struct("loop", 8, [("", 3, 0), ("x", first, 0)])
    btf = Btf(make.bytes())
    with pytest.raises(InputError, match="modifiers in a row"):
        btf.strip(first)
    with pytest.raises(InputError):
        field(btf, "loop", "x")
    assert field(btf, "loop", "y") is None


def test_anonymous_structs_that_hold_each_other_many_times_end() -> None:
    make = kernel_files.Btf()
    for number in range(30):
        make.struct("" if number else "top", 8, [("", min(number + 2, 30), 0)] * 30)
    began = time.process_time()
    assert field(Btf(make.bytes()), "top", "x") is None
    assert time.process_time() - began < 5


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "has 0 bytes"),
        (b"\x9f\xeb\x01" + bytes(8), "has 11 bytes"),
        (b"\x9f\xeb\x02" + bytes(40), "begins with 9f eb 02"),
        (struct.pack("<HBBIIIII", 0xEB9F, 1, 0, 24, 0, 100, 0, 0), "puts 100 bytes of types at 24"),
        (struct.pack("<HBBIIIII", 0xEB9F, 1, 0, 24, 0, 12, 12, 0) + struct.pack("<3I", 0, 31 << 24, 0), "has kind 31"),
        (
            struct.pack("<HBBIIIII", 0xEB9F, 1, 0, 24, 0, 12, 12, 0) + struct.pack("<3I", 0, 4 << 24 | 9, 0),
            "ends early",
        ),
        (struct.pack("<HBBIIIII", 0xEB9F, 1, 0, 24, 0, 0, 0, 1) + b"x", "do not end with a NUL"),
    ],
)
def test_broken_btf_is_told(data: bytes, message: str) -> None:
    with pytest.raises(InputError, match=message) as raised:
        Btf(data, file="vmlinux")
    assert str(raised.value).startswith("vmlinux: ")
    assert "expected" in str(raised.value)


def walk(data: bytes) -> None:
    """All that can be asked."""
    btf = Btf(data, file="x")
    for id_ in range(len(btf)):
        btf.name(id_), btf.size(id_), btf.members(id_)
        if id_:
            btf.parameters(id_), btf.extra(id_), btf.strip(id_)
    field(btf, "mm", "users")
    btf.find(b.FUNC, "mmput")


@given(st.data())
def test_altered_btf_is_read_or_refused(data: st.DataObject) -> None:
    altered = bytearray(TINY)
    for _ in range(data.draw(st.integers(1, 8))):
        altered[data.draw(st.integers(0, len(altered) - 1))] = data.draw(st.integers(0, 255))
    altered = altered[: data.draw(st.integers(0, len(altered)))] if data.draw(st.booleans()) else altered
    try:
        walk(bytes(altered))
    except InputError as error:
        assert str(error).startswith("x: ")


@given(st.binary(max_size=400))
def test_random_types_are_read_or_refused(body: bytes) -> None:
    body = body[: len(body) // 4 * 4]
    head = struct.pack("<HBBIIIII", 0xEB9F, 1, 0, 24, 0, len(body), len(body), 1)
    try:
        walk(head + body + b"\0")
    except InputError as error:
        assert str(error).startswith("x: ")


@pytest.mark.parametrize("length", range(0, len(TINY), 41))
def test_cut_btf_is_refused(length: int) -> None:
    with pytest.raises(InputError):
        Btf(TINY[:length])


def test_a_hundred_thousand_types_take_less_than_a_second() -> None:
    make = kernel_files.Btf()
    number = make.int("int")
    for count in range(50_000):
        make.struct(f"s{count % 30_000}", 8, [("a", number, 0), ("b", number, 32)])
        make.ptr(number)
    data = make.bytes()
    began = time.process_time()
    btf = Btf(data)
    assert len(btf) == 100_002
    assert field(btf, "s17", "b") == Field(4, 4)
    assert time.process_time() - began < 1
