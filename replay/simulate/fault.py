"""Pages come back: a fault on an entry, and the same for swapoff. Fresh pages and writes to shared ones as well.

Source: mm/memory.c: do_swap_page, do_anonymous_page, do_wp_page; mm/swapfile.c: unuse_pte.
"""

from __future__ import annotations

from mmlist.replay.simulate.kernel import Kernel
from mmlist.replay.simulate.machine import Steps, Task
from mmlist.replay.simulate.memory import Mm, Page
from mmlist.replay.simulate.swapcache import leave_cache, let_go, swap_free, swapin

_WHY = {"fault": "2", "unuse": "3"}


def touch(k: Kernel, mm: Mm, va: int) -> None:
    """A write: nothing there gets a page, a shared page is copied, an own one stays. No event tells of it."""
    pte = mm.pte.get(va)
    if pte is None:
        page = mm.pte[va] = Page(va)
        page.maps[mm] = None
    elif not isinstance(pte, int) and len(pte.maps) > 1 and not pte.locked:
        pte.maps.pop(mm, None)
        page = mm.pte[va] = Page(va)
        page.maps[mm] = None


def do_swap_page(k: Kernel, t: Task, mm: Mm, va: int) -> Steps:
    """The task touches a page that is out."""
    yield from k.down_read(mm.sem)
    entry = mm.pte.get(va)
    if isinstance(entry, int):
        yield from bring_back(k, t, mm, va, entry, "fault")
    mm.sem.readers -= 1


def bring_back(k: Kernel, t: Task, mm: Mm, va: int, entry: int, why: str) -> Steps:
    """Read the page of `entry` and put it in the entry's place at `va`; `why` is fault or unuse."""
    page = yield from swapin(k, t, entry, va)
    if page is None:
        return
    ptl = k.ptl(mm, va)
    yield from k.lock(t, ptl)
    if mm.pte.get(va) == entry:
        mm.pte[va] = page
        page.maps[mm] = None
        number = _WHY[why] if k.ring.hooks else why
        if why == "fault" or not k.ring.hooks:
            k.say(t, "swap_clear", f"mm={mm.addr:#x} entry={entry:#x} why={number}")
        if not k.wrong(f"{why}-does-not-free"):
            if why == "fault":
                k.tell(t, "swap_free", f"(swap_free+0x0/0x30) entry={entry:#x}")
                yield None
            swap_free(k, t, entry, "do_swap_page+0x30e/0x9f0" if why == "fault" else "unuse_pte_range+0x2f3/0x900")
            if why == "fault" and k.wrong("fault-frees-twice"):
                swap_free(k, t, entry, "do_swap_page+0x30e/0x9f0")
    k.unlock(t, ptl)
    slot = k.slot(entry)
    if slot is not None and slot.count == 0 and slot.cache is page and (why == "unuse" or k.chance(0.5)):
        leave_cache(k, t, page)  # folio_free_swap
    let_go(k, page)
