"""An mm that is not on mmlist is removed from it.

What it says
    Only members are taken off.

Why the kernel needs it
    list_del of a node that was poisoned, or that is on a list no more, writes through stale pointers.

Kernel reference
    kernel/fork.c: __mmput tests list_empty; mm/swapfile.c: drain_mmlist uses list_del_init, so that a list_del of the
    self-linked node by an mmput that had seen it linked is harmless.

Limits
    list_del of a self-linked node after a drain is legal. Without explicit removals it shows by a poisoned node of a dying mm
    for which nothing was duplicated in all its life, and is at most likely.
"""

from __future__ import annotations

from collections.abc import Iterator

from mmlist.replay.invariants.base import ALL, Finding, Invariant, name, needs, witness
from mmlist.replay.model import State
from mmlist.replay.model.changes import Broken, Left
from mmlist.replay.model.mm import OFF, REMOVED

_SHOULD = "mmput takes an mm off only if its node is not empty (kernel/fork.c: __mmput)"


def check(change: Left | Broken, state: State) -> Iterator[Finding]:
    """A removal of an mm that is off mmlist."""
    if isinstance(change, Broken):
        if change.look == "deleted":
            yield _deleted(change)
        return
    mm = change.mm
    if not state.carries.joins_explicit:
        return
    if not change.observed or change.seen or change.before not in (OFF, REMOVED):
        return
    drained = mm.drained is not None and mm.drained is not change.at
    if change.before == OFF and change.why == "mmput" and (drained or change.before_why == "unknown"):
        return
    since = change.since or mm.born
    lines = [witness(since, "off mmlist since here", "list_del" if change.since else "mm_init")] if since else []
    yield Finding(
        change.at,
        f"{name(mm)} is removed from mmlist although it is not on it",
        [
            *lines,
            witness(
                change.at,
                "removed here",
                "list_del",
                f"{name(mm)} is off mmlist" if change.before == OFF else f"the node of {name(mm)} is poisoned",
                _SHOULD,
            ),
        ],
        mm,
        since=since,
        explicit=state.carries.joins_explicit,
        order=[(since, change.at)] if since else [],
        follows=[("M5", mm), ("M9", mm), ("C3", mm), ("M8", mm)],
    )


def _deleted(change: Broken) -> Finding:
    mm = change.mm
    lines = [witness(mm.born, "off mmlist since here", "mm_init")] if mm.born is not None else []
    if mm.zero is not None:
        lines.append(witness(mm.zero, "mm_users is 0 here", "__mmput"))
    return Finding(
        change.at,
        f"{name(mm)} is removed from mmlist although it is not on it",
        [
            *lines,
            witness(change.at, "seen poisoned here", "list_del", f"{name(mm)} never joined mmlist", _SHOULD),
        ],
        mm,
        since=mm.born,
        order=[(mm.born, change.at)] if mm.born is not None else [],
        follows=[("M9", mm), ("M1", mm)],
        cap="likely",
    )


INVARIANT = Invariant(
    "M11",
    "removal-of-nonmember",
    "E",
    "an mm that is not on mmlist is removed from it",
    ALL,
    needs("mmlist_del fetched:next"),
    (Left, Broken),
    check,
)
