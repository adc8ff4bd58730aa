"""The mm_struct is freed while mm_users is above 0.

What it says
    The struct outlives its users: it is freed only when mm_users is 0.

Why the kernel needs it
    All users together hold one reference of mm_count. If the struct goes while they stay, they use freed memory, and a
    member would leave a freed node on mmlist.

Kernel reference
    kernel/fork.c: __mmdrop, mmdrop, free_mm. A never-used mm of a failed exec or fork is freed with mm_users still 1
    (fs/exec.c: bprm_mm_init; kernel/fork.c: fail_nocontext): legal if it never joined.

Limits
    mm_users is taken from a fetch at the free, or from explicit counts; or a task is known to have the mm that has made no
    put of it: where puts and execs are explicit, of tasks that an exec, a fork, a fault or task_newtask of their own shows
    with it, after the log's first put (init, which does not exit: after its first exec; one that makes a thread later: after
    that and its first task_newtask; likely, where no line behind it shows that its exec would be one), and where the put is
    in the log that made mm_users 0.
"""

from __future__ import annotations

from collections.abc import Iterator

from mmlist.replay.invariants.base import ALL, Finding, Invariant, name, needs, witness
from mmlist.replay.model import State
from mmlist.replay.model.changes import Freed, Kept
from mmlist.replay.record import At


def check(change: Freed | Kept, state: State) -> Iterator[Finding]:
    """A free with users left."""
    if isinstance(change, Kept):
        yield _kept(change, state)
        return
    mm, users = change.mm, change.users
    if change.implied or users is None or users <= 0 or mm.zero is not None:
        return
    if not change.fetched and not (state.counts(mm) and mm.born is not None):
        return
    joined = mm.joined is not None or mm.drained is not None
    if users == 1 and not joined and not mm.used:
        return
    lines = [witness(mm.users_at, "mm_users last known here", "mmget")] if not change.fetched and mm.users_at else []
    yield Finding(
        change.at,
        f"{name(mm)} is freed while its mm_users is {users}",
        [
            *lines,
            witness(
                change.at,
                "freed here",
                "__mmdrop",
                f"mm_users of {name(mm)} is {users}" + (", as fetched" if change.fetched else ", as counted"),
                "the users hold one mm_count together, which __mmput drops last (kernel/fork.c: __mmput, mmdrop)",
            ),
        ],
        mm,
        absence=not change.fetched,
        since=_since(change),
        explicit=state.carries.gets_explicit,
        follows=[("C5", mm)],
    )


def _kept(change: Kept, state: State) -> Finding:
    mm, zero = change.mm, change.mm.zero
    assert zero is not None
    had = witness(change.since, "had by a task here", "copy_mm", f"{name(mm)} is the mm of task {change.pid}")
    put = witness(zero, "mm_users reached 0 here", "mmput")
    lines = [had, put] if change.since.seq < zero.seq else [put, had]
    return Finding(
        change.at,
        f"{name(mm)} is freed while task {change.pid} has it",
        [
            *lines,
            witness(
                change.at,
                "freed here",
                "__mmdrop",
                f"task {change.pid} has not put {name(mm)}",
                "a task that exits or execs puts its mm itself, until then it is one of mm_users (kernel/exit.c: exit_mm)",
            ),
        ],
        mm,
        since=lines[0].at,
        explicit=state.carries.puts_explicit,
        order=[(lines[0].at, lines[1].at)],
        cap="proven" if change.sure else "likely",
        doubt="no line behind it shows that the task's exec would be one: it may have left the mm by an exec",
        follows=[("C5", mm), ("C2", mm), ("C3", mm), ("C1", mm)],
    )


def _since(change: Freed) -> At | None:
    """The first line that it rests on: what told mm_users, and of one user that somebody had the mm, or that it joined."""
    mm = change.mm
    told = None if change.fetched else mm.users_at
    if change.users != 1:
        return told or change.at
    shown = [at for at in (mm.used, mm.joined, mm.drained) if at is not None]
    had = max(shown, key=lambda at: at.seq, default=change.at)
    return had if told is None or told.seq > had.seq else told


INVARIANT = Invariant(
    "C4",
    "freed-with-users",
    "E",
    "the mm_struct is freed while mm_users is above 0",
    ALL,
    needs("mm_free __mmdrop", "explicit:mmput fetched:users"),
    (Freed, Kept),
    check,
)
