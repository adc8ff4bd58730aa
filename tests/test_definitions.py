"""The definitions of a bundle's probes: what each is on, what it fetches, and which event of ours a user's own one is."""

from __future__ import annotations

import gzip
import re
from pathlib import Path

import pytest
from test_bundle import FIXTURES, HEADER, WHOLE, packed

import mmlist
from mmlist.capture.defined import names_of
from mmlist.replay import parts
from mmlist.replay.bundle import read
from mmlist.replay.definitions import Definition, definitions, mmlist_offset
from mmlist.replay.log import Log

DEFINITIONS = Path(__file__).parent / "data" / "kernels" / "debian-6.1.kprobe.probes"
OFFSETS = (
    b', "missed": {}, "lost": 0, "offsets": {"mm_struct.mm_users": 84, "mm_struct.mm_count": 88, "mm_struct.mmlist": 152, '
    b'"mm_struct.mmlist.next": 152, "mm_struct.mmlist.prev": 160, "vm_area_struct.vm_mm": 16, "task_struct.mm": 2272, '
    b'"task_struct.pid": 2416, "vm_area_struct.vm_start": 0, "vm_area_struct.vm_end": 8}'
)


@pytest.mark.parametrize(
    ("line", "found"),
    [
        (b"p:mmlist/mmput mmput mm=$arg1:x64", Definition("mmput", "mmput", 0, False, {"mm": "$arg1"})),
        (b"p:mmput mmput+0x5", Definition("mmput", "mmput", 5, False, {})),
        (b"r256:m/x dup_mmap ret=$retval:s32", Definition("x", "dup_mmap", 0, True, {"ret": "$retval"})),
        (b"f:m/x mm_init%return mm=$retval", Definition("x", "mm_init", 0, True, {"mm": "$retval"})),
        (
            b"p:m/y f+12 a=+0x98(+16($arg2)):x64 b=@init_mm+160:x64 c=+8(%ax):ustring[3]",
            Definition("y", "f", 12, False, {"a": "+152(+16($arg2))", "b": "@init_mm+160", "c": "+8(%ax)"}),
        ),
        (b"p:m/z 0xffffffff8109da60 a=1", None),
        (b"p:uprobes/u /bin/sh:0x1234", None),
        (b"e:m/e sched.sched_switch", None),
        (b"garbage", None),
    ],
)
def test_a_definition_says_what_its_probe_is_on(line: bytes, found: Definition | None) -> None:
    assert definitions(line + b"\n") == ([] if found is None else [found])


def test_definitions_are_read_in_time_that_grows_with_them_alone() -> None:
    for shape in (
        b"p:m/a f " + b"a" * 1_000_000,
        b"p:m/a f x=" + b":" * 1_000_000,
        b"p:" + b"a/" * 500_000,
        b"p:m/a f" + b" a=1" * 250_000,
    ):
        assert len(definitions(shape)) <= 1


def test_the_offset_of_mmlist_is_told_where_all_probes_agree() -> None:
    text = b"p:m/a f mm=+16($arg2):x64 next=+152(+16($arg2)):x64\np:m/b g mm=$arg1 next=+0x98($arg1)\np:m/c h next=+8($arg1)\n"
    assert mmlist_offset(definitions(text)) == 152
    assert mmlist_offset(definitions(text + b"p:m/d i mm=$arg1 next=+136($arg1)\n")) is None
    assert read({parts.DEFINITIONS: text}).header == {"mmlist_offset": 152}


def test_uname_tells_the_release() -> None:
    assert read({parts.UNAME: b"Linux box 6.1.0-56-amd64 #1 SMP x86_64 GNU/Linux\n"}).header == {
        "release": "6.1.0-56-amd64"
    }


RENAMED = rb"(mm_init|mmput|dup_mmap|exit_mmap|swap_free|swap_duplicate|try_to_unmap_one)(_ret)?"


def renamed(line: bytes) -> bytes:
    """A line of a log, or of definitions, of some probes: as if the user had named them and their fields."""
    named = re.sub(rb"^([pr]\d*:)mmlist/" + RENAMED + rb" ", rb"\1mine/my_\2\3 ", line)
    named = re.sub(rb": " + RENAMED + rb": \(", rb": my_\1\2: (", named)
    return line if named == line else re.sub(rb" (users|next|mm|entry)=", rb" the_\1=", named)


def test_a_bundle_needs_no_map_for_names_of_the_users_own(tmp_path: Path) -> None:
    """A real log and the definitions of its probes, twelve of them with their fields renamed: the same is found."""
    log = gzip.decompress((FIXTURES / "captures" / "fork-noirqinfo.trace.gz").read_bytes())
    probes = b"".join(line + b"\n" for line in DEFINITIONS.read_bytes().splitlines() if b":mmlist/" in line)
    lines = [renamed(line) for line in log.splitlines(keepends=True)]
    mine = b"".join(renamed(line) for line in probes.splitlines(keepends=True))
    assert mine.count(b"mine/my_") == 12
    whole = mmlist.run(packed(tmp_path / "a.tar.gz", HEADER % OFFSETS + log, WHOLE | {parts.DEFINITIONS: probes}))
    found = mmlist.run(
        packed(tmp_path / "b.tar.gz", HEADER % OFFSETS + b"".join(lines), WHOLE | {parts.DEFINITIONS: mine})
    )
    assert found.run.verdict == whole.run.verdict == "conforming"
    assert (found.run.events, found.run.compared) == (whole.run.events, whole.run.compared)
    assert found.run.compared > 500


@pytest.mark.parametrize(
    ("definition", "fields"),
    [
        (b"p:m/put mmput addr=$arg1:x64 u=+84($arg1):s32", {"mm": "addr", "users": "u"}),
        (b"p:m/put mmput mm=$arg1:x64 users=+0($arg1):s32", {"mm": "mm"}),  # what lies there is not mm_users
        (b"p:m/put mmput users=+84($arg1):s32", None),  # whose, nothing says
        (b"p:m/put mmput+5 mm=$arg1:x64", None),
        (b"r:m/put mmput mm=$arg1:x64", None),
        (b"p:m/put frobnicate mm=$arg1:x64", None),
        (b"p:m/put mmput mm=$arg1:x64\np:m/mmput mmput mm=$arg1:x64", None),  # each call would be there twice
    ],
)
def test_only_what_a_definition_says_is_taken_for_ours(
    tmp_path: Path, definition: bytes, fields: dict[str, str] | None
) -> None:
    path = packed(tmp_path / "b.tar.gz", HEADER % OFFSETS + b"x", WHOLE | {parts.DEFINITIONS: definition + b"\n"})
    with Log.open(str(path)) as log:
        names = names_of(log)
    rules = {} if names is None else names.rules
    if fields is None:
        assert "put" not in rules
    else:
        assert {name: getattr(its, "name", None) for name, its in rules["put"].sources.items()} == fields
        assert (rules["put"].target, rules["put"].keep) == ("mmput", False)


def test_a_map_by_hand_goes_before(tmp_path: Path) -> None:
    path = packed(
        tmp_path / "b.tar.gz", HEADER % OFFSETS + b"x", WHOLE | {parts.DEFINITIONS: b"p:m/put mmput a=$arg1\n"}
    )
    by_hand = tmp_path / "map.toml"
    by_hand.write_text('[events.put]\nis = "mmput_async"\n')
    with Log.open(str(path)) as log:
        names = names_of(log, mmlist.load_map(by_hand))
    assert names is not None
    assert names.rules["put"].target == "mmput_async"
