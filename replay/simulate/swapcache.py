"""Swap slots and the swap cache: handing a slot out, counting it, reading a page in, letting it go.

Source: mm/swapfile.c, mm/swap_state.c, mm/swap_slots.c. Since 2.6.31 the cache is a flag of the slot; before, it holds
one of the count, so taking it in and letting it go are a swap_duplicate and a swap_free (`cache in the count`).
"""

from __future__ import annotations

from collections.abc import Generator

from mmlist.replay.simulate.kernel import Kernel
from mmlist.replay.simulate.machine import Steps, Task
from mmlist.replay.simulate.memory import Page, Slot

HAS_CACHE = 0x40


def add_to_swap(k: Kernel, t: Task, page: Page) -> Generator[bool | None, None, bool]:
    """Give `page` a slot and put it into the cache; False where no area has one (mm/swap_state.c: add_to_swap)."""
    if not k.modern:
        yield from k.lock(t, k.swap_lock)
    found = False
    for area in k.areas if k.chance(0.7) else reversed(k.areas):
        if not (area.used and (area.writeok or (area.unusing and k.wrong("allocates-while-unusing")))):
            continue
        offset = k.reserve_slots(area)
        if offset is None:
            continue
        held = [o for o, s in area.slots.items() if s.count > 0] if k.bug_name == "reuses-held-slot" else []
        if held and k.wrong("reuses-held-slot"):
            area.inuse -= 1
            offset = held[0]
        if k.wrong("alloc-does-not-count"):
            area.inuse -= 1
        slot = area.slots[offset] = Slot()
        slot.cache = page
        page.entry = k.entry(area, offset)
        k.say(t, "swap_alloc", f"entry={page.entry:#x}")
        found = True
        break
    if not k.modern:
        k.unlock(t, k.swap_lock)
    if found:
        yield None
        k.tell(t, "folio_alloc_swap_ret", f"(add_to_swap+0xf/0x60 <- folio_alloc_swap) entry={page.entry:#x}")
    return found


def swap_duplicate(k: Kernel, t: Task, entry: int) -> Generator[bool | None, None, bool]:
    """One pte more holds `entry`; False where that is free (mm/swapfile.c: swap_duplicate)."""
    k.tell(t, "swap_duplicate", f"(swap_duplicate+0x0/0x40) entry={entry:#x}")
    yield None
    slot = k.slot(entry)
    if slot is not None:
        slot.count += 1
        k.say(t, "swap_duplicate", f"entry={entry:#x}")
    ret = 0 if slot is not None else -22
    k.tell(t, "swap_duplicate_ret", f"(try_to_unmap_one+0x652/0xd00 <- swap_duplicate) ret={ret}")
    return slot is not None


def swap_free(k: Kernel, t: Task, entry: int, caller: str) -> None:
    """One pte less holds `entry`; `caller` is the return address that __swap_entry_free's return probe shows."""
    slot = k.slot(entry)
    k.say(t, "swap_free", f"entry={entry:#x}")
    if slot is None:
        usage = 255
    else:
        slot.count -= 1
        usage = slot.count & 0xFF | (HAS_CACHE if slot.cache is not None else 0)
    k.tell(t, "__swap_entry_free_ret", f"({caller} <- __swap_entry_free) usage={usage}")
    k.release_slot(entry)


def leave_cache(k: Kernel, t: Task, page: Page) -> None:
    """The swap cache lets go of `page`, which the caller has locked (mm/swap_state.c: delete_from_swap_cache)."""
    entry = page.entry
    if entry is None:
        return
    slot = k.slot(entry)
    page.entry = None
    k.tell(t, "put_swap_folio", f"(put_swap_folio+0x0/0x370) folio={page_address(page):#x} entry={entry:#x}")
    if not k.modern:
        k.say(t, "swap_free", f"entry={entry:#x}")
    if slot is not None and slot.cache is page:
        slot.cache = None
        k.release_slot(entry)


def page_address(page: Page) -> int:
    """Where the struct page lies: nobody's identity, only something to print."""
    return 0xFFD4_0000_0000_0000 + (page.va * 0x1F3 & 0xFFFFF) * 0x40


def swapin(k: Kernel, t: Task, entry: int, va: int) -> Generator[bool | None, None, Page | None]:
    """The page of `entry`, locked, read if no cache has it; None if the entry is gone meanwhile."""
    slot = k.slot(entry)
    if slot is None:
        return None
    page = slot.cache
    if page is None:
        page = slot.cache = Page(va)
        page.entry = entry
        if not k.modern:
            k.say(t, "swap_duplicate", f"entry={entry:#x}")
    yield from k.lock_page(page)
    if page.entry != entry:
        page.locked = False
        return None
    return page


def let_go(k: Kernel, page: Page) -> None:
    """Unlock; a page that is mapped by nobody waits in the cache for reclaim."""
    page.locked = False
    if not page.maps and page.entry is not None:
        k.cached.append(page)


def reclaim_cached(k: Kernel, t: Task) -> Steps:
    """kswapd frees a page that only the swap cache has (mm/vmscan.c: remove_mapping)."""
    if not k.cached:
        return
    at = int(k.random.random() * len(k.cached))
    k.cached[at], k.cached[-1] = k.cached[-1], k.cached[at]
    page = k.cached.pop()
    if page.locked or page.maps or page.entry is None:
        return
    page.locked = True
    yield None
    if not page.maps:
        leave_cache(k, t, page)
    page.locked = False
