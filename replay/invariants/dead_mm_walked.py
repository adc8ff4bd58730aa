"""swapoff takes hold of, or walks, an mm whose mm_users was 0.

What it says
    swapoff skips a member whose mm_users is 0: that mm is in its last mmput, which gives its entries back itself.

Why the kernel needs it
    The last mmput is past the point of no return. It frees the page tables, and then the struct, under swapoff's hands.

Kernel reference
    mm/swapfile.c: try_to_unuse (mmget_not_zero; 2.6.10: atomic_inc_return, and back at once where it was 0), unuse_mm.

Limits
    0 is reached where it was counted or fetched, or at __mmput or exit_mmap. What mmlist_visit shows as users is read after the
    get, and another user may have gone in between: 1 tells something only where another task runs exit_mmap before
    swapoff has let go. 2.6.10's 0 to 1 to 0 without a walk is legal. A member that is skipped is a visit with got=0.
"""

from __future__ import annotations

from collections.abc import Iterator

from mmlist.replay.invariants.base import SWAP_ONLY, Finding, Invariant, name, needs, witness
from mmlist.replay.model import State
from mmlist.replay.model.changes import WalkedDead

_SHOULD = "swapoff goes past a member whose mm_users is 0: mmget_not_zero fails on it (mm/swapfile.c: try_to_unuse)"


def check(change: WalkedDead, state: State) -> Iterator[Finding]:
    """A walk over an mm without users."""
    mm, zero = change.mm, change.zero
    if not (state.carries.frees or state.carries.births):
        return
    did, site = ("takes hold of", "try_to_unuse") if change.how == "visit" else ("walks", "unuse_mm")
    role = "taken hold of here" if change.how == "visit" else "walked here"
    here = witness(change.at, role, site, f"mm_users of {name(mm)} is 0", _SHOULD)
    shown = zero is None or zero is change.at
    lines = [here]
    if zero is not None and not shown:
        dead = witness(zero, "mm_users is 0 here", "__mmput" if mm.zero_how != "exit_mmap" else "exit_mmap")
        lines = [dead, here] if zero.seq < change.at.seq else [here, dead]
    yield Finding(
        change.at,
        f"swapoff {did} {name(mm)}, whose mm_users is 0",
        lines,
        mm,
        alone=shown,
        since=zero if zero is not None and zero.seq < change.at.seq else change.at,
        explicit=state.carries.births and state.carries.shows("mm_init"),
        order=[(zero, change.at)] if zero is not None and not shown else [],
        follows=[("C2", mm), ("C1", mm), ("C3", mm)],
        episode=mm.zero.seq if mm.zero is not None else change.at.seq,
    )


INVARIANT = Invariant(
    "D9",
    "dead-mm-walked",
    "E",
    "swapoff takes hold of, or walks, an mm whose mm_users was 0",
    SWAP_ONLY,
    needs(
        "mmlist_visit unuse_pte_range unuse_mm",
        "mmput __mmput __mmput_begin exit_mmap fetched:users mmlist_visit",
        "mm_init mm_init_ret mm_free __mmdrop",
    ),
    (WalkedDead,),
    check,
)
