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
    the parent's fetched node or a ring of the two, and at most likely.
"""

from __future__ import annotations

from collections.abc import Iterator

from mmlist.replay.invariants.base import ALL, Finding, Invariant, name, needs, witness
from mmlist.replay.model import State
from mmlist.replay.model.changes import Broken, Joined
from mmlist.replay.model.mm import APART, OFF, REMOVED, Mm

_SHOULD = "a parent that has swap entries to copy joined when it got its first one (mm/rmap.c: try_to_unmap_one)"


def check(change: Joined | Broken, state: State) -> Iterator[Finding]:
    """A join after an mm that is off mmlist, or the ring of two that it makes."""
    if isinstance(change, Broken):
        if change.look == "apart" and change.other is not None:
            yield _apart(change, change.other)
        elif change.look == "empty" and change.other is not None:
            yield _empty(change, change.other)
        return
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
                _SHOULD,
            ),
        ],
        mm,
        since=off,
        explicit=change.observed,
        beside=[parent],
        follows=_causes(mm, parent),
    )


def _causes(child: Mm, parent: Mm) -> list[tuple[str, Mm | None]]:
    """Why the parent is off mmlist: of itself, or taken off by a drain that was wrong; or the child's node tells nothing."""
    own: list[tuple[str, Mm | None]] = [("M1", parent), ("M8", parent), ("M2", parent), ("M9", parent), ("D2", parent)]
    return [*own, ("M9", child), ("D1", None), *([("D2", None)] if parent.left is not None else [])]


def _apart(change: Broken, other: Mm) -> Finding:
    child, parent = (change.mm, other) if change.mm.parent is other else (other, change.mm)
    lines = [witness(child.joined, "linked after it here", "copy_nonpresent_pte")] if child.joined is not None else []
    return Finding(
        change.at,
        f"child {name(child)} is linked after its parent {name(parent)}, which is not on mmlist",
        [
            *lines,
            witness(
                change.at,
                "seen on a ring of two here",
                change.seen,
                f"next and prev of {name(change.mm)} are both the node of {name(other)}",
                _SHOULD,
            ),
        ],
        child,
        since=child.born,
        follows=_causes(child, parent),
        cap="likely",
    )


def _empty(change: Broken, parent: Mm) -> Finding:
    """What the line that links a child shows of init_mm: nobody is on mmlist, so the parent is not."""
    return Finding(
        change.at,
        f"child {name(change.mm)} is linked after its parent {name(parent)}, which is not on mmlist",
        [
            witness(
                change.at,
                "linked after it here, and mmlist is empty",
                "copy_nonpresent_pte",
                f"init_mm's links are its own, so {name(parent)} is on another ring",
                _SHOULD,
            )
        ],
        change.mm,
        since=change.at,
        beside=[parent],
        follows=_causes(change.mm, parent),
        explains=[("M3", change.mm)],
    )


INVARIANT = Invariant(
    "M8",
    "linked-to-unlisted-parent",
    "E",
    "a child is linked after a parent that is not on mmlist",
    ALL,
    needs("mmlist_add fetched:next", "mmlist_add copy_page_range dup_mmap"),
    (Joined, Broken),
    check,
)
