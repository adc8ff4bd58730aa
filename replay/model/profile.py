"""The three kernels that the model knows, as data: what 2.6.9, 2.6.10 and modern kernels do otherwise.

Source: SEMANTICS of mmlist per release: 2.6.9 (before "lighten mmlist_lock"), 2.6.10/2.6.11 (with it), 5.10 to 7.1.
"""

from __future__ import annotations

import msgspec

PF_BORROWED_MM = 0x0200_0000
PF_KTHREAD = 0x0020_0000


class Profile(msgspec.Struct, frozen=True):
    """What one kernel does. `removal`: zero (in the step in which mm_users reaches 0) or exit (after exit_mmap)."""

    name: str
    title: str
    swap_only: bool  # members may have swap; else every live mm is a member (kernel/fork.c: dup_mmap, fs/exec.c)
    removal: str
    drains: bool  # swapoff empties the list when no area is in use (mm/swapfile.c: drain_mmlist)
    transient_get: bool  # swapoff's atomic_inc_return meets a dying mm by 0 -> 1 -> 0
    borrower_flag: int | None  # get_task_mm refuses tasks with this flag
    slot_count: int  # the count of a slot just handed out
    cache_in_count: bool  # the swap cache holds one of the count
    fork_after: str = (
        "parent"  # where a fork joins: right after its parent, or (after 7.1, perhaps) after init_mm: "unknown"
    )
    walks_unstable: bool = False  # swapoff is known to walk what the OOM killer left unstable, too (unuse_mm)


PROFILES = {
    profile.name: profile
    for profile in (
        Profile("2.6.9", "before the patch", False, "zero", False, False, None, 1, True),
        Profile("2.6.10", "lighten mmlist_lock", True, "exit", True, True, PF_BORROWED_MM, 1, True),
        Profile("modern", "5.10 and later", True, "exit", True, False, PF_KTHREAD, 0, False),
    )
}

POISON_NEXT = frozenset({0xDEAD_0000_0000_0100, 0x0010_0100, 0x100})
"""LIST_POISON1 (include/linux/poison.h): x86-64 and arm64, 2.6, no CONFIG_ILLEGAL_POINTER_VALUE."""

POISON_PREV = frozenset({0xDEAD_0000_0000_0122, 0x0020_0200, 0x122, 0xDEAD_0000_0000_0200, 0x200})
"""LIST_POISON2, as POISON_NEXT (0x200 until 4.15)."""


def type_shift(profile: Profile, entry_max: int) -> int:
    """By how many bits a swap entry's type is shifted: 58 (5.10 to 7.1, 64 bit), 27 or 59 (2.6, 32 or 64 bit)."""
    if profile.name == "modern":
        return 58
    return 27 if entry_max < 1 << 32 else 59
