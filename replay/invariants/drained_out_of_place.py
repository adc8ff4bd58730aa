"""mmlist is drained where no drain belongs.

What it says
    mmlist is drained by a swapoff only, after its try_to_unuse succeeded, with the swap list lock held, and each node is
    left pointing at itself.

Why the kernel needs it
    Before the walk is over, or when it failed, the members still hold entries: off the list the next swapoff does not find
    them. The lock keeps slots from being handed out between the look at inuse_pages and the drain. A poisoned node looks
    linked to list_empty: its mm never joins again.

Kernel reference
    mm/swapfile.c: SYSCALL swapoff, drain_mmlist (list_del_init); swap_lock, in 2.6 swap_list_lock().

Limits
    Outside of a swapoff: its task was seen to fork, exec, or return from swapon or swapoff before, or does something else
    than return from a swapoff next; a task that no other line tells about is undecided (and where a removal alone says
    that it drained, nothing). Without the lock: judged where the log showed that lock taken. From probes alone a drain by
    a failed swapoff, or by one whose walk goes on, shows as a member whose node points at itself, and a poisoning one as
    a poisoned node of an mm that is not dying. drain_mmlist that finds an area in use drains nothing, so it is judged for
    the lock alone, under which it has to look.
"""

from __future__ import annotations

from collections.abc import Iterator

from mmlist.replay.invariants.base import SWAP_ONLY, Finding, Invariant, name, needs, witness
from mmlist.replay.model import State
from mmlist.replay.model.changes import DrainMisplaced

_SHOULD = {
    "outside": "only swapoff drains mmlist (mm/swapfile.c: SYSCALL swapoff)",
    "failed": "swapoff drains mmlist only after try_to_unuse returned 0 (mm/swapfile.c: SYSCALL swapoff)",
    "early": "swapoff drains mmlist only after try_to_unuse returned 0 (mm/swapfile.c: SYSCALL swapoff)",
    "unlocked": "drain_mmlist runs with swap_lock held (2.6: swap_list_lock), so that no slot is handed out meanwhile "
    "(mm/swapfile.c: SYSCALL swapoff)",
    "poisoned": "drain_mmlist takes off by list_del_init, so that the mm can join again (mm/swapfile.c: drain_mmlist)",
}
_STATE = {
    "outside": "the task is in no swapoff",
    "failed": "try_to_unuse failed",
    "early": "the walk is not over",
    "unlocked": "the task does not hold the swap list lock",
}


def check(change: DrainMisplaced, state: State) -> Iterator[Finding]:
    """A drain out of place."""
    telling = {"outside": _outside, "unlocked": _unlocked, "poisoned": _poisoned}.get(change.why, _in_swapoff)
    yield telling(change, state)


def _outside(change: DrainMisplaced, state: State) -> Finding:
    here = witness(change.at, "drained here", "drain_mmlist", _STATE["outside"], _SHOULD["outside"])
    seen = change.evidence
    lines = [here]
    if seen is not None:
        role = "the task is in no swapoff here"
        lines = [witness(seen, role, "task"), here] if seen.seq < change.at.seq else [here, witness(seen, role, "task")]
    return Finding(
        change.at,
        f"mmlist is drained ({change.members} members) outside of a swapoff",
        lines,
        since=seen if seen is not None and seen.seq < change.at.seq else change.at,
        cap="undecided" if seen is None else "likely",
        claims=(change.at, seen) if seen is not None and seen.seq > change.at.seq else None,
        episode=change.at.seq if seen is None else min(seen.seq, change.at.seq),
    )


def _in_swapoff(change: DrainMisplaced, state: State) -> Finding:
    call, seen = change.call, change.evidence
    assert call is not None and seen is not None
    begins = witness(call.at, "swapoff begins here", "swapoff")
    if change.mm is not None:
        mm, failed = change.mm, change.why == "failed"
        state_then = f"{name(mm)} is on mmlist" if failed else f"{name(mm)} is self-linked"
        role, site = ("swapoff failed here", "swapoff") if failed else ("the walk goes on here", "try_to_unuse")
        lines = [
            witness(seen, role, site, state_then, _SHOULD[change.why]),
            *([witness(change.at, "self-linked here", "list_del_init")] if change.at is not seen else []),
        ]
        return Finding(
            change.at,
            f"{name(mm)} was drained "
            + ("by a swapoff that failed" if failed else "before the walk of its swapoff was over"),
            [
                *([witness(mm.joined, "on mmlist since here", "list_add")] if mm.joined is not None else []),
                begins,
                *(lines if failed else reversed(lines)),
            ],
            mm,
            type=call.type,
            since=mm.joined,
            follows=[("M9", None)],  # an mm went off the list before, and nobody took it off: so may this one
            cap="likely",
            episode=call.at.seq,
        )
    drained = witness(change.at, "drained here", "drain_mmlist", _STATE[change.why], _SHOULD[change.why])
    role = "swapoff failed here" if change.why == "failed" else "the walk goes on here"
    other = witness(seen, role, "swapoff" if change.why == "failed" else "try_to_unuse")
    message = {
        "failed": f"mmlist is drained ({change.members} members) by a swapoff that failed",
        "early": "mmlist is drained before the walk of its swapoff is over",
    }
    return Finding(
        change.at,
        message[change.why],
        [begins, *([other, drained] if seen.seq < change.at.seq else [drained, other])],
        type=call.type,
        absence=False,
        since=call.at,
        claims=(change.at, seen) if seen.seq > change.at.seq else None,
        episode=call.at.seq,
    )


def _unlocked(change: DrainMisplaced, state: State) -> Finding:
    call = change.call
    assert call is not None
    return Finding(
        change.at,
        "drain_mmlist runs without the swap list lock",
        [
            witness(call.at, "swapoff begins here", "swapoff"),
            witness(change.at, "drain_mmlist runs here", "drain_mmlist", _STATE["unlocked"], _SHOULD["unlocked"]),
        ],
        type=call.type,
        since=call.at,
        explicit=True,
        episode=call.at.seq,
    )


def _poisoned(change: DrainMisplaced, state: State) -> Finding:
    mm, drained = change.mm, change.evidence
    assert mm is not None and drained is not None
    here = drained is change.at
    poisoned = witness(
        change.at,
        "drained and poisoned here" if here else "poisoned here",
        "list_del",
        f"{name(mm)} is on mmlist" if here else f"{name(mm)} was drained and is not dying",
        _SHOULD["poisoned"],
    )
    return Finding(
        change.at,
        f"the drain of mmlist leaves the node of {name(mm)} poisoned",
        [poisoned] if here else [witness(drained, "drained here", "drain_mmlist"), poisoned],
        mm,
        absence=not here,
        since=mm.joined if here else drained,
        order=[] if here else [(drained, change.at)],
        episode=drained.seq,
    )


INVARIANT = Invariant(
    "D2",
    "drained-out-of-place",
    "E",
    "mmlist is drained outside of a swapoff, after a failed walk, without the swap list lock, or into poisoned nodes",
    SWAP_ONLY,
    needs("mmlist_drain drain_mmlist mmlist_del fetched:next", "swapoff swapoff_ret try_to_unuse_ret"),
    (DrainMisplaced,),
    check,
)
