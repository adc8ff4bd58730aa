"""An mm joins before an entry of its own was duplicated.

What it says
    First the entry is duplicated, then the mm joins, then the pte shows the entry.

Why the kernel needs it
    Until the duplicate the area may count as unused: a drain between the join and the duplicate takes the mm off again, and
    then it holds an entry unlisted. The seed patch says so: an mm must be added just after the duplicate, before would be
    racy.

Kernel reference
    mm/rmap.c: try_to_unmap_one; mm/memory.c: copy_nonpresent_pte; mm/swapfile.c: drain_mmlist.

Limits
    Needs explicit joins and duplicates on the joining task's own lines. Judged for an mm that holds nothing. Where no
    duplicate comes at all, fork copied without one: that is swap-count-mismatch.
"""

from __future__ import annotations

from collections.abc import Iterator

from mmlist.replay.invariants.base import SWAP_ONLY, Finding, Invariant, name, needs, witness
from mmlist.replay.model import State
from mmlist.replay.model.changes import JoinedEarly


def check(change: JoinedEarly, state: State) -> Iterator[Finding]:
    """A join by a task that had duplicated nothing, of an mm that held nothing."""
    mm, before = change.mm, change.since
    born = before is mm.born
    lines = [witness(before, "off mmlist since here", "mm_init" if born else "list_del")] if before else []
    yield Finding(
        change.at,
        f"{name(mm)} joins mmlist before an entry was duplicated for it",
        [
            *lines,
            witness(
                change.at,
                "joined here",
                "list_add",
                f"{name(mm)} holds no swap entry, and the task has duplicated none",
                "swap_duplicate comes first, then the join, then the swap pte (mm/rmap.c: try_to_unmap_one, "
                "mm/memory.c: copy_nonpresent_pte)",
            ),
        ],
        mm,
        since=before,
        explicit=state.carries.joins_explicit and state.carries.shows("swap_duplicate"),
    )


INVARIANT = Invariant(
    "M3",
    "join-before-duplicate",
    "E",
    "an mm joins before an entry of its own was duplicated",
    SWAP_ONLY,
    needs("mmlist_add", "swap_duplicate"),
    (JoinedEarly,),
    check,
)
