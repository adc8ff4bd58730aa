"""Locks: who holds mmlist_lock, as lock events show it; what a loss, a log's beginning and a hook's place leave open."""

from __future__ import annotations

import pytest
from history_language import EXPLICIT, Story, address
from msgspec.structs import replace

from mmlist.replay import events as e
from mmlist.replay.model.locks import plain

LOCKED = replace(EXPLICIT, locks=True)


class Locked(Story):
    """The history language with locks: `lock 1 mmlist_lock` by task 1, and a join by a task."""

    def __init__(self, profile: str = "modern") -> None:
        super().__init__(profile, LOCKED)

    def do_lock(self, pid: str, name: str, how: str = "") -> None:
        self.step(e.LockAcquire(self.at(int(pid)), 0x80, name, how == "try"))

    def do_unlock(self, pid: str, name: str) -> None:
        self.step(e.LockRelease(self.at(int(pid)), 0x80, name))

    def do_join(self, mm: str, pid: str = "1") -> None:
        self.step(e.SwapDuplicate(self.at(int(pid)), 1))
        self.step(e.MmlistAdd(self.at(int(pid)), address(mm), 0))

    def do_link(self, mm: str, pid: str = "1") -> None:
        self.step(e.MmlistAdd(self.at(int(pid)), address(mm), 0))

    def do_sees(self, pid: str, mm: str, users: str) -> None:
        self.step(e.Mmget(self.at(int(pid)), address(mm), int(users)))

    def do_puts(self, pid: str, mm: str, users: str) -> None:
        self.step(e.Mmput(self.at(int(pid)), address(mm), int(users)))

    def do_walks(self, pid: str, mm: str) -> None:
        self.step(e.UnuseMm(self.at(int(pid)), address(mm), 0))

    def do_lost(self) -> None:
        at = self.at()
        self.step(e.Lost(at, None, None, at.ts, 1, "lost"))


def told(text: str, profile: str = "modern") -> list[str]:
    return [code for code in Locked(profile).tell(text).codes() if code in ("L1", "L2", "L3")]


KNOWN = "exec a; exec b; lock 1 mmlist_lock; unlock 1 mmlist_lock; "


@pytest.mark.parametrize(
    ("history", "codes"),
    [
        ("join a", ["L1"]),
        ("lock 1 mmlist_lock; join a; unlock 1 mmlist_lock", []),
        ("lock 2 mmlist_lock; join a; unlock 2 mmlist_lock", ["L1"]),
        ("lock 1 mmlist_lock try; join a; unlock 1 mmlist_lock", []),
        ("lock 1 ksm_mmlist_lock; join a; unlock 1 ksm_mmlist_lock", ["L1"]),
        ("lock 1 mmlist_lock; lock 1 &rq->__lock; unlock 1 &rq->__lock; join a; unlock 1 mmlist_lock", []),
        ("lost; join a", []),
        ("lost; join a; unlock 1 mmlist_lock", []),
        ("lost; join a; lock 2 mmlist_lock; unlock 2 mmlist_lock", ["L1"]),
        ("lost; join a; unlock 2 mmlist_lock", ["L1"]),
        ("lock 1 mmlist_lock; lost; join a; unlock 1 mmlist_lock", []),
        ("dup 1; lock 1 mmlist_lock; unlock 1 mmlist_lock; link a", []),
        ("dup 1; lock 1 mmlist_lock; unlock 1 mmlist_lock; link a; lock 1 mmlist_lock; join b; unlock 1 mmlist_lock", ["L1"]),
        ("dup 1; lock 1 mmlist_lock; unlock 1 mmlist_lock; alloc 2; link a", ["L1"]),
    ],
)  # fmt: skip
def test_a_change_counts_as_unlocked_only_where_nobody_can_have_had_the_lock(history, codes):
    assert told(KNOWN + history) == codes


@pytest.mark.parametrize(
    ("history", "codes"),
    [
        ("join a", []),
        ("join a; lock 1 mmlist_lock", []),
        ("join a; unlock 1 mmlist_lock", []),
        ("join a; lock 1 mmlist_lock; unlock 1 mmlist_lock", ["L1"]),
        ("join a; unlock 1 mmlist_lock; join b", ["L1"]),
    ],
)
def test_who_held_the_lock_before_the_log_shows_by_the_first_release(history, codes):
    assert told("exec a; exec b; " + history) == codes


@pytest.mark.parametrize(
    ("history", "profile", "codes"),
    [
        ("lock 1 mmlist_lock; lock 1 swap_lock", "modern", ["L2"]),
        ("lock 1 swap_lock; lock 1 mmlist_lock", "modern", []),
        ("lock 1 mmlist_lock; lock 2 swap_lock", "modern", []),
        ("lock 1 mmlist_lock; lock 1 swap_lock try", "modern", []),
        ("lock 1 mmlist_lock try; lock 1 swap_lock", "modern", []),
        ("lock 1 mmlist_lock; unlock 1 mmlist_lock; lock 1 swap_lock", "modern", []),
        ("lock 1 mmlist_lock; lost; lock 1 swap_lock", "modern", []),
        ("lock 1 mmlist_lock; lock 1 mmlist_lock", "modern", ["L2"]),
        ("lock 1 &mm->mmap_lock; lock 1 &mm->mmap_lock", "modern", []),
        ("lock 1 swap_lock; lock 1 ptlock_ptr(page)#2", "modern", ["L2"]),
        ("lock 1 &p->alloc_lock; lock 1 mmlist_lock", "2.6.9", []),
        ("lock 1 mmlist_lock; lock 1 &p->alloc_lock", "2.6.9", ["L2"]),
        ("lock 1 swaplock; lock 1 &p->alloc_lock", "2.6.9", []),
        ("lock 1 p->sdev_lock; lock 1 mmlist_lock", "2.6.10", ["L2"]),
        ("lock 1 swap_list_lock; lock 1 p->sdev_lock", "2.6.10", []),
        ("lock 1 p->sdev_lock; lock 1 swap_list_lock", "2.6.10", ["L2"]),
    ],
)
def test_locks_are_taken_in_their_order(history, profile, codes):
    assert told(history, profile) == codes


@pytest.mark.parametrize(
    ("history", "profile", "codes"),
    [
        ("lock 1 mmlist_lock; puts 1 a 2", "modern", ["L3"]),
        ("lock 1 mmlist_lock; walks 1 a", "modern", ["L3"]),
        ("lock 1 mmlist_lock; puts 2 a 2", "modern", []),
        ("lock 1 mmlist_lock try; puts 1 a 2", "modern", []),
        ("lock 1 mmlist_lock; unlock 1 mmlist_lock; puts 1 a 2; walks 1 a", "modern", []),
        ("lock 1 mmlist_lock; lost; puts 1 a 2", "modern", []),
        ("lock 1 mmlist_lock; sees 1 a 0; puts 1 a 1", "2.6.10", []),
        ("lock 1 mmlist_lock; sees 1 a 1; puts 1 b 2", "2.6.10", ["L3"]),
        ("lock 1 mmlist_lock; puts 1 a 2", "2.6.9", []),
        ("lock 1 mmlist_lock; sees 1 a 1; puts 1 b 2", "2.6.9", ["L3"]),
    ],
)
def test_nobody_puts_or_walks_under_mmlist_lock(history, profile, codes):
    assert told(history, profile) == codes


def test_mmput_async_does_not_sleep():
    story = Locked().tell(KNOWN + "lock 1 mmlist_lock")
    story.step(e.Mmput(story.at(1), 0x1000, 2, may_sleep=False))
    assert "L3" not in story.codes()


@pytest.mark.parametrize(
    ("printed", "name"),
    [
        ("mmlist_lock", "mmlist_lock"),
        ("&mm->page_table_lock", "page_table_lock"),
        ("&(&mm->page_table_lock)->rlock", "page_table_lock"),
        ("&(ptlock_ptr(page))->rlock#2", "ptlock_ptr"),
        ("swap_list_lock()", "swap_list_lock"),
        ("&foo->mmlist_lock", "foo->mmlist_lock"),
    ],
)
def test_a_lock_has_the_name_that_its_code_has_for_it(printed, name):
    assert plain(printed) == name


def test_what_was_lost_may_have_been_the_release_right_before():
    assert told(KNOWN + "lost; link a; lock 2 mmlist_lock; unlock 2 mmlist_lock") == []
    assert told(KNOWN + "lost; alloc 2; link a; lock 2 mmlist_lock; unlock 2 mmlist_lock") == ["L1"]


def test_what_was_lost_may_have_cleared_the_flag_or_freed_the_mm():
    history = "exec a; use a; flags 2008040; goes_on; lost; unuse a; flags 2008040; use a; goes_on"
    assert Locked("2.6.10").tell(history).codes() == []
    assert Locked("2.6.10").tell("exec a; put a; exit a; lost; use a").codes() == []
