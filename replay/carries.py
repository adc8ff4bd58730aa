"""Which steps a log shows as events of their own, by the names of the events that it carries.

What it cannot show the model works out, or does not know; it is never held against the kernel (model/core.py: Carries).
"""

from __future__ import annotations

from collections.abc import Mapping

from mmlist.replay.model import Carries

_MANY = {
    "swap_assign": 64, "swap_clear": 64, "mmlist_del": 32, "mmgrab": 16, "mmdrop": 16, "kthread_use_mm": 8, "use_mm": 8,
}  # fmt: skip
"""So often one event of a pair must come, and the other never, before the other counts as not recorded.

Ptes let go long after they came; what a task grabs or borrows it soon gives back. Of mmlist_add without mmlist_del nothing
is concluded: a kernel that takes nobody off the list (M6) goes on for long.
"""
_WALKS = 3
"""So many swapoffs, and no mmlist_visit: the visits count as not recorded."""


def carries(
    seen: Mapping[str, int],
    explicit: frozenset[str],
    text_names: frozenset[str],
    *,
    pure: bool,
    threads: bool,
    unuse_clears: bool,
    unsized: bool = False,
    found_26: bool,
) -> Carries:
    """What a log can say in which each event was `seen` so often; `explicit` are of layer A, `text_names` stand in its text.

    `pure`: it has no probes. `threads`: tasks share an mm (CLONE_VM).
    `unuse_clears`: swap_clear tells of swapoff's own releases. `unsized`: its probes on frees of several entries do not
    say how many. `found_26`: its kernel is of before 5.10.
    """
    names = frozenset(seen)

    def has(*any_of: str) -> bool:
        return not names.isdisjoint(any_of)

    def says(name: str, pair: str) -> bool:
        # A log of layer A alone says both of a pair, if it is not long: what never comes in a long one was not recorded.
        paired = pair not in _MANY or seen.get(pair, 0) < _MANY[pair] or name in text_names
        return name in explicit or (pure and pair in explicit and paired)

    clears = says("swap_clear", "swap_assign")
    borrowed = [seen[name] < _MANY[name] for name in ("kthread_use_mm", "use_mm") if name in explicit]
    returned = not text_names.isdisjoint(("kthread_unuse_mm", "unuse_mm"))
    walks = "mmlist_visit" in explicit | text_names or seen.get("swapoff", 0) < _WALKS
    duplicates = has("swap_duplicate", "folio_dup_swap", "swap_dup_entry_direct")
    joins = says("mmlist_add", "mmlist_del")
    faults = has("swap_free", "swap_free_nr", "__swap_entry_free_ret", "folio_put_swap")
    zaps = has(
        "free_swap_and_cache", "free_swap_and_cache_nr", "__swap_entry_free_ret", "swap_put_entries_direct"
    ) or "swap_free" in explicit  # fmt: skip
    return Carries(
        joins_explicit=joins,
        leaves_explicit=says("mmlist_del", "mmlist_add"),
        assigns_explicit=says("swap_assign", "swap_clear"),
        clears_explicit=clears,
        unuse_clears=unuse_clears or (clears and pure),
        unuse_visible=unuse_clears
        or (clears and pure)
        or not (names | text_names).isdisjoint(("unuse_pte_range", "unuse_mm")),
        drain_explicit="mmlist_drain" in explicit,
        joins_visible=joins
        or "swap_assign" in explicit
        or (
            {"try_to_unmap_one", "try_to_unmap_one_ret"} <= names
            and ({"copy_page_range", "copy_page_range_ret"} <= names or {"dup_mmap", "dup_mmap_ret"} <= names)
            and (has("swap_duplicate") or {"folio_dup_swap", "swap_dup_entry_direct"} <= names)
        ),
        releases_visible=clears or (faults and zaps and not pure),
        duplicates_visible=duplicates,
        duplicates_sure="swap_duplicate" in explicit or {"swap_duplicate", "swap_duplicate_ret"} <= names,
        counts_visible=duplicates and faults and zaps,
        counts_explicit={"swap_duplicate", "swap_free"} <= explicit,
        swapons_visible={"swapon", "swapon_ret"} <= names | text_names,
        swapoffs_visible="swapoff" in names | text_names,  # one that never returns has no swapoff_ret
        swapoffs_complete={"swapoff", "swapoff_ret"} <= names | text_names,
        allocs_visible="swap_alloc" in explicit,
        usage_visible=has("__swap_entry_free_ret"),
        undos_named=has("swap_free", "swap_free_nr", "folio_put_swap"),
        frees_named=not unsized
        and has("swap_free", "swap_free_nr", "folio_put_swap")
        and has("free_swap_and_cache", "free_swap_and_cache_nr", "swap_put_entries_direct"),
        walks_visible=has("unuse_pte_range", "unuse_mm"),
        puts_visible=has("mmput"),
        exit_visible=has("exit_mmap"),
        exit_ret="exit_mmap_ret" in names,
        births=has("mm_init", "mm_init_ret"),
        frees=has("mm_free", "__mmdrop"),
        grabs_explicit=says("mmgrab", "mmdrop") and says("mmdrop", "mmgrab"),
        unborrows=has("kthread_unuse_mm")
        or (found_26 and has("unuse_mm"))
        or (pure and bool(borrowed) and (all(borrowed) or returned)),
        locks={"lock_acquire", "lock_release"} <= names | text_names,
        gets_explicit="mmput" in explicit and ("mmget" in explicit or not threads) and walks,
    )
