"""The count of a swap entry and what is done with it do not fit.

What it says
    A duplicate is made of an entry in use, a free of one with a count, and a pte copied by fork has a duplicate of its own.

Why the kernel needs it
    A count too low frees a slot that somebody still holds: his page is overwritten. A count too high keeps the slot until
    swapoff.

Kernel reference
    mm/swapfile.c: swap_duplicate, swap_free, __swap_entry_free_locked (which leaves 0 - 1 = 255 when it frees an unused
    one); mm/memory.c: copy_nonpresent_pte.

Limits
    Counts are known from the allocation on, or from what a free left in swap_map; an unnamed release or a loss makes them
    unknown.
"""

from __future__ import annotations

from collections.abc import Iterator

from mmlist.replay.invariants.base import ALL, Finding, Invariant, name, needs, witness
from mmlist.replay.model import State
from mmlist.replay.model.changes import Assigned, Counted
from mmlist.replay.model.holdings import UNDERFLOW

_UNDERFLOW_26 = 0xFFFF
"""The same in an unsigned short, where 255 is a count like any other (2.6 mm/swapfile.c: swap_entry_free)."""


def check(change: Counted | Assigned, state: State) -> Iterator[Finding]:
    """A step on an entry that its count does not allow."""
    if isinstance(change, Assigned):
        area = state.areas.get(state.type_of(change.entry))
        judged = state.carries.duplicates_visible and area is not None and area.used and change.mm.born is not None
        if change.why == "fork" and not change.copied and judged:
            yield _copied(change)
        return
    if change.what == "usage":
        if change.usage == (_UNDERFLOW_26 if state.profile.cache_in_count else UNDERFLOW):
            yield _underflow(change)
    elif change.before == 0 and change.state is not None:
        again = change.what == "duplicate" and change.state.cached is False and state.carries.allocs_visible
        if again or (change.what == "free" and not state.carries.usage_visible):
            yield _unused(change)


def _copied(change: Assigned) -> Finding:
    return Finding(
        change.at,
        f"fork copied swap entry {change.entry:#x} to {name(change.mm)} without duplicating it",
        [
            witness(
                change.at,
                "copied here",
                "copy_nonpresent_pte",
                "the task has made no duplicate of the entry",
                "swap_duplicate raises the entry's count before the pte is set (mm/memory.c: copy_nonpresent_pte)",
            )
        ],
        change.mm,
        change.entry,
        since=change.mm.born,
        explicit=True,
    )


def _underflow(change: Counted) -> Finding:
    entry = "an unnamed entry" if change.entry is None else f"swap entry {change.entry:#x}"
    return Finding(
        change.at,
        f"{entry} was freed although its count was 0",
        [
            witness(
                change.at,
                "freed here",
                "__swap_entry_free",
                "swap_map was 0, and is 255 after the free",
                "only who holds one of the count frees it (mm/swapfile.c: swap_free)",
            )
        ],
        change.mm,
        change.entry,
        absence=False,
    )


def _unused(change: Counted) -> Finding:
    assert change.entry is not None and change.state is not None
    site = "swap_free" if change.what == "free" else "swap_duplicate"
    lines = [witness(change.state.at, "count became 0 here", "swap_map")] if change.state.at is not None else []
    return Finding(
        change.at,
        f"{change.what} of swap entry {change.entry:#x} although its count is 0",
        [
            *lines,
            witness(
                change.at,
                f"{change.what} here",
                site,
                f"the count of entry {change.entry:#x} is 0",
                "an entry is duplicated or freed only while a pte or the swap cache holds it (mm/swapfile.c)",
            ),
        ],
        change.mm,
        change.entry,
        since=change.state.at,
        explicit=True,
        order=[(change.state.at, change.at)] if change.state.at is not None else [],
    )


INVARIANT = Invariant(
    "S1",
    "swap-count-mismatch",
    "E",
    "a duplicate of a free entry, a free of an unused one, or a copy without its duplicate",
    ALL,
    needs(
        "swap_free swap_free_nr free_swap_and_cache free_swap_and_cache_nr swap_duplicate swap_assign "
        "__swap_entry_free_ret"
    ),
    (Counted, Assigned),
    check,
)
