"""mmlist_nr is not the number of members, or a live mm is missing on mmlist.

What it says
    Before the patch mmlist holds every mm from its fork or exec to the step in which mm_users reaches 0, and mmlist_nr counts
    them: up with every join, down with every removal.

Why the kernel needs it
    swapoff finds the holders of swap entries on that list alone. mmlist_nr itself is read by nothing: where it differs, a
    join or a removal was made without its count, or without the list.

Kernel reference
    2.6.9 kernel/fork.c: dup_mmap, mmput; fs/exec.c: exec_mmap; include/linux/sched.h: mmlist_nr.

Limits
    mmlist_nr is held against the joins and removals between two lines that show it; a line that the clock does not order
    against the last of them is not judged, nor a put that is not the last. A live mm is missing where joins are explicit
    and none came before its fork was done, or before its last put. A dead one that is present is M5.
"""

from __future__ import annotations

from collections.abc import Iterator

from mmlist.replay.invariants.base import Finding, Invariant, name, needs, witness
from mmlist.replay.model import State
from mmlist.replay.model.changes import Missing, NrShown

_SHOULD = "mmlist_nr goes up with each list_add and down with each list_del (2.6.9 kernel/fork.c: dup_mmap, mmput)"
_JOINS = {
    "fork": "dup_mmap links the child before it copies anything (2.6.9 kernel/fork.c: dup_mmap)",
    "exec": "exec_mmap links the mm before the task takes it (2.6.9 fs/exec.c: exec_mmap)",
}


def check(change: NrShown | Missing, state: State) -> Iterator[Finding]:
    """A count that differs, or an mm that is not where it lives."""
    explicit = state.carries.joins_explicit and state.carries.leaves_explicit
    if isinstance(change, Missing):
        yield _missing(change)
        return
    lines = [witness(change.since, "mmlist_nr shown here", "mmlist_nr")] if change.since is not None else []
    at_least = "at least " if change.since is None else ""
    yield Finding(
        change.at,
        f"mmlist_nr is {change.shown}, and {at_least}{change.counted} by the joins and removals that were shown",
        [
            *lines,
            witness(change.at, "differs here", "mmlist_nr", f"mmlist has {change.counted} members", _SHOULD),
        ],
        change.mm,
        since=change.since or change.at,
        alone=change.since is None,
        placed=True,
        explicit=explicit,
        follows=[
            *((code, change.mm) for code in ("M2", "M5", "M11", "M6", "M8")),
            *((code, None) for code in ("M2", "M11", "M6")),
        ],
    )


def _missing(change: Missing) -> Finding:
    mm = change.mm
    lines = [witness(change.since, "off mmlist since here", "mm_init")] if change.since is not None else []
    return Finding(
        change.at,
        f"{name(mm)} lives and is not on mmlist",
        [
            *lines,
            witness(
                change.at,
                "not on mmlist here",
                "dup_mmap" if change.how == "fork" else "exec_mmap",
                f"{name(mm)} is off mmlist",
                _JOINS["fork" if change.how == "fork" else "exec"],
            ),
        ],
        mm,
        since=change.since,
        explicit=True,
        follows=[("M11", mm), ("M5", mm)],
        episode=0,
    )


INVARIANT = Invariant(
    "M10",
    "nr-mismatch",
    "E",
    "mmlist_nr is not the number of members, or a live mm is missing",
    ("2.6.9",),
    needs("fetched:nr mmlist_add", "mmlist_add mmlist_del mmput exec_mmap"),
    (NrShown, Missing),
    check,
)
