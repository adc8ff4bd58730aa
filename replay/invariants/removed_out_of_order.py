"""The last mmput takes the mm off mmlist at the wrong moment.

What it says
    2.6.10 and modern: the removal comes after exit_mmap has returned. 2.6.9: it comes in the very step in which mm_users
    reaches 0, before exit_mmap.

Why the kernel needs it
    Removed too early, try_to_unmap_one may add the dying mm once more and nobody takes it off again; and swapoff misses
    the entries that exit_mmap has yet to free. In 2.6.9 swapoff raises mm_users of every member unconditionally: a member
    whose count is 0 would be raised from the dead.

Kernel reference
    kernel/fork.c: mmput, __mmput; mm/swapfile.c: try_to_unuse.

Limits
    A drain of a dying mm meanwhile is legal: from probes alone 'linked at the final put, off at exit_mmap' counts only
    with no swapoff running, a poisoned node always. Where the log has no return of exit_mmap, a removal while it runs is
    not seen.
"""

from __future__ import annotations

from collections.abc import Iterator

from mmlist.replay.facts import Witness
from mmlist.replay.invariants.base import ALL, Finding, Invariant, name, needs, witness
from mmlist.replay.model import State
from mmlist.replay.model.changes import ExitBegan, Left
from mmlist.replay.model.mm import MEMBER, Mm

_AFTER_EXIT = "list_del comes after exit_mmap has returned (kernel/fork.c: __mmput)"
_AT_ZERO = (
    "atomic_dec_and_lock and list_del are one step under mmlist_lock, before exit_mmap (2.6.9 kernel/fork.c: mmput)"
)
_BEFORE_EXIT = frozenset({"__mmput", "exit_mmap"})
"""Probes whose fetch is older than exit_mmap's first step, whatever was lost."""


_AT_ONCE = frozenset({"counted", "__mmput", "exit_mmap"})
"""How mm_users 0 was known in the step itself: fetched, it may have been so for long."""


def check(change: Left | ExitBegan, state: State) -> Iterator[Finding]:
    """A removal before its time, or after it."""
    if isinstance(change, ExitBegan):
        if state.profile.removal == "zero" and change.listed == MEMBER and change.again is None:
            yield from _late(change, state)
        return
    if change.before != MEMBER:
        return
    if state.profile.removal == "exit":
        yield from _early(change, state)
    elif change.why == "mmput" and change.observed and (change.mm.users or 0) > 1 and state.counts(change.mm):
        yield from _finding(change, state, "while it has users", _AT_ZERO, absence=True)


def _early(change: Left, state: State) -> Iterator[Finding]:
    mm = change.mm
    if mm.exit_ended is not None or (mm.born is None and (mm.zero is None or mm.zero_how not in _AT_ONCE)):
        return  # exit_mmap has returned, or may have before the log began
    before_exit = mm.exit_began is None or mm.exit_began is change.at
    if change.why == "mmput":
        if before_exit and (change.seen in _BEFORE_EXIT or (change.observed and state.carries.exit_visible)):
            yield from _finding(change, state, "before its exit_mmap", _AFTER_EXIT, absence=change.observed)
        elif mm.exit_began is not None and mm.exit_ended is None and change.observed and state.carries.exit_ret:
            yield from _finding(
                change, state, "before its exit_mmap has returned", _AFTER_EXIT, absence=True, unseen="exit_mmap_ret"
            )
    elif change.why == "unknown" and mm.linked_at_zero is not None and before_exit and not change.swapoff_running:
        carries = state.carries
        cap = "proven" if carries.swapoffs_complete else "likely" if carries.swapoffs_visible else "undecided"
        yield from _finding(change, state, "before its exit_mmap", _AFTER_EXIT, absence=True, cap=cap)


def _late(change: ExitBegan, state: State) -> Iterator[Finding]:
    mm = change.mm
    lines = [witness(mm.zero, "mm_users reached 0 here", "mmput")] if mm.zero is not None else []
    yield Finding(
        change.at,
        f"{name(mm)} is still on mmlist when its exit_mmap begins",
        [
            *lines,
            witness(change.at, "exit_mmap begins here", "exit_mmap", f"{name(mm)} is on mmlist", _AT_ZERO),
        ],
        mm,
        since=mm.joined,
        explicit=state.carries.joins_explicit and state.carries.leaves_explicit,
    )


def _finding(
    change: Left, state: State, when: str, should: str, *, absence: bool, cap: str = "proven", unseen: str = ""
) -> Iterator[Finding]:
    mm = change.mm
    yield Finding(
        change.at,
        f"{name(mm)} is taken off mmlist by its last mmput {when}",
        [
            *_before(change, mm),
            witness(change.at, "off mmlist here", change.seen or "list_del", f"{name(mm)} is on mmlist", should),
        ],
        mm,
        absence=absence,
        since=mm.zero if change.why == "mmput" and mm.zero_how in _AT_ONCE and mm.zero is not None else change.since,
        explicit=change.observed and state.carries.leaves_explicit and (not unseen or state.carries.shows(unseen)),
        order=[(mm.linked_at_zero, change.at)] if mm.linked_at_zero is not None else [],
        cap=cap,
    )


def _before(change: Left, mm: Mm) -> list[Witness]:
    lines = []
    if change.since is not None:
        lines.append(witness(change.since, "on mmlist since here", "list_add"))
    if mm.zero is not None:
        lines.append(witness(mm.zero, "mm_users is 0 here", "__mmput"))
    return lines


INVARIANT = Invariant(
    "M5",
    "removed-out-of-order",
    "E",
    "the last mmput removes the mm before exit_mmap returned (2.6.9: not in the step to mm_users 0)",
    ALL,
    needs("exit_mmap __mmput_begin __mmput __mmput_end", "mmlist_del mmlist_add fetched:next"),
    (Left, ExitBegan),
    check,
)
