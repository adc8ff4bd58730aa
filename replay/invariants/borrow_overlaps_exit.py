"""A kernel thread uses an mm whose address space is torn down.

What it says
    No mm is borrowed while its exit_mmap runs, nor after it.

Why the kernel needs it
    A borrower holds mm_count, which keeps the mm_struct, not its address space: exit_mmap frees page tables and VMAs under
    its hands. In 2.6 exit_aio waits for the borrowers before; since then each must hold mm_users itself.

Kernel reference
    kernel/fork.c: mmput, __mmput (exit_aio, then exit_mmap); fs/aio.c: use_mm (2.6); kernel/kthread.c: kthread_use_mm, whose
    callers have an mmget_not_zero of their own.

Limits
    An error under 2.6, where nobody else borrows, and suspicious in modern kernels, where a thread may hold on to mm_users in
    a way that no line shows: then exit_mmap would not run. What stays as active_mm after kthread_unuse_mm is no use. Only
    where the log shows borrowed mms given back; a borrowing that began before the log is not known, nor is any after a loss.
    Where both stand at one moment of the clock, on two CPUs, nothing is decided.
"""

from __future__ import annotations

from collections.abc import Iterator

from mmlist.replay.invariants.base import ALL, Finding, Invariant, name, needs, witness
from mmlist.replay.model import State
from mmlist.replay.model.changes import Borrowed, ExitBegan
from mmlist.replay.model.mm import Mm
from mmlist.replay.record import At

_SHOULD = {
    "2.6": "exit_aio waits until no kernel thread borrows the mm, exit_mmap comes after (kernel/fork.c: mmput)",
    "modern": "who borrows an mm holds one of its mm_users, so that exit_mmap cannot run (kernel/kthread.c: kthread_use_mm)",
}


def check(change: Borrowed | ExitBegan, state: State) -> Iterator[Finding]:
    """exit_mmap of a borrowed mm, or a borrowing behind it."""
    mm = change.mm
    if isinstance(change, Borrowed):
        if not (state.carries.frees or state.carries.births):
            return  # it may be the next life
        if mm.exit_began is not None and state.carries.unborrows:
            yield _finding(change.at, mm, mm.exit_began, change.at, state)
        return
    if change.again is None:
        for _, since in state.borrowers(mm):
            yield _finding(change.at, mm, change.at, since, state)


def _finding(at: At, mm: Mm, exit_: At, use: At, state: State) -> Finding:
    should = _SHOULD["modern" if state.profile.name == "modern" else "2.6"]
    begun = at is exit_
    site = "kthread_use_mm" if state.profile.name == "modern" else "use_mm"
    one = witness(exit_, "exit_mmap begins here", "exit_mmap")
    other = witness(use, "borrowed here", site)
    last = one if begun else other
    last.state = f"{name(mm)} is borrowed" if begun else f"the address space of {name(mm)} is torn down"
    last.should = should
    return Finding(
        at,
        f"exit_mmap of {name(mm)} begins while a kernel thread borrows it"
        if begun
        else f"{name(mm)} is borrowed although its exit_mmap has begun",
        [other, one] if begun else [one, other],
        mm,
        since=use if begun else exit_,
        explicit=state.carries.shows("kthread_unuse_mm"),
        order=[(use, exit_)],
        follows=[("C2", mm), ("C1", mm)],
    )


INVARIANT = Invariant(
    "B3",
    "borrow-overlaps-exit",
    "W",
    "a kernel thread uses an mm while exit_mmap runs on it",
    ALL,
    needs("kthread_use_mm use_mm", "exit_mmap"),
    (Borrowed, ExitBegan),
    check,
    errors=("2.6.9", "2.6.10"),
)
