"""Which steps of equal time put what in doubt: those that touch the same thing and do not come to the same in either order."""

from __future__ import annotations

import os

import pytest
from recorded import DATA, sections, write

from mmlist.replay import events as e
from mmlist.replay.model.ties import LIST, ORDER, Subject, Ties
from mmlist.replay.record import At

A, B = 0x1000, 0x2000
MM: Subject = ("mm", A, 0)
ENTRY: Subject = ("entry", 5, 0)
HOLD: Subject = ("hold", A, 5)


def at(line: int, cpu: int = 0, ts: int = 1000, pid: int = 0) -> At:
    return At(line, line * 100, ts, cpu, pid or 10 + cpu, b"task", seq=line)


STEPS = {
    "init": lambda w: e.MmInit(w, A),
    "free": lambda w: e.MmFree(w, A),
    "fork from": lambda w: e.MmFork(w, A, B),
    "fork to": lambda w: e.MmFork(w, B, A),
    "exec": lambda w: e.ExecMmap(w, A),
    "task mm": lambda w: e.TaskMm(w, 3, A),
    "get": lambda w: e.Mmget(w, A),
    "put": lambda w: e.Mmput(w, A),
    "look": lambda w: e.GetTaskMm(w, 3, A),
    "final put": lambda w: e.FinalPut(w, A),
    "exit": lambda w: e.ExitMmap(w, A),
    "grab": lambda w: e.Mmgrab(w, A),
    "drop": lambda w: e.Mmdrop(w, A),
    "use": lambda w: e.KthreadUseMm(w, A),
    "unuse": lambda w: e.KthreadUnuseMm(w, A),
    "alloc": lambda w: e.SwapAlloc(w, 5),
    "dup": lambda w: e.SwapDuplicate(w, 4, 3, A),
    "dup before": lambda w: e.SwapDuplicate(w, 3, 2, None),
    "free entry": lambda w: e.SwapFree(w, 4, 3),
    "usage": lambda w: e.SwapUsage(w, 1, 5, None),
    "usage of some": lambda w: e.SwapUsage(w, 1, None, A),
    "assign": lambda w: e.SwapAssign(w, A, 5, "unmap"),
    "clear": lambda w: e.SwapClear(w, A, 5, "zap"),
    "clear of some": lambda w: e.SwapClear(w, None, 5, "zap"),
    "release": lambda w: e.SwapRelease(w, A),
    "walk": lambda w: e.UnuseMm(w, A, 0),
    "due": lambda w: e.JoinDue(w, A, "pageout", 0, w, True),
    "due after": lambda w: e.JoinDue(w, B, "fork", A, w, True),
    "add": lambda w: e.MmlistAdd(w, A, 0),
    "add after": lambda w: e.MmlistAdd(w, B, A),
    "del": lambda w: e.MmlistDel(w, A, "mmput"),
    "visit": lambda w: e.MmlistVisit(w, A, 1),
    "drain": lambda w: e.MmlistDrain(w, -1),
    "swapon": lambda w: e.SwaponRet(w, 0, None, 0),
    "failed fork": lambda w: e.MmForkFailed(w, A, B, -12),
    "begun fork": lambda w: e.DupMmap(w, B, A),
    "exit returns": lambda w: e.ExitMmapRet(w, A),
    "put returns": lambda w: e.MmputRet(w, A),
    "shmem": lambda w: e.SwapShmem(w, 5),
    "folio": lambda w: e.PutSwapFolio(w, 5),
    "fetch of users": lambda w: e.Fetched(w, A, 1, None, None, None, "mmput"),
    "fetch of count": lambda w: e.Fetched(w, A, None, 1, None, None, "mmput"),
    "fetch of links": lambda w: e.Fetched(w, A, None, None, B, B, "mmput"),
    "head": lambda w: e.FetchedHead(w, A, A, "swapoff"),
    "inuse": lambda w: e.FetchedInuse(w, (1,), "swapoff"),
}


def tied(one: str, other: str, *, ts: int = 1000, cpu: int = 1, grain: int = 0) -> Ties:
    ties = Ties(grain)
    ties.note(STEPS[one](at(1)))
    ties.note(STEPS[other](at(2, cpu, ts)))
    return ties


MATTER = [
    *(("get", "put", MM), ("get", "look", MM), ("put", "task mm", MM), ("get", "visit", MM), ("init", "free", MM)),
    *(
        ("exec", "add", MM),
        ("fork to", "exit", MM),
        ("fork from", "add", MM),
        ("final put", "exit", MM),
        ("grab", "drop", MM),
    ),
    *(
        ("use", "unuse", MM),
        ("alloc", "free entry", ENTRY),
        ("dup", "free entry", ENTRY),
        ("dup before", "free entry", None),
    ),
    *(
        ("assign", "clear", HOLD),
        ("assign", "alloc", ENTRY),
        ("alloc", "clear of some", ENTRY),
        ("usage", "alloc", ENTRY),
    ),
    *(("usage of some", "walk", MM), ("release", "walk", MM)),
    *(("due", "add", MM), ("due after", "add", MM), ("add", "del", MM), ("add after", "del", MM), ("visit", "del", MM)),
    *(("drain", "add", LIST), ("drain", "add", MM), ("swapon", "alloc", ENTRY), ("drain", "assign", MM)),
    *(("add after", "add", ORDER),),
]
ALIKE = [
    *(("dup", "dup"), ("free entry", "free entry"), ("look", "task mm"), ("walk", "walk"), ("add", "use")),
    *(("add", "grab"), ("assign", "grab"), ("assign", "use"), ("due after", "fork from")),
]


@pytest.mark.parametrize(("one", "other", "what"), MATTER)
def test_steps_whose_order_matters_put_what_they_touch_in_doubt(one, other, what):
    for first, second in ((one, other), (other, one)):
        found = tied(first, second).doubt([what or ("entry", 4, 0)], None)
        assert found is not None and (found.one.line, found.other.line) == (1, 2)


@pytest.mark.parametrize(("one", "other"), ALIKE)
def test_steps_that_come_to_the_same_in_either_order_do_not(one, other):
    assert tied(one, other).doubt([MM, ENTRY, ("entry", 4, 0), ("entry", 6, 0)], None) is None


def in_doubt(one: str) -> str:
    """What is in doubt where `one` is tied with each of the steps."""
    text = ""
    for other in STEPS:
        ties = tied(one, other)
        ties.lines([], None)
        found = sorted(f"{kind}:{first:x}:{second:x}" for kind, first, second in ties.doubts)
        text += f"{other}: {' '.join(found)}\n" if found else ""
    return text


TIES = DATA / "ties.txt"
if os.environ.get("ACCEPT"):
    write(TIES, {one: in_doubt(one) for one in STEPS})


@pytest.mark.parametrize("one", STEPS)
def test_each_two_steps_put_in_doubt_what_was_recorded(one):
    """All pairs, as they were: `ACCEPT=1 make test ARGS="-n 0 -k ties"` writes them anew, to be looked through as a diff."""
    assert in_doubt(one).rstrip("\n") == sections(TIES)[one].rstrip("\n")


def test_a_free_of_some_entry_does_not_touch_those_that_were_not_named():
    assert tied("usage of some", "alloc").doubt([ENTRY], None) is None
    assert tied("dup before", "free entry").doubt([ENTRY], None) is None


@pytest.mark.parametrize(
    ("ts", "cpu", "grain", "doubted"), [(1000, 0, 0, 0), (1001, 1, 0, 0), (1001, 1, 1, 1), (1002, 1, 1, 0)]
)
def test_tied_are_lines_of_two_cpus_no_further_apart_than_the_grain(ts, cpu, grain, doubted):
    assert len(tied("add", "del", ts=ts, cpu=cpu, grain=grain).lines([MM], None) or ()) == 2 * doubted


def test_a_window_that_slides_keeps_to_the_grain():
    """Each line is near the one before it; the first and the last are not near each other."""
    ties = Ties(10)
    for line, ts in ((1, 0), (2, 8), (3, 16)):
        ties.note(STEPS["get"](at(line, line, ts)) if line != 2 else e.TaskExit(at(2, 2, ts), 7))
    assert ties.doubt([MM], None) is None


def test_a_doubt_is_no_older_than_asked_for():
    ties = tied("add", "del")
    assert ties.doubt([MM], at(2)) is not None and ties.lines([MM], at(2)) == {1, 2}
    assert ties.doubt([MM], at(3)) is None and ties.lines([MM], at(3)) == set()


def test_a_life_ends_what_was_in_doubt_of_the_one_before_unless_they_are_tied():
    ties = tied("add", "del")
    ties.note(STEPS["init"](at(3, 0, 1000)))
    assert ties.doubt([MM], None) is not None
    ties.note(STEPS["init"](at(4, 0, 1001)))
    assert ties.doubt([MM], None) is None


def test_of_old_doubts_only_that_there_were_any_is_kept():
    ties = Ties(0)
    for line in range(1, 60):
        ties.note(STEPS["add" if line % 2 else "del"](at(line, line % 2, 1000 + line // 2)))
        ties.note(STEPS["add"](at(100 + line, 2, 1000 + line // 2)))
    assert ties.lines([MM], None) is None and ties.lines([MM], at(159)) == {58, 59, 159}
    assert ties.doubt([MM], at(1)) is not None


def test_a_task_on_two_cpus_at_one_time_is_in_doubt():
    ties = Ties(0)
    ties.note(e.TaskExit(at(1, 0, pid=7), 8))
    ties.note(e.TaskExit(at(2, 1, pid=7), 9))
    assert ties.lines([("task", 7, 0)], None) == {1, 2}


def test_a_line_without_time_is_tied_by_nothing_here():
    ties = Ties(0)
    ties.note(STEPS["add"](At(1, 0, None, 0, 1, b"", seq=1)))
    ties.note(STEPS["del"](at(2, 1)))
    assert ties.doubt([MM], None) is None
