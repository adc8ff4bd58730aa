"""Reclaim: a page gets a slot, each mm that maps it gets the entry in its place, the page is written and freed.

Source: mm/vmscan.c: shrink_folio_list; mm/rmap.c: try_to_unmap_one.
"""

from __future__ import annotations

from mmlist.replay.simulate.kernel import Kernel
from mmlist.replay.simulate.machine import SLEEP, Steps, Task
from mmlist.replay.simulate.memory import Mm, Page
from mmlist.replay.simulate.mmlist import join
from mmlist.replay.simulate.swapcache import add_to_swap, leave_cache, let_go, page_address, swap_duplicate, swap_free

_ABORTS = 0.02
_STAYS_CACHED = 0.4


def pick_page(k: Kernel) -> Page | None:
    """Some page that an mm maps."""
    for _ in range(4):
        if not k.mms:
            return None
        mm = k.mms[int(k.random.random() * len(k.mms))]
        if mm.born and mm.pte:
            pages = [pte for pte in mm.pte.values() if not isinstance(pte, int)]
            if pages:
                return pages[int(k.random.random() * len(pages))]
    return None


def pageout(k: Kernel, t: Task, page: Page) -> Steps:
    """Page `page` out of all that map it."""
    if page.locked or not page.maps:
        return
    page.locked = True
    yield None
    if page.entry is None and not (yield from add_to_swap(k, t, page)):
        let_go(k, page)
        return
    for mm in list(page.maps):
        yield None
        if mm in page.maps:
            yield from try_to_unmap_one(k, t, page, mm)
    if page.maps:
        page.locked = False
        return
    yield SLEEP  # writeback
    if k.chance(_STAYS_CACHED):
        let_go(k, page)
    else:
        leave_cache(k, t, page)
        page.locked = False


def try_to_unmap_one(k: Kernel, t: Task, page: Page, mm: Mm) -> Steps:
    """`mm` gets the entry of `page` in the page's place: duplicate, join, assign, under the page table lock."""
    entry = page.entry
    assert entry is not None
    if k.ring.probes:
        line = k.reserve(t, "try_to_unmap_one")
        place = f"(try_to_unmap_one+0x0/0xd00) folio={page_address(page):#x} addr={page.va << 12:#x}"
        k.ring.fill(line, f"{place} mm={mm.addr:#x} {k.fetch(mm)}")
    yield None
    ptl = k.ptl(mm, page.va)
    yield from k.lock(t, ptl)
    done = True
    if mm.pte.get(page.va) is page:
        if k.wrong("pageout-joins-before-duplicate"):
            yield from join(k, t, mm, k.init_mm, "pageout")
            yield None
        if not k.wrong("pageout-does-not-duplicate"):
            done = yield from swap_duplicate(k, t, entry)
        aborts = done and k.modern and k.chance(_ABORTS)
        if done and not aborts:
            late = k.listed(mm) is False and k.wrong("pageout-joins-after-assign")
            if not late:
                yield from join(k, t, mm, k.init_mm, "pageout")
            yield None
            mm.pte[page.va] = entry
            page.maps.pop(mm, None)
            k.say(t, "swap_assign", f"mm={mm.addr:#x} entry={entry:#x} why={'1' if k.ring.hooks else 'unmap'}")
            if late:
                k.unlock(t, ptl)
                for _ in range(40):
                    yield SLEEP
                yield from k.lock(t, ptl)
                yield from join(k, t, mm, k.init_mm, "pageout")
        elif done:  # sharing the exclusive page failed: the entry is put back, the pte stays (5.19 and later)
            if not k.wrong("pageout-keeps-duplicate"):
                k.tell(t, "swap_free", f"(swap_free+0x0/0x30) entry={entry:#x}")
                swap_free(k, t, entry, "try_to_unmap_one+0x8b2/0xd00")
            done = False
    k.unlock(t, ptl)
    k.tell(t, "try_to_unmap_one_ret", f"(rmap_walk_anon+0xe0/0x310 <- try_to_unmap_one) ret={int(done)}")
