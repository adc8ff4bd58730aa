"""Where the kernel of a log lay in memory (KASLR), told from what the log shows of addresses; and what they are the addresses of.

A kernel is moved as a whole, by a multiple of its alignment: arch/x86/boot/compressed/kaslr.c (CONFIG_PHYSICAL_ALIGN,
2 MiB), arch/arm64/kernel/kaslr.c and drivers/firmware/efi/libstub (64 KiB). So a symbol whose address is known tells the base,
and two that tell different ones are of another kernel. Then nothing is said of it: a wrong name is worse than none.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import NoReturn

import msgspec

from mmlist.replay.errors import InputError
from mmlist.replay.record import Record
from mmlist.replay.symbols import Symbols

_ALIGNED = 1 << 16
_X86_IMAGE, _X86_MOVED = 0xFFFF_FFFF_8000_0000, 1 << 30
"""Where x86_64 maps its kernel, and how far it is moved there at most (arch/x86/include/asm/page_64_types.h)."""
_KERNEL = 0xFFFF_8000_0000_0000
_ENTRIES = (0, 4)
"""Where a probe on a function's entry may be: behind an ENDBR64 (arch/x86/kernel/kprobes/core.c: arch_adjust_kprobe_addr)."""
_KEPT = 4

_HEX = rb"(?:0x)?([0-9a-f]{8,16})"
_ADDRESSES = re.compile(
    rb"\(([0-9a-f]{8,16})(?: <- ([0-9a-f]{8,16}))?\)|__probe_ip=" + _HEX + rb"(?= |$)|__probe_func=" + _HEX
    + rb" __probe_ret_ip=" + _HEX + rb"(?= |$)"
)  # fmt: skip
_NAMED = re.compile(rb"\(([A-Za-z_][\w.]*)\+0x([0-9a-f]+)/0x([0-9a-f]+)(?: <([0-9a-f]{8,16})>)?(?=\)| <-)")

_FUNCTIONS: dict[str, tuple[str, ...]] = {
    "__mmput_begin": ("uprobe_clear_state",),
    "__mmput_end": ("lru_gen_del_mm",),
    "swapoff": ("__x64_sys_swapoff", "__arm64_sys_swapoff", "__do_sys_swapoff"),
    "swapon": ("__x64_sys_swapon", "__arm64_sys_swapon", "__do_sys_swapon"),
    "swap_duplicate": ("swap_duplicate", "swap_duplicate_nr"),
    "oom_reap_mm": ("__oom_reap_task_mm",),
    "ksm_enter": ("__ksm_enter",),
}
"""The functions that probes of these names are on (docs/events.md); others are on one of their own name."""


class Probed(msgspec.Struct, frozen=True):
    """A probe's place as trace-cmd and perf print it, in addresses; `caller` is None on entry."""

    at: int
    caller: int | None


def probed(text: bytes) -> Probed | None:
    """The place in a probe's payload, or in its whole line; None where there is none, or it is printed with names."""
    found = _ADDRESSES.search(text)
    if found is None:
        return None
    entry, caller, raw, raw_function, raw_caller = found.groups()
    returns = caller or raw_caller
    return Probed(int(entry or raw or raw_function, 16), None if returns is None else int(returns, 16))


class Sightings:
    """What records show of the addresses that probes are at: a few of each event."""

    def __init__(self) -> None:
        """Nothing was seen yet."""
        self.places: dict[str, set[Probed]] = {}
        self.named: dict[
            tuple[str, int], set[int]
        ] = {}  # (function, its size as printed) -> addresses, if printed, too

    def take(self, record: Record) -> None:
        """Look at a record's payload."""
        kept = self.places.setdefault(record.name, set())
        if len(kept) >= _KEPT or not record.args.lstrip(b" ").startswith((b"(", b"__probe_")):
            return
        if (place := probed(record.args)) is not None:
            kept.add(place)
        elif (found := _NAMED.search(record.args)) is not None:
            addresses = self.named.setdefault((found[1].decode(), int(found[3], 16)), set())
            if found[4] is not None:
                addresses.add(int(found[4], 16) - int(found[2], 16))


class Relocation(msgspec.Struct, frozen=True):
    """The symbols of a log's kernel, and how far it was moved; `moved` is None where nothing tells it. `told`: in words.

    `odd`: event -> the function that it is on, where that is not the one it is named for.
    """

    symbols: Symbols
    moved: int | None
    told: str
    odd: dict[str, str] = {}

    def address(self, name: str) -> int | None:
        """Where `name` lay; None where it is not known."""
        found = self.symbols.address(name)
        return None if found is None or self.moved is None else found + self.moved

    def at(self, address: int) -> str | None:
        """`mmput+0x0/0x30`, as the kernel prints an address; None where it is in no symbol.

        Of a table with some symbols only it is `mmput+0x0`, and None where another may begin before `address`.
        """
        found = None if self.moved is None else self.symbols.within(address - self.moved)
        if found is None:
            return None
        name, offset, size = found
        if self.symbols.dense:
            return f"{name}+{offset:#x}/{size:#x}"
        return f"{name}+{offset:#x}" if offset in _ENTRIES else None

    def place(self, text: bytes) -> str | None:
        """A probe's place as the kernel prints it, `begin_new_exec+0x4ce/0xb40 <- mmput`; None where `text` has no addresses."""
        found = probed(text)
        if found is None or (at := self.at(found.at)) is None:
            return None
        if found.caller is None:
            return at
        return f"{self.at(found.caller) or hex(found.caller)} <- {at.partition('+')[0]}"


def relocated(
    symbols: Symbols,
    seen: Sightings,
    *,
    known: Mapping[str, int],
    functions: Mapping[str, tuple[str, int]],
    nodes: Iterable[int] = (),
    mmlist_offset: int | None = None,
) -> Relocation:
    """How far the kernel of `symbols` was moved in the log that `seen` is of.

    `known`: addresses of symbols that something else tells; `functions`: event -> what its probe is on, and how far into it;
    `nodes`: what may be the list's head. Raises InputError where the symbols are of another kernel.
    """
    _fits(symbols, seen)
    votes: dict[int, list[str]] = {}
    others: list[tuple[str, int]] = []
    for name, address in (*known.items(), *_printed(seen)):
        at = symbols.address(name)
        if at is not None and not _vote(votes, symbols, address - at, name):
            _refuse(symbols, f"{name} lies at {address:#x} in the log, which no base makes of {at:#x}")
    for event, places in seen.places.items():
        wanted = _wanted(event, places, functions, symbols)
        for place in places if wanted else ():
            if not any(_vote(votes, symbols, place.at - at, f"the probe {event}") for at in wanted):
                others.append((event, place.at))
    if not votes:
        if others:
            _refuse(
                symbols, f"the probe {others[0][0]} is at {others[0][1]:#x}, where no base puts a function of that name"
            )
        return _by_head(symbols, nodes, mmlist_offset)
    moved = max(votes, key=lambda one: (len(set(votes[one])), -one))
    for one, witnesses in votes.items():
        if one != moved:
            _refuse(
                symbols, f"{votes[moved][0]} tells a base that is moved by {moved:#x}, {witnesses[0]} one by {one:#x}"
            )
    odd = {}
    for event, address in others:
        within = symbols.within(address - moved)
        if within is None or within[1] not in _ENTRIES:
            _refuse(symbols, f"the probe {event} is at {address:#x}, where they have no function of that name")
        odd[event] = within[0]
    told = ", ".join(list(dict.fromkeys(votes[moved]))[:3])
    return Relocation(symbols, moved, f"{symbols.source}, moved by {moved:#x} ({told})", odd)


def functions_of(event: str) -> tuple[str, ...]:
    """The functions that a probe of the name `event` is on, if it is named as ours are: one, or any of several."""
    name = event.removesuffix("_ret")
    return _FUNCTIONS.get(name, (name,))


def _wanted(
    event: str, places: Iterable[Probed], functions: Mapping[str, tuple[str, int]], symbols: Symbols
) -> list[int]:
    """The addresses, before the kernel is moved, that a probe of the name `event` may be at."""
    entries = (0,) if any(place.caller is not None for place in places) else _ENTRIES
    if event in functions:
        function, offset = functions[event]
        at = symbols.address(function)
        return [] if at is None else [at + offset] if offset else [at + entry for entry in entries]
    found = (symbols.address(one) for one in functions_of(event))
    return [at + entry for at in found if at is not None for entry in entries]


def _printed(seen: Sightings) -> Iterable[tuple[str, int]]:
    """Functions whose place was printed with name and address (trace_options sym-addr)."""
    return ((name, address) for (name, _), addresses in seen.named.items() for address in addresses)


def _vote(votes: dict[int, list[str]], symbols: Symbols, moved: int, witness: str) -> bool:
    """Count `witness` for a kernel that was moved so far, if one can be."""
    if moved % _ALIGNED or not _possible(symbols, moved):
        return False
    votes.setdefault(moved, []).append(witness)
    return True


def _possible(symbols: Symbols, moved: int) -> bool:
    text = symbols.address("_text")
    return text is None or text < _X86_IMAGE or abs(moved) < _X86_MOVED  # the table may itself be of a boot


def _by_head(symbols: Symbols, nodes: Iterable[int], mmlist_offset: int | None) -> Relocation:
    """By the list's head, which is init_mm's node: the only thing in the image that nodes point to."""
    init_mm = symbols.address("init_mm")
    if init_mm is not None and mmlist_offset is not None:
        found = {node - mmlist_offset - init_mm for node in nodes if node >= _KERNEL}
        found = {moved for moved in found if not moved % _ALIGNED and _possible(symbols, moved)}
        if len(found) == 1:
            moved = found.pop()
            return Relocation(symbols, moved, f"{symbols.source}, moved by {moved:#x} (the list's head)")
    return Relocation(symbols, None, f"{symbols.source}, not used: nothing in the log tells where its kernel lay")


def _fits(symbols: Symbols, seen: Sightings) -> None:
    """Refuse symbols that do not have the functions that are printed with the log's probes, or have them shorter or longer."""
    if not symbols.dense or not seen.named:
        return
    wrong = [name for name, size in seen.named if not any(one <= size for one in symbols.sizes(name))]
    if 4 * len(wrong) > len(seen.named):
        _refuse(symbols, f"{wrong[0]} is another there, or none")


def _refuse(symbols: Symbols, why: str) -> NoReturn:
    raise InputError(f"has the symbols of another kernel than the log's: {why}", file=symbols.source)
