"""mmlist is changed without mmlist_lock.

What it says
    A task that joins an mm to mmlist, removes one from it or drains it holds mmlist_lock while it does.

Why the kernel needs it
    list_add and list_del write four pointers of three nodes: two of them at once, or one beside swapoff's walk, leave a
    list that skips a member, runs in a circle or leads into freed memory.

Kernel reference
    mm/rmap.c: try_to_unmap_one; mm/memory.c: copy_nonpresent_pte; kernel/fork.c: __mmput; mm/swapfile.c: drain_mmlist,
    try_to_unuse. 2.6.9: kernel/fork.c: dup_mmap, mmput (atomic_dec_and_lock); fs/exec.c: exec_mmap.

Limits
    Only where the log carries lock_acquire and lock_release, and mmlist_lock among them. list_empty needs no lock. Who held
    the lock when the log began, or after a loss, shows by the first release of it that comes: a release of the task's own
    that no acquire explains says that it held it, another's that it did not. Without any release nothing is said. A hook may
    stand behind the unlock: a change right behind its task's release counts only where the log shows a change of its kind
    (join, removal, drain) inside the lock. A successful trylock counts as the lock.
    Lock events that a filter shows of some tasks only make the others' changes look unlocked: filter by the lock's name.

    Without events of the list, a node that two probes fetched, once linked and once not, was changed between them: that is
    held against the kernel only if nobody held mmlist_lock, nor took it, from the first fetch to the end of the second
    (2.6.10, modern). That the list is drained shows by its removals.
"""

from __future__ import annotations

from collections.abc import Iterator

from mmlist.replay.invariants.base import ALL, Finding, Invariant, name, needs, witness
from mmlist.replay.model import State
from mmlist.replay.model.changes import Unlocked

_SITES = {"join": "list_add", "removal": "list_del", "drain": "drain_mmlist"}
_WHO = {
    "join": "try_to_unmap_one and copy_nonpresent_pte link an mm between spin_lock(&mmlist_lock) and spin_unlock (mm/rmap.c)",
    "removal": "__mmput unlinks an mm between spin_lock(&mmlist_lock) and spin_unlock (kernel/fork.c)",
    "drain": "drain_mmlist holds mmlist_lock while it empties the list (mm/swapfile.c)",
}
_DONE = {"join": "linked", "removal": "unlinked", "drain": "unlinked by a drain"}


def check(change: Unlocked, state: State) -> Iterator[Finding]:
    """A list change of which it is known that its task did not hold the lock."""
    assert change.known is not None
    mm, what = change.mm, change.what
    site = "fetched:next" if change.seen is not None else _SITES[what]
    lines = [witness(change.known, "mmlist_lock free from here", "spin_unlock")]
    if change.seen is not None:
        before = "off mmlist here" if what == "join" else "on mmlist here"
        lines.append(witness(change.seen, before, "fetched:next"))
    lines.append(
        witness(
            change.at,
            f"{_DONE[what]} here",
            site,
            f"nobody is known to hold mmlist_lock, {_holder(change)}",
            _WHO[what],
        )
    )
    lines.sort(key=lambda line: line.at.seq)
    yield Finding(
        change.at,
        f"{name(mm)} is {_DONE[what]} while {_holder(change)}",
        lines,
        None if what == "drain" else mm,  # a drain of many is one
        since=min(change.known, change.at, key=lambda at: at.seq),
        explicit=True,
        order=[(change.known, change.at)],
    )


def _holder(change: Unlocked) -> str:
    return "nobody holds mmlist_lock" if change.seen is not None else "its task does not hold mmlist_lock"


INVARIANT = Invariant(
    "L1",
    "unlocked-list-change",
    "E",
    "a join, removal or drain without mmlist_lock",
    ALL,
    needs("lock:mmlist_lock", "lock_acquire", "lock_release", "mmlist_add mmlist_del fetched:next"),
    (Unlocked,),
    check,
)
