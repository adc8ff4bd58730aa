"""Replay order is (time, file order), through a bounded window; each record takes a place on the scale of lines."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmlist.replay.order import Item, ordered
from mmlist.replay.record import At, Loss, Record, Unparsed


def made(times: Sequence[int | None]) -> list[Item]:
    return [Record(At(line, line * 10, ts, 0, 1, b""), "mmput", b"") for line, ts in enumerate(times, 1)]


def lines(items: Sequence[Item]) -> list[int]:
    return [item.at.line for item in items]


@given(st.lists(st.integers(0, 30)), st.integers(1, 5))
def test_wide_window_sorts_stably(times: list[int], extra: int) -> None:
    items = made(times)
    out = ordered(items, len(items) + extra)
    assert lines(list(out)) == [line for _, line in sorted((ts, line) for line, ts in enumerate(times, 1))]
    assert out.late == 0


@given(st.lists(st.integers(0, 200), max_size=60), st.integers(1, 12))
def test_narrow_window_loses_nothing_and_sorts_what_it_can_reach(times: list[int], window: int) -> None:
    items = made([10 * place + shift for place, shift in enumerate(times)])
    out = ordered(items, window)
    released = list(out)
    assert sorted(lines(released)) == lines(items)
    assert [item.at.seq for item in released] == list(range(1, len(items) + 1))
    stamps = [item.at.ts or 0 for item in released]
    late = sum(1 for place, ts in enumerate(stamps) if ts < max(stamps[:place], default=0))
    assert (out.late > 0) == (late > 0)
    if window >= 21:
        assert late == 0


@given(st.lists(st.integers(0, 90), max_size=80))
def test_disorder_within_the_window_is_mended(shifts: list[int]) -> None:
    out = ordered(made([10 * place + shift for place, shift in enumerate(shifts)]), 10)
    stamps = [item.at.ts or 0 for item in out]
    assert stamps == sorted(stamps)
    assert out.late == 0


def test_seq_is_the_line_where_nothing_moved() -> None:
    items = made([10, 30, 20, 40])
    for item, line in zip(items, (3, 5, 8, 9), strict=True):
        item.at.line = line
    assert [(item.at.line, item.at.seq) for item in ordered(items) if isinstance(item, Record)] == [
        (3, 3),
        (8, 5),
        (5, 8),
        (9, 9),
    ]


def test_records_without_time_stay_where_they_are() -> None:
    assert lines(list(ordered(made([10, None, None, 5, None])))) == [4, 5, 1, 2, 3]
    assert lines(list(ordered(made([None] * 5)))) == [1, 2, 3, 4, 5]


def test_loss_stands_before_the_record_that_ends_it() -> None:
    records = made([10, 20, 15])
    loss = Loss(At(2, 0, 20, 1, None, b""), 1, 5, 10, 20, "lost")
    assert list(ordered([records[0], loss, *records[1:]])) == [records[0], records[2], loss, records[1]]


def test_open_loss_comes_last() -> None:
    records = made([10, 20])
    loss = Loss(At(3, 0, None, 1, None, b""), 1, None, 10, None, "lost")
    assert list(ordered([*records, loss]))[-1] is loss


def test_unparsed_pass_at_once() -> None:
    record, odd = made([10])[0], Unparsed(At(2, 0, None, None, None, b""), b"x", "no", 1)
    assert list(ordered([record, odd])) == [odd, record]


def test_another_capture_begins_after_the_first() -> None:
    first, second = made([100, 110, 90]), made([5, 7, 6])
    again = Loss(At(4, 0, 5, 0, None, b""), None, None, 110, 5, "backwards")
    out = ordered([*first, again, *second])
    assert [item.at.ts for item in out] == [90, 100, 110, 5, 5, 6, 7]
    assert out.late == 0


def test_window_is_bounded() -> None:
    drawn = 0

    def source() -> object:
        nonlocal drawn
        for item in made(range(50_000)):
            drawn += 1
            yield item

    out = iter(ordered(source(), 1000))  # type: ignore[arg-type]
    next(out)
    assert drawn <= 1000 + 4096 + 1


@pytest.mark.parametrize("window", [1, 2, 4096, 65536])
def test_ordered_log_stays(window: int) -> None:
    items = made(range(20_000))
    assert list(ordered(items, window)) == items
