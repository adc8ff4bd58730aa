"""The fields that probes fetch, and where a kernel has them.

Offsets differ by kernel and configuration: mm_users has lain at 68, 84 and 132. Types are those of BTF, else of DWARF.
"""

from __future__ import annotations

from collections.abc import Iterable

from mmlist.kernel.layout import Field, Types, field

COMMON = (
    "mm_struct.mm_users", "mm_struct.mm_count", "mm_struct.mmlist", "mm_struct.mmlist.next", "mm_struct.mmlist.prev",
    "vm_area_struct.vm_mm", "vm_area_struct.vm_start", "vm_area_struct.vm_end",
    "task_struct.mm", "task_struct.pid", "task_struct.flags", "task_struct.comm",
    "swap_info_struct.type", "swap_info_struct.inuse_pages", "folio.swap", "folio.flags",
    "folio._nr_pages",
)  # fmt: skip
"""`struct.field` of each field that is fetched, of all machines."""

BY_ARCH = {
    "x86_64": ("pt_regs.di", "pt_regs.si"),
    "arm64": ("pt_regs.regs",),
}
"""Where a system call's arguments lie (arch/*/include/asm/syscall_wrapper.h), by machine."""


def wanted(arch: str) -> tuple[str, ...]:
    """All fields that are fetched on a machine."""
    return COMMON + BY_ARCH.get(arch, ())


def located(types: Types | None, names: Iterable[str]) -> dict[str, Field | None]:
    """Where each of the fields `names` lies, None for what is not there. Raises InputError where the types are broken."""
    return {name: None if types is None else field(types, *name.split(".", 1)) for name in names}
