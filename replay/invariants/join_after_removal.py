"""An mm joins mmlist after its final mmput took it off.

What it says
    The removal by the last mmput is for good: no join comes after it in the same life.

Why the kernel needs it
    Nobody will take the mm off a second time: it is freed while linked, and the list runs through freed memory.

Kernel reference
    kernel/fork.c: __mmput (list_del after exit_mmap, so that try_to_unmap_one may still add a dying mm before it).

Limits
    Where the log shows neither births nor frees, an address may have been reused unseen.
"""

from __future__ import annotations

from collections.abc import Iterator

from mmlist.replay.invariants.base import ALL, Finding, Invariant, name, needs, witness
from mmlist.replay.model import State
from mmlist.replay.model.changes import Joined


def check(change: Joined, state: State) -> Iterator[Finding]:
    """A join after the last removal."""
    if not change.removed or not change.observed:
        return
    mm, left = change.mm, change.since
    lines = [witness(left, "taken off by its last mmput here", "__mmput")] if left is not None else []
    yield Finding(
        change.at,
        f"{name(mm)} joins mmlist after its final mmput took it off",
        [
            *lines,
            witness(
                change.at,
                "joined here",
                "list_add",
                f"{name(mm)} was removed for good",
                "after exit_mmap an mm has no pages that pageout or fork could meet (kernel/fork.c: __mmput)",
            ),
        ],
        mm,
        since=left,
        explicit=state.carries.joins_explicit and state.carries.births and state.carries.shows("mm_init"),
        order=[(left, change.at)] if left is not None else [],
        follows=[("M5", mm)],
    )


INVARIANT = Invariant(
    "M4",
    "join-after-removal",
    "E",
    "an mm joins after its final mmput took it off",
    ALL,
    needs("mmlist_add", "mm_init mm_init_ret mm_free __mmdrop"),
    (Joined,),
    check,
)
