"""mmput, or a page-table walk, by a task that holds mmlist_lock.

What it says
    Who walks mmlist lets go of mmlist_lock before it puts the mm that it had and before it walks the page tables of the next.

Why the kernel needs it
    A last mmput runs exit_mmap, and unuse_mm takes mmap_sem and reads pages: both sleep. Asleep with a spinlock held a CPU
    spins for ever; and the last mmput takes mmlist_lock itself.

Kernel reference
    mm/swapfile.c: try_to_unuse, unuse_mm; kernel/fork.c: mmput.

Limits
    Only where the log carries lock_acquire and lock_release, and mmlist_lock among them; not under a trylock. mmput_async
    does not sleep. 2.6.10's swapoff takes a get of a dying mm back under the lock: a put of an mm that the task itself got
    since it took the lock is that atomic_dec. 2.6.9's mmput takes the lock inside: a put under it counts only after an mm of
    the list was met, got or linked under the same lock.
"""

from __future__ import annotations

from collections.abc import Iterator

from mmlist.replay.invariants.base import ALL, Finding, Invariant, name, needs, witness
from mmlist.replay.model import State
from mmlist.replay.model.changes import SleptUnder

_SHOULD = {
    "mmput": "try_to_unuse unlocks mmlist_lock, and puts the previous mm then (mm/swapfile.c)",
    "unuse_mm": "try_to_unuse unlocks mmlist_lock, and walks the mm that it holds then (mm/swapfile.c)",
    "unuse_pte": "try_to_unuse unlocks mmlist_lock, and walks the mm that it holds then (mm/swapfile.c)",
}


def check(change: SleptUnder, state: State) -> Iterator[Finding]:
    """What may sleep, under a spinlock."""
    mm = change.mm
    done = "put" if change.what == "mmput" else "walked"
    yield Finding(
        change.at,
        f"{name(mm)} is {done} by a task that holds mmlist_lock",
        [
            witness(change.held, "mmlist_lock taken here", "spin_lock"),
            witness(change.at, f"{done} here", change.what, "the task holds mmlist_lock", _SHOULD[change.what]),
        ],
        mm,
        since=change.held,
        explicit=True,
        order=[(change.held, change.at)],
    )


INVARIANT = Invariant(
    "L3",
    "slept-under-mmlist_lock",
    "E",
    "mmput, or a page-table walk, while the same task holds mmlist_lock",
    ALL,
    needs("lock:mmlist_lock", "lock_acquire", "lock_release", "mmput unuse_mm unuse_pte_range swap_clear"),
    (SleptUnder,),
    check,
)
