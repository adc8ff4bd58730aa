"""Whatever parts of a bundle are gone, nothing is claimed that the whole bundle did not say."""

from __future__ import annotations

import gzip
import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest
from test_bundle import CALM, FIXTURES, HEADER, LOG, RANK, WHOLE, packed

import mmlist
from mmlist.replay import parts

MORE = {
    parts.UNAME: b"Linux box 6.1.0-56-amd64 #1 SMP x86_64 GNU/Linux\n",
    parts.DEFINITIONS: b"p:mmlist/mmput mmput mm=$arg1:x64 next=+152($arg1):x64\np:mine/init mm_init mm=$arg1:x64\n",
}
"""Parts that a replay reads beside those of WHOLE."""

LOSSY = {parts.STATS_AFTER: b"# cpu0\nentries: 35\noverrun: 5\ncommit overrun: 0\ndropped events: 2\n"}
MISSED = {parts.KPROBE_PROFILE: b"  mmput    224   3\n"}
LOCAL = {parts.CLOCK: b"local\n"}
HEADERS = ("whole", "older", "none")
LOGS = {
    "violating": LOG,
    "calm": CALM,
    "joined twice": (FIXTURES / "violating" / "double-join.trace").read_bytes(),
    "freed": (FIXTURES / "violating" / "freed-mm-on-mmlist.trace").read_bytes(),
}
BESIDE = {"clean": WHOLE | MORE, "loss": WHOLE | LOSSY | MORE, "missed": WHOLE | MISSED | MORE, "local": WHOLE | LOCAL,
          "all": WHOLE | LOSSY | MISSED | LOCAL}  # fmt: skip


def headed(header: str, beside: dict[str, bytes]) -> bytes:
    """The header that the kit writes of what the parts say: `older` kits did not write the loss."""
    if header == "none":
        return b""
    missed = b', "missed": {%s}' % (b'"mmput": 3' if beside[parts.KPROBE_PROFILE] in MISSED.values() else b"")
    lost = b', "lost": %d' % (2 if beside[parts.STATS_AFTER] in LOSSY.values() else 0)
    return HEADER % (missed + lost if header == "whole" else missed)


def told(path: Path) -> tuple[str, dict[tuple[object, ...], int]]:
    """The verdict, and of each violation how certain it is."""
    report = mmlist.run(path)
    found: dict[tuple[object, ...], int] = {}
    for one in report.violations:
        key = (one.code, one.mm, one.generation, one.type)
        found[key] = max(found.get(key, 0), RANK[one.certainty])
    return report.run.verdict, found


def subsets(beside: dict[str, bytes]) -> Iterator[dict[str, bytes]]:
    """What is left of the parts in every way that some that are read may be gone; never none of them."""
    names = sorted(beside)
    for count in range(1, len(names)):
        for left in itertools.combinations(names, count):
            yield {name: beside[name] for name in left}


def claims_no_more(
    less: tuple[str, dict[tuple[object, ...], int]], whole: tuple[str, dict[tuple[object, ...], int]]
) -> None:
    """`less`, of a bundle that lacks parts, claims nothing that `whole` does not."""
    assert less[0] in ("unknown", whole[0])
    for key, certainty in less[1].items():
        assert certainty <= whole[1].get(key, RANK["undecided"]), key


@pytest.mark.parametrize("header", HEADERS)
@pytest.mark.parametrize("parts_", BESIDE)
@pytest.mark.parametrize("log", LOGS)
def test_no_part_that_is_gone_raises_a_certainty(tmp_path: Path, log: str, parts_: str, header: str) -> None:
    text = headed(header, BESIDE[parts_]) + LOGS[log]
    whole = told(packed(tmp_path / "b.tar.gz", text, BESIDE[parts_]))
    for left in subsets(BESIDE[parts_]):
        claims_no_more(told(packed(tmp_path / "c.tar.gz", text, left)), whole)
    if header != "none":  # unpacked, it is what the kit wrote all the same
        claims_no_more(told(packed(tmp_path / "c.tar.gz", text, {})), whole)


EVERY = [one for one in sorted((FIXTURES / "violating").glob("*.trace")) if b'"missed"' not in one.read_bytes()]
"""Not those that bring what a kit counted with them."""


@pytest.mark.parametrize("log", EVERY, ids=[path.stem for path in EVERY])
def test_of_every_known_fault_no_part_that_is_gone_raises_a_certainty(tmp_path: Path, log: Path) -> None:
    """Whatever the invariant: also where the order of tied lines, or a missed call, is what is in doubt."""
    text = HEADER % b"" + log.read_bytes()
    for more in ({}, MISSED, LOSSY):
        beside = WHOLE | {parts.SYMBOLS: b"0000000000000000 D init_mm\n"} | more
        whole = told(packed(tmp_path / "b.tar.gz", text, beside))
        for name in (parts.KPROBE_PROFILE, parts.STATS_BEFORE, parts.CLOCK):
            left = {part: content for part, content in beside.items() if part != name}
            claims_no_more(told(packed(tmp_path / "c.tar.gz", text, left)), whole)


@pytest.mark.parametrize("log", EVERY, ids=[path.stem for path in EVERY])
def test_of_every_known_fault_nothing_is_sure_where_anything_may_be_missing(tmp_path: Path, log: Path) -> None:
    """But for what a line says by itself."""
    text = HEADER % b"" + log.read_bytes()
    if log.stem.endswith("-lost-before"):
        return  # its own line says where events were lost
    for more, strongest in ((MISSED, "likely"), (LOSSY, "undecided")):
        for one in mmlist.run(packed(tmp_path / "b.tar.gz", text, WHOLE | more)).violations:
            assert RANK[one.certainty] <= RANK[strongest] or one.reason == "the line says it by itself", one


@pytest.mark.parametrize("log", ["two-devices", "mono-b9-stock"])
def test_of_a_real_capture_no_part_that_is_gone_raises_a_certainty(tmp_path: Path, log: str) -> None:
    text = HEADER % b"" + gzip.decompress((FIXTURES / "captures" / f"{log}.trace.gz").read_bytes())
    for beside in BESIDE.values():
        beside = beside | {parts.SYMBOLS: b"0000000000000000 D init_mm\n", parts.DEFINITIONS: b""}
        whole = told(packed(tmp_path / "b.tar.gz", text, beside))
        for name in beside:
            left = {part: content for part, content in beside.items() if part != name}
            claims_no_more(told(packed(tmp_path / "c.tar.gz", text, left)), whole)
