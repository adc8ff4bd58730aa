"""The kernel's functions that a log may have probes on (docs/events.md), and what has become of each in one kernel.

A static function may be inlined, split (`.part.0`), specialised (`.isra.0`, `.constprop.0`), or share its name with
another file's. What may be probed by name is one symbol of exactly that name outside of .init.text.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

import msgspec

from mmlist.kernel.btf import FUNC, Btf
from mmlist.kernel.dwarf import Function, Inlined
from mmlist.kernel.symbols import Symbol, Symbols
from mmlist.kernel.traceable import Traceable

_FORK, _EXEC, _SWAP = ("kernel/fork.c",), ("fs/exec.c",), ("mm/swapfile.c",)
_MEMORY, _RMAP = ("mm/memory.c",), ("mm/rmap.c",)

SOURCES: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("mm_init", "dup_mm", "copy_mm", "copy_process", "get_task_mm", "mm_access", "mmput", "mmput_async",
                     "__mmput", "__mmdrop", "exec_mm_release", "exit_mm_release"), _FORK),
    "dup_mmap": ("kernel/fork.c", "mm/mmap.c"),
    "exit_mmap": ("mm/mmap.c",),
    "uprobe_clear_state": ("kernel/events/uprobes.c",),
    "lru_gen_del_mm": ("mm/vmscan.c",),
    "exit_mm": ("kernel/exit.c",),
    "kthread_use_mm": ("kernel/kthread.c",),
    "kthread_unuse_mm": ("kernel/kthread.c",),
    "begin_new_exec": _EXEC,
    "exec_mmap": _EXEC,
    "copy_page_range": _MEMORY,
    "copy_nonpresent_pte": _MEMORY,
    "mm_trace_rss_stat": _MEMORY,
    "try_to_unmap_one": _RMAP,
    **dict.fromkeys(("swap_duplicate", "swap_duplicate_nr", "swap_shmem_alloc", "swap_free", "swap_free_nr",
                     "free_swap_and_cache", "free_swap_and_cache_nr", "__swap_entry_free", "folio_alloc_swap",
                     "put_swap_folio", "folio_dup_swap", "folio_put_swap", "swap_dup_entry_direct",
                     "swap_put_entries_direct", "unuse_pte_range", "unuse_mm", "try_to_unuse", "drain_mmlist",
                     "__do_sys_swapoff", "__x64_sys_swapoff", "__arm64_sys_swapoff", "__do_sys_swapon",
                     "__x64_sys_swapon", "__arm64_sys_swapon"), _SWAP),
    "get_swap_page": ("mm/swap_slots.c", "mm/swapfile.c"),
    "shmem_unuse": ("mm/shmem.c",),
    "__oom_reap_task_mm": ("mm/oom_kill.c",),
    "__ksm_enter": ("mm/ksm.c",),
}  # fmt: skip
"""Name of a function -> the files of the kernel's source that have had it, 5.10 to 7.1."""

PROBEABLE, INLINED, ABSENT, AMBIGUOUS, VARIANT = "probe-able", "inlined", "absent", "ambiguous", "variant"
NOTRACE = "not traceable"
_NOTRACE = "declared inline or notrace, which kprobe_events refuse"


class Status(msgspec.Struct):
    """What one kernel has of a function.

    `place`: what a kprobe is to be put on (`mmput`, `_text+0x9db70`), None where it cannot be by name. `symbols`: what bears
    its name, in whole or in part. `inlined`: copies of it in others; beside a `place`, they are calls that a probe misses.
    `note`: in words, what else is to be known.
    """

    name: str
    state: str
    place: str | None = None
    symbols: list[str] = []
    inlined: list[Inlined] = []
    note: str = ""

    @property
    def told(self) -> str:
        """The state in words."""
        into = ", ".join(dict.fromkeys(one.into for one in self.inlined))
        if self.state == PROBEABLE:
            words = PROBEABLE if self.place in (None, self.name) else f"{PROBEABLE} at {self.place}"
            parts = [words, self.note, f"calls missed: inlined into {into}" if into else ""]
        elif self.state == INLINED:
            parts = [f"inlined into {into}"]
        else:
            parts = [self.state, self.note]
        return "; ".join(part for part in parts if part)


class Dwarf(Protocol):
    """What `dwarf.Dwarf` tells of functions."""

    functions: list[Function]
    inlined: list[Inlined]


def statuses(
    symbols: Symbols | None, btf: Btf | None, dwarf: Dwarf | None, traceable: Traceable | None
) -> dict[str, Status]:
    """The status of each function of `SOURCES`, by what there is to tell it from: any may be None."""
    found = {}
    for name in SOURCES:
        found[name] = status = _status(name, symbols, btf, dwarf)
        if symbols is not None and traceable is not None:
            _refuse(status, symbols, traceable)
    return found


def _refuse(status: Status, symbols: Symbols, traceable: Traceable) -> None:
    """Take back what lies in a function that cannot be traced: the function itself, and copies of it in others."""
    address = symbols.address(status.name)
    if status.place == status.name and address is not None and address not in traceable:
        status.state, status.place, status.note = NOTRACE, None, _NOTRACE
    for number, copy in enumerate(status.inlined):
        if copy.address - copy.offset not in traceable:
            status.inlined[number] = copy._replace(registers={}, traceable=False)


def _status(name: str, symbols: Symbols | None, btf: Btf | None, dwarf: Dwarf | None) -> Status:
    inlined = [one for one in dwarf.inlined if one.function == name and one.into != name] if dwarf is not None else []
    if symbols is None:
        return _by_types(name, btf)
    bearing = [one for one in symbols.named(name) if one.is_code]
    parts = [one.name for one in symbols.variants(name)]
    kept = {one.address: one for one in bearing if not symbols.in_init(one)}
    if len(bearing) == 1 and kept:
        return Status(name, PROBEABLE, name, [name, *parts], inlined, _split(parts))
    if bearing:
        return _of_several(name, bearing, list(kept.values()), symbols, dwarf)
    if parts:
        return Status(
            name, VARIANT, None, parts, inlined, f"there is only {', '.join(parts)}, whose arguments may differ"
        )
    if inlined:
        return Status(name, INLINED, None, [], inlined)
    return Status(name, ABSENT, note="" if dwarf is not None else "or inlined: only a vmlinux with DWARF tells")


def _by_types(name: str, btf: Btf | None) -> Status:
    """Without symbols: pahole writes a FUNC for what it finds in the kernel's symbol table exactly once."""
    if btf is not None and btf.find(FUNC, name):
        return Status(name, PROBEABLE, name, note="by its type only: give --system-map or --kallsyms to be sure")
    return Status(name, ABSENT, note="no symbols to look it up in: give --system-map or --kallsyms")


def _of_several(name: str, bearing: list[Symbol], kept: list[Symbol], symbols: Symbols, dwarf: Dwarf | None) -> Status:
    """More symbols than one, or one in .init.text alone: kernels since 6.6 refuse the name, older ones take the first."""
    told = [f"{name} at {one.address:#x}" for one in bearing]
    if not kept:
        return Status(name, ABSENT, None, told, note="but for code that is freed after boot")
    why = f"of {len(bearing)} symbols of that name the one that is not freed after boot"
    if len(kept) > 1 and dwarf is not None:
        at = {one.address for one in dwarf.functions if one.name == name and one.file in SOURCES[name]}
        kept = [one for one in kept if one.address in at]
        why = f"of {len(bearing)} symbols of that name the one of {' or '.join(SOURCES[name])}"
    if len(kept) == 1 and symbols.base is not None and kept[0].address >= symbols.base:
        return Status(name, PROBEABLE, f"_text+{kept[0].address - symbols.base:#x}", told, note=why)
    return Status(name, AMBIGUOUS, None, told, note=f"{len(bearing)} symbols of that name: {', '.join(told)}")


def _split(parts: Iterable[str]) -> str:
    split = [part for part in parts if ".part." in part]
    return f"calls missed: some reach only {', '.join(split)}" if split else ""
