"""An mm joins mmlist in another place than it belongs.

What it says
    A fork joins right after its parent; a pageout (2.6.9: an exec) joins right after init_mm. It is judged at the join
    itself: later joins and removals may separate a child from its parent.

Why the kernel needs it
    swapoff meets a parent before the children that may copy entries of it meanwhile. With a saturated count of 2.6 a child
    that is met first loses data; else swapoff takes a pass more.

Kernel reference
    mm/memory.c: copy_nonpresent_pte (2.6.10: copy_page_range; 2.6.9 kernel/fork.c: dup_mmap); mm/rmap.c:
    try_to_unmap_one; 2.6.9 fs/exec.c: exec_mmap.

Limits
    Kernels after 7.1 may insert every join after init_mm. Fork joins are judged only where the kernel is known to be no
    later: by the capture header's release, by a join after an mm, or by probes on functions that 7.0 renamed. Explicit
    joins are judged by their `after` against the step that they were made for; else by the first look at the node, where
    who was on the list long before leaves no other order (a fork's node behind such a member that is not its parent, too), and
    then at most likely.
"""

from __future__ import annotations

from collections.abc import Iterator

from mmlist.replay.invariants.base import ALL, Finding, Invariant, name, needs, witness
from mmlist.replay.model import State
from mmlist.replay.model.changes import Misplaced
from mmlist.replay.model.mm import Mm
from mmlist.replay.record import At

_SHOULD = {
    "fork": "a child is linked right after its parent (mm/memory.c: copy_nonpresent_pte, 2.6.9 kernel/fork.c: dup_mmap)",
    "pageout": "an mm that is paged out is linked right after init_mm (mm/rmap.c: try_to_unmap_one)",
    "exec": "exec links the new mm right after init_mm (2.6.9 fs/exec.c: exec_mmap)",
}
_SITE = {"fork": "copy_nonpresent_pte", "pageout": "try_to_unmap_one", "exec": "exec_mmap"}


def check(change: Misplaced, state: State) -> Iterator[Finding]:
    """A join that is not where it belongs."""
    if change.site == "fork" and state.profile.fork_after != "parent":
        return
    mm = change.mm
    lines = [witness(change.joined, "joined here", "list_add", f"it is linked after {_place(change.after)}")]
    if change.at is not change.joined:
        lines.append(
            witness(
                change.at,
                "cause of the join" if not change.seen else "seen misplaced here",
                _SITE[change.site],
                "" if not change.seen else f"{name(mm)} stands after {_place(change.after)}",
            )
        )
    lines[-1].should = _SHOULD[change.site]
    yield Finding(
        change.at,
        f"{name(mm)} joins by {change.site} after {_place(change.after)}"
        + (f", not after its parent {name(change.due)}" if change.due is not None else ", where it does not belong"),
        lines,
        mm,
        absence=bool(change.seen),
        since=_since(change),
        placed=True,
        beside=[other for other in (change.due, change.after) if other is not None],
        follows=[("M2", mm), ("M8", mm), ("M9", mm)],
        cap="likely" if change.seen else "proven",
    )


def _since(change: Misplaced) -> At | None:
    """The first line that it rests on: of a fork, the birth of which the parent was told, or the parent's join."""
    if change.due is None:
        return change.joined
    born, joined = change.mm.born, change.due.joined
    return born if born is None or joined is None or born.seq < joined.seq else joined


def _place(mm: Mm | None) -> str:
    return "init_mm" if mm is None else name(mm)


INVARIANT = Invariant(
    "M7",
    "misplaced-member",
    "W",
    "a fork joins not right after its parent, a pageout or exec not right after init_mm",
    ALL,
    needs("mmlist_add fetched:next", "swap_assign mm_fork exec_mmap try_to_unmap_one copy_page_range dup_mmap"),
    (Misplaced,),
    check,
)
