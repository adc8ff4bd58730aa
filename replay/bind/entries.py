"""Layer B's probes on swap entries: who duplicated, assigned and freed which entry, told by the task's brackets.

Between copy_page_range and its return a swap_duplicate is the fork copying an entry; between try_to_unmap_one and its
return it is pageout assigning one. Where the log has swap_assign and swap_clear, these alone say who holds what.
"""

from __future__ import annotations

from mmlist.replay import events as e
from mmlist.replay.bind.task import Bracket, Duplicate, Task, Tasks
from mmlist.replay.bind.unentered import Unentered
from mmlist.replay.bind.values import (
    INIT_MM,
    Fields,
    Reader,
    entries_of_call,
    field,
    folio_pages,
    page_entry,
    run_length,
    swp_entry,
)
from mmlist.replay.record import At

_COPIES = ("copy_page_range", "dup_mmap")
_UNUSES = ("unuse_pte_range", "unuse_mm")
_OUTSIDE_EXIT = frozenset(
    {
        "mmput", "mmput_async", "__mmput", "__mmput_begin", "mm_init", "dup_mmap", "dup_mm", "copy_mm", "copy_page_range",
        "get_task_mm", "mm_access", "swapon", "swapoff", "try_to_unuse", "shmem_unuse", "exit_mm", "exit_mm_release",
        "begin_new_exec", "exec_mm_release", "exec_mmap", "sched_process_exit", "sched_process_exec", "task_newtask",
        "copy_process_ret", "kthread_use_mm", "kthread_unuse_mm", "mmlist_del",
    }
)  # fmt: skip
"""Lines that a task cannot show while it is inside exit_mmap: the log has no probe on exit_mmap's return."""

_RETURNS = {
    "__mmput": ("__mmput_end", "__mmput_ret"),
    "exit_mmap": ("exit_mmap_ret", "__mmput_end", "__mmput_ret"),
}


class EntryProbes:
    """The handlers for swap entries, and what all handlers of layer B share: opening and closing brackets."""

    def __init__(
        self,
        reader: Reader,
        tasks: Tasks,
        names: frozenset[str],
        unentered: Unentered,
        *,
        assigns: bool,
        clears: bool,
        unuse_clears: bool,
    ) -> None:
        """`names`: the events the log carries. `assigns`, `clears`: its swap_assign, its swap_clear say who holds what.

        `unuse_clears`: its swap_clear names what swapoff releases, too.
        """
        self.reader = reader
        self.tasks = tasks
        self.names = names
        self.unentered = unentered
        self.assigns = assigns
        self.clears = clears
        self.unuse_clears = unuse_clears
        self.returns_duplicate = "swap_duplicate_ret" in names

    def open(
        self,
        at: At,
        kind: str,
        *,
        mm: int | None = None,
        src: int | None = None,
        pid: int | None = None,
        path: str | None = None,
        type_: int | None = None,
        soft: bool = False,
    ) -> None:
        """Open a bracket, if the log can show where it closes; a `soft` one is closed by a line that shows it over."""
        if soft or any(name in self.names for name in _RETURNS.get(kind, (kind + "_ret",))):
            bracket = Bracket(kind, at, self.tasks.epoch, mm=mm, src=src, pid=pid, path=path, type=type_)
            self.tasks.of(at).brackets.append(bracket)
            self.unentered.entered(kind, at)

    def close(self, at: At, kind: str) -> Bracket | None:
        """Close the innermost bracket of `kind` at its return; None if the log does not have it open."""
        task = self.tasks.of(at)
        bracket = task.pop(kind, at, self.unentered.grain)
        if bracket is None:
            self.unentered.alone(task, kind, at)
        else:
            self.unentered.closed(task, kind)
        return bracket

    def before(self, task: Task, name: str) -> None:
        """To be called before each record of a task in the middle of something: closes an exit_mmap that it shows to be over."""
        if task.brackets and task.brackets[-1].kind == "exit_mmap" and name in _OUTSIDE_EXIT:
            task.brackets.pop()
            task.outside -= {"exit_mmap"}  # if it returns still, the line showed no such thing
        if task.pending_free is not None and name != "__swap_entry_free_ret":
            task.pending_free = None

    # --- duplicates --------------------------------------------------------------------------------------------------

    def on_copy_page_range(self, at: At, f: Fields, out: list[e.Event]) -> None:
        """copy_page_range(dst, src): the fork copies page tables."""
        dst, src = self.reader.mm(f, "dst"), self.reader.mm(f, "src")
        if not dst or not src:
            return
        self.reader.fetched(at, f, dst, "copy_page_range", out)
        if "dup_mmap" not in self.names:
            self.tasks.of(at).exec_mm = None
            out.append(e.DupMmap(at, src, dst))
        self.open(at, "copy_page_range", mm=dst, src=src)

    def on_copy_page_range_ret(self, at: At, f: Fields, out: list[e.Event]) -> None:
        """copy_page_range returned: what was duplicated inside is held by dst."""
        self.close_copy(at, "copy_page_range", out)

    def close_copy(self, at: At, kind: str, out: list[e.Event]) -> Bracket | None:
        """Close a copy: its duplicates are held by dst, the join is behind it."""
        bracket = self.close(at, kind)
        if bracket is not None and bracket.mm and bracket.duplicates:
            self._settle(at, bracket, "fork", out)
        return bracket

    def on_try_to_unmap_one(self, at: At, f: Fields, out: list[e.Event]) -> None:
        """try_to_unmap_one(mm): reclaim, in whatever task, unmaps a page of mm."""
        mm = self.reader.mm(f)
        if mm:
            self.reader.fetched(at, f, mm, "try_to_unmap_one", out)
            self.open(at, "try_to_unmap_one", mm=mm)

    def on_try_to_unmap_one_ret(self, at: At, f: Fields, out: list[e.Event]) -> None:
        """try_to_unmap_one returned: with 0 its last duplicate may have been undone."""
        bracket = self.close(at, "try_to_unmap_one")
        if bracket is None or not bracket.mm or not bracket.duplicates:
            return
        if field(f, "ret") == 0:
            last = bracket.duplicates.pop()
            if not bracket.duplicates:
                out.append(e.JoinDue(at, bracket.mm, "pageout", INIT_MM, last.at, over=True, sure=False))
                return
        self._settle(at, bracket, "unmap", out)

    def _settle(self, at: At, bracket: Bracket, why: str, out: list[e.Event]) -> None:
        assert bracket.mm is not None
        site, after = ("fork", bracket.src or INIT_MM) if why == "fork" else ("pageout", INIT_MM)
        out.append(e.JoinDue(at, bracket.mm, site, after, bracket.duplicates[0].at, over=True))
        if self.assigns:
            return
        for duplicate in bracket.duplicates:
            for entry in range(duplicate.entry, duplicate.entry + duplicate.nr):
                out.append(e.SwapAssign(at, bracket.mm, entry, why, observed=False, begin=duplicate.at))

    def on_swap_duplicate(self, at: At, f: Fields, out: list[e.Event]) -> None:
        """swap_duplicate(entry): takes effect at its return, if the log shows it."""
        self._duplicate(at, swp_entry(f), run_length(f), out)

    def on_swap_dup_entry_direct(self, at: At, f: Fields, out: list[e.Event]) -> None:
        """swap_dup_entry_direct(entry) (7.0 on): the fork's swap_duplicate."""
        self._duplicate(at, swp_entry(f), run_length(f), out)

    def on_folio_dup_swap(self, at: At, f: Fields, out: list[e.Event]) -> None:
        """folio_dup_swap(folio, subpage): without `subpage`, of all of a folio of shmem (mm/shmem.c: shmem_writeout)."""
        entry, size = page_entry(f), entries_of_call(f)
        nr = size or 1
        self._duplicate(at, entry, nr, out)
        if (
            entry is not None
            and not field(f, "subpage")
            and self.tasks.of(at).find("try_to_unmap_one", *_COPIES) is None
        ):
            out += [e.SwapShmem(at, one, size is not None) for one in range(entry, entry + nr)]

    def _duplicate(self, at: At, entry: int | None, nr: int, out: list[e.Event]) -> None:
        if entry is None:
            return
        duplicate = Duplicate(entry, nr, at)
        if self.returns_duplicate:
            task = self.tasks.of(at)
            self.unentered.entered("swap_duplicate", at)
            missed, task.pending_duplicate = task.pending_duplicate, duplicate
            if missed is not None:
                out.append(e.DuplicateUnseen(at, missed.entry, missed.nr))
        else:
            self._duplicated(at, duplicate, out)

    def on_swap_duplicate_ret(self, at: At, f: Fields, out: list[e.Event]) -> None:
        """swap_duplicate returned: 0 if the count went up."""
        task = self.tasks.of(at)
        duplicate, task.pending_duplicate = task.pending_duplicate, None
        if duplicate is None:
            self.unentered.alone(task, "swap_duplicate", at)
            return
        self.unentered.closed(task, "swap_duplicate")
        if field(f, "ret") == 0:
            self._duplicated(at, duplicate, out)

    def _duplicated(self, at: At, duplicate: Duplicate, out: list[e.Event]) -> None:
        bracket = self.tasks.of(at).find("try_to_unmap_one", *_COPIES)
        mm = bracket.mm if bracket is not None else None
        out.append(e.SwapDuplicate(at, duplicate.entry, duplicate.nr, mm))
        if bracket is None or not mm:
            return
        bracket.duplicates.append(duplicate)
        if bracket.kind == "try_to_unmap_one":
            out.append(e.JoinDue(at, mm, "pageout", INIT_MM, duplicate.at, over=False))
        else:
            out.append(e.JoinDue(at, mm, "fork", bracket.src or INIT_MM, duplicate.at, over=False))

    def on_unmap_listed(self, at: At, f: Fields, out: list[e.Event]) -> None:
        """A probe right behind the list_add in try_to_unmap_one."""
        self._listed(at, f, "pageout", INIT_MM, "unmap_listed", out)

    def on_copy_listed(self, at: At, f: Fields, out: list[e.Event]) -> None:
        """A probe right behind the list_add in copy_nonpresent_pte."""
        self._listed(at, f, "fork", self.reader.mm(f, "src") or INIT_MM, "copy_listed", out)

    def _listed(self, at: At, f: Fields, site: str, after: int, name: str, out: list[e.Event]) -> None:
        mm = self.reader.mm(f)
        if not mm:
            return
        bracket = self.tasks.of(at).find("try_to_unmap_one", *_COPIES)
        begin = bracket.duplicates[0].at if bracket is not None and bracket.duplicates else at
        out.append(e.JoinDue(at, mm, site, after, begin, over=True))
        self.reader.fetched(at, f, mm, name, out)
        self.reader.head(at, f, name, out)

    # --- releases ----------------------------------------------------------------------------------------------------

    def on_swap_free(self, at: At, f: Fields, out: list[e.Event]) -> None:
        """swap_free(entry): a fault, or pageout undoing its duplicate."""
        self._free(at, swp_entry(f), run_length(f), "fault", out)

    def on_free_swap_and_cache(self, at: At, f: Fields, out: list[e.Event]) -> None:
        """free_swap_and_cache(entry): a zap."""
        self._free(at, swp_entry(f), run_length(f), "zap", out)

    def on_folio_put_swap(self, at: At, f: Fields, out: list[e.Event]) -> None:
        """folio_put_swap(folio, subpage): without `subpage`, of all of the folio (mm/memory.c: do_swap_page)."""
        entry, nr = page_entry(f), entries_of_call(f)
        self._free(at, entry, nr or 1, "fault", out)
        if entry is not None and nr is None and not self.clears:
            out.append(e.SwapFreeBehind(at, entry, self._owner(self.tasks.of(at), "fault")[0]))

    def on_swap_free_nr(self, at: At, f: Fields, out: list[e.Event]) -> None:
        """swap_free_nr(entry, nr)"""
        self._free(at, swp_entry(f), run_length(f), "fault", out)
        self._of_how_many(at, f, out)

    def on_free_swap_and_cache_nr(self, at: At, f: Fields, out: list[e.Event]) -> None:
        """free_swap_and_cache_nr(entry, nr)"""
        self._free(at, swp_entry(f), run_length(f), "zap", out)
        self._of_how_many(at, f, out)

    def on_swap_put_entries_direct(self, at: At, f: Fields, out: list[e.Event]) -> None:
        """swap_put_entries_direct(entry, nr) (7.0 on), in place of free_swap_and_cache_nr."""
        self.on_free_swap_and_cache_nr(at, f, out)

    def _of_how_many(self, at: At, f: Fields, out: list[e.Event]) -> None:
        """Where the probe does not fetch `nr`, entries behind the named one may be freed with it."""
        if "nr" not in f and not self.clears:
            out.append(e.SwapRelease(at, None))

    def _free(self, at: At, entry: int | None, nr: int, why: str, out: list[e.Event]) -> None:
        if entry is None:
            return
        task = self.tasks.of(at)
        out.append(e.SwapFree(at, entry, nr))
        mm, why = self._owner(task, why)
        task.pending_free = (entry, mm)
        if self._undone(task, entry) or self.clears:
            return
        for one in range(entry, entry + nr):
            out.append(e.SwapClear(at, mm, one, why, observed=False))

    def _undone(self, task: Task, entry: int) -> bool:
        bracket = task.find("try_to_unmap_one")
        if bracket is None:
            return False
        for duplicate in reversed(bracket.duplicates):
            if duplicate.entry == entry:
                bracket.duplicates.remove(duplicate)
                return True
        return False

    def _owner(self, task: Task, why: str) -> tuple[int | None, str]:
        bracket = task.find(*_UNUSES, "exit_mmap")
        if bracket is None:
            return task.mm, why
        return bracket.mm, "exit" if bracket.kind == "exit_mmap" else "unuse"

    def on___swap_entry_free_ret(self, at: At, f: Fields, out: list[e.Event]) -> None:
        """__swap_entry_free returned what it left in swap_map; inside a named free it is the same step."""
        usage = field(f, "usage")
        task = self.tasks.of(at)
        named, task.pending_free = task.pending_free, None
        if named is not None:
            if usage is not None:
                out.append(e.SwapUsage(at, usage, named[0], named[1]))
            return
        bracket = task.find(*_UNUSES)
        mm = bracket.mm if bracket is not None else None
        if usage is not None:
            out.append(e.SwapUsage(at, usage, None, mm))
        if mm is not None and not self.unuse_clears:
            out.append(e.SwapRelease(at, mm, usage, bracket.type if bracket is not None else None))
        elif mm is None and not self.clears:
            out.append(e.SwapRelease(at, None, usage))

    # --- slots -------------------------------------------------------------------------------------------------------

    def on_folio_alloc_swap_ret(self, at: At, f: Fields, out: list[e.Event]) -> None:
        """folio_alloc_swap (add_to_swap's get) returned an entry; 0 names none. From 6.18 on it returns an error code, `ret`, and
        leaves the entry of its first page in the folio.
        """
        size = folio_pages(f)
        if not field(f, "ret"):
            self._handed_out(at, swp_entry(f), size, out)

    def on_get_swap_page_ret(self, at: At, f: Fields, out: list[e.Event]) -> None:
        """get_swap_page, as folio_alloc_swap was called before folios, returned an entry."""
        self._handed_out(at, swp_entry(f), None, out)

    def _handed_out(self, at: At, entry: int | None, size: int | None, out: list[e.Event]) -> None:
        if entry is not None and 0 < entry < 1 << 63 and not 0xFFFF_F001 <= entry <= 0xFFFF_FFFF:
            out += [e.SwapAlloc(at, one, size is not None) for one in range(entry, entry + (size or 1))]

    def on_swap_shmem_alloc(self, at: At, f: Fields, out: list[e.Event]) -> None:
        """swap_shmem_alloc(entry): held by shmem."""
        entry = swp_entry(f)
        if entry is not None:
            out.append(e.SwapShmem(at, entry))

    def on_put_swap_folio(self, at: At, f: Fields, out: list[e.Event]) -> None:
        """put_swap_folio(folio, entry): the swap cache lets go of it."""
        entry = swp_entry(f)
        if entry is not None:
            out.append(e.PutSwapFolio(at, entry))
