"""An entry assigned while a drain ran leaves its holder off mmlist.

What it says
    Nobody is given a swap entry between drain_mmlist's look at inuse_pages and its removal of that mm, and is off the list
    after it. It is always an M1 as well; this one names the cause.

Why the kernel needs it
    Who assigns an entry finds the mm on the list still, and does not join it; the drain, which saw no area in use, takes it
    off. The next swapoff does not find the entry, and goes over the list for ever.

Kernel reference
    mm/swapfile.c: drain_mmlist, get_swap_page; mm/rmap.c: try_to_unmap_one; mm/memory.c: copy_nonpresent_pte. In 2.6.10
    swap_list_lock excludes it; since slots are handed out under a lock of the area (3.9) no lock does.

Limits
    The drain ran from the line where it decided (where that is no event: from the last line of its swapoff's walk) to the
    removal of the mm. The assignment, from its duplicate on, has to overlap with that, for all that the clock can tell. A
    drain that was seen to find an area in use is another fault (D1), and so is an mm that is not joined after its removal.
"""

from __future__ import annotations

from collections.abc import Iterator

from mmlist.replay.invariants.base import SWAP_ONLY, Finding, Invariant, kernel_site, name, needs, witness
from mmlist.replay.model import State
from mmlist.replay.model.changes import Unlisted

_SHOULD = (
    "no slot is handed out between the look at inuse_pages and list_del_init: in 2.6.10 both take swap_list_lock "
    "(mm/swapfile.c: drain_mmlist, get_swap_page)"
)


def check(change: Unlisted, state: State) -> Iterator[Finding]:
    """A holder that a drain took off while its entry was being assigned."""
    mm, hold = change.mm, change.hold
    began, drained = mm.drain_began, mm.left
    if began is None or drained is None or mm.left_why != "drain":
        return
    duplicated = hold.duplicated or hold.at
    if hold.at.seq <= began.seq or state.tied(began, hold.at):
        return  # assigned before: the drain ought to have seen it
    if duplicated.seq > drained.seq and not state.tied(drained, duplicated):
        return  # begun after: the assigner found the mm off the list, and ought to have joined it
    lines = [
        (began, witness(began, "drain begins here", "drain_mmlist", f"{name(mm)} is on mmlist")),
        (
            hold.at,
            witness(hold.at, "entry assigned here", kernel_site(hold.why), f"{name(mm)} was on mmlist, or just was"),
        ),
    ]
    if drained is not began:
        lines.append((drained, witness(drained, "drained here", "list_del_init", f"entry {change.entry:#x}", _SHOULD)))
    if duplicated is not hold.at:
        lines.append((duplicated, witness(duplicated, "entry duplicated here", "swap_duplicate")))
    yield Finding(
        change.at,
        f"{name(mm)} was given swap entry {change.entry:#x} while a drain of mmlist ran, and is off the list",
        [line for _, line in sorted(lines, key=lambda pair: pair[0].seq)],
        mm,
        change.entry,
        type=state.type_of(change.entry),
        since=began,
        explicit=not change.inferred
        and hold.observed
        and state.carries.joins_explicit
        and state.carries.shows("swap_clear"),
        follows=[("D2", mm), ("D2", None)],
        rests_on_releases=not hold.observed,
        episode=drained.seq,
    )


INVARIANT = Invariant(
    "D4",
    "joined-during-drain",
    "E",
    "an entry assigned while a drain ran leaves its holder off the list",
    SWAP_ONLY,
    needs(
        "swap_assign swap_duplicate folio_dup_swap swap_dup_entry_direct",
        "mmlist_add mmlist_del fetched:next",
        "mmlist_drain drain_mmlist mmlist_del swapoff_ret",
    ),
    (Unlisted,),
    check,
)
