"""The count of a swap entry and what is done with it do not fit.

What it says
    A duplicate is made of an entry in use, a free of one with a count, and a pte copied by fork has a duplicate of its own. The
    count is no less than the ptes that hold the entry, and goes down when one of them lets go.

Why the kernel needs it
    A count too low frees a slot that somebody still holds: his page is overwritten. A count too high keeps the slot until
    swapoff.

Kernel reference
    mm/swapfile.c: swap_duplicate, swap_free, __swap_entry_free_locked (which leaves 0 - 1 = 255 when it frees an unused
    one); mm/memory.c: copy_nonpresent_pte.

Limits
    Counts are known from the allocation on, or from what a free left in swap_map; an unnamed release or a loss makes them
    unknown, and so does a large folio of those behind its first, which a probe that does not fetch its pages names alone.
    Count and ptes are compared where each is an event of its own (swap_duplicate, swap_free, swap_assign, swap_clear), when a
    line shows that the task is out of the page tables. What a count has above the ptes may be the cache of 2.6, or shmem; but
    where ptes are events, one gets what a task has duplicated, before the task duplicates the next. A count fetched (usage)
    that differs from the one counted tells of a probe that missed a call, not of a fault of the kernel.

    Where probes alone show frees (likely): three of a kind that did not come; a second one, if the first went with the only
    pte that the task's own mm had of the entry, and no pte has got it since; three entries with a count after all for whom
    they were duplicated were freed.
"""

from __future__ import annotations

from collections.abc import Iterator

from mmlist.replay.invariants.base import ALL, Finding, Invariant, name, needs, witness
from mmlist.replay.model import State
from mmlist.replay.model.changes import Assigned, Counted, Unbalanced
from mmlist.replay.record import At


def check(change: Counted | Assigned | Unbalanced, state: State) -> Iterator[Finding]:
    """A step on an entry that its count does not allow."""
    if isinstance(change, Unbalanced):
        yield _unbalanced(change, state)
        return
    if isinstance(change, Assigned):
        area = state.areas.get(state.type_of(change.entry))
        judged = state.carries.duplicates_visible and area is not None and area.used and change.mm.born is not None
        if change.why == "fork" and judged:
            yield _copied(change, state)
        elif change.why == "unmap" and judged:
            entry = state.entries.get(change.entry)
            if entry is not None and entry.fresh and entry.allocated is not None:
                yield _never_duplicated(change, entry.allocated, explicit=state.carries.counts_explicit)
        return
    if change.what == "usage":
        yield _underflow(change)
    elif change.state is not None:
        again = change.what == "duplicate" and change.state.cached is False and state.carries.allocs_visible
        if again or (change.what == "free" and not state.carries.usage_visible):
            yield _unused(change, state)


def _copied(change: Assigned, state: State) -> Finding:
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
        explicit=state.carries.shows("swap_duplicate"),
    )


_FREED_WITH = "an entry is freed with the pte that lets go of it (mm/memory.c: do_swap_page, zap_pte_range)"


_HALVES = {
    "freed": ("freed here", "swap_free", "no pte of the task has let go of it", _FREED_WITH),
    "twice": ("freed here", "swap_free", "the task has freed the entry more than once, for one pte", _FREED_WITH),
    "duplicated": (
        "duplicated here",
        "swap_duplicate",
        "no pte has got it, and nobody freed it",
        "what no pte gets is freed again, before the next is duplicated (mm/rmap.c: try_to_unmap_one)",
    ),
    "orphaned": (
        "freed here",
        "__swap_entry_free",
        "all for whom it was duplicated have been freed",
        "each of the count belongs to a pte of some mm, and goes with it (mm/swapfile.c: swap_duplicate, swap_free)",
    ),
    "cleared": (
        "the pte let go here",
        "zap_pte_range",
        "the task has not freed the entry",
        "who takes the entry out of a pte frees it (mm/memory.c: do_swap_page, zap_pte_range)",
    ),
}
"""Of each half step: role and site of its line, what was not seen up to where it ended, and what should have been."""


_DONE = "the task is done with the page tables here", "pte_unmap_unlock"
_LAST = {"orphaned": ("the last who could hold it is freed here", "__mmdrop")}


def _message(change: Unbalanced) -> str:
    entry = f"swap entry {change.entry:#x}"
    if change.how == "freed":
        return f"the count of {entry} is {change.count}, and {change.holders} ptes hold it"
    if change.how == "twice":
        return f"{entry} was freed more often than ptes let go of it"
    if change.how == "duplicated":
        return f"{entry} was duplicated, and no pte got it"
    if change.how == "orphaned":
        return f"the count of {entry} was left at {change.count}, and nobody is left who could hold it"
    return f"a pte let go of {entry}, and its count was not lowered"


def _unbalanced(change: Unbalanced, state: State) -> Finding:
    role, site, before, should = _HALVES.get(change.how, _HALVES["cleared"])
    first = witness(change.step, role, site)
    return Finding(
        change.at,
        _message(change),
        [first, witness(change.at, *_LAST.get(change.how, _DONE), before, should)],
        change.mm,
        change.entry,
        since=change.since,
        explicit=change.how not in ("unfreed", "twice", "orphaned")
        and state.carries.shows("swap_free", "swap_duplicate"),
        order=[(change.step, change.at)],
        cap="undecided" if change.cut else "proven",
        follows=[("S1", None), ("S5", None)] if change.how == "orphaned" else [("S2", None)] if change.reused else [],
    )


def _never_duplicated(change: Assigned, allocated: At, *, explicit: bool) -> Finding:
    return Finding(
        change.at,
        f"{name(change.mm)} was given swap entry {change.entry:#x}, which nobody has duplicated",
        [
            witness(allocated, "handed out here", "get_swap_pages"),
            witness(
                change.at,
                "assigned here",
                "try_to_unmap_one",
                "the count of the entry is 0",
                "swap_duplicate raises the entry's count before the pte is set (mm/rmap.c: try_to_unmap_one)",
            ),
        ],
        change.mm,
        change.entry,
        since=allocated,
        explicit=explicit,
        order=[(allocated, change.at)],
        follows=[("M3", change.mm)],
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


def _unused(change: Counted, state: State) -> Finding:
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
        explicit=state.carries.shows("swap_free", "swap_duplicate"),
        order=[(change.then, change.at)] if change.then is not None else [],
        follows=[("S2", None)],
    )


INVARIANT = Invariant(
    "S1",
    "swap-count-mismatch",
    "E",
    "duplicate of a free entry, free of an unused one, a copy without its duplicate, or a count that differs from its holders",
    ALL,
    needs(
        "swap_free swap_free_nr free_swap_and_cache free_swap_and_cache_nr swap_duplicate swap_assign "
        "__swap_entry_free_ret folio_dup_swap swap_dup_entry_direct folio_put_swap swap_put_entries_direct",
        "swap_duplicate swap_assign swap_free __swap_entry_free_ret swap_dup_entry_direct",
    ),
    (Counted, Assigned, Unbalanced),
    check,
)
