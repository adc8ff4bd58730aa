"""swapoff walks the page tables of a child whose fork failed.

What it says
    Between the failure of its dup_mmap and its exit_mmap a child is no address space to walk.

Why the kernel needs it
    __mt_dup copies the tree of areas at once, and a fork that fails marks where it stopped. The child may be on mmlist
    already, for the entries copied until then; swapoff that finds it there takes the mark for an area, and follows NULL.

Kernel reference
    kernel/fork.c, mm/mmap.c: dup_mmap (XA_ZERO_ENTRY); mm/swapfile.c: unuse_mm. The walk checks the address space since
    v6.18 (Linux kernel commit 1367da7eb875, "mm: swap: check for stable address space before operating on the VMA"); since
    7.0 dup_mmap tears down what it had copied itself.

Limits
    Judged for kernels with __mt_dup, 6.8 to 6.19, as the capture header or the names of the probes tell; a log of explicit
    events alone, which tells neither, may be of one. Where the log shows page tables being walked that counts, and swapoff
    taking hold of the child does not.
"""

from __future__ import annotations

from collections.abc import Iterator

from mmlist.replay.invariants.base import Finding, Invariant, name, needs, witness
from mmlist.replay.model import State
from mmlist.replay.model.changes import HalfForkWalked


def check(change: HalfForkWalked, state: State) -> Iterator[Finding]:
    """A walk over what a failed fork left."""
    mm = change.mm
    yield Finding(
        change.at,
        f"swapoff walks {name(mm)}, whose fork failed",
        [
            witness(change.failed, "the fork failed here", "dup_mmap"),
            witness(
                change.at,
                "walked here",
                "unuse_mm",
                f"exit_mmap of {name(mm)} has not begun",
                "unuse_mm leaves an address space alone that is not stable (mm/swapfile.c: unuse_mm, "
                "check_stable_address_space)",
            ),
        ],
        mm,
        since=change.failed,
        explicit=state.carries.exit_visible and state.carries.shows("exit_mmap"),
        order=[(change.failed, change.at)],
        cap="likely" if change.visited else "proven",
        episode=change.failed.seq,
    )


INVARIANT = Invariant(
    "D10",
    "half-forked-mm-walked",
    "W",
    "swapoff walks page tables of a child whose dup_mmap failed, before its exit_mmap",
    ("modern",),
    (
        *needs("mm_fork_failed dup_mmap_ret", "unuse_pte_range unuse_mm mmlist_visit"),
        frozenset({"kernel with __mt_dup (6.8 to 6.19)"}),
    ),
    (HalfForkWalked,),
    check,
)
