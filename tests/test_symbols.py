"""A kernel's symbols in a replay: the base is told or not said, addresses get their names, another kernel is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from test_bundle import HEADER, WHOLE, packed

import mmlist
from mmlist.cli import cli
from mmlist.replay.record import At, Record
from mmlist.replay.relocation import Sightings, relocated
from mmlist.replay.symbols import DENSE, Symbols

Invoke = Callable[..., Result]
CAPTURES = Path(__file__).parent.parent / "fixtures" / "captures"
KERNELS = Path(__file__).parent / "data" / "kernels"
INIT_MM, NODE = 0xFFFFFFFF82B5C940, 152
DEBIAN = [
    (0xFFFFFFFF81000000, "_text"), (0xFFFFFFFF8109DA60, "mmput"), (0xFFFFFFFF8109DA90, "mmput_async"),
    (0xFFFFFFFF8109DB70, "mm_init"), (0xFFFFFFFF8109DE40, "dup_mm"), (0xFFFFFFFF8136FFB0, "alloc_bprm"),
    (0xFFFFFFFF81370280, "bprm_execve"), (INIT_MM, "init_mm"), (INIT_MM + 0x400, "init_mm_end"),
]  # fmt: skip
LINE = b"              sh-148   [000]     8.3%05d: %-20s (%x%s) mm=0xff110000048%05x users=1 next=0xff11 prev=0xff11\n"


def table(moved: int = 0, *, dense: bool = True, **given: Any) -> Symbols:
    """The kernel's symbols; a dense table has others behind them."""
    more = [(0xFFFFFFFF84000000 + 16 * number, f"other_{number}") for number in range(DENSE if dense else 0)]
    return Symbols([(address + moved, name) for address, name in DEBIAN + more], "k.map", **given)


def seen(*payloads: tuple[str, bytes]) -> Sightings:
    found = Sightings()
    for line, (name, args) in enumerate(payloads, 1):
        found.take(Record(At(line, 0, line, 0, 1, b"sh"), name, args, "event", None, None, None, line))
    return found


def moved(symbols: Symbols, *payloads: tuple[str, bytes], **told: Any) -> int | None:
    return relocated(symbols, seen(*payloads), **{"known": {}, "functions": {}, **told}).moved


@pytest.mark.parametrize("shift", [0, 0x6800000, -0x200000])
@pytest.mark.parametrize("form", [b"(%x)", b"__probe_ip=%x", b"__probe_ip=0x%x", b"(mmput+0x4/0x30 <%x>)"])
def test_a_probes_address_tells_where_the_kernel_lay(shift: int, form: bytes) -> None:
    behind = 4 if b"+0x4" in form else 0
    assert moved(table(), ("mmput", form % (0xFFFFFFFF8109DA60 + shift + behind) + b" mm=0x1")) == shift


def test_a_probe_behind_endbr_is_on_its_function() -> None:
    assert moved(table(), ("mmput", b"(ffffffff8109da64) mm=0x1")) == 0


def test_the_lists_head_tells_where_the_kernel_lay() -> None:
    nodes = {INIT_MM + NODE + 0x2000000, 0xFF11000004853218, 5}
    assert moved(table(), nodes=nodes, mmlist_offset=NODE) == 0x2000000
    assert moved(table(), nodes=nodes | {INIT_MM + NODE}, mmlist_offset=NODE) is None
    assert moved(table(), nodes=nodes) is None


def test_where_nothing_tells_the_base_no_address_has_a_name() -> None:
    found = relocated(table(), seen(("mmput", b"(mmput+0x0/0x30) mm=0x1")), known={}, functions={})
    assert (found.moved, found.at(0xFFFFFFFF8109DA60), found.address("init_mm")) == (None, None, None)
    assert found.told == "k.map, not used: nothing in the log tells where its kernel lay"


@pytest.mark.parametrize(
    ("payloads", "known"),
    [
        ([("mmput", b"(ffffffff8109da68) mm=0x1")], {}),  # no function begins there, at any base
        ([("mmput", b"(ffffffff8109da60)"), ("mm_init", b"(ffffffff8109dc70)")], {}),  # nor there, where mmput fits
        ([("mmput", b"(ffffffff8109da60)"), ("mm_init", b"(ffffffff8129db70)")], {}),  # each tells another base
        ([("mmput", b"(ffffffff8109da60)")], {"init_mm": INIT_MM + 0x200000}),
        ([], {"init_mm": INIT_MM + 0x40}),
        ([], {"init_mm": INIT_MM, "_text": 0xFFFFFFFF81200000}),
        ([("mmput", b"(ffffffffc109da60)")], {}),  # farther than x86_64 moves a kernel
        ([("mmput", b"(mmput+0x0/0x20)")], {}),  # shorter there than here
        ([("mmput", b"(mmput_of_old+0x0/0x20)")], {}),
    ],
)
def test_another_kernels_symbols_are_refused(payloads: list[tuple[str, bytes]], known: dict[str, int]) -> None:
    with pytest.raises(mmlist.InputError, match=r"^k\.map: has the symbols of another kernel than the log's: "):
        moved(table(), *payloads, known=known)


def test_a_probe_on_a_function_that_it_is_not_named_for_is_named() -> None:
    found = relocated(
        table(),
        seen(
            ("mmput", b"(ffffffff8109da90)"),
            ("mm_init", b"(ffffffff8109db70)"),
            ("mm_init_ret", b"(ffffffff8109db70 <- 1)"),
        ),
        known={},
        functions={},
    )
    assert (found.moved, found.odd) == (0, {"mmput": "mmput_async"})


def test_what_the_bundle_says_of_a_probes_place_goes_before_its_name() -> None:
    assert moved(table(), ("mmput", b"(ffffffff8129da95)"), functions={"mmput": ("mmput_async", 5)}) == 0x200000


@pytest.mark.parametrize(
    ("text", "place"),
    [
        (b"mmput: (ffffffff8109da60) mm=0x1", "mmput+0x0/0x30"),
        (b"mm_init_ret: (ffffffff8109db70 <- ffffffff8137013c) mm=0x1", "alloc_bprm+0x18c/0x2d0 <- mm_init"),
        (
            b"x: __probe_func=ffffffff8109db70 __probe_ret_ip=ffffffff8137013c ret=0",
            "alloc_bprm+0x18c/0x2d0 <- mm_init",
        ),
        (b"x: (ffffffff8109db70 <- ffff000000000000)", "0xffff000000000000 <- mm_init"),
        (b"mmput: (mmput+0x0/0x30) mm=0x1", None),
        (b"mmput: (0000000000401e64)", None),
    ],
)
def test_addresses_are_printed_as_the_kernel_does(text: bytes, place: str | None) -> None:
    assert relocated(table(), seen(), known={"_text": 0xFFFFFFFF81000000}, functions={}).place(text) == place


def test_of_a_table_with_some_symbols_only_no_name_is_made_up() -> None:
    found = relocated(table(dense=False), seen(), known={"init_mm": INIT_MM}, functions={})
    assert found.place(b"(ffffffff8109da60)") == "mmput+0x0"
    assert found.place(b"(ffffffff8109db70 <- ffffffff8137013c)") == "0xffffffff8137013c <- mm_init"
    assert found.place(b"(ffffffff8109da80)") is None


@pytest.mark.parametrize(
    "log", ["fork-tracecmd-report-R", "fork-tracecmd-report-t", "fork-tracecmd-report-l", "fork-perf-script"]
)
def test_real_addresses_are_of_the_kernel_that_printed_them(log: str) -> None:
    path = CAPTURES / f"{log}.trace.gz"
    report = mmlist.run(path, mmlist.Options(symbols=mmlist.load_symbols(kallsyms=KERNELS / "debian-6.1.map")))
    assert report.run.verdict == mmlist.run(path).run.verdict
    assert report.run.init_mm == INIT_MM
    assert [one.value for one in report.statistics if one.name.startswith("symbols")] == [1]
    with pytest.raises(mmlist.InputError, match="of another kernel than the log's: the probe"):
        mmlist.run(path, mmlist.Options(symbols=mmlist.load_symbols(kallsyms=KERNELS / "debian-6.12.map")))


def test_a_moved_kernels_init_mm_is_found() -> None:
    symbols = mmlist.load_symbols(kallsyms=KERNELS / "debian-6.1.map")
    run = mmlist.run(CAPTURES / "fork-kaslr-4level.trace.gz", mmlist.Options(symbols=symbols)).run
    assert (run.init_mm, run.init_mm_source) == (0xFFFFFFFF8935C940, f"init_mm of {KERNELS / 'debian-6.1.map'}")
    other = mmlist.load_symbols(kallsyms=KERNELS / "debian-6.12.map")
    report = mmlist.run(CAPTURES / "fork-kaslr-4level.trace.gz", mmlist.Options(symbols=other))
    assert report.run.init_mm_source != f"init_mm of {KERNELS / 'debian-6.12.map'}"
    assert [one.text.partition(", ")[2][:8] for one in report.statistics if one.name == "symbols"] == ["not used"]


def test_the_release_and_the_offset_of_another_kernel_are_refused(tmp_path: Path) -> None:
    path = packed(tmp_path / "b.tar.gz", HEADER % b', "mmlist_offset": 152' + LINE % (1, b"mmput:", 0, b"", 1), WHOLE)
    for given, why in (({"release": "6.1.1"}, "is of kernel 6.1.1"), ({"mmlist_offset": 136}, "has mmlist at 136")):
        with pytest.raises(mmlist.InputError, match=why):
            mmlist.run(path, mmlist.Options(symbols=table(**given)))


def test_a_bundles_symbols_tell_the_base(tmp_path: Path) -> None:
    shift = 0x22800000
    symbols = b"%x T _text\n%x D init_mm\n" % (0xFFFFFFFF81000000 + shift, INIT_MM + shift)
    log = (
        HEADER % b""
        + LINE % (1, b"frobnicated:", 1, b"", 1)
        + LINE % (2, b"mmput:", 0xFFFFFFFF8109DA60 + shift, b"", 1)
    )
    path = packed(tmp_path / "b.tar.gz", log, WHOLE | {"symbols.txt": symbols})
    run = mmlist.run(path, mmlist.Options(symbols=table())).run
    assert (run.init_mm, run.init_mm_source) == (INIT_MM + shift, "init_mm of k.map")


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Invoke:
    """`command("replay", ...)`, run in an empty folder."""
    monkeypatch.chdir(tmp_path)
    return lambda *args: CliRunner().invoke(cli, [str(arg) for arg in args], prog_name="mmlist")


@pytest.fixture
def kernel(tmp_path: Path) -> str:
    path = tmp_path / "System.map"
    path.write_text("".join(f"{address:016x} T {name}\n" for address, name in DEBIAN))
    return str(path)


def test_the_evidence_says_where_its_probes_are(tmp_path: Path, kernel: str, command: Invoke) -> None:
    log = tmp_path / "trace.txt"
    lines = [
        LINE % (1, b"mm_init:", 0xFFFFFFFF8109DB70, b"", 1),
        LINE % (2, b"mm_init_ret:", 0xFFFFFFFF8109DB70, b" <- ffffffff8137013c", 1),
        LINE.replace(b"users=1", b"users=0") % (3, b"mmput:", 0xFFFFFFFF8109DA60, b"", 1),
    ]
    log.write_bytes(b"cpus=2\n" + b"".join(lines))
    database = str(tmp_path / "a.db")
    done = command("replay", str(log), "--kallsyms", kernel, "-o", database, "--format", "json")
    violations = [one for one in map(json.loads, done.stdout.splitlines()) if one["kind"] == "violation"]
    places = [step["place"] for one in violations for step in one["witness"]]
    assert "mmput+0x0" in places
    assert "   at     mmput+0x0\n" in command("explain", database, str(violations[-1]["id"])).stdout
    assert "mmput+0x0" in command("sql", database, "SELECT place FROM v_witness").stdout
    report = command("replay", str(log), "--kallsyms", kernel, "--no-db").stdout
    assert (
        f"  symbols     {kernel}, moved by 0x0 (the probe mm_init, the probe mm_init_ret, the probe mmput)\n" in report
    )


def test_parse_names_places_and_frames(tmp_path: Path, kernel: str, command: Invoke) -> None:
    log = tmp_path / "trace.txt"
    frames = b"=> ffffffff8109db70\n=> kernel_clone (ffffffff8109db70)\n"
    stack = b"              sh-148   [000]     8.300002: kernel_stack:         <stack trace >\n" + frames
    log.write_bytes(b"cpus=2\n" + LINE % (1, b"mmput:", 0xFFFFFFFF8109DA60, b"", 1) + stack)
    rows = [json.loads(line) for line in command("parse", str(log), "--kallsyms", kernel).stdout.splitlines()]
    assert [row["probe"] for row in rows if row.get("event") == "mmput"] == ["(mmput+0x0)"]
    assert [row["symbol"] for row in rows if row["kind"] == "stack_frame"] == ["mm_init+0x0", "kernel_clone"]


def test_doctor_takes_symbols(kernel: str, command: Invoke) -> None:
    log = str(CAPTURES / "fork-tracecmd-report-R.trace.gz")
    assert command("doctor", log, "--kallsyms", kernel).exit_code == 0


@pytest.mark.parametrize("content", [b"", b"garbage\n", b"0000000000000000 T _text\n"])
def test_a_file_without_symbols_is_refused(tmp_path: Path, content: bytes, command: Invoke) -> None:
    path = tmp_path / "kallsyms"
    path.write_bytes(content)
    done = command("replay", str(CAPTURES / "marker.trace.gz"), "--no-db", "--kallsyms", str(path))
    assert done.exit_code == 2
    assert done.stderr.startswith(f"mmlist: {path}: ")
    assert "Traceback" not in done.stderr
