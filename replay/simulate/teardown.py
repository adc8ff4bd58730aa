"""The end of an mm: mmput, __mmput, exit_mmap, and the unmapping that munmap shares with them.

Source: kernel/fork.c: mmput, __mmput; mm/mmap.c: exit_mmap; mm/memory.c: zap_pte_range.
"""

from __future__ import annotations

from mmlist.replay.simulate.kernel import Kernel
from mmlist.replay.simulate.machine import SLEEP, Steps, Task
from mmlist.replay.simulate.memory import Mm
from mmlist.replay.simulate.mmlist import remove, remove_at_end
from mmlist.replay.simulate.swapcache import leave_cache, let_go, swap_free


def mmput(k: Kernel, t: Task, mm: Mm, name: str = "mmput") -> Steps:
    """One user less; the last one tears the address space down. `name` mmput_async leaves that to a kworker."""
    yield from k.probe(t, name, f"{name}+0x0/0x30", mm)
    yield None
    if k.old:
        yield from _mmput_26_9(k, t, mm)
        return
    users = mm.users
    mm.users -= 1
    if mm is not k.init_mm:
        k.say(t, "mmput", f"mm={mm.addr:#x} users={users}")
    if mm.users == 0:
        if name == "mmput_async":
            k.deferred.append(mm)
        else:
            yield from __mmput(k, t, mm)


def _mmput_26_9(k: Kernel, t: Task, mm: Mm) -> Steps:
    """atomic_dec_and_lock: the step to 0 and the removal are one, under mmlist_lock (2.6.9 kernel/fork.c: mmput)."""
    users = mm.users
    if users > 1:
        mm.users -= 1
        if mm is not k.init_mm:
            k.say(t, "mmput", f"mm={mm.addr:#x} users={users} nr={k.nr}")
        return
    unlocked = k.wrong("mmput-removes-unlocked")
    if not unlocked:
        yield from k.lock(t, k.mmlist_lock)
    if k.bug_name == "mmput-tests-zero-unlocked":
        yield None
    users = mm.users
    mm.users -= 1
    last = mm.users == 0
    late = last and k.wrong("removed-after-exit_mmap")
    removes = last and not late and not k.wrong("mmput-does-not-remove")
    k.say(t, "mmput", f"mm={mm.addr:#x} users={users} nr={k.nr - (1 if removes else 0)}")
    if removes:
        remove(k, t, mm, "mmput")
    if not unlocked:
        k.unlock(t, k.mmlist_lock)
    if last:
        yield from __mmput(k, t, mm, late)


def __mmput(k: Kernel, t: Task, mm: Mm, late: bool = False) -> Steps:
    """kernel/fork.c: __mmput; `late`: 2.6.9 with the removal of later kernels."""
    yield from k.probe(t, "__mmput_begin", "uprobe_clear_state+0x0/0x110", mm)
    while mm.borrowers and not k.modern and k.bug_name != "exit_aio-does-not-wait":
        yield SLEEP  # exit_aio waits for the requests under way
    if k.bug_name == "exit_aio-does-not-wait" and mm.borrowers:
        k.wrong("exit_aio-does-not-wait")
    early = not k.old and k.listed(mm) and k.wrong("removed-before-exit_mmap")
    if early:
        yield from remove_at_end(k, t, mm)
    yield None
    yield from exit_mmap(k, t, mm)
    if k.wrong("exit_mmap-twice"):
        yield from exit_mmap(k, t, mm)
    yield None
    if (not k.old and not early) or late:
        yield from remove_at_end(k, t, mm)
    if mm.users == 0 and mm.count == 1 and k.wrong("drops-before-removal"):
        pass
    yield from k.probe(t, "__mmput_end", "lru_gen_del_mm+0x0/0x1c0", mm, f" {k.fetch_head()}")
    k.mmdrop(t, mm)
    if mm.born and k.wrong("mmdrop-twice"):
        k.mmdrop(t, mm)


def exit_mmap(k: Kernel, t: Task, mm: Mm) -> Steps:
    """Unmap all that `mm` still has."""
    yield from k.probe(t, "exit_mmap", "exit_mmap+0x0/0x310", mm)
    k.say(t, "exit_mmap", f"mm={mm.addr:#x}")
    yield None
    left = k.bug_name == "exit_mmap-leaves-entries" and any(isinstance(pte, int) for pte in mm.pte.values())
    if not (left and k.wrong("exit_mmap-leaves-entries")):
        while mm.pte:
            yield from zap(k, t, mm, next(iter(mm.pte)))
    mm.pte.clear()
    yield None
    k.say(t, "exit_mmap_ret", f"mm={mm.addr:#x}")


def zap(k: Kernel, t: Task, mm: Mm, va: int) -> Steps:
    """Unmap one page, or give back one entry, under the page table lock."""
    ptl = k.ptl(mm, va)
    yield from k.lock(t, ptl)
    pte = mm.pte.pop(va, None)
    if isinstance(pte, int):
        slot = k.slot(pte)
        if not k.wrong("zap-does-not-free"):
            k.tell(t, "free_swap_and_cache", f"(free_swap_and_cache+0x0/0x100) entry={pte:#x}")
            k.say(t, "swap_clear", f"mm={mm.addr:#x} entry={pte:#x} why={'1' if k.ring.hooks else 'zap'}")
            yield None
            swap_free(k, t, pte, "free_swap_and_cache+0x53/0x100")
            if k.wrong("zap-frees-twice"):
                swap_free(k, t, pte, "free_swap_and_cache+0x53/0x100")
            if slot is not None and slot.count == 0 and slot.cache is not None and not slot.cache.locked:
                leave_cache(k, t, slot.cache)
        else:
            k.say(t, "swap_clear", f"mm={mm.addr:#x} entry={pte:#x} why={'1' if k.ring.hooks else 'zap'}")
    elif pte is not None:
        pte.maps.pop(mm, None)
        if not pte.maps and not pte.locked:
            let_go(k, pte)
    k.unlock(t, ptl)
