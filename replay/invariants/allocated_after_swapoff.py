"""A slot of a swap area is handed out after its swapoff closed it.

What it says
    Between the moment in which swapoff takes an area out of use and its end, no entry of the area is allocated.

Why the kernel needs it
    swapoff empties the area slot by slot; where new ones are taken meanwhile it never ends, or leaves some.

Kernel reference
    mm/swapfile.c: SYSCALL swapoff, which clears SWP_WRITEOK under swap_lock and the area's own lock before
    try_to_unuse, takes back the slots reserved for CPUs (disable_swap_slots_cache_lock, up to 6.13), waits for
    allocations (wait_for_allocation, later), and sets SWP_WRITEOK again if try_to_unuse failed; get_swap_pages,
    which passes over an area without it.

Limits
    The area counts as closed from the first line of the walk on. An allocation shows when it returns and may have
    taken its slot before, so one that is a task's first step after that is let pass; it counts behind another, of any area,
    or behind a pte that the task has set, and is likely at most.
    Since a swapoff that fails opens the area before it returns, it counts only if the walk goes on after it, or the
    swapoff returns 0.
"""

from __future__ import annotations

from collections.abc import Iterator

from mmlist.replay.invariants.base import ALL, TYPE_COUNTED, Finding, Invariant, needs, witness
from mmlist.replay.model import State
from mmlist.replay.model.changes import AllocatedClosed

_SHOULD = "an area without SWP_WRITEOK is passed over (mm/swapfile.c: get_swap_pages)"


def check(change: AllocatedClosed, state: State) -> Iterator[Finding]:
    """A slot of an area that swapoff empties."""
    call, type_ = change.call, change.type
    if call.type != type_:
        return  # a later line of the swapoff told another
    yield Finding(
        change.at,
        f"swap entry {change.entry:#x} is handed out while swapoff empties area {type_}",
        [
            witness(change.walk, "the area is closed here", "try_to_unuse"),
            witness(change.before, "an earlier step of the task, since the area was closed", change.site),
            witness(change.at, "handed out here", "get_swap_pages", f"area {type_} is closed", _SHOULD),
            witness(change.until, "still closed here", "swapoff"),
        ],
        entry=change.entry,
        type=type_,
        since=change.walk,
        explicit=True,
        order=[(change.walk, change.before), (change.at, change.until)],
        cap="likely" if state.which_area(call.told, type_) else "undecided",
        doubt=TYPE_COUNTED if not state.which_area(call.told, type_) else "",
    )


INVARIANT = Invariant(
    "D7",
    "allocated-after-swapoff",
    "E",
    "an entry of an area is allocated after its swapoff closed it",
    ALL,
    needs(
        "swap_alloc folio_alloc_swap_ret get_swap_page_ret",
        "swapoff",
        "try_to_unuse shmem_unuse unuse_pte_range unuse_mm mmlist_visit",
    ),
    (AllocatedClosed,),
    check,
)
