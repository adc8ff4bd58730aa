"""Certainty, merging, what follows from what: INVARIANTS.md's rules on the judge."""

from __future__ import annotations

import pytest
from history_language import EXPLICIT
from msgspec.structs import replace

from mmlist.replay import events as e
from mmlist.replay.judge import Judge
from mmlist.replay.record import At


def lost(told, since: int | None = None):
    at = told.at(cpu=1)
    return e.Lost(at, 1, since, at.ts, 3, "lost")


def certainties(told):
    return [(v.code, v.certainty) for v in told.violations()]


def test_a_complete_log_proves(story):
    assert certainties(story("swapon 0; exec a; dup 1; assign a 1")) == [("M1", "proven")]


def test_a_loss_between_the_lines_leaves_it_undecided(story):
    told = story("swapon 0; exec a; dup 1")
    told.step(lost(told))
    told.tell("dup 1; assign a 1; del a mmput")
    assert certainties(told) == [("M11", "undecided")]
    told = story("swapon 0; exec a; swapout a 1")
    told.step(lost(told))
    told.tell("add a")
    assert certainties(told) == [("M2", "undecided")]


def test_a_loss_that_ended_before_the_mm_was_born_does_not_count(story):
    told = story("swapon 0")
    told.step(lost(told))
    told.tell("exec a; swapon 0; dup 1; assign a 1")
    assert certainties(told) == [("M1", "proven")]


def test_a_loss_marker_that_comes_late_reaches_back(story):
    told = story("swapon 0; exec a; dup 1; assign a 1")
    told.judge.lost(lost(told, since=2500))
    assert certainties(told) == [("M1", "undecided")]


def test_a_late_marker_for_a_hole_after_it_changes_nothing(story):
    told = story("swapon 0; exec a; dup 1; assign a 1; exec b")
    told.judge.lost(lost(told, since=told.line * 1000))
    assert certainties(told) == [("M1", "proven")]


def test_an_mm_born_before_the_log_is_only_likely(story):
    told = story("swapon 0")
    told.step(e.MmlistAdd(told.at(), 0x1000, 0), e.MmlistAdd(told.at(), 0x1000, 0))
    assert certainties(told) == [("M2", "likely")]


def test_a_dialect_that_is_silent_about_loss_proves_nothing_by_absence(story):
    told = story("swapon 0; exec a")
    told.judge = Judge([i for group in told.judge._listeners.values() for i in group], told.state, reports_loss=False)
    told.tell("dup 1; assign a 1")
    assert certainties(told) == [("M1", "likely")]


def test_steps_that_are_no_events_of_their_own_are_only_likely(story):
    carries = replace(EXPLICIT, joins_explicit=False, leaves_explicit=False)
    told = story("swapon 0; exec a; dup 1", carries=carries)
    at = told.at()
    told.step(e.SwapAssign(at, 0x1000, 1, "unmap"))
    told.step(e.Fetched(told.at(), 0x1000, None, None, 0x1000 + 0x98, 0x1000 + 0x98, "mmput"))
    assert certainties(told) == [("M1", "likely")]


def test_lines_that_the_clock_does_not_order_are_undecided(story):
    told = story("swapon 0; exec a")
    told.state.grain = 999
    told.tell("put a")
    zero = told.line * 1000
    told.step(e.Mmget(At(90, 9000, zero + 1, 1, 7, b"ps", seq=90), 0x1000))
    assert certainties(told) == [("C2", "undecided")]
    told.step(e.Mmget(At(91, 9100, zero + 5000, 1, 7, b"ps", seq=91), 0x1000))
    assert certainties(told) == [("C2", "proven")]


def test_repeats_raise_the_count_of_one_row(story):
    told = story("swapon 0; exec a; dup 1; assign a 1; dup 2; assign a 2; dup 3; assign a 3")
    (violation,) = told.violations()
    assert violation.count == 3
    assert violation.last_line > violation.at.line


def test_the_signature_is_free_of_addresses_lines_and_times(story):
    one = story("swapon 0; exec a; dup 1; assign a 1").violations()[0]
    other = story("swapon 0; exec b; end b; exec c; exec d; dup 7; assign d 7").violations()[0]
    assert one.signature == other.signature
    assert "0x" not in one.signature


def test_what_a_drain_caused_follows_from_the_drain(story):
    told = story("swapon 0; exec a; swapout a 1; swapoff 0; drain 0; del a drain")
    assert [(v.code, v.follows_from) for v in told.violations()] == [("D1", None), ("M1", 1)]


def later(told, place, cpu):
    """The next line says that a is taken off."""
    told.state.grain = told.state.ties.grain = 999
    event = e.MmlistDel(At(80, 8000, place, cpu, 9, b"swapoff", seq=80), 0x1000, "drain")
    told.state.step(event)
    told.judge.later(event.at)


@pytest.mark.parametrize(
    ("after", "cpu", "certainty"), [(999, 0, "proven"), (999, 1, "undecided"), (1000, 1, "proven")]
)
def test_a_line_on_another_cpu_within_the_clocks_grain_may_have_come_first(story, after, cpu, certainty):
    told = story("swapon 0; exec a; swapout a 1; clear a 1; add a")
    (violation,) = told.violations()
    later(told, violation.at.ts + after, cpu)
    assert violation.certainty == certainty
