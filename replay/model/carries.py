"""What a log can say at all: by this the model knows what it must work out, and what it cannot know."""

from __future__ import annotations

import msgspec


class Carries(msgspec.Struct, frozen=True):
    """What a log can say (survey.py): each False means that the model must work it out, or cannot know it."""

    joins_explicit: bool = False  # mmlist_add
    leaves_explicit: bool = False  # mmlist_del
    assigns_explicit: bool = False  # swap_assign
    clears_explicit: bool = False  # swap_clear
    unuse_clears: bool = False  # swap_clear also for what swapoff releases
    unuse_visible: bool = False  # swapoff's walk over an mm is seen, or what it releases
    allocs_visible: bool = False  # every slot's allocation, named (what probes name may be the first of a folio alone)
    usage_visible: bool = False  # what a free leaves in swap_map
    undos_named: bool = False  # a probe on the free by which pageout undoes a duplicate
    frees_named: bool = False  # a probe on each free of a fault and of a zap, with all entries that it is of
    drain_explicit: bool = False  # mmlist_drain
    joins_visible: bool = False  # the causes of both joins are seen, where they begin and end: pageout and fork
    releases_visible: bool = False  # faults and zaps of swap entries are seen
    duplicates_visible: bool = False  # swap_duplicate
    duplicates_sure: bool = False  # and that it did not fail: its return, or an event of its own
    counts_visible: bool = False  # whatever changes an entry's count
    counts_explicit: bool = False  # the same, each an event of its own
    swapons_visible: bool = False  # swapon's return
    swapoffs_visible: bool = False  # where swapoff begins
    swapoffs_complete: bool = False  # where it ends, too: also of one that began before the log
    swapoff_before: int = 0  # the line at which the last one returns that began before the log
    walks_visible: bool = False  # swapoff's walk over page tables, apart from its taking hold of an mm
    walk_returns: bool = False  # where it has walked one
    puts_visible: bool = False  # mmput
    exit_visible: bool = False  # exit_mmap
    exit_ret: bool = False  # exit_mmap's return
    births: bool = False  # mm_init
    frees: bool = False  # the free of the struct
    grabs_explicit: bool = False  # mm_count can be counted: grabs and drops are explicit
    unborrows: bool = False  # a kernel thread gives back what it borrowed
    locks: bool = False  # lock_acquire and lock_release
    visits_explicit: bool = False  # swapoff's own gets
    gets_explicit: bool = False  # mm_users can be counted: gets and puts are explicit
    puts_explicit: bool = False
    explicit: frozenset[str] = frozenset()  # what comes as an event of layer A; kthread_unuse_mm also as 2.6's unuse_mm
    whole: bool = False  # no call was missed: the log has no probes, or its capture says that they missed none

    def shows(self, *names: str) -> bool:
        """Whether none of these steps can have come without its event in the log, but for loss."""
        return self.whole or self.explicit.issuperset(names)

    @property
    def balanced(self) -> bool:
        """Whether each pte and each count is an event of its own."""
        return self.counts_explicit and self.clears_explicit and self.unuse_clears and self.assigns_explicit
