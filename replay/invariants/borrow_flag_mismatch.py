"""PF_BORROWED_MM is not set exactly while a kernel thread borrows an mm.

What it says
    use_mm sets PF_BORROWED_MM of the task and unuse_mm clears it, each in one step with the task's mm.

Why the kernel needs it
    get_task_mm asks the flag alone. Without it /proc and ptrace get hold of a mm whose mm_users the borrower does not hold,
    and may raise it from the dead; with one that was left behind they refuse a task that has an mm of its own.

Kernel reference
    fs/aio.c: use_mm, unuse_mm; include/linux/sched.h: PF_BORROWED_MM; kernel/fork.c: get_task_mm (2.6.10 to 2.6.26).

Limits
    task_flags tells the flags from there on, before or after the use_mm or unuse_mm of the same step: what the flag is counts
    once the task has gone on to something else, or to the next of the two. Of a task whose flags no line has told, or none
    since a loss, nothing is known; the same goes for one of which no use_mm or unuse_mm was seen. The patch's author says
    that unuse_mm could as well leave the flag: the kernel that he made clears it, and that is what is judged.
"""

from __future__ import annotations

from collections.abc import Iterator

from mmlist.replay.invariants.base import Finding, Invariant, name, needs, witness
from mmlist.replay.model import State
from mmlist.replay.model.changes import FlagMismatch


def check(change: FlagMismatch, state: State) -> Iterator[Finding]:
    """The flag of a borrower, or of one that borrows no more."""
    site, done = ("use_mm", "borrowed") if change.borrows else ("unuse_mm", "given back")
    flag = "not set" if change.borrows else "still set"
    should = "sets PF_BORROWED_MM" if change.borrows else "clears PF_BORROWED_MM"
    lines = [
        witness(change.flags, f"flags told here: PF_BORROWED_MM {flag}", "task_flags"),
        witness(
            change.since,
            f"{done} here",
            site,
            f"PF_BORROWED_MM of task {change.pid} is {flag}",
            f"{site} {should} under task_lock, in one step with the task's mm (fs/aio.c)",
        ),
    ]
    lines.sort(key=lambda line: line.at.seq)
    if change.at not in (change.since, change.flags):
        lines.append(witness(change.at, "task has gone on here", "task"))
    yield Finding(
        change.at,
        f"PF_BORROWED_MM of task {change.pid} is {flag} after {name(change.mm)} was {done}",
        lines,
        change.mm,
        since=min(change.since, change.flags, key=lambda at: at.seq),
        explicit=True,
        order=[(change.since, change.at), (change.flags, change.at)],
    )


INVARIANT = Invariant(
    "B1",
    "borrow-flag-mismatch",
    "E",
    "PF_BORROWED_MM is not exactly between use_mm and unuse_mm of its task",
    ("2.6.10",),
    needs("use_mm kthread_use_mm", "task_flags"),
    (FlagMismatch,),
    check,
)
