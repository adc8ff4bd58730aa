"""Probes as tracefs takes them: lines of kprobe_events (all kernels), and fprobe lines of dynamic_events (6.5 and later).

Documentation/trace/kprobetrace.rst: `p:GROUP/EVENT PLACE name=FETCH:type`, where FETCH is $argN, $retval, %register, @symbol or
+OFFSET(FETCH). Documentation/trace/fprobetrace.rst: `f:GROUP/EVENT FUNCTION[%return]`; since 6.6 a FETCH may be a path through
BTF, `vma->vm_mm->mm_users.counter` (commit c440adfbe302, "tracing/probes: Support BTF based data structure field access").
"""

from __future__ import annotations

from mmlist.capture.choose import Chosen, Plan
from mmlist.capture.fetch import POINTER, Resolved

GROUP = "mmlist"
FPROBES, PATHS = (6, 5), (6, 6)
_RETURNS = 256
"""How many calls of one function may be under way at once (maxactive): swapoff, dup_mmap and copy_process sleep."""

_X86 = ("ax", "dx", "cx", "bx", "si", "di", "bp", "sp", *(f"r{number}" for number in range(8, 16)))


def kprobe(chosen: Chosen, arch: str) -> str:
    """A line of kprobe_events."""
    kind = f"r{_RETURNS}" if chosen.probe.returns else "p"
    fetches = [f"{one.name}={by_offset(one, arch)}:{one.type}" for one in chosen.fetches]
    return " ".join([f"{kind}:{GROUP}/{chosen.event}", chosen.place, *fetches])


def fprobe(chosen: Chosen, plan: Plan) -> str:
    """A line of dynamic_events: an fprobe, or a kprobe where it has to lie inside of a function, or at an address."""
    kernel = plan.kernel
    if chosen.place != chosen.probe.function:  # an fprobe goes by the name, and takes all that bear it
        return kprobe(chosen, kernel.arch)
    paths = kernel.btf is not None and kernel.version is not None and kernel.version >= PATHS
    place = chosen.place + ("%return" if chosen.probe.returns else "")
    fetches = [
        f"{one.name}={by_path(one, kernel.arch) if paths else by_offset(one, kernel.arch)}:{one.type}"
        for one in chosen.fetches
    ]
    return " ".join([f"f:{GROUP}/{chosen.event}", place, *fetches])


def lines(plan: Plan, syntax: str) -> list[str]:
    """The definitions of a plan, `syntax` kprobe or fprobe."""
    if syntax == "kprobe":
        return [kprobe(chosen, plan.kernel.arch) for chosen in plan.probes]
    return [fprobe(chosen, plan) for chosen in plan.probes]


def by_offset(fetch: Resolved, arch: str) -> str:
    """A FETCH by offsets."""
    hops = list(fetch.hops)
    if fetch.symbol:
        offset = POINTER * (fetch.element or 0)
        if fetch.element is None and hops:
            offset = hops.pop(0).offset
        text = f"@{fetch.symbol}" + (f"+{offset}" if offset else "")
    else:
        text = _base(fetch, arch)
    for hop in hops:
        text = f"+{hop.offset}({text})"
    return text


def by_path(fetch: Resolved, arch: str) -> str:
    """A FETCH by names of members, as far as BTF knows what it goes through; by offsets from there on."""
    named = fetch.hops[: _known(fetch)]
    if not named or (fetch.argument and not fetch.parameter):
        return by_offset(fetch, arch)
    text = fetch.parameter or "$retval"
    for hop in named:
        text += f"->{hop.member}"
    for hop in fetch.hops[len(named) :]:
        text = f"+{hop.offset}({text})"
    return text


def _known(fetch: Resolved) -> int:
    """How many hops from the beginning lead through structs that BTF knows behind the argument, or the value returned."""
    if fetch.symbol or fetch.register is not None or not fetch.pointee:
        return 0
    known, struct = 0, fetch.pointee
    for hop in fetch.hops:
        if not hop.struct or hop.struct != struct:
            break
        known += 1
        struct = _POINTS_TO.get(f"{hop.struct}.{hop.field}", "")
    return known


_POINTS_TO = {"vm_area_struct.vm_mm": "mm_struct", "task_struct.mm": "mm_struct"}
"""The struct that a field points to, of the fields that are gone through."""


def _base(fetch: Resolved, arch: str) -> str:
    if fetch.register is not None:
        return f"%{_X86[fetch.register]}" if arch == "x86_64" else f"%x{fetch.register}"
    return f"$arg{fetch.argument}" if fetch.argument else "$retval"
