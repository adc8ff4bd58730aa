"""swapoff succeeded, no area is in use, and mmlist still has members.

What it says
    After a successful swapoff that leaves no swap in use the list is empty.

Why the kernel needs it
    A member that stays is walked by every later swapoff for nothing. No data is at risk: suspicious, not wrong.

Kernel reference
    mm/swapfile.c: drain_mmlist.

Limits
    From the state at swapoff's return at most likely: the drain looked a moment before it.
"""

from __future__ import annotations

from collections.abc import Iterator

from mmlist.replay.invariants.base import SWAP_ONLY, Finding, Invariant, name, needs, witness
from mmlist.replay.model import State
from mmlist.replay.model.changes import SwapoffEnded


def check(change: SwapoffEnded, state: State) -> Iterator[Finding]:
    """Members that the drain left behind."""
    if not change.survivors:
        return
    mm, call = change.survivors[0], change.call
    lines = [witness(mm.joined, "joined here", "list_add")] if mm.joined is not None else []
    if call.drain is not None:
        lines.append(witness(call.drain, "drain decided here", "drain_mmlist"))
    yield Finding(
        change.at,
        f"swapoff returned 0 with no swap in use, and {len(change.survivors)} members stay on mmlist, first {name(mm)}",
        [
            *lines,
            witness(
                change.at,
                "still on mmlist here",
                "swapoff",
                f"{name(mm)} is on mmlist",
                "drain_mmlist takes every member off when no area is in use (mm/swapfile.c: drain_mmlist)",
            ),
        ],
        mm,
        since=mm.joined,
        explicit=state.carries.leaves_explicit,
        cap="likely",
    )


INVARIANT = Invariant(
    "D3",
    "member-survived-drain",
    "W",
    "swapoff succeeded with no swap in use, and mmlist still has members",
    SWAP_ONLY,
    needs("swapoff_ret", "mmlist_drain mmlist_del fetched:inuse"),
    (SwapoffEnded,),
    check,
)
