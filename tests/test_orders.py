"""Lines of equal time: what the replay says of them is what it says in every order that the clock allows.

The orders are made here by writing the log anew, each time with other times, and replaying each: brute force, and no code
of replay/orders.py. ORDERS=1000 tries so many random cases instead of a few.
"""

from __future__ import annotations

import itertools
import os
import random
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import mmlist
from mmlist.replay.orders import legal_orders
from mmlist.replay.record import At, Record
from mmlist.replay.simulate import BUGS, PROFILES, Settings, Simulation

CASES = int(os.environ.get("ORDERS", "30"))
MOST = 400
_LINE = re.compile(r"^(.{16}-(\d+) +\[)(\d+)(\] [^ ]+ +)(\d+\.\d{6})(: .*)$")
_HOT = re.compile(
    r": (mm_free|mmlist_del|mmlist_add|swap_free|mm_init|swap_alloc|exit_mmap|mmget|mmput|swap_clear|mmlist_drain): "
)

Claim = tuple[str, int | None, int | None, int | None]


def stamped(line: str, ns: int, cpu: int | None = None, time: str = "") -> str:
    """`line` with three digits more of time, on another CPU, at another time."""
    match = _LINE.match(line)
    if match is None:
        return line
    return f"{match[1]}{int(match[3]) if cpu is None else cpu:03d}{match[4]}{time or match[5]}{ns:03d}{match[6]}"


def case(number: int) -> tuple[str, list[str], list[str], list[str], list[int]] | None:
    """A history, right or wrong, some of whose lines are to be at one time: profile, before, these, behind, their CPUs."""
    rnd = random.Random(number)
    profile = rnd.choice(PROFILES)
    bugs = [bug for bug in BUGS.values() if profile in bug.profiles and "explicit" in bug.views and not bug.rare]
    bug = rnd.choice([None, *bugs])
    settings = Settings(
        profile=profile,
        seed=number,
        lines=rnd.choice([60, 120, 250]),
        cpus=rnd.choice([2, 3]),
        tasks=rnd.choice([3, 5]),
        bug=None if bug is None else bug.name,
        locks=bug.locks if bug is not None else rnd.random() < 0.1,
        pace=bug.pace if bug is not None else 12,
    )
    lines = list(Simulation(settings).lines())
    events = [index for index, line in enumerate(lines) if _LINE.match(line)]
    hot = [index for index in events if _HOT.search(lines[index])]
    size = rnd.randint(2, 8)
    start = max(events[0], rnd.choice(hot or events) - rnd.randint(0, size - 1))
    window = [index for index in events if index >= start][:size]
    of_task: dict[str, int] = {}
    cpus = []
    for index in window:
        match = _LINE.match(lines[index])
        assert match is not None
        cpus.append(of_task.setdefault(match[2], rnd.randint(0, 3)))
    if len(set(cpus)) < 2:
        return None
    return profile, lines[: window[0]], [lines[index] for index in window], lines[window[-1] + 1 :], cpus


def merges(sequences: list[list[int]]) -> Iterator[list[int]]:
    """All ways to merge sequences, each in its own order."""
    if not any(sequences):
        yield []
        return
    for index, sequence in enumerate(sequences):
        if sequence:
            for rest in merges([*sequences[:index], sequence[1:], *sequences[index + 1 :]]):
                yield [sequence[0], *rest]


def claims(path: Path, lines: list[str], profile: str) -> set[Claim]:
    """What the replay of `lines` is certain of: a row may be of several entries, and names the first that an order shows."""
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    found = mmlist.run(path, mmlist.Options(profile=profile))
    return {(v.code, v.mm, None, None) if v.mm else (v.code, None, v.type, None) for v in found.decisive("EW")}


@pytest.mark.parametrize("number", range(CASES))
def test_certain_is_what_holds_in_every_order(number: int, tmp_path: Path) -> None:
    found = case(number)
    if found is None:
        pytest.skip("all on one CPU")
    profile, before, tied, behind, cpus = found
    by_cpu: dict[int, list[int]] = {}
    for index, cpu in enumerate(cpus):
        by_cpu.setdefault(cpu, []).append(index)
    orders = list(itertools.islice(merges(list(by_cpu.values())), MOST + 1))
    if len(orders) > MOST:
        pytest.skip("too many orders")
    path = tmp_path / "log.trace"
    match = _LINE.match(tied[0])
    assert match is not None
    before, behind = [stamped(line, 0) for line in before], [stamped(line, 0) for line in behind]
    together = [stamped(line, 0, cpu, match[5]) for line, cpu in zip(tied, cpus, strict=True)]
    said = claims(path, before + together + behind, profile)
    in_all: set[Claim] | None = None
    for order in orders:
        apart = [stamped(tied[index], ns, cpus[index], match[5]) for ns, index in enumerate(order, 1)]
        told = claims(path, before + apart + behind, profile)
        in_all = told if in_all is None else in_all & told
    assert said == in_all


def test_what_holds_in_every_order_of_a_log_that_was_cut_is_not_proven_by_its_being_complete(tmp_path: Path) -> None:
    found = case(55)
    assert found is not None
    profile, before, tied, behind, cpus = found
    match = _LINE.match(tied[0])
    assert match is not None
    together = [stamped(line, 0, cpu, match[5]) for line, cpu in zip(tied, cpus, strict=True)]
    lines = [stamped(line, 0) for line in before] + together + [stamped(line, 0) for line in behind]
    certainties = {}
    for entries in (1, 9999):
        path = tmp_path / f"{entries}.trace"
        path.write_text(
            "\n".join([lines[0], f"# entries-in-buffer/entries-written: {entries}/{entries}   #P:4", *lines[1:]])
        )
        violations = mmlist.run(path, mmlist.Options(profile=profile)).violations
        certainties[entries] = {one.certainty for one in violations if one.code == "M11"}
        assert any("it is so in all" in one.reason for one in violations) == (entries == 1)
    assert certainties == {1: {"proven"}, 9999: {"likely"}}


def records(*places: tuple[int, int]) -> list[Record]:
    """Records at (time, cpu), lines 1, 2, ..."""
    return [Record(At(line, 0, ts, cpu, 1, b""), "x", b"") for line, (ts, cpu) in enumerate(places, 1)]


def orders_of(items: list[Record], grain: int = 0, lines: set[int] | None = None) -> list[list[int]] | None:
    found = legal_orders(items, grain, lines or {item.at.line for item in items})
    return None if found is None else [[item.at.line for item in order] for order in found]


def test_lines_of_one_cpu_keep_their_order() -> None:
    assert orders_of(records((5, 0), (5, 0))) == [[1, 2]]


def test_lines_of_two_cpus_at_one_time_come_in_any_order_the_given_one_first() -> None:
    assert orders_of(records((5, 0), (5, 1), (5, 0))) == [[1, 2, 3], [1, 3, 2], [2, 1, 3]]


def test_lines_further_apart_than_the_grain_keep_their_order() -> None:
    assert orders_of(records((5, 0), (9, 1)), grain=3) == [[1, 2]]
    assert orders_of(records((5, 0), (8, 1)), grain=3) == [[1, 2], [2, 1]]
    assert orders_of(records((5, 0), (8, 1), (11, 0)), grain=3) == [[1, 2, 3], [1, 3, 2], [2, 1, 3]]


def test_groups_that_are_in_no_doubt_stay_as_they_are() -> None:
    assert orders_of(records((5, 0), (5, 1), (7, 0), (7, 1)), lines={4}) == [[1, 2, 3, 4], [1, 2, 4, 3]]


def test_too_many_orders_are_not_tried() -> None:
    assert orders_of(records(*((5, cpu) for cpu in range(8)))) is None
    assert orders_of(records(*((5, cpu % 2) for cpu in range(40)))) is None
