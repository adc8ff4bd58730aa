"""The catalogue of seeded bugs: each is one step that goes wrong, found in the code by its name (Kernel.wrong).

`root` is the code of the invariant that names it; `also` those that an equally good checker may name first. `rate` is
the share of the steps that go wrong. `views` are those that can show it.
"""

from __future__ import annotations

import msgspec

ALL = ("modern", "2.6.10", "2.6.9")
SWAP_ONLY = ("modern", "2.6.10")
EVERY = ("explicit", "probes", "both")
EXPLICIT = ("explicit", "both")
_SLOW = 40_000


class Bug(msgspec.Struct, frozen=True):
    """One bug. `undone`: what the kernel should have done, in words, with its place."""

    name: str
    root: str
    undone: str
    profiles: tuple[str, ...] = SWAP_ONLY
    also: tuple[str, ...] = ()
    views: tuple[str, ...] = EVERY
    rate: float = 1.0
    locks: bool = False  # only lock events can show it
    pace: int = 12  # microseconds a step: what it takes for time to show it
    rare: bool = False  # it takes a long history to come to it


_CATALOGUE = (
    # The joins.
    Bug("pageout-does-not-join", "M1", "try_to_unmap_one puts the mm on mmlist", also=("M8",)),
    Bug("fork-does-not-join", "M1", "copy_page_range puts the child on mmlist"),
    Bug("pageout-joins-unchecked", "M2", "try_to_unmap_one looks whether the mm is on mmlist", rate=0.2, also=("M9",)),
    Bug("fork-joins-unchecked", "M2", "copy_page_range looks whether the child is on mmlist", rate=0.2, also=("M9",)),
    Bug("pageout-races-to-join", "M2", "the second look under mmlist_lock (2.6.15)", ("modern",), also=("M9",)),
    Bug("pageout-joins-before-duplicate", "M3", "try_to_unmap_one duplicates before it joins", views=EXPLICIT),
    Bug("fork-joins-before-duplicate", "M3", "copy_page_range duplicates before it joins", views=EXPLICIT),
    Bug("pageout-joins-after-assign", "M1", "the join comes before the pte is set", also=("M3",), rate=0.5),
    Bug("fork-joins-without-entry", "M8", "only swap entries make the child join (2014)", also=("M3",)),
    Bug("fork-joins-at-head", "M7", "the child stands right after its parent", ALL, views=EXPLICIT),
    Bug("pageout-joins-at-tail", "M7", "try_to_unmap_one adds at the head", views=EXPLICIT),
    Bug("mm_init-leaves-node", "M1", "mm_init does INIT_LIST_HEAD", also=("M9", "M8", "M11", "M2")),
    Bug("join-forgets-back-link", "M9", "list_add sets next->prev", also=("M1",), views=("probes", "both"), rate=0.3),
    # The removals.
    Bug("removed-before-exit_mmap", "M5", "mmput removes after exit_mmap"),
    Bug("mmput-does-not-remove", "M6", "mmput takes the mm off mmlist", ALL, also=("M5", "M10")),
    Bug("drain-ignores-inuse", "D1", "drain_mmlist looks at inuse_pages", rare=True),
    Bug("drain-looks-at-first-area", "D1", "drain_mmlist looks at every area", rare=True),
    Bug("drains-after-failure", "D2", "a swapoff that failed does not drain", also=("D1", "D8"), rare=True),
    Bug("does-not-drain", "D3", "swapoff drains when no area is in use", rare=True),
    Bug("drain-skips-a-member", "D3", "drain_mmlist empties the list", rate=0.5, rare=True),
    Bug(
        "drain-poisons",
        "D2",
        "drain_mmlist uses list_del_init",
        also=("M9", "M11", "M4"),
        views=("probes", "both"),  # explicit events show no pointers, and the next walk ends in an oops
        rare=True,
    ),
    Bug(
        "drain-races-alloc",
        "D4",
        "no entry is handed out between the drain's look and its removals",
        profiles=("modern",),
        also=("M1",),
        rare=True,
    ),
    # The counts.
    Bug(
        "thread-without-get", "C1", "copy_mm takes a user for the thread", ALL, also=("C2", "C3", "C4", "B3"), rate=0.5
    ),
    Bug("reader-puts-twice", "C1", "a /proc reader puts once", ALL, also=("C2", "C3", "C4", "B3"), rate=0.5),
    Bug("reader-forgets-put", "C6", "a /proc reader puts what it got", ALL, rate=0.3, pace=_SLOW),
    Bug("exit-forgets-put", "C6", "exit_mm puts the mm", ALL, rate=0.3, pace=_SLOW),
    Bug("exit_mmap-twice", "C3", "__mmput runs exit_mmap once", ALL),
    Bug("mmdrop-twice", "C5", "__mmput drops one reference", ALL, rate=0.3, also=("C4",)),
    Bug(
        "get_task_mm-raises-dead", "C2", "get_task_mm refuses an mm without users", ("2.6.9",), also=("C3",), rare=True
    ),
    # swapoff's walk.
    Bug("walk-takes-dead-mm", "D9", "try_to_unuse skips an mm without users", also=("C2",), rare=True),
    Bug(
        "walk-does-not-get",
        "C1",
        "try_to_unuse takes a user of what it walks",
        ALL,
        also=("C2", "C3", "C4", "D9", "B3"),
    ),
    Bug("walk-forgets-put", "C6", "try_to_unuse puts the mm that it leaves", ALL, rate=0.5, pace=_SLOW),
    Bug("walk-puts-under-lock", "L3", "mmlist_lock is dropped before mmput", ("modern",), locks=True, views=EXPLICIT),
    Bug("walk-stops-early", "D6", "the walk goes round the list", ALL, rare=True),
    Bug("walk-skips-a-member", "D6", "the walk takes every living mm", ("modern",)),
    Bug("unuse-skips-entries", "D6", "unuse_mm brings back all that the mm has on the area", ("modern",), rare=True),
    Bug("swapoff-gives-up", "D5", "swapoff succeeds only when nothing is left", ALL),
    Bug("failed-swapoff-succeeds", "D5", "swapoff returns the error of try_to_unuse", ALL, rare=True),
    Bug("failed-swapoff-leaves-closed", "D8", "a swapoff that failed opens the area again", ALL, rare=True),
    Bug("allocates-while-unusing", "D7", "no slot is handed out once the area is closed", ALL, also=("D5",), rare=True),
    # The entries.
    Bug("pageout-does-not-duplicate", "S1", "try_to_unmap_one duplicates the entry", ALL, also=("M3", "S2")),
    Bug("fork-does-not-duplicate", "S1", "copy_page_range duplicates the entry", ALL),
    Bug(
        "fork-duplicates-twice",
        "S1",
        "copy_page_range duplicates once",
        ("modern",),
        also=("D6",),
        rate=0.3,
        views=EXPLICIT,
    ),
    Bug(
        "pageout-keeps-duplicate",
        "S1",
        "pageout that gives up frees the entry",
        ("modern",),
        also=("D6",),
        rate=0.3,
        views=EXPLICIT,
    ),
    Bug("zap-does-not-free", "S1", "zap_pte_range frees the entry", ALL, also=("D6",), rate=0.3),
    Bug("zap-frees-twice", "S1", "zap_pte_range frees the entry once", ALL, rate=0.3, also=("S2", "S4")),
    Bug("fault-does-not-free", "S1", "do_swap_page frees the entry", ALL, also=("D6",), rate=0.3),
    Bug("fault-frees-twice", "S1", "do_swap_page frees the entry once", ALL, rate=0.3, also=("S2", "S4")),
    Bug("exit_mmap-leaves-entries", "S5", "exit_mmap gives all entries back", ("modern",), also=("S1", "D6")),
    Bug("reuses-held-slot", "S2", "a slot that is held is not handed out", ALL, rate=0.3),
    Bug(
        "alloc-does-not-count",
        "S4",
        "a slot handed out is counted in inuse_pages",
        ("modern",),  # in 2.6 no more than drain_mmlist looks at it, and the walk at swap_map
        also=("D1", "D5", "D6"),  # swapoff spins where it has gone below zero
        rate=0.3,
        rare=True,  # nothing but a drain tells of inuse_pages
    ),
    # Who borrows.
    Bug("use_mm-sets-no-flag", "B1", "use_mm sets PF_BORROWED_MM", ("2.6.10",), views=EXPLICIT, also=("B2",)),
    Bug("unuse_mm-keeps-flag", "B1", "unuse_mm clears PF_BORROWED_MM", ("2.6.10",), views=EXPLICIT),
    Bug("get_task_mm-of-borrower", "B2", "get_task_mm refuses who borrows", rare=True),
    Bug("borrower-puts-first", "B3", "a kernel thread holds a user of what it uses", ("modern",), rate=0.5, rare=True),
    Bug("exit_aio-does-not-wait", "B3", "exit_aio waits for who borrows", ("2.6.10", "2.6.9"), rare=True),
    # Before the patch.
    Bug("removed-after-exit_mmap", "M5", "mmput removes in the step to 0", ("2.6.9",)),
    Bug("exec-does-not-join", "M10", "exec_mmap puts the mm on mmlist", ("2.6.9",), also=("M8", "M11")),
    Bug("exec-joins-after-old", "M7", "exec_mmap adds at the head", ("2.6.9",), views=EXPLICIT),
    Bug("nr-not-lowered", "M10", "mmput lowers mmlist_nr", ("2.6.9",), views=("explicit",), rate=0.3),
    # The locks.
    Bug("pageout-joins-unlocked", "L1", "try_to_unmap_one holds mmlist_lock", locks=True, views=("explicit",)),
    Bug("fork-joins-unlocked", "L1", "the fork's join holds mmlist_lock", ALL, locks=True, views=("explicit",)),
    Bug("exec-joins-unlocked", "L1", "exec_mmap holds mmlist_lock", ("2.6.9",), locks=True, views=("explicit",)),
    Bug("mmput-removes-unlocked", "L1", "mmput holds mmlist_lock", ALL, locks=True, views=("explicit",)),
    Bug("drain-unlocked", "L1", "drain_mmlist holds mmlist_lock", locks=True, views=("explicit",)),
    Bug(
        "drain-takes-swap_lock-late",
        "L2",
        "swap_lock comes before mmlist_lock",
        locks=True,
        views=("explicit",),
        rare=True,
    ),
    Bug("drain-without-swap_lock", "D2", "swapoff holds swap_lock", locks=True, views=("explicit",), also=("L2",)),
)

BUGS = {bug.name: bug for bug in _CATALOGUE}
"""All bugs by name, in the order of the catalogue."""
