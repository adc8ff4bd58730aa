"""swapoff's walk of 2.6 kernels: for each slot that is in use, round mmlist until only the cache holds it.

Source: 2.6.9 and 2.6.10 mm/swapfile.c: try_to_unuse, unuse_process. 2.6.9 takes every member by atomic_inc, because
membership implies mm_users >= 1 there; 2.6.10 backs off where atomic_inc_return says 1.
"""

from __future__ import annotations

from collections.abc import Generator

from mmlist.replay.simulate.fault import bring_back
from mmlist.replay.simulate.kernel import Kernel
from mmlist.replay.simulate.machine import SLEEP, Steps, Task
from mmlist.replay.simulate.memory import Area, Mm, Oops, Poison
from mmlist.replay.simulate.swapcache import leave_cache, swapin
from mmlist.replay.simulate.swapoff import EINTR
from mmlist.replay.simulate.teardown import mmput

_INTERRUPTED = 0.02  # at each slot
_ROUNDS = 400


def try_to_unuse(k: Kernel, t: Task, area: Area) -> Generator[bool | None, None, int]:
    """The error number, 0 for none."""
    start: Mm = k.init_mm
    start.users += 1
    ret, rounds = 0, 0
    while area.inuse:
        offset = next(iter(area.slots), None)
        rounds += 1
        if rounds > _ROUNDS or k.chance(_INTERRUPTED):
            ret = EINTR
            break
        if offset is None:
            yield SLEEP
            continue
        if k.wrong("swapoff-gives-up"):
            break
        entry = k.entry(area, offset)
        start = yield from _unuse_entry(k, t, area, entry, start)
        yield SLEEP
    yield from mmput(k, t, start)
    return ret


def _unuse_entry(k: Kernel, t: Task, area: Area, entry: int, start: Mm) -> Generator[bool | None, None, Mm]:
    page = yield from swapin(k, t, entry, 0)
    if page is None:
        return start
    page.locked = False  # each holder locks it again; the slot stays, for the page is cached
    slot = k.slot(entry)
    assert slot is not None
    yield from k.lock(t, k.mmlist_lock)
    new_start = start
    new_start.users += 1
    prev = start
    prev.users += 1
    node, guard = start.next, 0
    while slot.count > 0 and node is not start:
        guard += 1
        if isinstance(node, Poison):
            raise Oops("try_to_unuse follows a poisoned node")
        if guard > 500:
            break
        assert isinstance(node, Mm)
        mm, node = node, node.next
        if mm is k.init_mm:  # shmem's entries are not simulated; it is held like any other
            mm.users += 1
            k.unlock(t, k.mmlist_lock)
            yield from mmput(k, t, prev)
            yield from k.lock(t, k.mmlist_lock)
            prev, node = mm, mm.next
            continue
        if mm.users == 0 and not k.old and not k.wrong("walk-takes-dead-mm"):
            k.say(t, "mmget", f"mm={mm.addr:#x} users=0")
            k.visit(t, mm, 0)
            continue
        if not k.wrong("walk-does-not-get"):
            mm.users += 1
        k.visit(t, mm, 1)
        k.unlock(t, k.mmlist_lock)
        if prev is k.init_mm or not k.wrong("walk-forgets-put"):
            yield from mmput(k, t, prev)
        yield from _unuse_process(k, t, mm, entry)
        yield from k.lock(t, k.mmlist_lock)
        prev, node = mm, mm.next
        if slot.count > 0 and node is not start and k.wrong("walk-stops-early"):
            break
    k.unlock(t, k.mmlist_lock)
    yield from mmput(k, t, prev)
    yield from mmput(k, t, start)
    if slot.count == 0:
        yield from k.lock_page(page)
        if slot.count == 0:
            leave_cache(k, t, page)
        page.locked = False
    return new_start


def _unuse_process(k: Kernel, t: Task, mm: Mm, entry: int) -> Steps:
    """mm/swapfile.c: unuse_process: look for `entry` in the page tables of `mm`."""
    yield from k.down_read(mm.sem)
    for va in [va for va, pte in mm.pte.items() if pte == entry]:
        yield from bring_back(k, t, mm, va, entry, "unuse")
    mm.sem.readers -= 1
