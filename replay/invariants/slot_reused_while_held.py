"""A slot of a swap area is handed out again while somebody still holds it.

What it says
    An entry that is allocated is held by nobody: no pte has it, and its count is 0.

Why the kernel needs it
    A slot with two owners holds the page of the later one. The earlier one reads that page at his next fault: his
    data is gone, and what he gets may be another process's.

Kernel reference
    mm/swapfile.c: scan_swap_map_slots, swap_range_alloc (2.6: scan_swap_map), which take slots whose swap_map is 0
    alone; swap_entry_free, which makes them so.

Limits
    Only what the log shows to be held counts: an mm whose ptes hold the entry, or a count above that of the swap
    cache. Slots that only the cache, shmem or hibernation use are not judged; of a large folio's slots only the
    first is named. A free that the clock does not set after the allocation explains it.
"""

from __future__ import annotations

from collections.abc import Iterator

from mmlist.replay.invariants.base import ALL, Finding, Invariant, kernel_site, name, needs, witness
from mmlist.replay.model import State
from mmlist.replay.model.changes import Reused

_SHOULD = "only a slot whose swap_map is 0 is handed out (mm/swapfile.c: scan_swap_map_slots)"


def check(change: Reused, state: State) -> Iterator[Finding]:
    """A slot handed out that is in use."""
    hold = change.hold
    if change.mm is not None and hold is not None:
        holder = f"{name(change.mm)} holds it"
        first = witness(hold.at, "entry assigned here", kernel_site(hold.why))
        named = hold.observed and state.carries.unuse_clears
        explicit = named and state.carries.shows("swap_clear")
    else:
        holder = f"its count is {change.count}"
        first = witness(change.since, "counted from here on", "swap_map")
        named = state.carries.allocs_visible and state.carries.unuse_clears
        explicit = named and state.carries.shows("swap_free")
    yield Finding(
        change.at,
        f"swap entry {change.entry:#x} is handed out again while {holder}",
        [first, witness(change.at, "handed out again here", "get_swap_pages", holder, _SHOULD)],
        change.mm,
        change.entry,
        type=state.type_of(change.entry),
        since=change.since,
        explicit=explicit,
        order=[(change.since, change.at)],
        rests_on_releases=not named,
    )


INVARIANT = Invariant(
    "S2",
    "slot-reused-while-held",
    "E",
    "an entry is allocated again while somebody is known to hold it",
    ALL,
    needs(
        "swap_alloc folio_alloc_swap_ret get_swap_page_ret",
        "swap_assign swap_duplicate folio_dup_swap swap_dup_entry_direct",
        "swap_clear swap_free swap_free_nr free_swap_and_cache free_swap_and_cache_nr folio_put_swap "
        "swap_put_entries_direct __swap_entry_free_ret",
    ),
    (Reused,),
    check,
)
