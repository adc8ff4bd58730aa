"""inuse_pages of a swap area is below the slots that are in use.

What it says
    inuse_pages is never negative, and at least the number of slots that are known to be in use.

Why the kernel needs it
    drain_mmlist looks at inuse_pages alone, and try_to_unuse stops when it is 0: too low, it empties mmlist while
    mms still have entries, or swapoff gives up an area that is in use.

Kernel reference
    mm/swapfile.c: swap_range_alloc, swap_range_free (2.6: get_swap_page, swap_entry_free), which count;
    try_to_unuse, drain_mmlist, which look. Since 6.14 swap_usage_in_pages, of which a bit says that the area is not
    available.

Limits
    Judged where inuse_pages was fetched (inuse0, inuse1, ...). A slot counts as used if an mm certainly holds it,
    or its count is above that of the swap cache. Above that anything is normal: slots reserved for a CPU, the swap
    cache, shmem, hibernation. A fetch may be of any moment up to the next line of its CPU: what is freed until then
    does not count as used. drain_mmlist looks before its line, and after the walk: only slots in use since before the
    walk's return count there.
"""

from __future__ import annotations

from collections.abc import Iterator

from mmlist.replay.invariants.base import ALL, Finding, Invariant, name, needs, witness
from mmlist.replay.model import State
from mmlist.replay.model.changes import InuseBelow

_SHOULD = "each slot in use is counted in inuse_pages (mm/swapfile.c: swap_range_alloc, swap_range_free)"


def check(change: InuseBelow, state: State) -> Iterator[Finding]:
    """Fewer pages in use than are."""
    if change.example is None:
        yield Finding(
            change.at,
            f"inuse_pages of swap area {change.type} is {change.pages}",
            [witness(change.at, "fetched here", change.seen, f"inuse_pages is {change.pages}", _SHOULD)],
            type=change.type,
            absence=False,
        )
        return
    entry, mm, at = change.example
    explicit = state.carries.unuse_clears and state.carries.assigns_explicit
    state_before = f"{change.known} slots are in use"
    if mm is not None:
        state_before += f", {name(mm)} holds entry {entry:#x}"
    yield Finding(
        change.at,
        f"inuse_pages of swap area {change.type} is {change.pages}, and {change.known} of its slots are in use",
        [
            *([witness(at, "in use since", "swap_map")] if at is not None else []),
            witness(change.at, "fetched here", "inuse_pages", state_before, _SHOULD),
        ],
        entry=entry,
        type=change.type,
        since=at,
        explicit=explicit,
        rests_on_releases=not explicit,
        follows=[*([("S2", None)] if change.reused else []), ("S1", None)],
    )


INVARIANT = Invariant(
    "S4",
    "inuse-mismatch",
    "E",
    "an area's observed inuse is below the slots known to be used, or negative",
    ALL,
    needs("fetched:inuse"),
    (InuseBelow,),
    check,
)
