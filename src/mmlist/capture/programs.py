"""Probes as programs for other tools: bpftrace, which prints the events itself, and trace-cmd and perf, which record what is
defined in tracefs.

What bpftrace has to print: docs/mapping.md. Its arguments count from 0, its C casts go by the kernel's own BTF.
"""

from __future__ import annotations

import json
import shlex

from mmlist.capture.choose import Chosen, Plan
from mmlist.capture.fetch import POINTER, Hop, Resolved
from mmlist.capture.header import header
from mmlist.capture.syntax import GROUP, lines

_TIME = "$t / 1000000000, $t % 1000000000 / 1000"
_TRACEFS = "/sys/kernel/tracing"
_HEADER = frozenset({"mmlist", "release", "arch", "mmlist_offset"})
"""What a log without a bundle needs; `events` would say that the kit of the script made it."""
_FORMATS = {"s": "%d", "u": "%u", "x": "0x%lx"}


def bpftrace(plan: Plan) -> list[str]:
    """A bpftrace program with a probe for each of the plan's, and for its tracepoints."""
    found = [
        "// Run by: BPFTRACE_PERF_RB_PAGES=4096 bpftrace -q -o trace.txt FILE; its last lines say how much it has printed",
        "BEGIN",
        "{",
        f'    printf("# mmlist-capture: {_quoted(_header(plan))}\\n");',
        "}",
    ]
    for chosen in plan.probes:
        found += _probe(chosen)
    for name, fields in _TRACEPOINTS.items():
        if any(one.endswith("/" + name) for one in plan.tracepoints):
            system = next(one for one in plan.tracepoints if one.endswith("/" + name)).split("/")[0]
            found += _body(f"tracepoint:{system}:{name}", "", name, "", fields)
    return found


_TRACEPOINTS = {
    "task_newtask": [("pid", "%d", "args->pid"), ("clone_flags", "%lx", "args->clone_flags")],
    "sched_process_exit": [("pid", "%d", "args->pid")],
    "sched_process_free": [("pid", "%d", "args->pid")],
}


def _header(plan: Plan) -> str:
    known = {name: value for name, value in header(plan).items() if name in _HEADER}
    return json.dumps({**known, "clock": "mono", "printed": True})


def _quoted(text: str) -> str:
    """`text` in a string that printf takes for a format."""
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")


def _probe(chosen: Chosen) -> list[str]:
    if chosen.place.startswith("_text+") or any(one.register is not None for one in chosen.fetches):
        return [f"// {chosen.event}: bpftrace cannot probe {chosen.place}"]
    kind = "kretprobe" if chosen.probe.returns else "kprobe"
    if chosen.probe.returns and any(one.argument for one in chosen.fetches):
        if not all(one.parameter for one in chosen.fetches if one.argument):
            return [f"// {chosen.event}: bpftrace knows no arguments of {chosen.place} at its return"]
        kind = "kretfunc"
    place = f"(<- {chosen.place})" if chosen.probe.returns else f"({chosen.place})"
    fetches = [(one.name, *_value(one, chosen.probe.returns)) for one in chosen.fetches]
    return _body(f"{kind}:{chosen.place}", _predicate(chosen), chosen.event, place + " ", fetches)


def _body(point: str, predicate: str, event: str, place: str, fetches: list[tuple[str, str, str]]) -> list[str]:
    shown = " ".join(f"{name}={form}" for name, form, _ in fetches)
    values = "".join(f",\n        {value}" for _, _, value in fetches)
    return [
        f"{point}{predicate}",
        "{",
        "    $t = nsecs;",
        "    @printed[cpu] = count();",
        f'    printf("%16s-%-7d [%03d] ..... %d.%06d: {event}: {place}{shown}\\n",',
        f"        comm, tid, cpu, {_TIME}{values});",
        "}",
    ]


def _predicate(chosen: Chosen) -> str:
    """An event's filter, `member==2`, by the argument that the field is fetched from."""
    name, _, value = chosen.probe.filter.partition("==")
    argument = next((one.argument for one in chosen.fetches if one.name == name), None)
    return f" /arg{argument - 1} == {value}/" if argument else ""


def _value(fetch: Resolved, returns: bool) -> tuple[str, str]:
    """How a value is printed, and the expression for it, in a probe that `returns` or not."""
    expression = _expression(fetch, returns)
    if fetch.type == "ustring":
        return '\\"%s\\"', f"str(uptr({expression}))"
    if fetch.type == "string":
        return '\\"%s\\"', expression
    if fetch.type.startswith("s") and not fetch.hops and fetch.argument:
        return "%d", f"(int{fetch.type[1:]}){expression}"
    if fetch.type == "u8":
        return "%u", f"{expression} & 0xff"
    return _FORMATS[fetch.type[0]], f"(uint64){expression}" if fetch.type == "x64" else expression


def _expression(fetch: Resolved, returns: bool) -> str:
    if fetch.symbol and fetch.element is not None:
        text = f'*(uint64 *)(kaddr("{fetch.symbol}") + {POINTER * fetch.element})'
    elif fetch.symbol:
        text = f'kaddr("{fetch.symbol}")'
    elif fetch.argument:
        text = f"args->{fetch.parameter}" if returns else f"arg{fetch.argument - 1}"
    else:
        text = "retval"
    for hop in fetch.hops:
        if hop.struct:
            text = f"((struct {hop.struct} *){text})->{_member(hop)}"
    return text


def _member(hop: Hop) -> str:
    return _WITHIN.get((hop.struct, hop.field), hop.member)


_WITHIN = {("pt_regs", "regs"): "regs[0]"}
"""Of fields that are no number, and no struct around one, what is."""


def recorded(plan: Plan, tool: str) -> list[str]:
    """Shell commands: the definitions into tracefs, then the recording by `tool`, trace-cmd or perf, until it is interrupted.

    Both end of an interrupt that the shell gets too, and perf then of a signal: what follows is to be done all the same. perf
    does not go by the filters in tracefs.
    """
    found = [
        "set -e",
        f"events='{' '.join(one.event for one in plan.probes)}'",
        f'forget() {{ for one in $events; do echo "-:{GROUP}/$one" >> {_TRACEFS}/kprobe_events || :; done; }}',
        "trap forget EXIT",
        "trap : INT",
        f"cd {_TRACEFS}",
    ]
    found += [f"echo {shlex.quote(line)} >> kprobe_events" for line in lines(plan, "kprobe")]
    if tool == "trace-cmd":
        filtered = [(one.event, one.probe.filter) for one in plan.probes if one.probe.filter]
        found += [f"echo '{wanted}' > events/{GROUP}/{event}/filter" for event, wanted in filtered]
    found.append("cd - >/dev/null")
    tracepoints = [f"-e {name.replace('/', ':')}" for name in plan.tracepoints]
    if tool == "trace-cmd":
        found.append(f"trace-cmd record -C mono -b 20000 -o trace.dat {' '.join([f'-e {GROUP}', *tracepoints])}")
        found.append("trace-cmd report -t trace.dat > trace.txt")
    else:
        events = [f"-e {GROUP}:{one.event}" + _perf_filter(one) for one in plan.probes]
        found.append(
            f"perf record -a -k mono -m 16M -o perf.data {' '.join([*events, *tracepoints])} || [ $? -gt 128 ]"
        )
        found.append("perf script --show-lost-events -i perf.data > trace.txt")
    return found


def _perf_filter(chosen: Chosen) -> str:
    return f" --filter '{chosen.probe.filter}'" if chosen.probe.filter else ""
