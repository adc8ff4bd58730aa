"""A kernel file, packed in any way, is read to its release, its symbols and its types; a broken one is told."""

from __future__ import annotations

import contextlib
import json
import re
import struct
import time
from array import array
from pathlib import Path

import kernel_files
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from kernel_files import BANNER, DATA, PACKERS, PLACED, TEXT, elf, vmlinuz

from mmlist.cli import cli
from mmlist.kernel import kallsyms, payload, symbols
from mmlist.kernel.describe import describe
from mmlist.kernel.dwarf import Function, Inlined
from mmlist.kernel.functions import ABSENT, AMBIGUOUS, INLINED, NOTRACE, PROBEABLE, VARIANT, statuses
from mmlist.kernel.image import Image, read
from mmlist.kernel.symbols import Symbol
from mmlist.kernel.traceable import Traceable, traceable
from mmlist.replay.errors import InputError, OptionError

BTF = (DATA / "debian-6.1.btf").read_bytes()
MAP = (DATA / "debian-6.1.map").read_bytes()
SOME = sorted(
    [
        Symbol(0x5000, "A", "pcpu_hot"),
        Symbol(TEXT, "T", "_text"),
        *(Symbol(TEXT + 64 * number, "t", f"mm_function_{number}") for number in range(1, 700)),
        Symbol(TEXT + 64 * 700, "T", "mm_" + "long" * 60),
        Symbol(TEXT + 64 * 701, "D", "init_mm"),
    ]
)


def vmlinux(**sections: bytes) -> bytes:
    return elf(
        {".text": bytes(64), ".rodata": BANNER, ".BTF": BTF} | {"." + name: data for name, data in sections.items()}
    )


@pytest.mark.parametrize("packer", PACKERS)
def test_vmlinuz_is_unpacked(packer: str) -> None:
    found = Image(vmlinuz(vmlinux(), packer), "vmlinuz")
    assert (found.release, found.arch) == ("6.1.0-56-amd64", "x86_64")
    assert found.btf is not None and found.btf.structs("mm_struct")


@pytest.mark.parametrize("packer", PACKERS)
def test_packed_file_is_unpacked(packer: str) -> None:
    assert Image(PACKERS[packer](vmlinux()), "vmlinux").release == "6.1.0-56-amd64"


def test_zboot_image_is_unpacked() -> None:
    packed = PACKERS["zstd"](vmlinux())
    head = b"MZ\0\0zimg" + struct.pack("<II", 64, len(packed))
    assert Image(head.ljust(64, b"\0") + packed, "vmlinuz").release == "6.1.0-56-amd64"


def test_payload_is_sought_where_no_header_says_where() -> None:
    packed = b"MZ" + b"\x1f\x8b\x08 no" * 20 + PACKERS["gzip"](vmlinux()) + b"behind"
    assert Image(packed, "vmlinuz").release == "6.1.0-56-amd64"


def test_arm64_image_is_read_as_it_lies_in_memory() -> None:
    tables = kernel_files.kallsyms(SOME, "new", percpu=False)
    raw = bytearray(64) + BANNER + bytes(-len(BANNER) % 8) + tables + bytes(3) + BTF
    raw[56:60] = b"ARMd"
    found = Image(bytes(raw), "Image")
    assert (found.release, found.arch) == ("6.1.0-56-amd64", "arm64")
    assert found.symbols is not None and found.symbols.address("init_mm") == TEXT + 64 * 701
    assert found.btf is not None and found.btf.structs("mm_struct")


@pytest.mark.parametrize("packer", sorted(set(PACKERS) - {"lzma"}))  # the old format has no mark of its end
def test_cut_payload_is_told(packer: str) -> None:
    whole = PACKERS[packer](vmlinux())
    with pytest.raises(InputError, match="payload at offset 0 is damaged"):
        Image(whole[: len(whole) // 2], "vmlinux")


def test_cut_vmlinuz_is_told() -> None:
    whole = vmlinuz(vmlinux(), "xz")
    with pytest.raises(InputError, match=r"header at offset 584 names \d+ bytes at 1536, the file has"):
        Image(whole[:-100], "vmlinuz")


def test_payload_that_unpacks_without_end_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(payload, "LIMIT", 1 << 20)
    for packer in ("gzip", "xz", "bzip2", "zstd"):
        with pytest.raises(InputError, match="unpacks to more than 1 MiB"):
            payload.unpacked(PACKERS[packer](bytes(1 << 22)), "x")


@pytest.mark.parametrize(
    "pattern",
    [
        kallsyms._DIGITS,
        b"\1",
        b"\0\1\0\0\0\0\0\0",
        kernel_files.kallsyms(SOME[:300], "new")[: 20 << 10],
        b"\x1f\x8b\x08",
        b"BZh9",
    ],
    ids=["digits", "names", "counts", "tables", "gzip", "bzip2"],
)
@pytest.mark.parametrize("head", [b"\x7fELF", b"MZ", b"ARMd"])
def test_hostile_image_takes_no_more_than_a_few_seconds(pattern: bytes, head: bytes) -> None:
    data = elf({".k": pattern * (4_000_000 // len(pattern))}) if head == b"\x7fELF" else b""
    data = data or (head.ljust(56, b"\0") + head + pattern * (4_000_000 // len(pattern)))
    began = time.process_time()
    with contextlib.suppress(InputError):
        Image(data, "x")
    assert time.process_time() - began < 10


def test_what_is_no_kernel_is_told(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("hello, world\n")
    (tmp_path / "empty").write_text("")
    for name, message in (
        ("text", "begins with 68 65"),
        ("empty", "is empty"),
        ("none", "No such file"),
        (".", "is a dir"),
    ):
        with pytest.raises(InputError, match=message):
            read(str(tmp_path / name))


@given(st.data())
@settings(max_examples=60)
def test_altered_elf_is_read_or_refused(data: st.DataObject) -> None:
    whole = elf({".text": bytes(64), ".rodata": BANNER, ".BTF": kernel_files.Btf().bytes()}, SOME[:4])
    altered = bytearray(whole)
    headers = [*range(64), *range(len(whole) - 500, len(whole))]
    for _ in range(data.draw(st.integers(1, 6))):
        altered[data.draw(st.sampled_from(headers))] = data.draw(st.integers(0, 255))
    altered = altered[: data.draw(st.integers(4, len(altered)))] if data.draw(st.booleans()) else altered
    try:
        Image(bytes(altered), "x")
    except InputError as error:
        assert str(error).startswith("x: ")


@given(
    st.sampled_from([b"\x7fELF\2\1\1", b"\x7fELF", b"MZ", b"\x1f\x8b\x08", b"\x02\x21\x4c\x18", b"\x5d\0\0", b""]),
    st.binary(),
)
def test_random_bytes_are_refused(head: bytes, rest: bytes) -> None:
    with pytest.raises(InputError):
        Image(head + rest, "x")


# --- symbols ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("percpu", [True, False])
@pytest.mark.parametrize("layout", ["old", "seqs", "new"])
def test_symbols_are_recovered_from_the_tables_of_kallsyms(layout: str, percpu: bool) -> None:
    wanted = SOME if percpu else SOME[1:]
    data = b"\x90" * 128 + kernel_files.kallsyms(wanted, layout, percpu=percpu)
    assert kallsyms.recovered(data) == wanted


def test_symbols_of_a_stripped_vmlinux_are_recovered() -> None:
    found = Image(vmlinux(kallsyms=kernel_files.kallsyms(SOME, "new")), "vmlinux").symbols
    assert found is not None
    assert found.all == SOME
    assert found.source == "the tables of kallsyms in the image"


def test_symbols_are_recovered_from_offsets_that_count_from_their_own_place() -> None:
    """7.3: no relative_base, and tables aligned to four bytes, wherever they are loaded."""
    tables = kernel_files.kallsyms(SOME[1:], "placed", percpu=False)
    image = elf({".text": bytes(64), ".rodata": tables}, addresses={".rodata": PLACED})
    found = Image(image, "vmlinux").symbols
    assert found is not None and found.all == SOME[1:]
    assert kallsyms.recovered(tables, address_of=lambda offset: None) is None


def test_symtab_goes_before_the_tables_of_kallsyms() -> None:
    found = Image(elf({".text": bytes(64), ".k": kernel_files.kallsyms(SOME, "new")}, SOME[:9]), "vmlinux").symbols
    assert found is not None and found.source == ".symtab" and len(found.all) == 9


@given(st.data())
@settings(max_examples=40)
def test_altered_tables_of_kallsyms_are_read_or_not(data: st.DataObject) -> None:
    layouts = ["old", "seqs", "new", "placed"]
    tables = kernel_files.kallsyms(SOME[1:300], data.draw(st.sampled_from(layouts)), percpu=False)
    altered = bytearray(tables)
    for _ in range(data.draw(st.integers(1, 20))):
        altered[data.draw(st.integers(0, len(altered) - 1))] = data.draw(st.integers(0, 255))
    kallsyms.recovered(bytes(altered[: data.draw(st.integers(0, len(altered)))]))


def test_system_map_and_kallsyms_are_read() -> None:
    found = symbols.from_text(
        b"ffffffff81000000 T _text\n0000000000000000 D init_mm\nffffffffc0001000 t mmput\t[loop]\n", "x"
    )
    assert [symbol.name for symbol in found.all] == ["_text", "init_mm"]
    assert (found.base, found.address("init_mm"), found.address("mmput")) == (0xFFFFFFFF81000000, None, None)


def test_stub_of_a_system_map_is_told() -> None:
    stub = b"ffffffffffffffff B The real System.map is in the linux-image-<version>-dbg package\n"
    with pytest.raises(InputError, match="only names the package that has them"):
        Image(stub, "System.map")


# --- functions -------------------------------------------------------------------------------------------------------


class Dwarf:
    def __init__(self, functions: list[Function], inlined: list[Inlined]) -> None:
        self.functions, self.inlined = functions, inlined


def status(name: str, *lines: str, dwarf: Dwarf | None = None, traced: list[int] | None = None):
    text = "\n".join(
        ["ffffffff81000000 T _text", "ffffffff82000000 D __init_begin", "ffffffff83000000 D __init_end", *lines]
    )
    found = symbols.from_text(text.encode(), "x")
    traceable = Traceable(array("Q", traced), found) if traced is not None else None
    return statuses(found, None, dwarf, traceable)[name]


def test_one_symbol_is_probeable() -> None:
    found = status("mmput", "ffffffff81000100 T mmput")
    assert (found.state, found.place, found.told) == (PROBEABLE, "mmput", "probe-able")


def test_symbol_of_init_text_is_left_out() -> None:
    """6.1's mm_init: there is one in init/main.c, which is __init, and one in kernel/fork.c."""
    found = status("mm_init", "ffffffff81000100 t mm_init", "ffffffff82000100 t mm_init")
    assert (found.state, found.place) == (PROBEABLE, "_text+0x100")
    assert "2 symbols of that name the one that is not freed after boot" in found.told
    assert status("mm_init", "ffffffff82000100 t mm_init").state == ABSENT


def test_ambiguous_name_has_no_place() -> None:
    found = status("mm_init", "ffffffff81000100 t mm_init", "ffffffff81000200 t mm_init")
    assert (found.state, found.place) == (AMBIGUOUS, None)
    assert "mm_init at 0xffffffff81000100, mm_init at 0xffffffff81000200" in found.told


def test_dwarf_tells_ambiguous_names_apart_by_their_file() -> None:
    both = [
        Function("mm_init", "init/main.c", 0xFFFFFFFF81000100),
        Function("mm_init", "kernel/fork.c", 0xFFFFFFFF81000200),
    ]
    found = status("mm_init", "ffffffff81000100 t mm_init", "ffffffff81000200 t mm_init", dwarf=Dwarf(both, []))
    assert (found.state, found.place) == (PROBEABLE, "_text+0x200")
    assert "the one of kernel/fork.c" in found.told


def test_parts_and_variants_are_told() -> None:
    split = status("swap_free", "ffffffff81000100 T swap_free", "ffffffff81000200 t swap_free.part.0")
    assert split.place == "swap_free" and "some reach only swap_free.part.0" in split.told
    variant = status("unuse_mm", "ffffffff81000100 t unuse_mm.isra.0", "ffffffff81000300 t unuse_mm.isra.0.cold")
    assert (variant.state, variant.place, variant.symbols) == (VARIANT, None, ["unuse_mm.isra.0"])


def test_inlined_functions_are_told_with_their_callers() -> None:
    copies = [
        Inlined("exec_mmap", "begin_new_exec", 0x367, 0xFFFFFFFF81000467, {"mm": 13}),
        Inlined("mmput", "mm_access", 3, 0xFFFFFFFF81000103, {}),
    ]
    dwarf = Dwarf([], copies)
    assert status("exec_mmap", dwarf=dwarf).told == "inlined into begin_new_exec"
    assert status("exec_mmap", dwarf=dwarf).state == INLINED
    assert (
        status("mmput", "ffffffff81000100 T mmput", dwarf=dwarf).told
        == "probe-able; calls missed: inlined into mm_access"
    )


def test_function_that_ftrace_cannot_trace_has_no_place() -> None:
    lines = ["ffffffff81000100 t __mmput", "ffffffff81000200 T mmput"]
    traced = [0xFFFFFFFF81000204]
    assert status("mmput", *lines, traced=traced).place == "mmput"
    assert (status("__mmput", *lines, traced=traced).state, status("__mmput", *lines, traced=traced).place) == (
        NOTRACE,
        None,
    )


def test_mcount_locations_of_a_vmlinux_are_read() -> None:
    places = struct.pack("<3Q", 0, TEXT + 0x104, TEXT + 0x300)
    names = [
        Symbol(TEXT, "T", "_text"), Symbol(TEXT + 0x100, "T", "mmput"), Symbol(TEXT + 0x200, "t", "__mmput"),
        Symbol(TEXT + 0x300, "T", "exit_mmap"), Symbol(TEXT + 0x9000, "D", "__start_mcount_loc"),
        Symbol(TEXT + 0x9018, "D", "__stop_mcount_loc"),
    ]  # fmt: skip
    data = elf({".text": bytes(64), ".BTF": BTF, ".init.data": places}, names, addresses={".init.data": TEXT + 0x9000})
    image = Image(data, "vmlinux")
    found = traceable(image.elf, image.symbols)
    assert [TEXT + offset in found for offset in (0x100, 0x200, 0x300)] == [True, False, True]


# --- the command -----------------------------------------------------------------------------------------------------


def test_kernel_is_put_together_from_several_files() -> None:
    found = describe(str(DATA / "debian-6.1.btf"), system_map=str(DATA / "debian-6.1.map"), release="6.1.192")
    assert (found.release, found.version, found.arch, found.notes) == ("6.1.192", (6, 1), "x86_64", [])
    assert found.fields["mm_struct.mm_users"].offset == 84
    assert found.fields["mm_struct.mmlist.prev"].offset == 160
    assert found.functions["dup_mmap"].place == "dup_mmap"
    assert not any(name.startswith("__arm64") for name in found.functions)


def test_offsets_are_those_of_pahole() -> None:
    """pahole -C mm_struct ...: 6.12.117+deb12-amd64; SEMANTICS: mm_count has a cache line of its own since 6.8."""
    found = describe(str(DATA / "debian-6.12.btf")).fields
    wanted = {
        "mm_struct.mm_users": 132, "mm_struct.mm_count": 0, "mm_struct.mmlist": 208, "vm_area_struct.vm_mm": 16,
        "task_struct.mm": 2304, "task_struct.pid": 2432, "task_struct.flags": 44, "task_struct.comm": 2976,
        "swap_info_struct.type": 72, "swap_info_struct.inuse_pages": 508, "pt_regs.di": 112,
    }  # fmt: skip
    assert {name: found[name].offset for name in wanted} == wanted


def test_what_is_missing_is_noted() -> None:
    assert "no symbols" in describe(str(DATA / "debian-6.1.btf")).notes[0]
    assert "no types" in describe(str(DATA / "debian-6.1.map")).notes[0]
    with pytest.raises(OptionError, match="no architecture"):
        describe(str(DATA / "debian-6.1.map"), arch="pdp11")


def test_hidden_addresses_are_noted(tmp_path: Path) -> None:
    (tmp_path / "kallsyms").write_bytes(re.sub(rb"(?m)^[0-9a-f]+", b"0" * 16, MAP))
    found = describe(str(DATA / "debian-6.1.btf"), system_map=str(tmp_path / "kallsyms"))
    assert "hides all addresses" in found.notes[0]
    assert found.functions["mmput"].place == "mmput"


def test_command_prints_fields_and_functions(tmp_path: Path) -> None:
    (tmp_path / "vmlinuz").write_bytes(vmlinuz(vmlinux(kallsyms=kernel_files.kallsyms(SOME, "new")), "gzip"))
    run = CliRunner().invoke(cli, ["kernel", str(tmp_path / "vmlinuz")])
    assert run.exit_code == 0
    assert "release 6.1.0-56-amd64, x86_64" in run.stdout
    assert re.search(r"^mm_struct.mmlist +152 +16$", run.stdout, re.M)
    assert re.search(r"^mmput +absent", run.stdout, re.M)


def test_command_prints_json() -> None:
    run = CliRunner().invoke(cli, ["kernel", str(DATA / "debian-6.1.btf"), "--format", "json"])
    found = json.loads(run.stdout)
    assert found["kind"] == "kernel"
    assert found["fields"]["mm_struct.mm_users"] == {"offset": 84, "size": 4}
    assert found["fields"]["folio.swap"] is None


def test_command_cannot_read_what_is_no_kernel(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"\x7fELF" + bytes(80))
    run = CliRunner().invoke(cli, ["kernel", str(tmp_path / "x")])
    assert run.exit_code == 2
    assert "is no whole ELF file" in run.stderr and "Traceback" not in run.stderr
