"""The count of a swap entry and what is done with it do not fit.

What it says
    A duplicate is made of an entry in use, a free of one with a count, and a pte copied by fork has a duplicate of its own.
    Who clears a swap pte frees its entry.

Why the kernel needs it
    A count too low frees a slot that somebody still holds: his page is overwritten. A count too high keeps the slot until
    swapoff.

Kernel reference
    mm/swapfile.c: swap_duplicate, swap_free, __swap_entry_free_locked (which leaves 0 - 1 = 255 when it frees an unused
    one); mm/memory.c: copy_nonpresent_pte.

Limits
    Counts are known from the allocation on, or from what a free left in swap_map; an unnamed release or a loss makes them
    unknown. That a free did not come is known only where frees are explicit events, and once the task is at something that
    it does not do in between.
"""

from __future__ import annotations

from collections.abc import Iterator

from mmlist.replay.invariants.base import ALL, Finding, Invariant, name, needs, witness
from mmlist.replay.model import State
from mmlist.replay.model.changes import Assigned, Counted, NotFreed
from mmlist.replay.model.holdings import UNDERFLOW


def check(change: Counted | Assigned | NotFreed, state: State) -> Iterator[Finding]:
    """A step on an entry that its count does not allow."""
    if isinstance(change, NotFreed):
        yield _kept(change)
        return
    if isinstance(change, Assigned):
        area = state.areas.get(state.type_of(change.entry))
        judged = state.carries.duplicates_visible and area is not None and area.used and change.mm.born is not None
        if change.why == "fork" and not change.copied and judged:
            yield _copied(change)
        return
    if change.what == "usage":
        if change.usage == UNDERFLOW:
            yield _underflow(change)
    elif change.before == 0 and change.state is not None:
        again = change.what == "duplicate" and change.state.cached is False and state.carries.allocs_visible
        if again or (change.what == "free" and not state.carries.usage_visible):
            yield _unused(change)


def _kept(change: NotFreed) -> Finding:
    return Finding(
        change.at,
        f"the count of swap entry {change.entry:#x} stays although {name(change.mm)} holds it no more",
        [
            witness(change.cleared, "pte cleared here", "zap_pte_range"),
            witness(
                change.at,
                "the task has gone on here",
                "task",
                f"entry {change.entry:#x} was not given back",
                "who clears a swap pte frees its entry (mm/memory.c: zap_pte_range, do_swap_page; mm/swapfile.c: unuse_pte)",
            ),
        ],
        change.mm,
        change.entry,
        since=change.cleared,
        explicit=True,
    )


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
        alone=True,
    )


def _unused(change: Counted) -> Finding:
    assert change.entry is not None and change.state is not None
    site = "swap_free" if change.what == "free" else "swap_duplicate"
    lines = [witness(change.then, "count became 0 here", "swap_map")] if change.then is not None else []
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
        since=change.since,
        explicit=True,
        order=[(change.then, change.at)] if change.then is not None else [],
        follows=[("S2", None)],
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
    (Counted, Assigned, NotFreed),
    check,
)
