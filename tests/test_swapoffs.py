"""What a swapoff may do to mmlist and what it may not: drains in their place, walks, failures (D2, D4, D6, D8, D9, D10)."""

from __future__ import annotations

import pytest
from history_language import EXPLICIT, IMPLICIT, Story
from msgspec.structs import replace

from mmlist.replay import events as e
from mmlist.replay.record import At, Record
from mmlist.replay.survey import MT_DUP, survey

A = 0x1000
OUT = "swapon 0; exec a; swapout a 1; "


def roots(told: Story) -> list[str]:
    """The codes of the violations that follow from none."""
    return [one.code for one in told.violations() if one.follows_from is None]


# --- D2: a drain out of place ----------------------------------------------------------------------------------------


def test_a_drain_after_a_failed_walk_is_the_root_of_what_comes_of_it(story):
    told = story(OUT + "swapoff 0")
    told.step(e.TryToUnuseRet(told.at(9), -4))
    told.tell("drain -1; del a drain; off 0 -4")
    assert roots(told) == ["D2"] and "M1" in told.codes()


def test_a_drain_that_only_its_swapoffs_return_shows_to_be_wrong_is_the_root_all_the_same(story):
    told = story(OUT + "swapoff 0; drain -1; del a drain; off 0 -4")
    assert roots(told) == ["D2"] and "M1" in told.codes()


def test_a_walk_that_goes_on_after_a_drain(story):
    told = story("swapon 0; exec a; swapout a 1; clear a 1; swapoff 0; drain -1; del a drain")
    told.step(e.SwapoffPass(told.at(9), 0))
    assert roots(told) == ["D2"]


def test_a_refused_drain_is_none(story):
    told = story(OUT + "swapon 1; swapoff 0; drain 1")
    told.step(e.SwapoffPass(told.at(9), 0))
    assert told.tell("off 0 -4").codes() == []


@pytest.mark.parametrize("before", ["exec b", "init b", "swapon 1", "swapoff 0; off 0 -4"])
def test_a_drain_by_a_task_that_is_in_no_swapoff(story, before):
    told = story("exec a; dup 2; add a; " + before)
    pid = 9 if "off" in before else 1
    told.step(e.MmlistDrain(told.at(pid), -1), e.MmlistDel(told.at(pid), A, "drain"))
    assert [(v.code, v.certainty, v.count) for v in told.violations()] == [("D2", "likely", 1)]


def test_a_drain_of_a_swapoff_that_began_before_the_log(story):
    assert story("drain -1; off 0; exec a").codes() == []


def test_what_a_task_does_after_its_drain_tells_whether_it_was_in_a_swapoff(story):
    told = story("drain -1")
    told.step(e.MmFree(told.at(9), A), e.SwapAlloc(told.at(9), 1))
    assert [(v.code, v.certainty) for v in told.violations()] == [("D2", "likely")]
    told = story("drain -1")
    assert [(v.code, v.certainty) for v in told.violations()] == [("D2", "undecided")]
    assert story("exec a; dup 2; add a; del a drain").codes() == []


def test_a_drain_without_the_lock_that_the_log_shows(story):
    lock = "swap_lock"
    told = story("swapon 0; exec a; dup 2; add a; swapoff 0")
    told.step(e.LockAcquire(told.at(9), None, lock), e.LockRelease(told.at(9), None, lock))
    told.step(e.LockAcquire(told.at(8), None, lock))
    told.tell("drain -1; del a drain; off 0")
    assert [(v.code, v.certainty) for v in told.violations()] == [("D2", "proven")]
    told = story("swapon 0; exec a; dup 2; add a; swapoff 0")
    told.step(e.LockAcquire(told.at(9), None, "mmlist_lock"))
    assert told.tell("drain -1; del a drain; off 0").codes() == []


def test_a_member_that_a_failed_swapoff_left_self_linked():
    told = Story(carries=IMPLICIT).tell("swapon 0; exec a; alloc 1; dup 1; assign a 1")
    told.step(e.Fetched(told.at(), A, None, None, 0xFFFF + 0x98, 0xFFFF + 0x98, "probe"))
    told.tell("clear a 1; swapoff 0; off 0 -4")
    told.step(e.Fetched(told.at(), A, None, None, A + 0x98, A + 0x98, "probe"), e.SwapAlloc(told.at(), 2))
    assert [(v.code, v.certainty) for v in told.violations()] == [("D2", "likely"), ("D8", "likely")]


def test_a_node_poisoned_after_the_drain_is_that_of_a_dying_mm(story):
    poison = 0xDEAD000000000100
    told = story("swapon 0; exec a; dup 2; add a; swapoff 0; drain -1; del a drain; off 0; put a; exit a")
    told.step(e.Fetched(told.at(), A, None, None, poison, None, "probe"), e.SwapAlloc(told.at(), 2))
    assert told.codes() == []
    told = story("swapon 0; exec a; dup 2; add a; swapoff 0; drain -1; del a drain; off 0")
    told.step(e.Fetched(told.at(), A, None, None, poison, None, "probe"), e.SwapAlloc(told.at(), 2))
    assert told.codes() == ["D2"]


def test_an_mm_that_dies_before_the_next_line_of_the_cpu_that_read_its_poison(story):
    told = story("swapon 0; exec a; dup 2; add a; swapoff 0; drain -1; del a drain; off 0")
    told.step(e.Fetched(told.at(cpu=1), A, None, None, 0xDEAD000000000100, None, "probe"))
    told.tell("put a; exit a; exited a")
    told.step(e.SwapAlloc(At(99, 0, told.line * 2000, 1, 1, b"", seq=99), 2))
    assert told.codes() == []


# --- D4: an entry assigned while a drain ran -------------------------------------------------------------------------

DRAINING = "swapon 0; swapon 1; exec a; swapout a 1; clear a 1; swapoff 0; drain -1; "


@pytest.mark.parametrize(
    ("then", "expected"),
    [
        ("alloc 2; dup 2; assign a 2; del a drain", ["D4", "M1"]),
        ("alloc 2; dup 2; del a drain; assign a 2", ["D4", "M1"]),
        ("del a drain; alloc 2; dup 2; assign a 2", ["M1"]),
        ("alloc 2; dup 2; del a drain; add a; assign a 2", []),
        ("alloc 2; dup 2; assign a 2; clear a 2; del a drain", []),
    ],
)
def test_an_entry_assigned_while_a_drain_runs(story, then, expected):
    told = story(DRAINING + then)
    assert told.codes() == expected
    assert len(roots(told)) == min(1, len(expected))


def test_a_drain_that_was_seen_to_find_an_area_in_use_is_the_cause_itself(story):
    told = story("swapon 0; swapon 1; exec a; swapout a 1; clear a 1; swapoff 0")
    at = told.at(9)
    told.step(e.FetchedInuse(at, (0, 3), "mmlist_drain"), e.MmlistDrain(at, -1))
    told.tell("alloc 2; dup 2; assign a 2; del a drain; off 0")
    told.state.areas[1].used = True
    assert roots(told) == ["D1"] and "D4" not in told.codes()


def test_an_entry_assigned_before_the_drain_looked_is_not_its_race(story):
    told = story("swapon 0; exec a; swapout a 1; swapoff 0; drain -1; del a drain")
    assert told.codes() == ["M1"]


# --- D8: what a failed swapoff leaves --------------------------------------------------------------------------------


class Calls:
    """Calls on /dev/vda, told one after the other."""

    def __init__(self, told: Story) -> None:
        self.told = told

    def off(self, ret: int | None, pid: int = 9, *, walks: bool = True, path: str = "/dev/vda") -> None:
        """A swapoff, None: it goes on."""
        self.told.step(e.Swapoff(self.told.at(pid), path))
        if walks:
            self.told.step(e.SwapoffPass(self.told.at(pid), 0))
        if ret is not None:
            self.told.step(e.SwapoffRet(self.told.at(pid), ret))

    def on(self, ret: int = 0, path: str = "/dev/vda") -> None:
        """A swapon."""
        self.told.step(e.Swapon(self.told.at(8), path), e.SwaponRet(self.told.at(8), ret))


@pytest.mark.parametrize("ret", [-4, -12, (1 << 64) - 4, (1 << 32) - 4])
def test_an_area_that_a_failed_swapoff_did_not_put_back(story, ret):
    calls = Calls(story())
    calls.on()
    calls.off(ret)
    calls.off(-22, walks=False)
    assert [(v.code, v.certainty) for v in calls.told.violations()] == [("D8", "likely")]


def test_an_area_that_swapon_takes_anew_after_a_failed_swapoff(story):
    calls = Calls(story())
    calls.on()
    calls.off(-4)
    calls.on(-16)
    assert calls.told.codes() == []
    calls.on()
    assert calls.told.codes() == ["D8"]


def test_an_area_that_is_not_in_use_for_a_reason(story):
    calls = Calls(story())
    calls.off(-22, walks=False)
    calls.off(-22, walks=False)  # never was
    calls.on()
    calls.off(-4)
    calls.off(-22, walks=False, path="/dev/vdb")  # another
    calls.off(None, pid=10)
    calls.off(-22, walks=False)  # another swapoff is at it
    calls.told.step(e.SwapoffRet(calls.told.at(10), 0))
    calls.off(-22, walks=False)  # swapped off
    calls.on()
    assert calls.told.codes() == []


def test_a_failed_swapoff_that_drained_nobody_left_no_traces(story):
    assert story("swapon 0; swapoff 0; drain -1; off 0 -4").codes() == ["D2"]
    assert story("swapon 0; exec a; dup 2; add a; swapoff 0; drain -1; del a drain; off 0 -4").codes() == ["D2", "D8"]


# --- D9: a walk over the dead ----------------------------------------------------------------------------------------

DYING = "swapon 0; exec a; swapout a 1; put a; exit a; swapoff 0"


def visit(told: Story, got: int, users: int | None = None, mm: int = A) -> Story:
    """swapoff, task 9, meets the mm."""
    told.step(e.MmlistVisit(told.at(9), mm, got, users))
    return told


@pytest.mark.parametrize("profile", ["2.6.10", "modern"])
def test_swapoff_skips_the_dying(story, profile):
    assert visit(story(DYING, profile), 0).codes() == []
    told = visit(story(DYING, profile), 1)
    assert told.codes() == ["C2", "D9"] and roots(told) == ["C2"]


def test_swapoff_walks_page_tables_of_the_dying(story):
    told = story(DYING)
    told.step(e.UnuseMm(told.at(9), A, 0), e.UnuseMm(told.at(9), A, 0))
    assert [(v.code, v.certainty, v.count) for v in told.violations()] == [("D9", "proven", 2)]


def test_an_order_that_the_clock_does_not_fix_leaves_a_walk_over_the_dying_open(story):
    told = story("swapon 0; exec a; swapout a 1; swapoff 0; put a; exit a")
    same = At(told.line, 0, told.line * 1000 - 1000, 1, 9, b"", seq=told.line + 1)
    told.step(e.UnuseMm(same, A, 0))
    assert [(v.code, v.certainty) for v in told.violations()] == [("D9", "undecided")]


def test_who_died_before_a_loss_may_have_been_born_again_in_it(story):
    told = story("swapon 0; exec a; put a; exit a")
    told.step(e.Lost(told.at(), None, None, None, None, "lost"))
    told.tell("swapoff 0").step(e.UnuseMm(told.at(9), A, 0))
    assert visit(told, 1, 2).codes() == []


def test_one_user_after_the_get_tells_nothing_but_by_whose_put_is_the_last(story):
    told = visit(story("swapon 0; init b; swapoff 0"), 1, 1)
    told.step(e.Mmput(told.at(9), A, 1), e.ExitMmap(told.at(9), A))
    assert told.codes() == []
    told = visit(story("swapon 0; init b; swapoff 0"), 1, 1).tell("exit a")
    assert told.codes() == ["D9"]
    assert visit(story("swapon 0; init b; swapoff 0"), 1, 0).codes() == ["D9"]


# --- D6: passes without fewer entries --------------------------------------------------------------------------------


def passes(told: Story, times: int) -> Story:
    """Passes of the swapoff of task 9."""
    for _ in range(times):
        told.step(e.SwapoffPass(told.at(9), 0))
    return told


@pytest.mark.parametrize(
    ("history", "enough", "kind"),
    [
        ("swapon 0; exec a; alloc 1; dup 1; assign a 1; swapoff 0", 3, "stuck"),
        (OUT + "swapoff 0", 8, "blocked"),
        (OUT + "put a; exit a; swapoff 0", 100, "blocked"),
        ("swapon 0; swapoff 0", 100, "blocked"),
    ],
)
def test_passes_without_fewer_entries(story, history, enough, kind):
    assert "D6" not in passes(story(history), enough).codes()
    told = passes(story(history), enough + 1)
    found = [one for one in told.violations() if one.code == "D6"]
    assert len(found) == 1 and f"swapoff is {kind}: {enough} passes" in found[0].message


def test_every_entry_that_anybody_lets_go_is_progress(story):
    told = passes(story(OUT + "swapout a 2; swapoff 0"), 8).tell("clear a 1")
    assert passes(told, 8).codes() == []


def test_an_entry_of_another_area_is_none(story):
    told = passes(story(OUT + f"swapon 1; swapout a {1 << 58}; swapoff 0"), 8).tell(f"clear a {1 << 58}")
    assert passes(told, 1).codes() == ["D6"]


def test_how_a_swapoff_without_progress_ends(story):
    told = passes(story(OUT + "swapoff 0"), 20).tell("off 0 -4")
    assert "swapoff is killed: 19 passes" in told.violations()[0].message
    told = passes(story(OUT + "swapoff 0"), 20).tell("clear a 1 unuse; drain -1; del a drain; off 0")
    assert "swapoff is slow: 19 passes" in told.violations()[0].message


def test_fewer_pages_in_use_are_progress(story):
    told = passes(story(OUT + "swapoff 0"), 8)
    told.step(e.FetchedInuse(told.at(9), (9,), "probe"))
    passes(told, 0).step(e.FetchedInuse(told.at(9), (8,), "probe"))
    assert passes(told, 8).codes() == []


def test_ten_seconds_without_fewer_entries(story):
    told = story(OUT + "swapoff 0")
    told.state.second = 10_000  # Story's clock: ten lines a second
    passes(told, 1)
    for _ in range(98):
        told.step(e.SwapAlloc(told.at(), 5))
    assert told.codes() == []
    told.step(e.SwapAlloc(told.at(), 5), e.SwapAlloc(told.at(), 5))
    assert told.codes() == ["D6"] and "10 s" in told.violations()[0].message


def test_a_log_in_which_no_release_shows_tells_nothing_of_progress():
    told = Story(carries=replace(IMPLICIT, releases_visible=False)).tell(OUT + "swapoff 0")
    assert passes(told, 200).codes() == []


# --- D10: a walk over what a failed fork left ------------------------------------------------------------------------

FAILED = "swapon 0; exec a; swapout a 1; init b; copy b 1 a; swapoff 0"
B = 0x2000


def test_a_walk_over_what_a_failed_fork_left(story):
    told = story(FAILED)
    told.step(e.UnuseMm(told.at(9), B, 0), e.MmForkFailed(told.at(), A, B, None))
    assert visit(told, 1, 2, B).codes() == []
    told.step(e.MmForkFailed(told.at(), A, B, -4), e.UnuseMm(told.at(9), B, 0))
    assert told.codes() == ["D10"]


def test_taking_hold_of_it_counts_only_where_walks_show_by_nothing_else(story):
    told = story(FAILED)
    told.step(e.MmForkFailed(told.at(), A, B, -12))
    assert [(v.code, v.certainty) for v in visit(told, 1, 2, B).violations()] == [("D10", "likely")]
    told = Story(carries=replace(EXPLICIT, walks_visible=True)).tell(FAILED)
    told.step(e.MmForkFailed(told.at(), A, B, -12))
    assert visit(told, 1, 2, B).codes() == []


@pytest.mark.parametrize(
    ("header", "probes", "checked"),
    [
        ("6.1.180", "", False),
        ("6.12.19-amd64", "", True),
        ("7.1.5", "", False),
        (None, "", True),
        (None, "swap_free", False),
        (None, "swap_free_nr", True),
        (None, "swap_free_nr folio_dup_swap", False),
    ],
)
def test_which_kernels_copy_the_tree_of_areas_at_once(header, probes, checked):
    at = At(1, 0, 1, 0, 1, b"")
    records = [Record(at, name, b"(f+0x0/0x1) entry=0x1") for name in probes.split()]
    found = survey(records, {"release": header} if header else {})
    assert (MT_DUP in found.names) is checked
