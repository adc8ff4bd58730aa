"""Which functions ftrace can trace: a function that is declared `inline`, or notrace, is refused by kprobe_events, too.

`inline` means notrace in the kernel (include/linux/compiler_types.h), so `__mmput` and every `__do_sys_*` that the compiler
left out of line is there, and cannot be probed (kernel/trace/trace_kprobe.c: within_notrace_func), unless the kernel was built
with CONFIG_KPROBE_EVENTS_ON_NOTRACE. The build lists the places that ftrace patches in __mcount_loc
(include/asm-generic/vmlinux.lds.h: MCOUNT_REC).
"""

from __future__ import annotations

import sys
from array import array
from bisect import bisect_left

from mmlist.kernel.elf import Elf
from mmlist.kernel.symbols import Symbols

_BEGIN, _END = "__start_mcount_loc", "__stop_mcount_loc"
_MOST = 1 << 24
_ENTRY = 16
"""Bytes from a function's beginning in which ftrace's place lies, where no function behind it tells its end."""


class Traceable:
    """The places that ftrace patches, and so the functions that it can trace."""

    def __init__(self, places: array[int], symbols: Symbols) -> None:
        """`places`: addresses in ascending order."""
        self._places = places
        self._begins = sorted({symbol.address for symbol in symbols.all if symbol.is_code})

    def __contains__(self, address: object) -> bool:
        """Whether the function that begins at `address` has a place that is patched."""
        assert isinstance(address, int)
        next_ = bisect_left(self._begins, address + 1)
        end = self._begins[next_] if next_ < len(self._begins) else address + _ENTRY
        found = bisect_left(self._places, address)
        return found < len(self._places) and self._places[found] < end


def traceable(elf: Elf, symbols: Symbols) -> Traceable | None:
    """What `elf` says of that; None where it does not, as where the list is filled in only at boot (arm64)."""
    begin, end = symbols.address(_BEGIN), symbols.address(_END)
    if elf.bits != 64 or begin is None or end is None or not 0 < end - begin < _MOST:
        return None
    data = elf.at(begin, end - begin)
    if data is None or len(data) % 8:
        return None
    places = array("Q", data)
    if elf.big_endian != (sys.byteorder == "big"):
        places.byteswap()
    kept = sorted(place for place in places if place)  # the build may clear those of functions that were dropped
    return Traceable(array("Q", kept), symbols) if kept else None
