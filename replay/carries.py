"""Which steps a log shows as events of their own, by the names of the events that it carries.

What it cannot show the model works out, or does not know; it is never held against the kernel (model/core.py: Carries).
"""

from __future__ import annotations

from collections.abc import Mapping

from mmlist.replay.model import Carries

_UNRECORDED: dict[str, tuple[dict[str, int], ...]] = {
    "swap_clear": (
        {"swap_assign": 32, "swap_free": 8},
        {"swap_assign": 32, "mm_free": 16},
        {"swap_assign": 32, "exit_mmap": 16},
    ),
    "swap_assign": ({"swap_clear": 16},),
    "mmlist_add": ({"mmlist_del": 16},),
    "mmgrab": ({"mmdrop": 16},),
    "mmdrop": ({"mm_free": 4},),
    "kthread_unuse_mm": ({"kthread_use_mm": 2},),
    "unuse_mm": ({"use_mm": 2},),
}
"""An event of a pair that never comes counts as not recorded where these (one set of them) have come so often: it goes with them.

Of mmlist_add without mmlist_del nothing is concluded: a kernel that takes nobody off the list (M6) goes on for long.
"""
_MODERN: dict[str, tuple[dict[str, int], ...]] = {"swap_clear": ({"swap_assign": 4, "swap_free": 4},)}
"""The same of kernels whose swap cache counts nothing: there a free goes with a pte that lets go, or undoes a duplicate."""
_UNDONE = {"swap_duplicate": 64, "swap_clear": 16}
"""So many of one, and no free: frees, as pageout's undoing of a duplicate, count as not recorded."""


def carries(
    seen: Mapping[str, int],
    explicit: frozenset[str],
    text_names: frozenset[str],
    *,
    pure: bool,
    threads: bool,
    unuse_clears: bool,
    reborrows: bool = False,
    unsized: bool = False,
    swapoff_before: int = 0,
    found_26: bool,
    exact: bool = False,
) -> Carries:
    """What a log can say in which each event was `seen` so often; `explicit` are of layer A, `text_names` stand in its text.

    `pure`: it has no probes. `threads`: tasks share an mm (CLONE_VM). `unuse_clears`: swap_clear tells of swapoff's own
    releases. `reborrows`: a task borrowed an mm twice, and never gave one back. `unsized`: its probes on frees of several
    entries do not say how many. `swapoff_before`: as in Carries. `found_26`: its kernel is of before 5.10. `exact`: its
    capture counted what probes missed: none.
    """
    names = frozenset(seen)

    def has(*any_of: str) -> bool:
        return not names.isdisjoint(any_of)

    def says(name: str, pair: str) -> bool:
        # A log of layer A alone says both of a pair, but where its own events show that one was not recorded.
        ways = _UNRECORDED.get(name, ()) + (() if found_26 else _MODERN.get(name, ()))
        left_out = any(all(seen.get(sign, 0) >= least for sign, least in signs.items()) for signs in ways)
        return name in explicit or (pure and pair in explicit and (not left_out or name in text_names))

    clears = says("swap_clear", "swap_assign")
    frees = ("swap_free", "swap_free_nr", "folio_put_swap")
    returns = says("kthread_unuse_mm", "kthread_use_mm") or (found_26 and says("unuse_mm", "use_mm"))
    duplicates = has("swap_duplicate") or {"folio_dup_swap", "swap_dup_entry_direct"} <= names  # pageout's, and fork's
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
            and duplicates
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
        undos_named=not (names | text_names).isdisjoint(frees)
        or (pure and all(seen.get(name, 0) < most for name, most in _UNDONE.items())),
        frees_named=not unsized
        and has("swap_free", "swap_free_nr", "folio_put_swap")
        and has("free_swap_and_cache", "free_swap_and_cache_nr", "swap_put_entries_direct"),
        walks_visible=has("unuse_pte_range", "unuse_mm"),
        walk_returns=has("unuse_pte_range_ret", "unuse_mm_ret"),
        puts_visible=has("mmput"),
        exit_visible=has("exit_mmap"),
        exit_ret="exit_mmap_ret" in names,
        births=has("mm_init", "mm_init_ret"),
        frees=has("mm_free", "__mmdrop"),
        grabs_explicit=says("mmgrab", "mmdrop") and says("mmdrop", "mmgrab"),
        unborrows=has("kthread_unuse_mm") or (found_26 and has("unuse_mm")) or (returns and not reborrows),
        locks={"lock_acquire", "lock_release"} <= names | text_names,
        gets_explicit="mmput" in explicit and ("mmget" in explicit or not threads),
        puts_explicit="mmput" in explicit,
        swapoff_before=swapoff_before,
        visits_explicit="mmlist_visit" in explicit | text_names,
        explicit=explicit | ({"kthread_unuse_mm"} if found_26 and "unuse_mm" in explicit else set()),
        whole=pure or exact,
    )
