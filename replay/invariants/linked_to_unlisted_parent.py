"""A child is linked after a parent that is not on mmlist.

What it says
    fork links a child next to its parent, and that parent is on mmlist itself.

Why the kernel needs it
    Otherwise child and parent end on a ring of their own which swapoff never walks. list_empty is false for both from then
    on, so neither is ever put on mmlist.

Kernel reference
    mm/memory.c: copy_nonpresent_pte; Linux kernel commit 2792d84e6da5 ("mm: fix swapoff hang after page migration and
    fork") (in v3.18).

Limits
    Kernels that insert every join after init_mm (after 7.1) cannot show it. Without explicit joins it is inferred, from
    the parent's fetched node, and at most likely.
"""

from __future__ import annotations

from collections.abc import Iterator

from mmlist.replay.invariants.base import ALL, Finding, Invariant, name, needs, witness
from mmlist.replay.model import State
from mmlist.replay.model.changes import Joined
from mmlist.replay.model.mm import APART, OFF, REMOVED


def check(change: Joined, state: State) -> Iterator[Finding]:
    """A join after an mm that is off mmlist."""
    parent = change.parent
    if parent is None or change.parent_listed not in (OFF, APART, REMOVED) or not state.list_known(parent):
        return
    mm = change.mm
    off = parent.left or parent.born
    lines = []
    if off is not None:
        role = "parent off mmlist since here" if parent.left is not None else "parent born off mmlist here"
        lines.append(witness(off, role, "list_del" if parent.left is not None else "mm_init"))
    yield Finding(
        change.at,
        f"child {name(mm)} is linked after its parent {name(parent)}, which is not on mmlist",
        [
            *lines,
            witness(
                change.at,
                "linked after it here",
                "copy_nonpresent_pte",
                f"the parent {name(parent)} is off mmlist",
                "a parent that has swap entries to copy joined when it got its first one (mm/rmap.c: try_to_unmap_one)",
            ),
        ],
        mm,
        since=off,
        explicit=change.observed,
        follows=[("M1", parent), ("M8", parent), ("M2", parent), ("D1", None)],
    )


INVARIANT = Invariant(
    "M8",
    "linked-to-unlisted-parent",
    "E",
    "a child is linked after a parent that is not on mmlist",
    ALL,
    needs("mmlist_add fetched:next", "mmlist_add copy_page_range dup_mmap"),
    (Joined,),
    check,
)
