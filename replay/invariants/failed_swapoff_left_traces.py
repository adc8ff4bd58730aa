"""A swapoff that failed drained mmlist, or left its area unusable.

What it says
    A swapoff that fails leaves all as it was: the area in use, writable again and to be found by the next swapoff, and
    mmlist with its members.

Why the kernel needs it
    The area still holds pages. Off the list their holders are not found again; and an area that is not put back among those
    in use can be neither written to nor swapped off until the next boot.

Kernel reference
    mm/swapfile.c: SYSCALL swapoff: on an error of try_to_unuse, reinsert_swap_info (2.6: the area is linked anew), with
    SWP_WRITEOK.

Limits
    An area shows to be lost when swapoff of its path is refused as of none in use (EINVAL), or swapon of it is not (EBUSY),
    with no other swapoff that may be at it. Where one that says no type has given an area up since, it may have been this one,
    by another path: undecided. At most likely where the path is all that ties the calls together, and not both say the area's
    type. A swapoff that is interrupted (EINTR) is no fault.
"""

from __future__ import annotations

from collections.abc import Iterator

from mmlist.replay.invariants.base import ALL, Finding, Invariant, name, needs, witness
from mmlist.replay.model import State
from mmlist.replay.model.changes import AreaLost, DrainMisplaced

_KEPT = "a swapoff that fails does not touch mmlist (mm/swapfile.c: SYSCALL swapoff)"
_BACK = "a swapoff that fails puts its area back, with SWP_WRITEOK (mm/swapfile.c: reinsert_swap_info)"

_OTHER_AREA = "only the path ties the two calls together, and it may lead elsewhere by now"
_OTHER_PATH = "a swapoff by another path may have given the area up"


def check(change: AreaLost | DrainMisplaced, state: State) -> Iterator[Finding]:
    """What a failed swapoff left."""
    if isinstance(change, AreaLost):
        yield _lost(change, state)
    elif change.why == "failed" and (change.members or change.mm is not None):
        yield _drained(change)


def _lost(change: AreaLost, state: State) -> Finding:
    call = change.call
    says = "swapoff says that it is not in use" if change.how == "swapoff" else "swapon says that it was not in use"
    return Finding(
        change.at,
        f"{change.path} was lost by a swapoff that failed: {says}",
        [
            witness(call.at, "swapoff begins here", "swapoff"),
            witness(change.failed, "swapoff failed here", "swapoff", f"{change.path} is in use", _BACK),
            witness(change.at, "not in use here", change.how),
        ],
        type=call.type,
        since=change.failed,
        explicit=state.carries.shows("swapoff"),
        order=[(change.failed, change.at)],
        cap="undecided" if change.doubtful else "proven" if change.named else "likely",
        doubt=_OTHER_PATH if change.doubtful else _OTHER_AREA,
        episode=call.at.seq,
    )


def _drained(change: DrainMisplaced) -> Finding:
    call, mm = change.call, change.mm
    assert call is not None and change.evidence is not None
    what = f"{name(mm)} is drained" if mm is not None else f"mmlist is drained ({change.members} members)"
    lines = [
        (call.at, witness(call.at, "swapoff begins here", "swapoff")),
        (change.evidence, witness(change.evidence, "swapoff failed here", "try_to_unuse")),
        (change.at, witness(change.at, "drained here", "drain_mmlist", "", _KEPT)),
    ]
    distinct = {at.seq: line for at, line in lines}
    return Finding(
        change.at,
        f"{what} by a swapoff that failed",
        [distinct[seq] for seq in sorted(distinct)],
        mm,
        type=call.type,
        absence=mm is not None,
        since=call.at,
        follows=[("D2", mm), ("D2", None)],
        cap="likely" if mm is not None else "proven",
        episode=call.at.seq,
    )


INVARIANT = Invariant(
    "D8",
    "failed-swapoff-left-traces",
    "E",
    "a swapoff that failed drained members or left the area unusable",
    ALL,
    needs("swapoff_ret", "swapoff mmlist_drain drain_mmlist mmlist_del fetched:next"),
    (AreaLost, DrainMisplaced),
    check,
)
