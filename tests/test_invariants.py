"""The invariants: their names and papers, and that each hears what breaks it and keeps quiet on what does not."""

from __future__ import annotations

from pathlib import Path

import pytest

from mmlist.replay import events as e
from mmlist.replay.invariants import collect

FIXTURES = Path(__file__).parent.parent / "fixtures"
HEADINGS = ("What it says", "Why the kernel needs it", "Kernel reference", "Limits")
PUBLIC = {
    "B1": ("borrow-flag-mismatch", "E"),
    "B2": ("borrowed-mm-handed-out", "E"),
    "B3": ("borrow-overlaps-exit", "W"),
    "C1": ("users-underflow", "E"),
    "C2": ("users-raised-from-zero", "E"),
    "C3": ("second-final-put", "E"),
    "C4": ("freed-with-users", "E"),
    "C5": ("count-underflow", "E"),
    "D1": ("drained-with-swap-in-use", "E"),
    "D2": ("drained-out-of-place", "E"),
    "D3": ("member-survived-drain", "W"),
    "D4": ("joined-during-drain", "E"),
    "D5": ("swapoff-left-entries", "E"),
    "D6": ("swapoff-no-progress", "W"),
    "D10": ("half-forked-mm-walked", "W"),
    "D7": ("allocated-after-swapoff", "E"),
    "D8": ("failed-swapoff-left-traces", "E"),
    "D9": ("dead-mm-walked", "E"),
    "L1": ("unlocked-list-change", "E"),
    "L2": ("lock-order", "E"),
    "L3": ("slept-under-mmlist_lock", "E"),
    "M1": ("unlisted-swap-holder", "E"),
    "M2": ("double-join", "E"),
    "M3": ("join-before-duplicate", "E"),
    "M4": ("join-after-removal", "E"),
    "M5": ("removed-out-of-order", "E"),
    "M6": ("freed-mm-on-mmlist", "E"),
    "M8": ("linked-to-unlisted-parent", "E"),
    "M7": ("misplaced-member", "W"),
    "M9": ("broken-ring", "E"),
    "M10": ("nr-mismatch", "E"),
    "M11": ("removal-of-nonmember", "E"),
    "S1": ("swap-count-mismatch", "E"),
    "S2": ("slot-reused-while-held", "E"),
    "S3": ("swap-count-saturated", "W"),
    "S4": ("inuse-mismatch", "E"),
    "S5": ("entries-left-at-free", "E"),
    "C6": ("users-leaked", "W"),
}
"""Codes and slugs are public: they stand in databases and expectations, and never change meaning."""


def test_codes_slugs_and_severities_are_the_public_ones():
    assert {i.code: (i.slug, i.severity) for i in collect()} == PUBLIC


@pytest.mark.parametrize("invariant", collect(), ids=lambda i: i.slug)
def test_an_invariant_has_its_papers_and_fixtures(invariant):
    for heading in HEADINGS:
        assert f"\n{heading}\n    " in invariant.doc
    assert invariant.needs and invariant.changes and invariant.profiles
    assert (FIXTURES / "violating" / f"{invariant.slug}.trace").exists()
    assert (FIXTURES / "conforming" / f"{invariant.slug}-near-miss.trace").exists()


@pytest.mark.parametrize(
    ("history", "codes"),
    [
        ("swapon 0; exec a; alloc 1; dup 1; assign a 1", ["M1"]),
        ("swapon 0; exec a; swapout a 1; del a drain", ["M1"]),
        ("swapon 0; exec a; swapout a 1; clear a 1; del a drain", []),
        ("exec a; dup 1; assign a 1", []),
        ("swapon 0; exec a; swapout a 1; add a", ["M2"]),
        ("swapon 0; exec a; add a; alloc 1; dup 1; assign a 1", ["M3"]),
        ("swapon 0; exec a; swapout a 1; clear a 1; put a; exit a; exited a; del a; dup 2; add a", ["M4"]),
        ("swapon 0; exec a; swapout a 1; clear a 1; put a; del a", ["M5"]),
        ("swapon 0; exec a; swapout a 1; clear a 1; put a; exit a; del a", ["M5"]),
        ("swapon 0; exec a; swapout a 1; clear a 1; put a; exit a; exited a; free a", ["M6"]),
        ("swapon 0; exec a; init b; dup 1; add b a", ["M8"]),
        ("swapon 0; exec a; put a; exit a; exited a; del a", ["M11"]),
        ("exec a; put a; exit a; exited a; put a", ["C1"]),
        ("exec a; put a; exit a; get a", ["C2"]),
        ("exec a; put a; exit a; exited a; exit a", ["C3"]),
        ("exec a; get a; put a; free a", ["C4"]),
        ("init a; free a", []),
        ("swapon 0; exec a; swapout a 1; swapoff 0; drain 0; del a drain", ["D1", "M1"]),
        ("swapon 0; exec a; swapout a 1; clear a 1; swapoff 0; drain -1; off 0", ["D3"]),
        ("swapon 0; exec a; swapout a 1; swapoff 0; drain -1; off 0", ["D3", "D5"]),
        ("swapon 0; exec a; swapout a 1; swapoff 0; off 0 -4", []),
        ("swapon 0; swapoff 0; off 0; dup 1", ["D5"]),
        ("swapon 0; swapoff 0; off 0; swapon 0; alloc 1; dup 1", []),
        ("swapon 0; exec a; swapout a 1; init b; add b a; assign b 1 fork", ["S1"]),
        ("swapon 0; exec a; swapout a 1; clear a 1; clear a 1", ["S1"]),
        ("swapon 0; exec a; alloc 1; add a; assign a 1", ["S1"]),
        ("swapon 0; exec a; swapout a 1; release a 1; get a; put a", ["S1"]),
        ("swapon 0; exec a; swapout a 1; release a 1; end a", ["S1"]),
        ("swapon 0; exec a; swapout a 1; release a 1; free_entry 1; put a", []),
        ("swapon 0; exec a; swapout a 1; free_entry 1; release a 1; put a", []),
        ("swapon 0; exec a; swapout a 1; swapout a 2; release a 1; release a 2; free_entry 1; free_entry 2; put a", []),
        ("swapon 0; exec a; exec b; swapout a 1; copy b 1 a; free_entry 1; put a", ["S1"]),
        ("swapon 0; exec a; swapout a 1; dup 1; free_entry 1; put a", []),
        ("swapon 0; exec a; swapout a 1; alloc 1", ["S2"]),
        ("swapon 0; exec a; swapout a 1; clear a 1; alloc 1", []),
        ("swapon 0; exec a; swapout a 1; init b; copy b 1 a; clear a 1; alloc 1", ["S2"]),
        ("swapon 0; exec a; swapout a 1; inuse 0", ["S4"]),
        ("swapon 0; exec a; swapout a 1; inuse 1", []),
        ("swapon 0; exec a; swapout a 1; clear a 1; inuse 0; inuse -1", ["S4"]),
        ("exec a; swapout a 1; put a; exit a; exited a; del a; free a", ["S5"]),
        ("exec a; swapout a 1; end a", []),
        ("swapon 0; swapoff 0; unuse_mm a; alloc 1; alloc 2; unuse_mm a", ["D7"]),
        ("swapon 0; swapoff 0; unuse_mm a; alloc 1; unuse_mm a; alloc 2; off 0", ["D7"]),
        ("swapon 0; swapoff 0; unuse_mm a; alloc 1; unuse_mm a; alloc 2; off 0 -4", []),
        ("swapon 0; swapoff 0; alloc 1; alloc 2; unuse_mm a; alloc 3; unuse_mm a", []),
    ],
)
def test_a_history_breaks_just_these(story, history, codes):
    assert sorted(story(history).codes()) == sorted(codes)


def test_a_count_saturates_at_swap_map_max_of_2_6_and_stays(story):
    told = story("swapon 0; alloc 1; clear a 2", "2.6.10")
    told.tell("dup 1; " * 32765)
    assert told.codes() == []
    told.tell("dup 1; " * 3)
    assert told.codes() == ["S3"]
    told.tell("clear a 1; " * 40000)
    assert told.codes() == ["S3"]


USES, SETS, CLEARS = "use a; ", "flags 2008040; ", "flags 8040; "


@pytest.mark.parametrize(
    ("history", "codes"),
    [
        (USES + SETS + "goes_on; " + CLEARS + "unuse a; goes_on", []),
        (SETS + USES + "goes_on; unuse a; " + CLEARS + "goes_on", []),
        (CLEARS + USES + "goes_on", ["B1"]),
        (CLEARS + USES + "goes_on 8", []),
        (CLEARS + USES + "unuse a", ["B1"]),
        (USES + CLEARS + "goes_on", ["B1"]),
        (USES + SETS + "goes_on; unuse a; goes_on", ["B1"]),
        (USES + SETS + "goes_on; unuse a; use a", ["B1"]),
        (USES + SETS + "goes_on; " + CLEARS + "goes_on", ["B1"]),
        (USES + "goes_on; unuse a; goes_on", []),
        (SETS + "goes_on", []),
    ],
)
def test_pf_borrowed_mm_is_set_just_while_a_task_borrows(story, history, codes):
    assert story("exec a; " + history, "2.6.10").codes() == codes
    assert story("exec a; " + history).codes() == []


@pytest.mark.parametrize(
    ("history", "codes"),
    [
        ("use a; put a; exit a", ["B3"]),
        ("use a; unuse a; put a; exit a", []),
        ("put a; exit a; use a", ["B3"]),
        ("use b; put a; exit a", []),
        ("use a; use b 8; unuse a; put a; exit a", []),
        ("use a; put a; exit a; exited a; free a", ["B3", "C5"]),
        ("use a; unuse a; put a; exit a; exited a; free a; exec a; put a; exit a", []),
    ],
)
def test_nobody_borrows_an_mm_under_exit_mmap(story, history, codes):
    for profile, severity in (("2.6.9", "E"), ("2.6.10", "E"), ("modern", "W")):
        told = story("exec a; exec b; " + history, profile)
        found = [v for v in told.violations() if v.code in ("B3", "C5")]
        assert [v.code for v in found] == codes
        assert {v.severity for v in found if v.code == "B3"} <= {severity}


LAST = "put a; exit a; exited a; "


@pytest.mark.parametrize(
    ("history", "codes"),
    [
        (LAST + "drop a; free a", []),
        (LAST + "free a", []),
        ("grab a; drop a; " + LAST + "drop a; free a", []),
        ("grab a; " + LAST + "drop a; drop a; free a", []),
        ("grab a; " + LAST + "free a", ["C5"]),
        ("grab a; " + LAST + "drop a; free a", []),
        (LAST + "drop a; drop a", ["C5"]),
        ("drop a; free a", ["C5", "C4"]),
        ("init b; drop b; free b", []),
        ("init b; drop b; free b; grab a; " + LAST + "drop a; free a", []),
        ("exec b; put b; exit b; exited b; drop b; free b; grab a; " + LAST + "drop a; free a", ["C5"]),
        ("use a; unuse a; drop a; " + LAST + "drop a; free a", []),
        ("drop a 3; drop a 2", []),
        ("drop b 0", ["C5"]),
        ("drop b; drop b; drop b", []),
    ],
)
def test_mm_count_is_not_dropped_too_often(story, history, codes):
    assert story("exec a; " + history).codes() == codes


def test_a_fetched_mm_count_is_what_its_probe_allows(story):
    told = story("exec a; put a")
    told.step(e.Fetched(told.at(), 0x1000, 0, 1, None, None, "exit_mmap"))
    assert told.codes() == []
    told.step(e.Fetched(told.at(), 0x1000, 0, 0, None, None, "exit_mmap"))
    assert told.codes() == ["C5"]
    told = story("exec a; put a; exit a; exited a")
    at = told.at()
    told.step(e.Fetched(at, 0x1000, 0, 1, None, None, "__mmdrop"), e.MmFree(at, 0x1000))
    assert told.codes() == ["C5"]


def test_2_6_9_removes_in_the_step_to_zero(story):
    assert story("init a; add a; exec b; add b; put a; del a; exit a; exited a; free a", "2.6.9").codes() == []
    assert story("init a; add a; put a; exit a; exited a; del a; free a", "2.6.9").codes() == ["M5"]


def test_2_6_10_swapoff_may_raise_a_dying_mm_and_put_it_back_at_once(story):
    told = story("swapon 0; exec a; swapout a 1; put a; exit a; swapoff 0", "2.6.10")
    told.step(e.Mmget(told.at(9), 0x1000, 0), e.Mmput(told.at(9), 0x1000, 1))
    assert told.codes() == []
    told.step(e.Mmget(told.at(9), 0x1000, 0), e.UnuseMm(told.at(9), 0x1000, 0))
    assert told.codes() == ["C2", "D9"]


def test_modern_swapoff_may_not(story):
    told = story("swapon 0; exec a; swapout a 1; put a; exit a; swapoff 0")
    told.step(e.Mmget(told.at(9), 0x1000, 0), e.Mmput(told.at(9), 0x1000, 1))
    assert told.codes() == ["C2", "C3"]


def test_a_join_of_another_task_under_way_is_no_violation(story):
    told = story("swapon 0; exec a; alloc 1; alloc 2; dup 1; dup 2")
    told.step(e.JoinDue(told.at(7, cpu=1), 0x1000, "pageout", 0, told.at(7, cpu=1), over=False))
    told.tell("assign a 1")
    told.step(e.MmlistAdd(told.at(7, cpu=1), 0x1000, 0))
    told.step(e.JoinDue(told.at(7, cpu=1), 0x1000, "pageout", 0, told.at(7, cpu=1), over=True))
    assert told.codes() == []


def test_a_join_of_another_task_that_never_comes_is_one(story):
    told = story("swapon 0; exec a; alloc 1; alloc 2; dup 1; dup 2")
    told.step(e.JoinDue(told.at(7, cpu=1), 0x1000, "pageout", 0, told.at(7, cpu=1), over=False))
    told.tell("assign a 1")
    told.step(e.JoinDue(told.at(7, cpu=1), 0x1000, "pageout", 0, told.at(7, cpu=1), over=True))
    assert told.codes() == ["M1"]


def test_after_a_double_join_what_rests_on_links_follows_from_it(story):
    told = story("swapon 0; exec a; swapout a 1; add a; init b; exec c; dup 2; assign c 2")
    assert [(v.code, v.follows_from) for v in told.violations()] == [("M2", None), ("M1", 1)]


def test_a_drain_that_poisons_leaves_its_members_unlisted_for_good(story):
    told = story("swapon 0; exec a; swapout a 1; clear a 1; swapoff 0; drain -1; del a drain")
    told.step(e.Fetched(told.at(9), 0x1000, None, None, 0xDEAD000000000100, 0xDEAD000000000122, "mmlist_del"))
    told.tell("off 0; swapon 0; alloc 2; dup 2; assign a 2")
    assert [(v.code, v.certainty, v.follows_from) for v in told.violations()] == [
        ("D2", "likely", None),
        ("M1", "proven", 1),
    ]


def test_a_task_that_has_duplicated_may_be_about_to_join(story):
    told = story("swapon 0; exec a; alloc 1; alloc 2; dup 2")
    told.step(e.SwapDuplicate(told.at(7, cpu=1), 1))
    told.tell("assign a 2")
    told.step(e.MmlistAdd(told.at(7, cpu=1), 0x1000, 0), e.SwapAssign(told.at(7, cpu=1), 0x1000, 1, "unmap"))
    assert told.codes() == []
    told = story("swapon 0; exec a; alloc 1; alloc 2; dup 2")
    told.step(e.SwapDuplicate(told.at(7, cpu=1), 1))
    told.tell("assign a 2")
    told.step(e.SwapAssign(told.at(7, cpu=1), 0x1000, 1, "unmap"))
    assert told.codes() == ["M1"]


def test_a_ring_of_two_without_init_mm_is_no_list(story):
    told = story("swapon 0; swapoff 1; off 1 -22; exec a; exec b; swapout a 1; swapout b 2")
    told.step(e.Fetched(told.at(), 0x2000, None, None, 0x1098, 0x1098, "mmput"))
    assert [(v.code, v.certainty) for v in told.violations()] == [("M9", "proven")]


def test_a_lone_member_has_init_mm_on_both_sides(story):
    told = story("swapon 0; swapoff 1; off 1 -22; exec a; swapout a 1")
    told.step(e.Fetched(told.at(), 0x1000, None, None, 0xFFFF + 0x98, 0xFFFF + 0x98, "mmput"))
    assert told.codes() == []


def test_links_read_while_a_swapoff_runs_prove_no_ring(story):
    told = story("swapon 0; exec a; exec b; swapout a 1; swapout b 2; swapoff 0")
    told.step(e.Fetched(told.at(), 0x2000, None, None, 0x1098, 0x1098, "mmput"))
    assert [(v.code, v.certainty) for v in told.violations()] == [("M9", "likely")]


def test_a_node_half_linked_while_its_join_is_under_way_is_fine(story):
    told = story("swapon 0; swapoff 1; off 1 -22; exec a; exec b; swapout a 1; alloc 2; dup 2")
    told.step(e.JoinDue(told.at(7, cpu=1), 0x2000, "pageout", 0, told.at(7, cpu=1), over=False))
    told.step(e.Fetched(told.at(), 0x2000, None, None, 0x2098, 0x1098, "mmput"))
    assert told.codes() == []


def test_a_link_at_a_freed_mm_is_a_broken_ring(story):
    told = story("swapon 0; exec a; exec b; swapout a 1; swapout b 2; clear b 2; end b")
    told.step(e.Fetched(told.at(), 0x1000, None, None, 0xFFFF + 0x98, 0x2098, "mmput"))
    assert [(v.code, v.certainty) for v in told.violations()] == [("M9", "proven")]


def test_a_node_that_mm_init_left_as_it_was_copied(story):
    told = story("swapon 0; exec a; swapout a 1; init b")
    told.step(e.Fetched(told.at(), 0x2000, 1, 1, 0xFFFF + 0x98, 0xFFFF + 0x98, "mm_init_ret"))
    told.tell("alloc 2; dup 2; assign b 2")
    assert [(v.code, v.certainty, v.follows_from) for v in told.violations()] == [
        ("M9", "proven", None),
        ("M1", "proven", 1),
    ]


def test_2_6_9_leaves_a_new_node_as_it_was_copied(story):
    told = story("init a; add a; init b", "2.6.9")
    told.step(e.Fetched(told.at(), 0x2000, 1, 1, 0xFFFF + 0x98, 0xFFFF + 0x98, "mm_init_ret"))
    assert told.codes() == []


def test_a_live_member_that_is_off_the_list_unexplained(story):
    told = story("swapon 0; swapoff 1; off 1 -22; exec a; swapout a 1; clear a 1")
    told.step(e.Fetched(told.at(), 0x1000, None, None, 0x1098, 0x1098, "mmput"))
    assert [(v.code, v.certainty) for v in told.violations()] == [("M9", "proven")]
    told = story("swapon 0; exec a; swapout a 1; clear a 1; swapoff 0")
    told.step(e.Fetched(told.at(), 0x1000, None, None, 0x1098, 0x1098, "mmput"))
    assert told.codes() == []


def test_a_join_is_placed_by_its_cause(story):
    ok = (
        "swapon 0; exec a; exec b; swapout a 1; swapout b 2; init c; copy c 1 a; fork a c; init d; copy d 1 a; fork a d"
    )
    assert story(ok).codes() == []
    wrong_fork = "swapon 0; exec a; swapout a 1; init c; dup 1; add c; assign c 1 fork; fork a c"
    assert story(wrong_fork).codes() == ["M7"]
    other_parent = (
        "swapon 0; exec a; exec b; swapout a 1; swapout b 2; init c; dup 1; add c b; assign c 1 fork; fork a c"
    )
    assert story(other_parent).codes() == ["M7"]
    wrong_pageout = "swapon 0; exec a; exec b; swapout a 1; alloc 2; dup 2; add b a; assign b 2"
    assert story(wrong_pageout).codes() == ["M7"]


def test_a_drained_child_may_rejoin_by_a_pageout(story):
    told = story(
        "swapon 0; exec a; swapout a 1; init c; copy c 1 a; fork a c; clear a 1; clear c 1; swapoff 0; drain -1"
    )
    told.tell("del a drain; del c drain; off 0; swapon 0; swapout c 2; swapout a 3")
    assert told.codes() == []


def test_2_6_9_fork_joins_after_the_parent_and_exec_after_init_mm(story):
    assert story("init a; add a; init b; add b a; fork a b", "2.6.9").codes() == []
    assert story("init a; add a; init b; add b; fork a b", "2.6.9").codes() == ["M7"]
    told = story("init a; add a; init b; add b a", "2.6.9")
    told.step(e.ExecMmap(told.at(), 0x2000))
    assert told.codes() == ["M7"]


def test_mmlist_nr_counts_the_members(story):
    told = story("", "2.6.9")

    def add(mm: int, nr: int, cpu: int = 0) -> None:
        told.step(e.MmInit(told.at(), mm), e.MmlistAdd(told.at(cpu=cpu), mm, 0, nr))

    add(0x1000, 41)
    add(0x2000, 42)
    told.step(e.MmlistDel(told.at(), 0x9000, "mmput", 41))
    assert told.codes() == []
    add(0x3000, 41)
    add(0x4000, 42)
    assert [(v.code, v.count) for v in told.violations()] == [("M10", 1)]


def test_mmlist_nr_of_a_put_says_nothing_while_its_removal_is_to_come(story):
    told = story("init a; add a", "2.6.9")
    told.step(e.ExecMmap(told.at(), 0x1000, None, 1), e.Mmput(told.at(), 0x1000, 1, 0))
    told.tell("del a; exit a; exited a; free a")
    assert told.codes() == []


def test_a_live_mm_of_2_6_9_is_on_the_list(story):
    assert story("init a; add a; init b; fork a b", "2.6.9").codes() == ["M10"]
    assert story("init a; add a; init b; add b a; fork a b; init c; free c", "2.6.9").codes() == []
    told = story("init a", "2.6.9")
    told.step(e.ExecMmap(told.at(), 0x1000))
    assert told.codes() == []
    assert told.tell("put a; exit a").codes() == ["M10"]
