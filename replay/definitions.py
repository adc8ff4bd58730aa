"""The probes of a capture as the kernel prints them in dynamic_events or kprobe_events: what each is on, and what it fetches.

    p:mmlist/mmput mmput mm=$arg1:x64 users=+84($arg1):s32
    r256:mmlist/dup_mmap_ret dup_mmap ret=$retval:s32
    p:mmlist/drain_mmlist __do_sys_swapoff+0x1f0 head=@init_mm+152:x64
    f:mmlist/mm_init_ret mm_init%return mm=$retval:x64

Sources: kernel/trace/trace_kprobe.c (trace_kprobe_show), kernel/trace/trace_fprobe.c (trace_fprobe_show).
"""

from __future__ import annotations

import re
from collections.abc import Iterable

import msgspec

_LINE = re.compile(
    rb"^([pfr])[0-9]{0,6}:(?:\w+/)?(\w+) ([A-Za-z_][\w.]*)(%return)?(?:\+(0x[0-9a-f]{1,16}|[0-9]{1,9}))?(?: ([^\n]*))?$",
    re.MULTILINE | re.ASCII,
)
_FETCH = re.compile(rb"(?<![^ ])(\w{1,64})=(\S{1,256}?)(?::[\w\[\]@/]{1,32})?(?= |$)", re.ASCII)
_NUMBER = re.compile(r"(?<=[+-])0x[0-9a-f]{1,16}")
_MOST = 1000
"""Definitions that are read: tracefs holds far less."""


class Definition(msgspec.Struct, frozen=True):
    """One probe: on `function`, `offset` bytes into it. `fetches`: what each field is, offsets decimal, without the type."""

    event: str
    function: str
    offset: int
    returns: bool
    fetches: dict[str, str]


def definitions(text: bytes) -> list[Definition]:
    """The probes in `text`; what is no line of one, or is on an address or another file, is passed over."""
    found = []
    for match in _LINE.finditer(text):
        kind, event, function, returns, offset, fetches = match.groups()
        read = {
            name.decode(): _NUMBER.sub(lambda one: str(int(one[0], 16)), value.decode("latin-1"))
            for name, value in _FETCH.findall(fetches or b"")
        }
        at = 0 if offset is None else int(offset, 0)
        found.append(Definition(event.decode(), function.decode(), at, kind == b"r" or returns is not None, read))
        if len(found) == _MOST:
            break
    return found


def mmlist_offset(probes: Iterable[Definition]) -> int | None:
    """Where the probes that fetch mm and next take mmlist to be in mm_struct; None where none does, or they differ."""
    found = set()
    for one in probes:
        mm, next_ = one.fetches.get("mm"), one.fetches.get("next", "")
        match = re.fullmatch(r"\+([0-9]{1,5})\((.*)\)", next_)
        if mm is not None and match is not None and match[2] == mm:
            found.add(int(match[1]))
    return found.pop() if len(found) == 1 else None
