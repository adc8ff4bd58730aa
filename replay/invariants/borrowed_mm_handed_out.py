"""get_task_mm of a kernel thread that borrows an mm returns it.

What it says
    get_task_mm gives NULL for a borrower: a kernel thread in use_mm (2.6.10: PF_BORROWED_MM) or any kernel thread (modern:
    PF_KTHREAD).

Why the kernel needs it
    A borrower does not hold mm_users: the mm may be in its last mmput, and get_task_mm would raise it from the dead.

Kernel reference
    kernel/fork.c: get_task_mm; Linux kernel commit 246bb0b1deb2 ("kill PF_BORROWED_MM in favour of PF_KTHREAD")
    (in v2.6.27); fs/aio.c: use_mm (2.6.10).

Limits
    A borrower is known by its kthread_use_mm or by its flags, seen before the call of get_task_mm began.
"""

from __future__ import annotations

from collections.abc import Iterator

from mmlist.replay.invariants.base import SWAP_ONLY, Finding, Invariant, name, needs, witness
from mmlist.replay.model import State
from mmlist.replay.model.changes import MmHandedOut


def check(change: MmHandedOut, state: State) -> Iterator[Finding]:
    """get_task_mm handed out a borrowed mm."""
    how = "borrows an mm here" if change.how == "borrows" else "is a borrower by its flags here"
    yield Finding(
        change.at,
        f"get_task_mm returned {name(change.mm)} for task {change.pid}, which only borrows it",
        [
            witness(change.borrowed, f"task {how}", "kthread_use_mm" if change.how == "borrows" else "task_flags"),
            witness(
                change.at,
                "handed out here",
                "get_task_mm",
                f"task {change.pid} is a borrower",
                "get_task_mm returns NULL for a task with PF_KTHREAD (2.6.10: PF_BORROWED_MM) (kernel/fork.c)",
            ),
        ],
        change.mm,
        since=change.borrowed,
        explicit=state.carries.shows("kthread_unuse_mm" if change.how == "borrows" else "task_flags"),
        order=[(change.borrowed, change.at)],
    )


INVARIANT = Invariant(
    "B2",
    "borrowed-mm-handed-out",
    "E",
    "get_task_mm of a borrower does not return NULL",
    SWAP_ONLY,
    needs("get_task_mm get_task_mm_ret", "kthread_use_mm use_mm task_flags"),
    (MmHandedOut,),
    check,
)
