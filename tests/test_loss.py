"""Loss and certainty, on real logs: what lost events could explain is never proven, nor likely."""

from __future__ import annotations

import gzip
import re
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mmlist.replay import facts as f
from mmlist.replay.history import replay
from mmlist.replay.log import Log

CAPTURES = Path(__file__).parent.parent / "fixtures" / "captures"
CLEAN = ("mono-clean", "mono-clean-stock")
_CPU = re.compile(rb"^.{16}-\d+ +\[(\d+)\]")


def lines_of(name: str) -> list[bytes]:
    return gzip.decompress((CAPTURES / f"{name}.trace.gz").read_bytes()).rstrip(b"\n").split(b"\n")


LINES = {name: lines_of(name) for name in CLEAN}


def with_holes(lines: list[bytes], holes: list[tuple[int, int]]) -> bytes:
    """`lines` without `count` lines of one CPU from `start` on, for each hole, the marker before that CPU's next line."""
    cpus = [match[1] if (match := _CPU.match(line)) else None for line in lines]
    gone: set[int] = set()
    marks: dict[int, bytes] = {}
    for start, count in holes:
        mine = [index for index in range(start, len(lines)) if cpus[index] == cpus[start]]
        if len(mine) <= count:
            continue
        gone.update(mine[:count])
        marks[mine[count]] = b"CPU:%d [LOST %d EVENTS]" % (int(cpus[start] or b"0"), count)
    out: list[bytes] = []
    for index, line in enumerate(lines):
        if index in marks:
            out.append(marks[index])
        if index not in gone:
            out.append(line)
    return b"\n".join(out) + b"\n"


@pytest.mark.parametrize("name", CLEAN)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(holes=st.lists(st.tuples(st.integers(20, 3000), st.sampled_from([1, 2, 5, 30, 300])), min_size=1, max_size=4))
def test_holes_in_a_right_kernels_log_accuse_nobody(name, holes, tmp_path):
    path = tmp_path / "holes.trace"
    path.write_bytes(with_holes(LINES[name], holes))
    with Log.open(str(path)) as log:
        accused = [
            (fact.code, fact.certainty, fact.message)
            for fact in replay(log)
            if isinstance(fact, f.Violation) and fact.severity == "E" and fact.certainty != "undecided"
        ]
    assert accused == []
