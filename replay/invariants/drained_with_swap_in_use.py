"""mmlist is drained while a swap area is in use.

What it says
    drain_mmlist empties the list only when inuse_pages of every area is 0.

Why the kernel needs it
    The members may hold entries of the other area. Off the list they are not found by the next swapoff.

Kernel reference
    mm/swapfile.c: drain_mmlist, called by swapoff after a successful try_to_unuse.

Limits
    Judged by what was observed of inuse_pages in that swapoff, never by who holds what. From probes alone a drain shows
    as an empty list at swapoff's return; inuse_pages must then be above 0 at its beginning and at its end, with an entry held
    all the time, or no slot handed out from the beginning until a hundredth of a second behind the end.
"""

from __future__ import annotations

from collections.abc import Iterator

from mmlist.replay.invariants.base import SWAP_ONLY, Finding, Invariant, needs, witness
from mmlist.replay.model import State
from mmlist.replay.model.changes import Drained

_SHOULD = "drain_mmlist returns without touching the list if any area's inuse_pages is not 0 (mm/swapfile.c)"


def check(change: Drained, state: State) -> Iterator[Finding]:
    """A drain while an area is in use."""
    if change.contradicted is not None:
        yield Finding(
            change.at,
            "a member is drained although drain_mmlist found a swap area in use",
            [
                witness(change.contradicted, "an area is in use here", "drain_mmlist"),
                witness(change.at, "drained here", "list_del_init", "the drain was refused", _SHOULD),
            ],
            absence=False,
            since=change.contradicted,
        )
        return
    if change.busy is None:
        return
    type_, pages, at = change.busy
    lines = [witness(at, "area in use here", "inuse_pages")] if at is not change.at else []
    yield Finding(
        change.at,
        f"mmlist is drained ({change.members} members) while swap area {type_} has {pages} pages in use",
        [
            *lines,
            witness(change.at, "drained here", "drain_mmlist", f"area {type_} has {pages} pages in use", _SHOULD),
        ],
        type=type_,
        since=at,
        cap="proven" if change.kept else "undecided",
        claims=None if change.call is None or change.until is None else (change.call.at, change.until),
        explicit=change.observed and state.carries.releases_visible,
    )


INVARIANT = Invariant(
    "D1",
    "drained-with-swap-in-use",
    "E",
    "mmlist is drained while some area's observed inuse is above 0",
    SWAP_ONLY,
    needs("mmlist_drain swapoff_ret drain_mmlist"),
    (Drained,),
    check,
)
