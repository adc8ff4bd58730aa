"""A lock is taken inside one that must be taken inside it.

What it says
    mmap_sem, i_mmap_lock, anon_vma's lock, page_table_lock, swap_list_lock (modern: swap_lock) are taken in this order;
    innermost are mmlist_lock and 2.6's swap_device_lock, neither inside the other. Nothing of these is taken inside
    mmlist_lock, nor task_lock; no global one of them inside itself.

Why the kernel needs it
    Two tasks that take two locks in different orders wait for each other for ever: swapoff drains mmlist with swap_list_lock
    held, so who takes it inside mmlist_lock hangs both.

Kernel reference
    mm/rmap.c, the comment at its top (2.6.10: "mmlist_lock (in mmput, drain_mmlist and others)"); mm/swapfile.c:
    drain_mmlist; kernel/fork.c: get_task_mm (2.6.9: task_lock, then mmlist_lock).

Limits
    Only what is taken inside mmlist_lock, swap_list_lock or swap_device_lock is judged, and of the rest of the kernel's locks
    only those named above, by the names that lockdep prints (`&mm->page_table_lock`, `ptlock_ptr(page)`). A trylock cannot
    wait: it is never out of order, and what is inside one is not judged, since an own event may tell of one that failed. An
    interrupt's locks stand among those of the task that it interrupts: none of these is taken in one. A lock held since
    before the log, or before a loss, is not known.
"""

from __future__ import annotations

from collections.abc import Iterator

from mmlist.replay.invariants.base import ALL, Finding, Invariant, needs, witness
from mmlist.replay.model import State
from mmlist.replay.model.changes import LockNested


def check(change: LockNested, state: State) -> Iterator[Finding]:
    """A lock taken where it must not be."""
    again = "which it holds already" if change.same else f"inside {change.outer}"
    should = (
        "a spinlock is not taken twice: the task would wait for itself"
        if change.same
        else f"{change.inner} is taken before {change.outer}, or not while it is held (mm/rmap.c: lock ordering)"
    )
    yield Finding(
        change.at,
        f"a task takes {change.inner}, {again}",
        [
            witness(change.held, f"{change.outer} taken here", change.outer),
            witness(change.at, f"{change.inner} taken here", change.inner, f"the task holds {change.outer}", should),
        ],
        since=change.held,
        explicit=True,
        order=[(change.held, change.at)],
    )


INVARIANT = Invariant(
    "L2",
    "lock-order",
    "E",
    "a lock is taken against the lock order",
    ALL,
    needs("lock_acquire", "lock_release"),
    (LockNested,),
    check,
)
