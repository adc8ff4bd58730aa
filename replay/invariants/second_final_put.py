"""One generation reaches mm_users 0, or runs exit_mmap, twice.

What it says
    The last mmput comes once: one __mmput, one exit_mmap in the life of an mm.

Why the kernel needs it
    The second one frees page tables, VMAs and the struct's last reference again.

Kernel reference
    kernel/fork.c: mmput, __mmput; mm/mmap.c: exit_mmap.

Limits
    As users-raised-from-zero: zero is never taken from a probed `mmput users=1`; the 0 to 1 to 0 of 2.6.10's swapoff is
    legal; without births and frees in the log two generations cannot be told apart, and it is not checked.
"""

from __future__ import annotations

from collections.abc import Iterator

from mmlist.replay.invariants.base import ALL, Finding, Invariant, name, needs, witness
from mmlist.replay.model import State
from mmlist.replay.model.changes import ExitBegan, Zero


def check(change: Zero | ExitBegan, state: State) -> Iterator[Finding]:
    """A second end of one generation."""
    first = change.again
    if first is None or first is change.at:
        return
    if not (state.carries.frees or state.carries.births):
        return
    mm = change.mm
    site = "exit_mmap" if isinstance(change, ExitBegan) else "__mmput"
    what = "runs exit_mmap" if isinstance(change, ExitBegan) else "reaches mm_users 0"
    yield Finding(
        change.at,
        f"{name(mm)} {what} a second time",
        [
            witness(first, "first time here", site),
            witness(
                change.at,
                "again here",
                site,
                f"{name(mm)} is torn down already",
                "__mmput runs once in a life, in the mmput that takes mm_users from 1 to 0 (kernel/fork.c: mmput)",
            ),
        ],
        mm,
        since=first,
        explicit=state.carries.births and state.carries.shows("mm_init"),
        order=[(first, change.at)],
        follows=[("C2", mm), ("C1", mm)],
    )


INVARIANT = Invariant(
    "C3",
    "second-final-put",
    "E",
    "one generation reaches mm_users 0, or runs exit_mmap, twice",
    ALL,
    needs("mmput __mmput __mmput_begin exit_mmap", "mm_init mm_init_ret mm_free __mmdrop"),
    (Zero, ExitBegan),
    check,
)
