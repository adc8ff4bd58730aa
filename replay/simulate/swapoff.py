"""swapon, and swapoff of a modern kernel: close the area, walk mmlist until nothing is left, drain the list.

Source: mm/swapfile.c: SYSCALL swapon, SYSCALL swapoff, try_to_unuse, unuse_mm, drain_mmlist.
"""

from __future__ import annotations

from collections.abc import Callable, Generator

from mmlist.replay.simulate.fault import bring_back
from mmlist.replay.simulate.kernel import Kernel
from mmlist.replay.simulate.machine import SLEEP, Steps, Task
from mmlist.replay.simulate.memory import Area, Mm, Oops, Poison
from mmlist.replay.simulate.mmlist import remove
from mmlist.replay.simulate.swapcache import leave_cache
from mmlist.replay.simulate.teardown import mmput

EINTR = 4
_RACE = 120  # steps: how long the CPU is held up between the look and the removals
ENODEV = 19
_INTERRUPTED = 0.12
_AT_ONE_MM = 0.4  # where a signal is on its way, the share of mms at which it comes
_LETTERS = "abcdefghij"

_RETURNED = "(do_syscall_64+0x5d/0xb0 <- __x64_sys_swapoff)"
Walk = Callable[[Kernel, Task, Area], Generator[bool | None, None, int]]


def swapon(k: Kernel, t: Task) -> Steps:
    """Take the lowest type that is free."""
    paths = {area.path for area in k.areas if area.used}
    path = next(k.layout.paths.format(letter) for letter in _LETTERS if k.layout.paths.format(letter) not in paths)
    area = next(area for area in k.areas if not area.used)
    k.tell(t, "swapon", f'(__x64_sys_swapon+0x0/0x20) path="{path}" flags=0x0 {k.fetch_head()}')
    k.say(t, "swapon", f'type={area.type} path="{path}"')
    yield None
    area.path, area.used, area.cursor = path, True, 1
    area.slots.clear()
    area.reserved.clear()
    area.inuse = 0
    area.unusing = False
    area.writeok = True
    yield None
    k.say(t, "swapon_ret", f"ret=0 type={area.type}")
    k.tell(t, "swapon_ret", "(do_syscall_64+0x5d/0xb0 <- __x64_sys_swapon) ret=0")


def swapoff(k: Kernel, t: Task, area: Area, try_to_unuse: Walk) -> Steps:
    """Close `area`; `try_to_unuse` is the profile's walk."""
    place = "(__x64_sys_swapoff+0x0/0x10)"
    k.tell(t, "swapoff", f'{place} path="{area.path}" {k.fetch_head()} {k.fetch_inuse()}')
    k.say(t, "swapoff", f'type={area.type} path="{area.path}"')
    yield None
    yield from k.lock(t, k.swap_lock)
    if not area.writeok:  # lost by a swapoff that failed: not among the areas in use
        k.unlock(t, k.swap_lock)
        k.say(t, "swapoff_ret", "ret=-22")
        k.tell(t, "swapoff_ret", f"{_RETURNED} ret=-22 {k.fetch_head()} {k.fetch_inuse()}")
        return
    area.writeok = False
    area.unusing = True
    k.unlock(t, k.swap_lock)
    for other in k.areas:  # disable_swap_slots_cache_lock
        other.inuse -= len(other.reserved)
        other.reserved.clear()
    yield None
    k.say(t, "try_to_unuse", f"type={area.type}")
    ret = yield from try_to_unuse(k, t, area)
    k.say(t, "try_to_unuse_ret", f"ret={-ret}")
    if ret and k.wrong("drains-after-failure"):
        yield from drain_mmlist(k, t, looks=False)
    if ret and not k.wrong("failed-swapoff-succeeds"):
        yield from k.lock(t, k.swap_lock)
        area.unusing = False
        area.writeok = not k.wrong("failed-swapoff-leaves-closed")
        k.unlock(t, k.swap_lock)
    else:
        ret = 0
        yield from _close(k, t, area)
    yield None
    k.say(t, "swapoff_ret", f"ret={-ret} type={area.type}")
    k.tell(t, "swapoff_ret", f"{_RETURNED} ret={-ret} {k.fetch_head()} {k.fetch_inuse()}")


def _close(k: Kernel, t: Task, area: Area) -> Steps:
    yield None
    unlocked = k.wrong("drain-without-swap_lock")
    if k.wrong("drain-takes-swap_lock-late"):
        yield from k.lock(t, k.mmlist_lock)
        yield from k.lock(t, k.swap_lock)
        k.unlock(t, k.mmlist_lock)
    elif not unlocked:
        yield from k.lock(t, k.swap_lock)
    if not (k.old or k.wrong("does-not-drain")):
        yield from drain_mmlist(k, t)
    area.used = area.unusing = False
    if not unlocked:
        k.unlock(t, k.swap_lock)


def drain_mmlist(k: Kernel, t: Task, *, looks: bool = True) -> Steps:
    """Empty the list if no area is in use, or, if it does not look, whatever is.

    The look and the removals are one step here: see the bug drain-races-alloc.

    Modern kernels let an allocation come between the two (no lock excludes it); a history in which it does is not
    correct, only rare.
    """
    busy = next((area.type for area in k.areas if area.used and area.inuse), -1)
    if not looks:
        busy = -1
    if (busy >= 0 and k.wrong("drain-ignores-inuse")) or (busy > 0 and k.wrong("drain-looks-at-first-area")):
        busy = -1
    k.say(t, "mmlist_drain", f"busy_type={busy} {k.fetch_head() if k.ring.hooks else k.fetch_inuse()}")
    if busy >= 0:
        return
    if k.bug_name == "drain-races-alloc":
        k.calm = False
        for _ in range(_RACE):
            yield None
        if any(area.inuse for area in k.areas):
            k.wrong("drain-races-alloc")
    unlocked = k.init_mm.next is not k.init_mm and k.wrong("drain-unlocked")
    if not unlocked:
        yield from k.lock(t, k.mmlist_lock)
    node, guard = k.init_mm.next, 0
    while node is not k.init_mm:
        if isinstance(node, Poison) or guard > 10_000:
            raise Oops("drain_mmlist follows a broken list")
        guard += 1
        assert isinstance(node, Mm)
        if k.wrong("drain-skips-a-member"):
            node = node.next
            continue
        following = node.next
        remove(k, t, node, "drain")
        node = following
    if not unlocked:
        k.unlock(t, k.mmlist_lock)


def try_to_unuse(k: Kernel, t: Task, area: Area) -> Generator[bool | None, None, int]:
    """Passes over mmlist until the area is empty or a signal is pending; the error number, 0 for none."""
    killed = k.chance(_INTERRUPTED)
    passes = 0
    while area.inuse:
        passes += 1
        k.tell(t, "shmem_unuse", f"(shmem_unuse+0x0/0x160) type={area.type}")
        if k.wrong("swapoff-gives-up"):
            return 0
        signalled = yield from _walk(k, t, area, killed)
        if not signalled:
            yield from _sweep(k, t, area)
        if area.inuse and (signalled or passes > 400):
            return EINTR
        yield SLEEP
    return 0


def _walk(k: Kernel, t: Task, area: Area, killed: bool) -> Generator[bool | None, None, bool]:
    k.init_mm.users += 1
    prev: Mm = k.init_mm
    yield from k.lock(t, k.mmlist_lock)
    node, guard, signalled = k.init_mm.next, 0, False
    while area.inuse and node is not k.init_mm:
        signalled = killed and k.chance(_AT_ONE_MM)
        if signalled:
            break
        guard += 1
        if isinstance(node, Poison):
            raise Oops("try_to_unuse follows a poisoned node")
        if guard > 500:
            break  # a ring apart from init_mm: the kernel would spin here for ever
        assert isinstance(node, Mm)
        mm = node
        if mm.users == 0 and not k.wrong("walk-takes-dead-mm"):
            k.visit(t, mm, 0)
            node = mm.next
            continue
        if k.wrong("walk-skips-a-member"):
            k.visit(t, mm, 0)
            node = mm.next
            continue
        holds = not k.wrong("walk-does-not-get")
        if holds:
            mm.users += 1
        k.visit(t, mm, 1)
        if prev is k.init_mm or not k.wrong("walk-puts-under-lock"):
            k.unlock(t, k.mmlist_lock)
            yield from _put(k, t, prev)
            yield from unuse_mm(k, t, mm, area)
            yield from k.lock(t, k.mmlist_lock)
        else:
            yield from _put(k, t, prev)
            k.unlock(t, k.mmlist_lock)
            yield from unuse_mm(k, t, mm, area)
            yield from k.lock(t, k.mmlist_lock)
        prev = mm
        node = mm.next
        if node is not k.init_mm and k.wrong("walk-stops-early"):
            break
        if node is mm:  # drained meanwhile: by nobody here, but a bug may have
            break
    k.unlock(t, k.mmlist_lock)
    yield from _put(k, t, prev)
    return signalled


def _put(k: Kernel, t: Task, mm: Mm) -> Steps:
    if mm is k.init_mm or not k.wrong("walk-forgets-put"):
        yield from mmput(k, t, mm)


def unuse_mm(k: Kernel, t: Task, mm: Mm, area: Area) -> Steps:
    """Bring back all of `mm` that is on `area`."""
    yield from k.down_read(mm.sem)
    yield None
    skipped = k.bug_name == "unuse-skips-entries"
    for vma in sorted({va >> 3 for va in mm.pte}):
        place = f"(unuse_pte_range+0x0/0x900) mm={mm.addr:#x} vma={0xFF11_0000_0600_0000 + vma * 0x98:#x}"
        k.tell(t, "unuse_pte_range", f"{place} addr={vma << 15:#x} type={area.type} {k.fetch(mm)}")
        yield None
        for va in range(vma << 3, (vma << 3) + 8):
            entry = mm.pte.get(va)
            if isinstance(entry, int) and entry >> k.layout.type_shift == area.type:
                if skipped and k.wrong("unuse-skips-entries"):
                    continue
                yield from bring_back(k, t, mm, va, entry, "unuse")
        k.tell(t, "unuse_pte_range_ret", "(__do_sys_swapoff+0x6ec/0xf40 <- unuse_pte_range) ret=0")
    mm.sem.readers -= 1


def _sweep(k: Kernel, t: Task, area: Area) -> Steps:
    """What only the cache has left (find_next_to_unuse)."""
    for slot in list(area.slots.values()):
        page = slot.cache
        if slot.count == 0 and page is not None:
            yield from k.lock_page(page)
            if slot.count == 0 and slot.cache is page:
                leave_cache(k, t, page)
            page.locked = False
