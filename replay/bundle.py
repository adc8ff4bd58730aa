"""What a capture's bundle says besides its log: which calls the probes missed, what the buffers lost, where the list lies.

Every part may be missing: what is not said is not known, and a part that cannot be read says nothing. One thing alone makes a
claim more certain: that no area was in use before; missed calls and lost events make it less so.
Sources: Documentation/trace/kprobetrace.rst (kprobe_profile), kernel/trace/trace.c (tracing_stats_read), mm/swapfile.c
(swap_show).
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import msgspec

from mmlist.replay import parts
from mmlist.replay.definitions import Definition, definitions, mmlist_offset

LONGEST = 1 << 20
"""Bytes of a part that are read: more is none of what the script writes."""

_MISSED = re.compile(rb"^[ \t]*(\S+)[ \t]+[0-9]{1,19}[ \t]+([0-9]{1,19})[ \t]*$", re.MULTILINE)
_LOST = re.compile(rb"^(?:overrun|commit overrun|dropped events): ([0-9]{1,19})$", re.MULTILINE)
_SYMBOL = re.compile(rb"^([0-9a-f]{8,16}) \S (\S+)$", re.MULTILINE)
_RELEASE = re.compile(rb"Linux \S+ ([0-9]+\.[0-9]+[!-~]{0,128}) ")
_NO_AREAS = re.compile(rb"Filename[ \t]+Type[ \t]+Size[ \t]+Used[ \t]+Priority\s*")
_WORD = re.compile(rb"\s*([A-Za-z0-9_-]{1,32})\s*")


class Bundle(msgspec.Struct, frozen=True):
    """`missed`: calls by probe, above 0 only; `lost`: events that buffers dropped; `header`: as a capture's header.

    `each`: those calls were counted of each of its probes. `symbols`: the addresses of some, by name; `probes`: what each
    probe is on. `missed` and `lost` are None where no part says it, or one cannot be read. `no_areas`: /proc/swaps had none
    when the capture began, so that the types of areas can be counted.
    """

    missed: dict[str, int] | None
    each: bool
    lost: int | None
    header: dict[str, object]
    symbols: dict[str, int] = {}
    probes: list[Definition] = []
    no_areas: bool = False


def read(beside: Mapping[str, bytes]) -> Bundle:
    """What the parts `beside` a log say, by their names (parts.py)."""
    profile = _MISSED.findall(beside.get(parts.KPROBE_PROFILE, b""))
    counted = {name.decode("latin-1"): int(count) for name, count in profile}
    before, after = (_LOST.findall(beside.get(part, b"")) for part in (parts.STATS_BEFORE, parts.STATS_AFTER))
    lost = None
    if before and len(before) == len(after):
        lost = max(sum(map(int, after)) - sum(map(int, before)), 0)
    header: dict[str, object] = {}
    symbols = {
        name.decode("latin-1"): int(address, 16)
        for address, name in _SYMBOL.findall(beside.get(parts.SYMBOLS, b""))
        if int(address, 16)  # kptr_restrict shows none
    }
    if "init_mm" in symbols:
        header["init_mm"] = hex(symbols["init_mm"])
    if (clock := _WORD.fullmatch(beside.get(parts.CLOCK, b""))) is not None:
        header["clock"] = clock[1].decode()
    if (release := _RELEASE.match(beside.get(parts.UNAME, b""))) is not None:
        header["release"] = release[1].decode()
    probes = definitions(beside.get(parts.DEFINITIONS, b""))
    if (offset := mmlist_offset(probes)) is not None:
        header["mmlist_offset"] = offset
    no_areas = _NO_AREAS.fullmatch(beside.get(parts.SWAPS_BEFORE, b"")) is not None
    missed = {name: count for name, count in counted.items() if count} if counted else None
    # kprobe_profile has no fprobes (kernel/trace/trace_kprobe.c: probes_profile_seq_show)
    each = bool(probes) and all(probe.event in counted for probe in probes)
    return Bundle(missed, each, lost, header, symbols, probes, no_areas)
