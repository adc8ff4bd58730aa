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
    Needs explicit joins. That no removal came between the two joins rests on the log being complete.
"""

from __future__ import annotations

from collections.abc import Iterator

from mmlist.replay.invariants.base import ALL, Finding, Invariant, name, needs, witness
from mmlist.replay.model import State
from mmlist.replay.model.changes import Joined
from mmlist.replay.model.mm import APART, MEMBER


def check(change: Joined, state: State) -> Iterator[Finding]:
    """A join of a linked node."""
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
                "the adder tests list_empty(&mm->mmlist) again under mmlist_lock and adds only then "
                "(mm/rmap.c: try_to_unmap_one, mm/memory.c: copy_nonpresent_pte)",
            ),
        ],
        mm,
        since=since,
        explicit=state.carries.joins_explicit and state.carries.leaves_explicit,
        order=[(since, change.at)] if since is not None else [],
        cap="proven" if state.carries.leaves_explicit else "undecided",
    )


INVARIANT = Invariant(
    "M2", "double-join", "E", "an mm already on mmlist is added again", ALL, needs("mmlist_add"), (Joined,), check
)
