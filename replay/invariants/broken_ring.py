"""mmlist is no ring through init_mm any more, or is another than joins and removals have made it.

What it says
    Every node on mmlist is pointed back at by both its neighbours, all of them are on one ring with init_mm, a node that is
    on no list points at itself or is poisoned for good, and memory shows the list that the joins and removals made.

Why the kernel needs it
    swapoff walks from init_mm until it comes back to it: a ring that does not pass init_mm is never walked, one that closes
    short of it is walked for ever, and a poisoned or freed node is an oops. A node that only looks linked never joins.

Kernel reference
    include/linux/list.h: list_add, list_del, list_del_init; kernel/fork.c: mm_init (INIT_LIST_HEAD since 2.6.10);
    mm/swapfile.c: try_to_unuse.

Limits
    Needs fetched links. Judged are looks that no order of correct steps gives: both links at one mm that is not init_mm;
    one link at the node itself and one not, with no join or drain under way (at most likely: probes read the two one after
    the other); a link at an mm that was freed; a new node that is not self-linked; a live mm's node poisoned, or self-linked
    after the list itself showed it linked, with no swapoff about, nor one from before the log whose return or removals
    would not show; a linked node that nothing joined (these three rest on
    steps that did not come). Neighbours in another order than the model's are not judged: joins of two CPUs are ordered
    by mmlist_lock alone, which the log does not show. A drain that poisons is D2, a child and its parent on a ring of two
    M8, a last mmput that poisons a node which never joined M11.
"""

from __future__ import annotations

from collections.abc import Iterator

from mmlist.replay.facts import Witness
from mmlist.replay.invariants.base import ALL, Finding, Invariant, name, needs, witness
from mmlist.replay.model import State
from mmlist.replay.model.changes import Broken

_MESSAGE = {
    "half": "the node of {} points at itself with one link and not with the other",
    "ring": "{} is on a ring of two that does not pass init_mm",
    "freed": "{} is linked to an mm that was freed",
    "inherited": "the new {} has a node that was not initialised: it points at its parent's neighbours, or at nothing",
    "poisoned": "the node of {} is poisoned although it lives",
    "unlinked": "{} was on mmlist, is alive, and is off it: nothing took it off",
    "linked": "{} is linked and nothing joined it",
}
_SHOULD = {
    "half": "list_add and list_del_init set both links (include/linux/list.h)",
    "ring": "next and prev of a member are one node only where that is init_mm's (include/linux/list.h: list_add)",
    "freed": "list_del takes an mm off before it is freed (kernel/fork.c: __mmput)",
    "inherited": "INIT_LIST_HEAD makes the copied node point at itself (kernel/fork.c: mm_init)",
    "poisoned": "only the last mmput poisons a node, by list_del (kernel/fork.c: __mmput)",
    "unlinked": "a live mm leaves mmlist by a drain alone (mm/swapfile.c: drain_mmlist)",
    "linked": "an mm is linked by try_to_unmap_one or copy_nonpresent_pte alone (mm/rmap.c, mm/memory.c)",
}
_SITE = {"inherited": "mm_init", "linked": "list_add", "unlinked": "list_del", "poisoned": "list_del"}
_SPREADS = frozenset({"half", "ring", "freed"})


def check(change: Broken, state: State) -> Iterator[Finding]:
    """A node that looks as it should not."""
    if change.look in ("deleted", "apart", "empty"):
        return  # M11, M8
    mm, other = change.mm, change.other
    rests = change.look in ("unlinked", "linked", "poisoned")
    explicit = {
        "linked": state.carries.joins_explicit,
        "freed": state.carries.births and state.carries.shows("mm_init"),  # else its address may be that of a new mm
    }.get(change.look, state.carries.leaves_explicit or not rests)
    since = {"freed": change.first, "half": change.at, "ring": change.at}.get(change.look, change.since)
    yield Finding(
        change.at,
        _MESSAGE[change.look].format(name(mm)),
        [
            *_before(change),
            witness(
                change.at,
                f"seen {change.look} here",
                _SITE.get(change.look, change.seen),
                _state(change),
                _SHOULD[change.look],
            ),
        ],
        mm,
        alone=change.look == "inherited",
        placed=change.look in ("linked", "unlinked"),
        beside=[other] if other is not None else [],
        since=since,
        explicit=explicit,
        follows=[
            *((code, who) for who in (mm, other) if who is not None for code in ("M2", "M8", "M6", "M4", "M5", "M11")),
            *((("M8", None), ("M2", None)) if change.look == "ring" else ()),
            *((("M6", None), ("M2", None)) if change.look == "freed" else ()),
            *((("D2", None), ("D1", None), ("D8", None)) if rests else ()),
            ("M1", mm),
            *((("M1", other),) if other is not None else ()),
        ],
        cap="proven" if change.sure or (rests and explicit) else "likely",
        episode=(mm.born or mm.joined or change.at).seq if mm.born is not None else 0,
        spreads=change.look in _SPREADS,
    )


def _before(change: Broken) -> list[Witness]:
    if change.look == "freed" and change.first is not None:
        return [witness(change.first, "neighbour freed here", "__mmdrop")]
    since = change.since
    if since is None or since is change.at or change.look == "inherited":
        return []
    joined = change.mm.joined is since
    return [witness(since, "joined here" if joined else "off mmlist since here", "list_add" if joined else "mm_init")]


def _state(change: Broken) -> str:
    prev = "unknown" if change.prev is None else f"{change.prev:#x}"
    shown = f"next is {change.next:#x}, prev {prev}"
    return shown if change.other is None else f"{shown}, the node of {name(change.other)}"


INVARIANT = Invariant(
    "M9",
    "broken-ring",
    "E",
    "next and prev disagree, a poisoned or inherited node is taken for a live one, or the list is not the one that was made",
    ALL,
    needs("fetched:next"),
    (Broken,),
    check,
)
