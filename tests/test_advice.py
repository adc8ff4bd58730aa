"""`mmlist doctor` of a bundle: what to do better next time, and nothing where nothing is to be done better."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from test_bundle import CALM, HEADER, WHOLE, packed

from mmlist.cli import cli
from mmlist.replay import parts
from mmlist.replay.doctor import examine
from mmlist.replay.log import Log

KNOWN = {parts.UNAME: b"Linux box 6.1.0 #1 SMP x86_64 GNU/Linux\n"}


def better(tmp_path: Path, beside: dict[str, bytes], said: str = "") -> list[str]:
    path = packed(tmp_path / "b.tar.gz", HEADER % said.encode() + CALM, beside)
    with Log.open(str(path)) as log:
        return examine(log).better


def without(*names: str) -> dict[str, bytes]:
    return {name: content for name, content in (WHOLE | KNOWN).items() if name not in names}


def stats(*cpus: tuple[int, int]) -> bytes:
    return b"".join(b"# cpu0\nentries: %d\noverrun: %d\ncommit overrun: 0\ndropped events: 0\n" % one for one in cpus)


def test_of_a_good_capture_nothing_is_to_be_done_better(tmp_path: Path) -> None:
    assert better(tmp_path, WHOLE | KNOWN) == []


def test_of_a_log_that_is_not_the_kits_nothing_is_said(tmp_path: Path) -> None:
    path = tmp_path / "trace.txt"
    path.write_bytes(CALM)
    with Log.open(str(path)) as log:
        assert examine(log).better == []


@pytest.mark.parametrize(
    ("said", "after", "size"),
    [
        ("", stats((100, 7)), 40960),
        ("", stats((100, 7), (100, 350)), 163840),  # the CPU that lost most
        (', "buffer_kb": 1408', stats((100, 7)), 2816),
        (', "buffer_kb": 1408', stats((0, 10**18)), 1 << 22),  # no machine has more
    ],
)
def test_a_buffer_that_was_overwritten_is_to_be_larger(tmp_path: Path, said: str, after: bytes, size: int) -> None:
    before = stats((0, 0), (0, 0)) if after.count(b"cpu0") == 2 else stats((0, 0))
    found = better(tmp_path, WHOLE | KNOWN | {parts.STATS_BEFORE: before, parts.STATS_AFTER: after}, said)
    assert len(found) == 1
    assert found[0].endswith(f" events: MMLIST_BUFFER_KB={size} sh mmlist-capture start")


@pytest.mark.parametrize(
    ("beside", "said", "start", "command"),
    [
        (
            without(parts.STATS_AFTER),
            "",
            "nothing says whether the buffers lost events",
            "mmlist-capture bundle OUT.tar.gz",
        ),
        (without(parts.KPROBE_PROFILE), "", "nothing says whether the probes missed calls", "kprobe_profile.txt"),
        (without(parts.CLOCK), "", "nothing says which clock it was", "clock.txt"),
        (without() | {parts.CLOCK: b"global\n"}, "", "clock global", "MMLIST_CLOCK=mono sh mmlist-capture start"),
        (without() | {parts.SYMBOLS: b"0000000000000000 D init_mm\n"}, "", "init_mm's address", "--vmlinux VMLINUX"),
        (
            without() | {parts.KPROBE_PROFILE: b"  dup_mmap_ret 9 4\n"},
            "",
            "dup_mmap_ret missed 4 returns",
            "sed -i 's,r[0-9]*:mmlist/dup_mmap_ret ,r1024:mmlist/dup_mmap_ret ,' mmlist-capture",
        ),
        (without() | {parts.KPROBE_PROFILE: b"  mmput 9 4\n"}, "", "probes missed calls", "mmput 4"),
        (
            without() | {parts.REFUSED: b"p:mmlist/x x mm=$arg1:x64\n"},
            "",
            "the kernel did not take `p:mmlist/x x mm=$arg1:x64`",
            "mmlist probes /boot/vmlinuz-6.1.0 --script > mmlist-capture",
        ),
        (without(), ', "refused": ["p:mmlist/y y"]', "the kernel did not take `p:mmlist/y y`", "mmlist probes"),
        (without(), ', "missing": {"walk": ["unuse_mm(mm)"]}', "the probes do not show walk: unuse_mm(mm)", "DWARF"),
        (without() | {parts.UNAME: b"Linux box 6.1.9 #1 SMP\n"}, "", "the probes were made for 6.1.0", "vmlinuz-6.1.9"),
        (
            without() | {parts.EVENTS: b"task:task_newtask\n"},
            ', "tracepoints": ["task:task_newtask"]',
            "not recorded, as they were not enabled: mmlist:mmput",
            "",
        ),
        (
            without() | {parts.DEFINITIONS: b"p:x/mm_init mmput mm=$arg1:x64\n"},
            "",
            "the probe mm_init is on mmput",
            "give it another name",
        ),
        (
            without() | {parts.DEFINITIONS: b"p:x/mm_init mm_init mm=$arg1:x64 users=+0($arg1):s32\n"},
            ', "offsets": {"mm_struct.mm_users": 84}',
            "users of mm_init is fetched as +0($arg1)",
            "+84($arg1)",
        ),
    ],
)
def test_what_is_to_be_done_better_is_a_command(
    tmp_path: Path, beside: dict[str, bytes], said: str, start: str, command: str
) -> None:
    found = better(tmp_path, beside, said)
    assert len(found) == 1, found
    assert found[0].startswith(start)
    assert command in found[0]


@pytest.mark.parametrize(
    "said",
    [
        ', "missing": 3, "refused": {"a": 1}, "offsets": [1], "buffer_kb": "x", "release": 7, "lost": "many", "missed": [2]',
        ', "missing": {"a": 1}, "refused": [1, null], "tracepoints": 5, "missed": {"mmput": "x"}, "lost": true',
        ', "missing": {"a": [1]}, "offsets": {"mm_struct.mm_users": "84"}, "init_mm": [1], "mmlist_offset": {}, "clock": 1',
    ],
)
def test_a_header_of_another_shape_is_no_crash(tmp_path: Path, said: str) -> None:
    assert isinstance(better(tmp_path, dict.fromkeys(parts.ALL[1:], b"\xff" * 50), said), list)
    assert isinstance(better(tmp_path, WHOLE, said), list)


def test_both_formats_say_it(tmp_path: Path) -> None:
    path = packed(tmp_path / "b.tar.gz", HEADER % b"" + CALM, without(parts.CLOCK))
    text = CliRunner().invoke(cli, ["doctor", str(path)]).stdout
    assert "\nto do better next time\n  nothing says which clock it was (clock.txt)" in text
    rows = CliRunner().invoke(cli, ["doctor", str(path), "--format", "json"]).stdout.splitlines()
    assert len(json.loads(rows[-1])["better"]) == 1
