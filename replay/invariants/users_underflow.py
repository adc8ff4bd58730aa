"""mm_users is put below zero.

What it says
    Every mmput has a get of its own: at the entry of mmput mm_users is at least 1.

Why the kernel needs it
    The put that goes below zero comes after the one that tore the address space down: whoever makes it has been using a
    dead mm, and a later get may bring it back.

Kernel reference
    kernel/fork.c: mmput, __mmput; include/linux/sched/mm.h: mmget, mmget_not_zero.

Limits
    Most gets of a stock kernel are inline and invisible. Puts are counted against gets only where every get is an event of
    the log; otherwise a fetched mm_users below 1 at the entry of mmput is needed.
"""

from __future__ import annotations

from collections.abc import Iterator

from mmlist.replay.invariants.base import ALL, Finding, Invariant, name, needs, witness
from mmlist.replay.model import State
from mmlist.replay.model.changes import Put


def check(change: Put, state: State) -> Iterator[Finding]:
    """A put with nothing left to put."""
    if change.before is None or change.before >= 1:
        return
    mm = change.mm
    if not change.fetched and not (state.carries.frees or state.carries.births):
        return
    lines = []
    if mm.zero is not None and mm.zero is not change.at:
        lines.append(witness(mm.zero, "mm_users reached 0 here", "mmput"))
    lines.append(
        witness(
            change.at,
            "put here",
            "mmput",
            f"mm_users of {name(mm)} is {change.before}" + (", as fetched" if change.fetched else ", as counted"),
            "mmput is called only by a holder of one of mm_users, so it is at least 1 at its entry (kernel/fork.c: mmput)",
        )
    )
    if mm.freed is not None:
        lines.insert(-1, witness(mm.freed, "freed here", "__mmdrop"))
    yield Finding(
        change.at,
        f"{name(mm)} is put although its mm_users is {change.before}",
        lines,
        mm,
        alone=change.fetched,
        since=mm.born,
        explicit=state.carries.gets_explicit,
        follows=[("C2", mm), ("C1", mm), ("C4", mm), *([("C5", mm)] if mm.freed is not None else [])],
        explains=[("C5", mm)] if mm.zero_how == "fetched" else [],
    )


INVARIANT = Invariant(
    "C1",
    "users-underflow",
    "E",
    "mm_users put below zero",
    ALL,
    needs("mmput mmput_async", "explicit:mmput fetched:users"),
    (Put,),
    check,
)
