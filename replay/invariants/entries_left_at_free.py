"""An mm is freed while it still counts swap entries.

What it says
    When the struct is freed, every entry that a pte of it held has been given back.

Why the kernel needs it
    Nobody can find these entries any more: the slots stay in use, and swapoff of their area never ends.

Kernel reference
    mm/memory.c: zap_pte_range, called by exit_mmap; kernel/fork.c: check_mm, called by __mmdrop, which says "Bad
    rss-counter state ... type:MM_SWAPENTS" (2.6.34 and later).

Limits
    Judged where the log says for every pte when it is given an entry and when it lets go (swap_assign, swap_clear).
    From probes alone a release that was not seen looks the same, and makes what rests on seeing releases undecided
    instead. MM_SWAPENTS itself is not used: rss_stat names no mm by its address, and the counter is only nearly
    right while the mm lives.
"""

from __future__ import annotations

from collections.abc import Iterator

from mmlist.replay.invariants.base import Finding, Invariant, kernel_site, name, needs, witness
from mmlist.replay.model import State
from mmlist.replay.model.changes import HeldAtFree

_SHOULD = "exit_mmap gives back every entry (mm/memory.c: zap_pte_range)"


def check(change: HeldAtFree, state: State) -> Iterator[Finding]:
    """An mm whose ptes hold entries, freed."""
    mm, hold = change.mm, change.hold
    exited = [witness(change.exited, "exit_mmap returned here", "exit_mmap")] if change.exited is not None else []
    yield Finding(
        change.at,
        f"{name(mm)} is freed with {change.entries} swap entries, among them {change.entry:#x}",
        [
            witness(hold.at, "entry assigned here", kernel_site(hold.why)),
            *exited,
            witness(change.at, "freed here", "__mmdrop", f"{change.entries} entries were not given back", _SHOULD),
        ],
        mm,
        change.entry,
        since=hold.at,
        explicit=hold.observed and state.carries.unuse_clears,
        order=[(hold.at, change.at)],
        rests_on_releases=not hold.observed,
        follows=[("C4", mm)],  # freed with users, it never came to its exit_mmap
    )


INVARIANT = Invariant(
    "S5",
    "entries-left-at-free",
    "E",
    "an mm is freed while it still counts swap entries",
    ("modern",),
    needs("mm_free __mmdrop", "swap_assign", "explicit:swap_clear"),
    (HeldAtFree,),
    check,
)
