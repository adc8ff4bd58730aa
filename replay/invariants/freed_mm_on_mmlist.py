"""The mm_struct is freed while it is on mmlist.

What it says
    A life ends off the list: at the free the node is self-linked or poisoned.

Why the kernel needs it
    The list runs through freed memory: the next join next to it writes into it, the next walk follows it.

Kernel reference
    kernel/fork.c: __mmput (list_del), __mmdrop, free_mm.

Limits
    From explicit joins and removals, or from the node fetched at the free. A free that shows only by the address being
    used again is at most likely.
"""

from __future__ import annotations

from collections.abc import Iterator

from mmlist.replay.invariants.base import ALL, Finding, Invariant, name, needs, witness
from mmlist.replay.model import State
from mmlist.replay.model.changes import Freed
from mmlist.replay.model.mm import APART, MEMBER


def check(change: Freed, state: State) -> Iterator[Finding]:
    """A free of a linked node."""
    mm = change.mm
    member = change.listed in (MEMBER, APART)
    if not change.linked and not (
        member and state.carries.joins_explicit and state.carries.leaves_explicit and state.list_known(mm)
    ):
        return
    if not member and not change.linked:
        return
    lines = [witness(mm.joined, "joined here", "list_add")] if mm.joined is not None else []
    yield Finding(
        change.at,
        f"{name(mm)} is freed while it is on mmlist",
        [
            *lines,
            witness(
                change.at,
                "freed here",
                "__mmdrop" if not change.implied else "mm_init",
                f"{name(mm)} is linked" + (", as fetched" if change.linked else ""),
                "__mmput takes the mm off mmlist before it drops the last reference (kernel/fork.c: __mmput)",
            ),
        ],
        mm,
        alone=change.linked and not change.implied,
        since=mm.joined,
        explicit=state.carries.joins_explicit and state.carries.leaves_explicit and not change.implied,
        follows=[("C4", mm), ("M4", mm), ("M2", mm), ("M8", mm), ("M9", mm), ("C3", mm)],
        spreads=True,
        cap="undecided" if mm.doubtful and not change.linked else "likely" if change.implied else "proven",
    )


INVARIANT = Invariant(
    "M6",
    "freed-mm-on-mmlist",
    "E",
    "the mm_struct is freed while it is on mmlist",
    ALL,
    needs("mm_free __mmdrop mm_init mm_init_ret", "mmlist_add mmlist_del fetched:next"),
    (Freed,),
    check,
)
