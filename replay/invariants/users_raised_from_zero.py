"""mm_users is raised after it had reached 0.

What it says
    Zero is final: once mm_users of a generation has reached 0, no get brings it up again.

Why the kernel needs it
    At 0 the address space is being torn down; whoever raises the count uses freed page tables, and the next put tears it
    down a second time.

Kernel reference
    include/linux/sched/mm.h: mmget_not_zero; kernel/fork.c: get_task_mm, __mmput. In 2.6.10 swapoff meets a dying mm by
    atomic_inc_return, 0 to 1 to 0, under mmlist_lock: legal (mm/swapfile.c: try_to_unuse).

Limits
    Zero is taken from __mmput, exit_mmap, a fetched 0 or explicit counts, never from a probed `mmput users=1`, which is
    racy. Where the log shows neither births nor frees, an address may have been reused unseen. That 2.6.10's swapoff puts
    back what it raised, its visits say: where they were not recorded, a get in a swapoff is none.
"""

from __future__ import annotations

from collections.abc import Iterator

from mmlist.replay.invariants.base import ALL, Finding, Invariant, name, needs, witness
from mmlist.replay.model import State
from mmlist.replay.model.changes import Got


def check(change: Got, state: State) -> Iterator[Finding]:
    """A get on an mm whose mm_users had reached 0."""
    mm, zero = change.mm, change.zero
    if zero is None or zero is change.at:
        return
    if not (state.carries.frees or state.carries.births):
        return
    yield Finding(
        change.at,
        f"{name(mm)} is taken hold of although its mm_users had reached 0",
        [
            witness(zero, "mm_users reached 0 here", "__mmput"),
            *([witness(mm.freed, "freed here", "__mmdrop")] if mm.freed is not None else []),
            witness(
                change.at,
                "raised here",
                "mmget" if change.how != "visit" else "try_to_unuse",
                f"mm_users of {name(mm)} is 0",
                "mmget_not_zero fails on an mm whose mm_users is 0 (include/linux/sched/mm.h)",
            ),
        ],
        mm,
        since=zero,
        explicit=change.how != "fetched" and state.carries.births and state.carries.shows("mm_init"),
        order=[(zero, change.at)],
        follows=[("C1", mm), ("C4", mm), ("D9", mm)],
        episode=zero.seq,
    )


INVARIANT = Invariant(
    "C2",
    "users-raised-from-zero",
    "E",
    "a get on an mm whose mm_users had reached 0",
    ALL,
    needs(
        "mmput __mmput __mmput_begin exit_mmap",
        "mm_init mm_init_ret mm_free __mmdrop",
        "mmget get_task_mm get_task_mm_ret mm_access_ret mmlist_visit fetched:users",
    ),
    (Got,),
    check,
)
