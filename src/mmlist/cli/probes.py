"""`mmlist probes`: the best probes that a kernel allows, as definitions, as a program, or as a capture script."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import click

from mmlist.capture.choose import Part, Plan, choose
from mmlist.capture.programs import bpftrace, recorded
from mmlist.capture.script import script
from mmlist.capture.syntax import FPROBES, lines
from mmlist.cli import HELP
from mmlist.cli.kernel import sources
from mmlist.kernel import Kernel, describe
from mmlist.kernel.functions import PROBEABLE
from mmlist.replay.errors import InputError, OptionError

SYNTAXES = ("kprobe", "fprobe", "bpftrace", "trace-cmd", "perf")
_CREATORS = {
    "kprobe": ("trace_kprobe_create", "CONFIG_KPROBE_EVENTS"),
    "fprobe": ("trace_fprobe_create", "CONFIG_FPROBE_EVENTS"),
}
"""What a kernel has that takes such definitions (kernel/trace/trace_kprobe.c, trace_fprobe.c): arm64 has fprobes since 6.14."""

_FILES = {"kprobe": "kprobe_events", "fprobe": "dynamic_events"}


@click.command(context_settings=HELP)
@sources
@click.option(
    "--syntax", type=click.Choice(SYNTAXES), default="kprobe", show_default=True, help="What to write them for."
)
@click.option("--script", "as_script", is_flag=True, help="Write a shell script that captures with them.")
def probes(syntax: str, as_script: bool, **given: Any) -> None:
    """Write the best probes that the kernel FILE allows, role by role; what it does not allow is named, with what that costs.

    \b
    Examples:
      mmlist probes /boot/vmlinuz-6.1.0-56-amd64
      mmlist probes vmlinux --script > mmlist-capture     # then, there: sh mmlist-capture start

    kprobe lines are for tracefs's kprobe_events, fprobe lines (6.5 and later) for dynamic_events. A vmlinux with DWARF gives
    more of them: also what was inlined. docs/capture.md.
    """
    kernel = describe(**given)
    _usable(kernel, syntax)
    plan = choose(kernel)
    if not plan.probes:
        raise InputError(
            "allows no probe", file=kernel.file, expected="a kernel with types and symbols: mmlist kernel FILE"
        )
    if as_script:
        if syntax not in _FILES:
            raise OptionError(f"--script is of tracefs, in the syntax kprobe or fprobe, not {syntax}")
        text = script(plan, syntax)
    else:
        text = "\n".join(_listed(plan, syntax)) + "\n"
    sys.stdout.buffer.write(text.encode("utf-8", "surrogateescape"))
    sys.stdout.buffer.flush()


def _usable(kernel: Kernel, syntax: str) -> None:
    """Refuse what gives no log that could be replayed."""
    if kernel.fields.get("mm_struct.mmlist") is None:
        raise InputError(
            f"has no types that tell where mm_struct has mmlist (types from {kernel.types_from})",
            file=kernel.file,
            expected="BTF or DWARF; --btf gives it from elsewhere",
        )
    if syntax == "fprobe" and kernel.version is not None and kernel.version < FPROBES:
        raise OptionError(f"{kernel.release} has no fprobe events: they came with 6.5; --syntax kprobe")
    creator, option = _CREATORS["fprobe" if syntax == "fprobe" else "kprobe"]
    if syntax != "bpftrace" and kernel.symbols is not None and not kernel.symbols.named(creator):
        raise InputError(
            f"was built without {option}: it has no {creator}", file=kernel.file, expected="another --syntax"
        )


def _listed(plan: Plan, syntax: str) -> Iterator[str]:
    mark = "//" if syntax == "bpftrace" else "#"
    kernel = plan.kernel
    yield f"{mark} Probes for {kernel.release or 'a kernel of unknown release'}, {kernel.arch}"
    yield f"{mark} types from {kernel.types_from}, symbols from {kernel.symbols_from}"
    for note in kernel.notes:
        yield f"{mark} {note}"
    for part in plan.parts:
        for line in _of_role(part):
            yield f"{mark} {line}"
    if syntax == "bpftrace":
        yield from bpftrace(plan)
    elif syntax in _FILES:
        yield f"{mark} to be written to tracefs's {_FILES[syntax]}, a line at a time; trace_clock mono"
        yield f"{mark} events to be enabled too: {' '.join(plan.tracepoints)}"
        for chosen in plan.probes:
            if chosen.probe.filter:
                yield f"{mark} filter of {chosen.event}: {chosen.probe.filter}"
        yield from lines(plan, syntax)
    else:
        yield from recorded(plan, syntax)


def _of_role(part: Part) -> Iterator[str]:
    """What is seen of a role, what is not, why, and what that costs."""
    yield f"{part.role.name}: {' '.join(chosen.event for chosen in part.chosen) or 'nothing'}"
    for chosen in part.chosen:
        if chosen.lacking:
            yield f"  {chosen.event} without {' '.join(chosen.lacking)}"
        if chosen.status.told != PROBEABLE and not chosen.probe.inlined:
            yield f"  {chosen.event}: {chosen.status.told}"
    for one in part.missing:
        yield f"  no {one.what} ({one.why})"
    if part.costs:
        told = ", ".join(f"{one.code} {one.slug} {one.state} decidable" for one in part.costs)
        yield f"  which costs: {told}"
    elif part.missing:
        yield "  which moves no invariant between decidable, partly and not"
