"""An mm holds an entry of a swap area in use and is not on mmlist.

What it says
    Whoever holds a swap entry is on mmlist, from before the pte is visible until exit_mmap: swapoff walks the list to find
    all holders.

Why the kernel needs it
    swapoff cannot find the entry of an unlisted holder: it goes over the list for ever (modern), or the data of a
    saturated entry is lost (2.6.10).

Kernel reference
    mm/rmap.c: try_to_unmap_one; mm/memory.c: copy_nonpresent_pte (2.6: copy_page_range, copy_swap_pte);
    mm/swapfile.c: try_to_unuse.

Limits
    Judged only for entries that are certainly held: an unnamed release, swapoff's walk over the mm, or a loss makes what
    was held before it unknown. Not between the duplicate and the join, while another task may be about to join the same mm,
    nor once the mm is dying. Entries of a type that never showed as a swap area are left alone.
"""

from __future__ import annotations

from collections.abc import Iterator

from mmlist.replay.invariants.base import SWAP_ONLY, Finding, Invariant, kernel_site, name, needs, witness
from mmlist.replay.model import State
from mmlist.replay.model.changes import Unlisted
from mmlist.replay.record import At

_SHOULD = {
    "unmap": "try_to_unmap_one links an mm that is off the list right after init_mm, under mmlist_lock, before it sets the "
    "swap pte (mm/rmap.c)",
    "fork": "copy_nonpresent_pte links a child that is off the list right after its parent, under mmlist_lock, before it "
    "sets the swap pte (mm/memory.c)",
}


def check(change: Unlisted, state: State) -> Iterator[Finding]:
    """A certain holder that is certainly off mmlist."""
    mm, hold = change.mm, change.hold
    drained = mm.left is not None and mm.left_why == "drain" and mm.left.seq > hold.at.seq
    lines = []
    assigned = witness(
        hold.at,
        "entry assigned here",
        kernel_site(hold.why),
        f"{name(mm)} is off mmlist" if not drained else f"{name(mm)} is on mmlist",
        "" if drained else _SHOULD.get(hold.why, ""),
    )
    if drained and mm.left is not None:
        lines = [assigned, witness(mm.left, "drained here", "drain_mmlist", f"it holds entry {change.entry:#x}")]
    else:
        before = mm.left or mm.born
        if before is not None and before.seq < hold.at.seq:
            role = "left mmlist here" if mm.left is not None else "born off mmlist here"
            site = "mm_init" if mm.left is None else "list_del"
            lines.append(witness(before, role, site))
        lines.append(assigned)
    if change.at is not hold.at and (not drained or change.at is not mm.left):
        role = "linked to an unlisted parent here" if change.why == "apart" else "seen off mmlist here"
        lines.append(witness(change.at, role, "list_empty"))
    yield Finding(
        change.at,
        f"{name(mm)} holds swap entry {change.entry:#x} and is not on mmlist",
        lines,
        mm,
        change.entry,
        type=state.type_of(change.entry),
        since=hold.at if change.why == "seen" else _first(hold.at, mm.left or mm.born),
        explicit=not change.inferred
        and hold.observed
        and state.carries.joins_explicit
        and state.carries.shows("swap_clear"),
        order=[(hold.at, change.at)],
        follows=[(code, mm) for code in ("M8", "M5", "M11", "M2", "M3", "M9", "D4", "D2")]
        + ([("D1", None), ("D2", None), ("S4", None)] if drained else []),
        rests_on_releases=not hold.observed,
        episode=(mm.left or mm.born or hold.at).seq,
    )


def _first(held: At, off: At | None) -> At | None:
    return off if off is None or off.seq < held.seq else held


INVARIANT = Invariant(
    "M1",
    "unlisted-swap-holder",
    "E",
    "an mm holds an entry of a swap area in use and is not on mmlist",
    SWAP_ONLY,
    needs("swap_assign swap_duplicate folio_dup_swap swap_dup_entry_direct", "mmlist_add mmlist_del fetched:next"),
    (Unlisted,),
    check,
)
