"""Certainty on real logs: what lost events, or probes that are not there, could explain is neither proven nor likely."""

from __future__ import annotations

import gzip
import os
import random
import re
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

import mmlist
from mmlist.replay import facts as f
from mmlist.replay.history import replay
from mmlist.replay.log import Log
from mmlist.replay.simulate import BUGS, PROFILES, Settings, Simulation

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


SIMULATED = int(os.environ.get("HOLES", "20"))
_RANK = {"undecided": 0, "likely": 1, "proven": 2}


def simulated(number: int, *, wrong: bool) -> tuple[str, list[bytes]]:
    """A history of a simulated kernel, right or with a bug: its profile and lines."""
    rnd = random.Random(number)
    profile = rnd.choice(PROFILES)
    view = rnd.choice(["explicit", "both", "probes"]) if profile == "modern" else "explicit"
    bugs = [bug for bug in BUGS.values() if profile in bug.profiles and view in bug.views and not bug.rare]
    bug = rnd.choice(bugs) if wrong else None
    settings = Settings(
        profile=profile,
        seed=number,
        lines=rnd.choice([300, 1000]),
        view=view,
        locks=bug.locks if bug is not None else view == "explicit" and rnd.random() < 0.4,
        bug=None if bug is None else bug.name,
        pace=bug.pace if bug is not None else 12,
    )
    return profile, [line.encode() for line in Simulation(settings).lines()]


@pytest.mark.parametrize("number", range(SIMULATED))
def test_holes_in_a_simulated_right_kernels_log_accuse_nobody(number, tmp_path):
    rnd = random.Random(number)
    profile, lines = simulated(number, wrong=False)
    holes = [(rnd.randrange(15, len(lines) - 1), rnd.choice([1, 1, 2, 5, 30, 300])) for _ in range(rnd.randint(1, 4))]
    path = tmp_path / "holes.trace"
    path.write_bytes(with_holes(lines, holes))
    assert [v.message for v in mmlist.run(path, mmlist.Options(profile=profile)).decisive("E")] == []


@pytest.mark.parametrize("number", range(SIMULATED))
def test_a_loss_raises_no_certainty(number, tmp_path):
    rnd = random.Random(number)
    profile, lines = simulated(number, wrong=True)
    place = rnd.randrange(12, len(lines) + 1)
    marked = [*lines[:place], b"CPU:%d [LOST 5 EVENTS]" % rnd.randint(0, 1), *lines[place:]]
    path = tmp_path / "log.trace"
    told: list[dict[tuple[str, int | None, int | None], int]] = []
    for some in (lines, marked):
        path.write_bytes(b"\n".join(some) + b"\n")
        best: dict[tuple[str, int | None, int | None], int] = {}
        for v in mmlist.run(path, mmlist.Options(profile=profile)).violations:
            of_slot = v.code[0] == "S"  # of several holders, and of several slots of one holder, any may be named
            key = (v.code, None if of_slot else v.mm, v.type if v.mm is None and not of_slot else None)
            best[key] = max(best.get(key, 0), _RANK[v.certainty])
        told.append(best)
    without, with_loss = told
    assert {key: rank for key, rank in with_loss.items() if rank > without.get(key, 0)} == {}


TIED_JOINS = """# tracer: nop
#
CPU:2 [LOST 3 EVENTS]
              sh-10      [002] .....     0.500000: mm_init: mm=0xffff888001002000
              sh-10      [000] .....     1.000010: swapon: type=0 path="/dev/vda"
              sh-10      [000] .....     1.000020: swapon_ret: ret=0 type=0
              sh-20      [000] .....     1.000030: mm_init: mm=0xffff888001000000
              sh-20      [000] .....     1.000040: exec_mmap: mm=0xffff888001000000
         kswapd0-5       [000] .....     1.000050: swap_duplicate: entry=0x1
         kswapd1-6       [001] .....     1.000050: swap_duplicate: entry=0x2
         kswapd0-5       [000] .....     1.000060: mmlist_add: mm=0xffff888001000000 after=init_mm
         kswapd1-6       [001] .....     1.000060: mmlist_add: mm=0xffff888001000000 after=init_mm
         kswapd0-5       [000] .....     1.000070: swap_assign: mm=0xffff888001000000 entry=0x1 why=unmap
         kswapd1-6       [001] .....     1.000080: swap_assign: mm=0xffff888001000000 entry=0x2 why=unmap
"""


@pytest.mark.parametrize(("lost", "certainty"), [(True, "undecided"), (False, "proven")])
def test_every_order_of_tied_lines_is_judged_with_what_a_cpu_may_have_lost_at_the_end(lost, certainty, tmp_path):
    path = tmp_path / "log.trace"
    path.write_text(
        TIED_JOINS
        if lost
        else "".join(TIED_JOINS.splitlines(keepends=True)[:2] + TIED_JOINS.splitlines(keepends=True)[4:])
    )
    assert [(v.code, v.certainty) for v in mmlist.run(path).violations] == [("M2", certainty)]


LEAK = (
    (Path(__file__).parent.parent / "fixtures" / "violating" / "users-leaked.trace")
    .read_text()
    .splitlines(keepends=True)
)


def test_what_shows_at_the_logs_end_may_be_what_a_silent_cpu_lost(tmp_path):
    path = tmp_path / "log.trace"
    silent = "CPU:3 [LOST 3 EVENTS]\n              sh-10      [003] .....     0.500000: mmget: mm=0xffff888001004000\n"
    path.write_text("".join([*LEAK[:4], silent, *LEAK[4:]]))
    assert [(v.code, v.certainty) for v in mmlist.run(path).violations] == [("C6", "undecided")]
