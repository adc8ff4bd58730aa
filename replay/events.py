"""The closed vocabulary of events: what a log's lines mean, whoever printed them. Everything meets here.

`bind` makes events of records, the model steps on them, nothing else passes between the two. Names are the kernel's own.
`at` is the line the event was read from; `observed` is False where the event was inferred from what a task is in the
middle of (EVENTS.md, layer B). Addresses and swap entries are integers. None is unknown. One list, however long.
"""

from __future__ import annotations

import msgspec

from mmlist.replay.record import At


class Event(msgspec.Struct, frozen=True, gc=False):
    """Base of all events: none refers to what could refer to it, so the collector need not look at them."""

    at: At


class MmInit(Event, frozen=True, gc=False):
    """A new generation begins at `mm`: mm_users 1, mm_count 1, off the list (kernel/fork.c: mm_init)."""

    mm: int


class DupMmap(Event, frozen=True, gc=False):
    """A fork starts to copy `parent` into `child` (dup_mmap); 2.6.9 joins here."""

    parent: int
    child: int


class MmFork(Event, frozen=True, gc=False):
    """dup_mmap is done: `child` is a copy of `parent`."""

    parent: int
    child: int
    child_pid: int | None = None


class MmForkFailed(Event, frozen=True, gc=False):
    """dup_mmap failed part way with `ret`."""

    parent: int
    child: int
    ret: int | None


class ForkFailed(Event, frozen=True, gc=False):
    """The fork of the task came to nothing, be it behind the copy (kernel/fork.c: copy_process)."""


class ExecMmap(Event, frozen=True, gc=False):
    """The task takes `mm` (fs/exec.c: exec_mmap) and leaves `old`; 2.6.9 joins here. `nr`: mmlist_nr after."""

    mm: int
    old: int | None = None
    nr: int | None = None


class TaskMm(Event, frozen=True, gc=False):
    """Task `pid` now has `mm` (0: none)."""

    pid: int
    mm: int


class TaskNew(Event, frozen=True, gc=False):
    """Task `pid` was created by `parent_pid`; `shared` tells CLONE_VM (None: unknown)."""

    pid: int
    parent_pid: int | None
    shared: bool | None


class TaskExit(Event, frozen=True, gc=False):
    """Task `pid` is gone."""

    pid: int


class TaskFlags(Event, frozen=True, gc=False):
    """Task `pid` has `flags` from now on (PF_BORROWED_MM 0x02000000, PF_KTHREAD 0x00200000)."""

    pid: int
    flags: int


class Mmget(Event, frozen=True, gc=False):
    """One user more. `users` is the count before the step."""

    mm: int
    users: int | None = None


class Mmput(Event, frozen=True, gc=False):
    """One user less. `users` is the count before the step, `nr` mmlist_nr after it."""

    mm: int
    users: int | None = None
    nr: int | None = None
    observed: bool = True
    may_sleep: bool = True  # else mmput_async, which leaves the last put to a kworker


class FinalPut(Event, frozen=True, gc=False):
    """mm_users has reached 0 and __mmput runs (kernel/fork.c: __mmput)."""

    mm: int


class Mmgrab(Event, frozen=True, gc=False):
    """One reference to the struct more. `count` is the one before the step."""

    mm: int
    count: int | None = None


class Mmdrop(Event, frozen=True, gc=False):
    """One reference to the struct less. `count` is the one before the step."""

    mm: int
    count: int | None = None


class ExitMmap(Event, frozen=True, gc=False):
    """The address space begins to be torn down (mm/mmap.c: exit_mmap)."""

    mm: int


class ExitMmapRet(Event, frozen=True, gc=False):
    """exit_mmap has returned."""

    mm: int


class MmputRet(Event, frozen=True, gc=False):
    """__mmput is over, the removal from mmlist behind it."""

    mm: int


class MmFree(Event, frozen=True, gc=False):
    """The struct is freed (kernel/fork.c: __mmdrop); the generation ends."""

    mm: int


class GetTaskMm(Event, frozen=True, gc=False):
    """get_task_mm on task `pid` returned `mm` (0: NULL). `entered` is where the call began, if that was seen."""

    pid: int | None
    mm: int
    entered: At | None = None


class KthreadUseMm(Event, frozen=True, gc=False):
    """The current kernel thread borrows `mm` (kthread_use_mm; use_mm in 2.6)."""

    mm: int


class KthreadUnuseMm(Event, frozen=True, gc=False):
    """The current kernel thread gives `mm` back."""

    mm: int


class Swapon(Event, frozen=True, gc=False):
    """swapon begins."""

    path: str | None
    type: int | None = None


class SwaponRet(Event, frozen=True, gc=False):
    """swapon returned `ret`; it took the lowest free type unless `type` says another."""

    ret: int | None
    path: str | None = None
    type: int | None = None


class Swapoff(Event, frozen=True, gc=False):
    """swapoff begins."""

    path: str | None
    type: int | None = None


class SwapoffRet(Event, frozen=True, gc=False):
    """swapoff returned `ret`; `head`, `tail`, `inuse` as fetched at its return."""

    ret: int | None
    type: int | None = None
    head: int | None = None
    tail: int | None = None
    inuse: tuple[int, ...] | None = None


class TryToUnuse(Event, frozen=True, gc=False):
    """swapoff's walk begins (mm/swapfile.c: try_to_unuse)."""

    type: int | None


class TryToUnuseRet(Event, frozen=True, gc=False):
    """swapoff's walk ended with `ret`."""

    ret: int | None


class SwapoffPass(Event, frozen=True, gc=False):
    """A pass over the list begins (shmem_unuse is its first call)."""

    type: int | None


class UnuseMm(Event, frozen=True, gc=False):
    """swapoff walks the page tables of `mm` (unuse_mm, unuse_pte_range)."""

    mm: int
    type: int | None


MOST_PAGES = 1 << 13
"""Of a folio that is swapped as a whole: a page middle directory of arm64's 64 KiB pages."""


class SwapAlloc(Event, frozen=True, gc=False):
    """A slot was handed out: `entry` is in use from here (get_swap_page, folio_alloc_swap).

    `sized`: how many were handed out with it is known, and each is an event.
    """

    entry: int
    sized: bool = False


class SwapDuplicate(Event, frozen=True, gc=False):
    """The counts of `entry` and the nr-1 after it went up. `mm`: for whom, where the bracket tells."""

    entry: int
    nr: int = 1
    mm: int | None = None


class DuplicateUnseen(Event, frozen=True, gc=False):
    """swap_duplicate of `entry` and the `nr - 1` after it was called, and its return never seen: the count may be up or not."""

    entry: int
    nr: int


class SwapFree(Event, frozen=True, gc=False):
    """The counts of `entry` and the nr-1 after it go down."""

    entry: int
    nr: int = 1


class SwapFreeBehind(Event, frozen=True, gc=False):
    """With `entry`, which `mm` (None: who knows) held, others of its folio, behind it, may have been freed."""

    entry: int
    mm: int | None


class SwapUsage(Event, frozen=True, gc=False):
    """A free left `usage` in swap_map (__swap_entry_free's return). `entry` None: nobody names it. `mm`: whose it was."""

    usage: int
    entry: int | None
    mm: int | None


class SwapShmem(Event, frozen=True, gc=False):
    """`entry` belongs to shmem, which holds it without an mm (swap_shmem_alloc). `sized` as SwapAlloc's."""

    entry: int
    sized: bool = False


class PutSwapFolio(Event, frozen=True, gc=False):
    """The swap cache lets go of `entry` (put_swap_folio)."""

    entry: int


class SwapAssign(Event, frozen=True, gc=False):
    """A pte of `mm` now holds `entry`; `why`: unmap (pageout) or fork. `begin`: the duplicate it was inferred from."""

    mm: int
    entry: int
    why: str
    observed: bool = True
    begin: At | None = None


class SwapClear(Event, frozen=True, gc=False):
    """A pte of `mm` no longer holds `entry`; `why`: zap, fault, unuse, undo, exit. `mm` None: one of its holders."""

    mm: int | None
    entry: int
    why: str
    observed: bool = True


class SwapRelease(Event, frozen=True, gc=False):
    """An entry that nobody names, of area `type` (None: of any), was released, held by `mm` (None: by anybody)."""

    mm: int | None
    usage: int | None = None
    type: int | None = None


class JoinDue(Event, frozen=True, gc=False):
    """The step that puts `mm` on mmlist, if it is off, has come: the first entry was duplicated for it.

    Only where the log cannot carry mmlist_add. `site`: pageout (after init_mm) or fork (after `after`). `begin` is where
    the causing line stands; the join lies between it and the event that is `over`. Not `sure`: the step may have been
    given up before the join.
    """

    mm: int
    site: str
    after: int
    begin: At
    over: bool
    sure: bool = True


class MmlistAdd(Event, frozen=True, gc=False):
    """`mm` was linked right after `after`. `nr`: mmlist_nr after."""

    mm: int
    after: int | None
    nr: int | None = None


class MmlistDel(Event, frozen=True, gc=False):
    """`mm` was unlinked; `why`: mmput, drain or unknown."""

    mm: int
    why: str
    nr: int | None = None


class MmlistVisit(Event, frozen=True, gc=False):
    """swapoff meets `mm`: `got` 1 takes hold of it (`users` is the count after), 0 skips it.

    `counted`: the mmget that took hold was an event of its own.
    """

    mm: int
    got: int
    users: int | None = None
    counted: bool = False


class MmlistDrain(Event, frozen=True, gc=False):
    """drain_mmlist decided: `busy_type` >= 0 an area is in use, nothing is drained; -1 it drains; None: not said."""

    busy_type: int | None


class LockAcquire(Event, frozen=True, gc=False):
    """The task takes the lock `name`; `tried`: by a trylock."""

    address: int | None
    name: str
    tried: bool = False


class LockRelease(Event, frozen=True, gc=False):
    """The task lets go of the lock `name`."""

    address: int | None
    name: str


class Fetched(Event, frozen=True, gc=False):
    """What a probe read from memory: mm_users, mm_count and the node of `mm`. Each None where it was not fetched."""

    mm: int
    users: int | None
    count: int | None
    next: int | None
    prev: int | None
    name: str


class FetchedHead(Event, frozen=True, gc=False):
    """What a probe read of the list's head: init_mm.mmlist's next and prev."""

    head: int
    tail: int
    name: str


class FetchedInuse(Event, frozen=True, gc=False):
    """What a probe read of the areas: inuse_pages by type."""

    inuse: tuple[int, ...]
    name: str


class Lost(Event, frozen=True, gc=False):
    """Events are missing on `cpu` (None: any) after `since` up to `until`."""

    cpu: int | None
    since: int | None
    until: int | None
    count: int | None
    kind: str
