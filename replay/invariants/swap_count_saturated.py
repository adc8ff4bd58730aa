"""The count of a swap entry has reached SWAP_MAP_MAX.

What it says
    Fewer than 0x7fff ptes, and the swap cache, hold one entry.

Why the kernel needs it
    swap_map is an unsigned short in 2.6. At 0x7fff the count is no longer known: no free lowers it, so the slot is
    in use until its area is swapped off. swapoff then searches all mms once and makes the count 1; an entry that a
    fork copies into an mm that was searched before is lost. So here the order of the list decides whether data is
    lost.

Kernel reference
    2.6 mm/swapfile.c: swap_duplicate, swap_entry_free, try_to_unuse ("swapoff deletes a count that has
    overflowed"). Since 2.6.33 (570a335b8e22) a count continues on another page.

Limits
    Counts are known from the allocation on, or from what a free was seen to leave in swap_map.
"""

from __future__ import annotations

from collections.abc import Iterator

from mmlist.replay.invariants.base import Finding, Invariant, needs, witness
from mmlist.replay.model import State
from mmlist.replay.model.changes import Saturated

_SHOULD = "below SWAP_MAP_MAX each duplicate is counted, and each free (2.6 mm/swapfile.c: swap_duplicate)"


def check(change: Saturated, state: State) -> Iterator[Finding]:
    """A count that cannot rise, nor fall."""
    lines = [witness(change.allocated, "handed out here", "get_swap_page")] if change.allocated is not None else []
    site = "swap_entry_free" if change.fetched else "swap_duplicate"
    yield Finding(
        change.at,
        f"the count of swap entry {change.entry:#x} is SWAP_MAP_MAX: the slot is in use until swapoff",
        [*lines, witness(change.at, "saturated here", site, "the count is 0x7fff", _SHOULD)],
        entry=change.entry,
        type=state.type_of(change.entry),
        absence=not change.fetched,
        since=change.allocated,
        explicit=state.carries.allocs_visible,
    )


INVARIANT = Invariant(
    "S3",
    "swap-count-saturated",
    "W",
    "a count reaches SWAP_MAP_MAX: permanent until swapoff",
    ("2.6.9", "2.6.10"),
    needs("swap_duplicate __swap_entry_free_ret"),
    (Saturated,),
    check,
)
