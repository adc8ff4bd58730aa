"""An mm that is on mmlist is added again.

What it says
    An mm joins only when its node is off every list.

Why the kernel needs it
    list_add of a linked node leaves its old neighbours pointing at it: the list loops or loses members, and the next walk
    spins under mmlist_lock.

Kernel reference
    mm/rmap.c: try_to_unmap_one and mm/memory.c: copy_nonpresent_pte test list_empty again under mmlist_lock (since page
    table locks were split in 2.6.15); include/linux/list.h: list_add.

Limits
    That no removal came between two explicit joins rests on the log being complete. Without explicit joins it shows by what
    it leaves: a member's links are both at another member that its task was about to link again, or that member's next is
    itself. That is at most likely.
"""

from __future__ import annotations

from collections.abc import Iterator

from mmlist.replay.invariants.base import ALL, Finding, Invariant, name, needs, witness
from mmlist.replay.model import State
from mmlist.replay.model.changes import Broken, Joined
from mmlist.replay.model.mm import APART, MEMBER

_SHOULD = (
    "the adder tests list_empty(&mm->mmlist) again under mmlist_lock and adds only then "
    "(mm/rmap.c: try_to_unmap_one, mm/memory.c: copy_nonpresent_pte)"
)


def check(change: Joined | Broken, state: State) -> Iterator[Finding]:
    """A join of a linked node, said outright or by what it leaves behind."""
    if isinstance(change, Broken):
        if not state.carries.joins_explicit:
            yield from _looks(change)
        return
    if not change.observed or change.before not in (MEMBER, APART):
        return
    mm, since = change.mm, change.since
    lines = [witness(since, "joined here", "list_add")] if since is not None else []
    yield Finding(
        change.at,
        f"{name(mm)} is added to mmlist although it is linked already",
        [
            *lines,
            witness(
                change.at,
                "joined again here",
                "list_add",
                f"{name(mm)} is linked",
                _SHOULD,
            ),
        ],
        mm,
        since=since,
        explicit=state.carries.joins_explicit and state.carries.leaves_explicit,
        order=[(since, change.at)] if since is not None else [],
        follows=[
            ("M6", None)
        ],  # the list runs through freed memory: who is linked beside it may look unlinked, and is added again
        cap="proven" if state.carries.leaves_explicit and not change.doubtful else "undecided",
    )


def _looks(change: Broken) -> Iterator[Finding]:
    """What list_add of a linked node leaves: the member that stood before it has it on both sides, or it has itself behind."""
    again = change.other if change.look == "ring" else change.mm if change.look == "half" else None
    if (
        again is None
        or again.listed != MEMBER
        or not again.confirmed
        or again.joined is None
        or again.duplicated is None
    ):
        return
    if again.duplicated.seq <= again.joined.seq or (change.look == "ring" and change.mm.listed != MEMBER):
        return
    yield Finding(
        change.at,
        f"{name(again)} is added to mmlist although it is linked already",
        [
            witness(again.joined, "joined here", "list_add"),
            witness(again.duplicated, "entry duplicated for it here", "try_to_unmap_one"),
            witness(
                change.at,
                "seen joined again here",
                change.seen,
                f"next and prev of {name(change.mm)} are {change.next:#x} and {change.prev or 0:#x}",
                _SHOULD,
            ),
        ],
        again,
        since=again.joined,
        cap="likely",
        spreads=True,
        episode=again.joined.seq,
    )


INVARIANT = Invariant(
    "M2",
    "double-join",
    "E",
    "an mm already on mmlist is added again",
    ALL,
    needs("mmlist_add fetched:next"),
    (Joined, Broken),
    check,
)
