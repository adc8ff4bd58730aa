"""Certainty on real logs: what lost events, or probes that are not there, could explain is neither proven nor likely."""

from __future__ import annotations

import gzip
import re
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
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


def accused(path: Path) -> list[tuple[str, str, str]]:
    """The errors that the replay of `path` takes for proven or likely."""
    with Log.open(str(path)) as log:
        return [
            (fact.code, fact.certainty, fact.message)
            for fact in replay(log)
            if isinstance(fact, f.Violation) and fact.severity == "E" and fact.certainty != "undecided"
        ]


@pytest.mark.parametrize("name", CLEAN)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@example(holes=[(1452, 2)])  # exit_mmap's line is the one that is missing
@example(holes=[(1323, 300), (697, 300), (1550, 300), (3239, 5)])  # a drain
@given(holes=st.lists(st.tuples(st.integers(20, 3000), st.sampled_from([1, 2, 5, 30, 300])), min_size=1, max_size=4))
def test_holes_in_a_right_kernels_log_accuse_nobody(name, holes, tmp_path):
    path = tmp_path / "holes.trace"
    path.write_bytes(with_holes(LINES[name], holes))
    assert accused(path) == []


PROBED = ("small-default", "swapoff-busy-idle", "two-devices", "mono-clean")
_NAME = re.compile(rb"^.{16}-\d+ +\[\d+\] [^ ]+ +\d+\.\d+: ([a-z_0-9]+): ")
NAMED = {name: [(m[1] if (m := _NAME.match(line)) else None, line) for line in lines_of(name)] for name in PROBED}


@pytest.mark.parametrize("name", PROBED)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_probes_that_another_kernel_does_not_have_accuse_nobody(name, data, tmp_path):
    names = sorted({event for event, _ in NAMED[name] if event is not None})
    missing = data.draw(st.sets(st.sampled_from(names), max_size=20))
    path = tmp_path / "probes.trace"
    path.write_bytes(b"\n".join(line for event, line in NAMED[name] if event not in missing) + b"\n")
    assert accused(path) == []
