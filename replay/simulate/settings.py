"""What a simulation is asked for, and the three kernels it can be: data, nothing else.

Source: SEMANTICS of mmlist per release, sections 1 and 2. Written apart from replay/model/profile.py on purpose: what is
wrong there must not be wrong here for the same reason.
"""

from __future__ import annotations

import msgspec

PROFILES = ("modern", "2.6.10", "2.6.9")
VIEWS = ("explicit", "probes", "both")
DIALECTS = ("tracefs", "trace_cmd", "perf_script", "latency", "verbose", "nocontext")


class Settings(msgspec.Struct, frozen=True):
    """One simulation. `lines` bounds the log; rates are shares of 1.

    `ties`: steps that take no time the clock can see. `loss`: lines at which a CPU begins to lose events. `noise`: lines
    of other subsystems. `locks`: lock_acquire and lock_release of mmlist_lock and the locks around it are printed too.
    `pace`: microseconds, the most that a step takes.
    `omit`: names of events that are not printed. `bug`: a name of the catalogue (bugs.py).
    """

    profile: str = "modern"
    seed: int = 0
    lines: int = 2000
    cpus: int = 2
    tasks: int = 8
    areas: int = 2
    view: str = "explicit"
    dialect: str = "tracefs"
    ties: float = 0.0
    loss: float = 0.0
    noise: float = 0.0
    locks: bool = False
    omit: frozenset[str] = frozenset()
    pace: int = 12
    bug: str | None = None


class Layout(msgspec.Struct, frozen=True):
    """Where one kernel's structs lie: addresses and offsets in bytes, and how a swap entry is put together."""

    mm_base: int
    mm_size: int
    mmlist_offset: int
    init_mm: int
    mmlist_lock: int
    poison1: int
    poison2: int
    type_shift: int
    paths: str  # a device's path, {} is a letter


LAYOUTS = {
    "modern": Layout(
        0xFF11_0000_0579_0000,
        0x480,
        0x98,
        0xFFFF_FFFF_82B5_C940,
        0xFFFF_FFFF_82B5_C8C0,
        0xDEAD_0000_0000_0100,
        0xDEAD_0000_0000_0122,
        58,
        "/dev/vd{}",
    ),
    "2.6.10": Layout(0xC7A4_E040, 0x280, 0x40, 0xC02E_4A20, 0xC02E_4A00, 0x0010_0100, 0x0020_0200, 27, "/dev/hd{}2"),
    "2.6.9": Layout(0xC7A4_E040, 0x280, 0x40, 0xC02E_4A20, 0xC02E_4A00, 0x0010_0100, 0x0020_0200, 27, "/dev/hd{}2"),
}
