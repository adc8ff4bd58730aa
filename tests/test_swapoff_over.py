"""What a swapoff leaves behind when it is over, and what is told only then."""

from __future__ import annotations

import pytest
from history_language import EXPLICIT, Story
from msgspec.structs import replace

from mmlist.replay import events as e
from mmlist.replay.facts import Swapoff

A = 0x1000
OUT = "swapon 0; exec a; swapout a 1; "


def test_what_a_walk_held_is_forgotten_when_its_swapoff_is_over(story):
    """The put was not seen; the task's next swapoff does not hold the mm."""
    told = story(OUT + "swapoff 0")
    told.step(e.MmlistVisit(told.at(9), A, 1, 1, True))
    assert "D9" not in told.tell("off 0 -4; swapoff 0; exit a").codes()


def test_what_a_walk_holds_alone_cannot_have_its_last_put_elsewhere(story):
    told = story(OUT + "swapoff 0")
    told.step(e.MmlistVisit(told.at(9), A, 1, 1, True))
    assert "D9" in told.tell("exit a").codes()


def test_the_return_of_a_swapoff_names_its_area(story):
    told = story("swapon 0; exec a")
    told.step(e.Swapoff(told.at(9), None, None), e.SwapoffRet(told.at(9), 0, 0))
    assert [fact.type for fact in told.state.facts if isinstance(fact, Swapoff)] == [0]
    assert told.state.areas[0].used is False


def test_a_swapoff_whose_begin_was_not_seen_may_have_drained(story):
    told = story(OUT, carries=replace(EXPLICIT, leaves_explicit=False, drain_explicit=False))
    mm = told.state.mms[A]
    assert not told.state.drained_since(mm)
    told.step(e.SwapoffRet(told.at(9), -4, 0))
    assert not told.state.drained_since(mm)
    told.step(e.SwapoffRet(told.at(9), 0, 0))
    assert told.state.drained_since(mm)


def test_a_swapoff_of_2_6_makes_saturated_counts_one(story):
    told = story("swapon 0; swapon 1; exec a; swapout a 1", "2.6.10")
    other = 1 << told.state.shift
    told.tell(f"swapout a {other}")
    told.step(e.SwapUsage(told.at(), 0x7FFF, 1, None), e.SwapUsage(told.at(), 0x7FFF, other, None))
    told.tell("clear a 1; swapoff 0; unuse_mm a 0; off 0")
    assert told.state.saturated == {other}


@pytest.mark.parametrize(("explicit", "told"), [(True, True), (False, False)])
def test_who_survived_a_drain_that_was_due_shows_only_where_removals_do(story, explicit, told):
    carries = replace(EXPLICIT, drain_explicit=False, leaves_explicit=explicit)
    text = "swapon 0; exec a; swapout a 1; clear a 1; swapoff 0; unuse_mm a 0; off 0"
    assert ("D3" in story(text, carries=carries).codes()) is told


def test_what_was_held_at_the_free_is_told_though_a_line_of_equal_time_comes_first():
    """S5 waits for the clears of equal time on other CPUs; others of that time say nothing."""
    told = Story()
    told.tell("swapon 0; exec a; swapout a 1; swapout a 2; put a; exit a; exited a; del a")
    freed = told.at()
    told.step(e.MmFree(freed, A))
    told.step(e.SwapClear(replace(told.at(3, 1), ts=freed.ts), A, 1, "zap"))
    told.step(e.SwapAlloc(replace(told.at(4, 2), ts=freed.ts), 7))
    assert [(one.code, one.entry) for one in told.violations() if one.code == "S5"] == [("S5", 2)]
