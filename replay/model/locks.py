"""Which of the locks around mmlist each task holds, where the log carries the kernel's lock events (SEMANTICS: lock order).

A lock is known by its address and its name. lock_acquire stands before a task has the lock and lock_release before it lets
go (kernel/locking/lockdep.c), so that what lies between the two is at least what it did with it. Who held a lock before the
log began, or in what was lost, shows by a release that no acquire explains; that nobody did, by the next release of a
holder that is known: mmlist_lock has one holder at a time.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import msgspec

from mmlist.replay import events as e
from mmlist.replay.model.borrowing import Borrowing
from mmlist.replay.model.changes import LockNested, SleptUnder, Unlocked
from mmlist.replay.model.mm import Mm
from mmlist.replay.model.profile import POISON_NEXT
from mmlist.replay.record import At

MMLIST_LOCK = "mmlist_lock"

_LEVELS = {
    "mmap_sem": 0,
    "mmap_lock": 0,
    "i_mmap_lock": 1,
    "i_mmap_mutex": 1,
    "i_mmap_rwsem": 1,
    "anon_vma_lock": 2,
    "page_table_lock": 3,
    "ptlock_ptr": 3,
    "alloc_lock": 4,
    "swap_list_lock": 5,
    "swaplock": 5,
    "swap_lock": 5,
    "swap_device_lock": 6,
    "sdev_lock": 6,
    MMLIST_LOCK: 6,
}
"""Locks by the name that lockdep or 2.6's macros give them; one may be taken while those of lower levels are held.

mm/rmap.c, the comment at its top; task_lock (alloc_lock) before mmlist_lock in 2.6.9 (kernel/fork.c: get_task_mm).
"""

_GLOBAL = frozenset({MMLIST_LOCK, "swap_list_lock", "swaplock", "swap_lock"})
"""Of these there is one in the kernel: no member of a struct bears the name."""

_SWAP_LIST = _GLOBAL - {MMLIST_LOCK}
"""What drain_mmlist runs under: swap_lock, in 2.6 swap_list_lock() on `swaplock` (mm/swapfile.c)."""

_TASK_LOCK = "alloc_lock"

_TAKEN = 16
"""Acquires that are remembered from before a loss."""


class Held(msgspec.Struct):
    """A lock that a task took at `at`; not `sure`: it tried. `visited`: where it met an mm of the list since."""

    name: str
    address: int | None
    at: At
    sure: bool
    visited: At | None = None
    got: set[int] = set()


class _Jump(msgspec.Struct):
    """A node was seen to change at `change.at`, and nobody to hold mmlist_lock; decided once its fetch is over.

    A probe takes its time first and fetches then: up to `until`, the next line of its CPU.
    """

    change: Unlocked
    until: At | None = None


def plain(name: str) -> str:
    """The lock that `name` is, without how the code gets at it: `&mm->page_table_lock` is page_table_lock."""
    found = name.strip().removesuffix("->rlock").lstrip("&*(").split("#")[0].split("/")[0].split("(")[0].strip(" )")
    member = re.split(r"->|\.", found)[-1]
    return found if member in _GLOBAL else member


class Locks(Borrowing):
    """The steps on locks, and what other steps say of who holds one."""

    held: dict[int, list[Held]]
    held_before: list[At]
    """Where those took mmlist_lock who held it before a loss: a release of equal time behind the loss may have been first."""
    unlocked: list[Unlocked]
    jumps: list[_Jump]
    nodes: dict[int, tuple[Mm, bool, At]]
    let_go: dict[int, At]
    inside: set[str]
    awake: set[int]
    """Tasks with a line since the log began, or since something was lost."""
    lock_known: At | None = None  # the last release of mmlist_lock since something was lost: who holds it is known
    lock_last: At | None = None  # the last line about mmlist_lock
    mmlist_lock_seen = False
    swap_list_lock_seen = False

    def forget_locks(self) -> None:
        """Who holds what is not known: the log begins, or lines were lost."""
        taken = [one.at for held in self.held.values() for one in held if one.name == MMLIST_LOCK]
        self.held_before = [*self.held_before, *taken][-_TAKEN:]
        self.held, self.unlocked, self.jumps, self.nodes, self.let_go = {}, [], [], {}, {}
        self.awake = set()
        self.lock_known = self.lock_last = None

    def watch(self, event: e.Event) -> None:
        """Before a step: what it says of locks. Only for a log that carries lock events."""
        key = self.key(event.at)
        if self.let_go and key in self.let_go and type(event) not in _CHANGES:
            del self.let_go[key]
        if self.jumps:
            self._decide(event.at)
        watcher = _WATCHERS.get(type(event))
        if watcher is not None:
            watcher(self, event, key)
        self.awake.add(key)

    def holds(self, key: int, name: str = MMLIST_LOCK) -> Held | None:
        """The lock `name` as the task `key` holds it; None if it is not known to."""
        for one in self.held.get(key, ()):
            if one.name == name:
                return one
        return None

    # --- lock events -------------------------------------------------------------------------------------------------

    def on_lock_acquire(self, event: e.LockAcquire) -> None:
        """kernel/locking/lockdep.c: lock_acquire."""
        name = plain(event.name)
        if name not in _LEVELS:
            return
        at, key = event.at, self.key(event.at)
        held = self.held.setdefault(key, [])
        if not event.tried:
            self._nested(held, name, event)
        held.append(Held(name, event.address, at, not event.tried))
        if name == MMLIST_LOCK:
            self.mmlist_lock_seen = True
            self.lock_last = at
        elif name in _SWAP_LIST:
            self.swap_list_lock_seen = True

    def swap_list_lock_held(self, key: int) -> bool | None:
        """See Drains."""
        return any(self.holds(key, name) is not None for name in _SWAP_LIST) if self.swap_list_lock_seen else None

    def _nested(self, held: list[Held], name: str, event: e.LockAcquire) -> None:
        """The lock is taken inside others: emit the first that it must not be taken inside of."""
        for outer in held:
            same = outer.name == name and (name in _GLOBAL or self._same_device(outer, event.address))
            if outer.sure and (same or self._disordered(outer.name, name)):
                self.emit(LockNested(event.at, outer.name, outer.at, name, same))
                return

    def _same_device(self, outer: Held, address: int | None) -> bool:
        return _LEVELS[outer.name] == _LEVELS[MMLIST_LOCK] and address is not None and outer.address == address

    def _disordered(self, outer: str, inner: str) -> bool:
        if outer == inner or _LEVELS[outer] < _LEVELS["swap_list_lock"]:
            return False
        if inner == _TASK_LOCK:
            return outer == MMLIST_LOCK
        return _LEVELS[inner] <= _LEVELS[outer]

    def on_lock_release(self, event: e.LockRelease) -> None:
        """kernel/locking/lockdep.c: lock_release."""
        name = plain(event.name)
        if name not in _LEVELS:
            return
        at, key = event.at, self.key(event.at)
        paired = self._let_go(key, name, event.address)
        if name != MMLIST_LOCK:
            return
        self.mmlist_lock_seen = True
        if not paired:  # it had the lock before the log began, or since something was lost
            self.unlocked = [one for one in self.unlocked if one.key != key or one.known is not None]
        if any(self.tied(one, at) for one in self.held_before):
            self.lock_last = self.let_go[key] = at
            return
        for one in self.unlocked:
            one.known = one.known or at
        self.lock_known = self.lock_last = self.let_go[key] = at
        self._tell()

    def _let_go(self, key: int, name: str, address: int | None) -> bool:
        held = self.held.get(key, [])
        for index in range(len(held) - 1, -1, -1):
            one = held[index]
            if one.name == name and (None in (one.address, address) or one.address == address):
                del held[index]
                return True
        return False

    # --- list changes ------------------------------------------------------------------------------------------------

    def _list_change(self, event: e.MmlistAdd | e.MmlistDel, key: int) -> None:
        """A join, removal or drain that is said outright."""
        what = "join" if isinstance(event, e.MmlistAdd) else "drain" if event.why == "drain" else "removal"
        held = self.holds(key)
        if held is not None:
            if isinstance(event, e.MmlistAdd):
                held.visited = held.visited or event.at
            if what not in self.inside:
                self.inside.add(what)
                self._tell()
            return
        after = self.let_go.get(key) if key in self.awake else event.at  # its release may be in what was lost
        mm = self.mm_at(event.mm, event.at)
        self.unlocked.append(Unlocked(event.at, mm, what, key, self.lock_known, None, after))
        self._tell()

    def _tell(self) -> None:
        """Emit the unlocked changes of which it is known that nobody held the lock, and that the log shows them inside it.

        A hook may stand behind the unlock: a change right behind its task's release counts once one of its kind was seen
        inside the lock.
        """
        waiting: list[Unlocked] = []
        for one in self.unlocked:
            if one.known is None or (one.after is not None and one.what not in self.inside):
                waiting.append(one)
            else:
                self.emit(one)
        self.unlocked = waiting

    # --- nodes as fetched --------------------------------------------------------------------------------------------

    def _node(self, event: e.Fetched, _key: int) -> None:
        """A node that changed between two fetches while nobody held mmlist_lock was changed without it."""
        if event.next is None or self.offset is None or not self.profile.swap_only:
            return
        mm = self.mm_at(event.mm, event.at)
        if not 0 < event.next < 1 << 64:
            return
        linked = event.next != mm.address + self.offset and event.next not in POISON_NEXT
        before = self.nodes.get(mm.address)
        self.nodes[mm.address] = (mm, linked, event.at)
        if before is None or before[0] is not mm or before[1] == linked or not self._free_since(before[2]):
            return
        what = "join" if linked else "removal"
        if self.carries.joins_explicit if linked else self.carries.leaves_explicit:
            return
        self.jumps.append(_Jump(Unlocked(event.at, mm, what, 0, self.lock_known, before[2], None)))

    def _free_since(self, at: At) -> bool:
        """Whether nobody has held mmlist_lock since `at`."""
        last = self.lock_last
        return (
            last is not None
            and self.lock_known is not None
            and last.seq < at.seq
            and not self.tied(last, at)
            and not any(one.name == MMLIST_LOCK for held in self.held.values() for one in held)
        )

    def _decide(self, at: At) -> None:
        """The fetch of a jump is over with the next line of its CPU, and lines as old as that one have come by then."""
        for jump in list(self.jumps):
            change = jump.change
            assert change.seen is not None
            if not self._free_since(change.seen):
                self.jumps.remove(jump)
            elif jump.until is None:
                if at.cpu == change.at.cpu and at is not change.at:
                    jump.until = at
            elif at.ts is not None and jump.until.ts is not None and at.ts > jump.until.ts + self.grain:
                self.jumps.remove(jump)
                self.emit(change)

    # --- what must not be done under it ------------------------------------------------------------------------------

    def _put(self, event: e.Mmput, key: int) -> None:
        """mmput may be the last one and sleep; 2.6.10's swapoff takes back its own get by it, 2.6.9's mmput locks inside."""
        held = self.holds(key)
        if held is None or not held.sure or not event.may_sleep:
            return
        if self.profile.transient_get and event.mm in held.got:
            held.got.discard(event.mm)
            return
        if not self.profile.swap_only and held.visited is None:
            return
        self.emit(SleptUnder(event.at, self.mm_at(event.mm, event.at), "mmput", held.at))

    def _walk(self, event: e.UnuseMm, key: int) -> None:
        held = self.holds(key)
        if held is not None and held.sure:
            self.emit(SleptUnder(event.at, self.mm_at(event.mm, event.at), "unuse_mm", held.at))

    def _unused(self, event: e.SwapClear, key: int) -> None:
        if event.why != "unuse" or event.mm is None or not event.observed:
            return
        held = self.holds(key)
        if held is not None and held.sure:
            self.emit(SleptUnder(event.at, self.mm_at(event.mm, event.at), "unuse_pte", held.at))

    def _met(self, event: e.Mmget | e.MmlistVisit, key: int) -> None:
        """An mm is met under the lock."""
        held = self.holds(key)
        if held is not None:
            held.visited = held.visited or event.at
            if isinstance(event, e.Mmget):
                held.got.add(event.mm)

    def _gone(self, event: e.TaskExit, _key: int) -> None:
        self.held.pop(event.pid, None)

    def _another(self, event: e.MmInit | e.MmFree, _key: int) -> None:
        self.nodes.pop(event.mm, None)


_CHANGES = frozenset({e.MmlistAdd, e.MmlistDel, e.MmlistDrain, e.Fetched, e.FetchedHead, e.FetchedInuse})
"""What a hook behind the unlock may say of one step."""

_WATCHERS: dict[type[e.Event], Callable[[Any, Any, int], None]] = {
    e.MmlistAdd: Locks._list_change,
    e.MmlistDel: Locks._list_change,
    e.Fetched: Locks._node,
    e.Mmput: Locks._put,
    e.UnuseMm: Locks._walk,
    e.SwapClear: Locks._unused,
    e.Mmget: Locks._met,
    e.MmlistVisit: Locks._met,
    e.TaskExit: Locks._gone,
    e.MmInit: Locks._another,
    e.MmFree: Locks._another,
}
