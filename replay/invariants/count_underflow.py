"""mm_count is dropped below zero, or the mm_struct is freed while somebody refers to it.

What it says
    Every mmdrop has an mmgrab of its own, or is that of all users together; the struct is freed by the drop to 0, and not
    before. A kernel thread that borrows an mm holds one mm_count.

Why the kernel needs it
    Who holds mm_count uses the struct: its counts, its page-table root while it is somebody's active_mm. Freed under its
    hands, it is another's memory soon.

Kernel reference
    include/linux/sched/mm.h: mmgrab, mmdrop; kernel/fork.c: __mmdrop, __mmput; kernel/kthread.c: kthread_use_mm; fs/aio.c:
    use_mm (2.6).

Limits
    Most grabs of a stock kernel are inline and invisible, the lazy ones of context_switch among them, or they do not count at
    all (CONFIG_MMU_LAZY_TLB_REFCOUNT=n). Drops are counted against grabs only where both are events of the log, no shown
    count was above the counted one, and the mm was born in the log and never borrowed; otherwise a shown count of the drop
    itself is needed, a fetched one at a probe whose task holds the mm (below 1), or at __mmdrop (above 0). Whether the drop
    of all users together is an event shows by a drop to 0 after a last mmput; if none was shown, one reference is left at the
    free of any mm. An mm that no task ever had is freed without it. A field that is not what mm_count can be is not trusted.
"""

from __future__ import annotations

from collections.abc import Iterator

from mmlist.replay.facts import Witness
from mmlist.replay.invariants.base import ALL, Finding, Invariant, name, needs, witness
from mmlist.replay.model import State
from mmlist.replay.model.changes import CountSeen, Dropped, Freed
from mmlist.replay.model.mm import Mm

_HELD = "mmdrop is called only by a holder of one of mm_count, so it is at least 1 before it (include/linux/sched/mm.h)"
_USERS = "all of mm_users hold one mm_count together, which __mmput drops last (kernel/fork.c: __mmput)"
_LAST = "mmdrop frees the struct when mm_count has reached 0, not before (kernel/fork.c: __mmdrop)"
_BORROWS = (
    "a borrower holds mm_count until it gives the mm back (kernel/kthread.c: kthread_use_mm; 2.6 fs/aio.c: use_mm)"
)


def check(change: Dropped | CountSeen | Freed, state: State) -> Iterator[Finding]:
    """A drop too many, or a free too early."""
    if isinstance(change, Dropped):
        yield from _dropped(change, state)
    elif isinstance(change, CountSeen):
        told = f"mm_count of {name(change.mm)} is {change.count}, as fetched"
        step = witness(change.at, "in use here", "fetched:count", told, _USERS)
        yield _finding(change.mm, step, f"mm_count is {change.count} at {change.name}", shown=True)
    elif not change.implied:
        yield from _freed(change, state)


def _dropped(change: Dropped, state: State) -> Iterator[Finding]:
    mm, before = change.mm, change.before
    if before is None:
        return
    how = "as shown" if change.shown else "as counted"
    told = f"mm_count of {name(mm)} is {before}, {how}"
    if before < 1:
        yield _finding(
            mm,
            witness(change.at, "dropped here", "mmdrop", told, _HELD),
            f"mm_count is {before} before an mmdrop",
            change.shown,
        )
    elif before == 1 and mm.used and not mm.dying and state.counts(mm) and (mm.users or 0) > 0:
        told += f", mm_users {mm.users}"
        yield _finding(
            mm,
            witness(change.at, "dropped here", "mmdrop", told, _USERS),
            f"the last mm_count is dropped with mm_users {mm.users}",
            shown=False,
        )


def _freed(change: Freed, state: State) -> Iterator[Finding]:
    mm = change.mm
    for pid, since in state.borrowers(mm):
        told = f"task {pid} borrows {name(mm)}"
        finding = _finding(
            mm,
            witness(change.at, "freed here", "__mmdrop", told, _BORROWS),
            f"it is freed while task {pid} borrows it",
            shown=False,
        )
        finding.witness.insert(0, witness(since, "borrowed here", "kthread_use_mm"))
        finding.since, finding.order = since, [(since, change.at)]
        finding.explicit = state.carries.shows("kthread_unuse_mm")
        yield finding
        return
    if mm.count_seen is change.at:
        if state.carries.frees and (mm.count or 0) > 0 and change.fetched:
            told = f"mm_count of {name(mm)} is {mm.count}, as fetched"
            yield _finding(
                mm,
                witness(change.at, "freed here", "__mmdrop", told, _LAST),
                f"it is freed with mm_count {mm.count}",
                shown=True,
            )
        return
    count = state.counted(mm)
    if count is None or (count == 1 and not mm.used):
        return
    left = count if state.final_drop is not None else count - 1
    if left > 0:
        told = f"mm_count of {name(mm)} is {count}, as counted"
        yield _finding(
            mm,
            witness(change.at, "freed here", "__mmdrop", told, _LAST),
            f"it is freed with {left} of mm_count left",
            shown=False,
        )


def _finding(mm: Mm, step: Witness, what: str, shown: bool) -> Finding:
    return Finding(
        step.at,
        f"{name(mm)}: {what}",
        [step],
        mm,
        alone=shown,
        since=mm.born,
        explicit=True,
    )


INVARIANT = Invariant(
    "C5",
    "count-underflow",
    "E",
    "mm_count dropped below zero, or the struct freed while references to it remain",
    ALL,
    needs("mmdrop mm_free __mmdrop", "explicit:mmdrop fetched:count kthread_unuse_mm use_mm"),
    (Dropped, CountSeen, Freed),
    check,
)
