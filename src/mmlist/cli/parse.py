"""`mmlist parse`: what each line of a log says, one JSON object a record."""

from __future__ import annotations

import json
import re
import sys
from typing import Any

import click

from mmlist.bundled import bundled
from mmlist.cli import HELP
from mmlist.cli.logs import every_log
from mmlist.cli.words import mapping, symbol_files, symbols
from mmlist.replay.errors import InputError
from mmlist.replay.log import Log
from mmlist.replay.mapping import Mapping
from mmlist.replay.options import Options
from mmlist.replay.parse import Item, Line, Parser
from mmlist.replay.payload import fields, place
from mmlist.replay.record import Loss, Record, Unparsed
from mmlist.replay.relocation import Relocation
from mmlist.replay.setup import Setup
from mmlist.replay.symbols import Symbols

_CONTEXT = ("comm", "pid", "tgid", "cpu", "flags", "ts", "ts_unit", "event")
_TAKEN = frozenset({"task", "pid", "tgid", "cpu", "flags", "stamp", "name", "args", "system", "text", "meta", "indent"})
_LOST = {"buffer_started": "cpu_buffer_start"}
_NAMED = frozenset({"task", "prev_task"})
_USER_FRAME = frozenset({"addr", "object"})  # without a symbol
_FRAME = re.compile(rb"(?:0x)?([0-9a-f]{8,16})")
_META = re.compile(rb"PERF_RECORD_([A-Z0-9_]+).*", re.DOTALL)


@click.command(context_settings=HELP)
@click.argument("logs", metavar="LOG...", nargs=-1, required=True)
@click.option("--map", "maps", multiple=True, metavar="FILE.toml", help="What your own event names mean (repeatable).")
@symbol_files
@click.option("--unknown", is_flag=True, help="List the event names that are not ours, and what they may be.")
@click.option("--format", "form", type=click.Choice(["text", "json"]), help="[default: json; with --unknown text]")
def parse(
    logs: tuple[str, ...],
    maps: tuple[str, ...],
    vmlinux: str | None,
    kallsyms: str | None,
    unknown: bool,
    form: str | None,
) -> None:
    """Print what each line of each LOG says, one JSON object a record (- is standard input).

    \b
    Examples:
      mmlist parse trace.txt | jq 'select(.event == "mmput") | .fields.mm'
      trace-cmd report | mmlist parse -
      mmlist parse --unknown trace.txt      # your own probes: docs/mapping.md

    Keys: file, line, kind, and with kind "event" comm, pid, tgid, cpu, flags, ts (as printed), ts_unit (s, ms, us, or
    raw for a clock that does not count seconds), event, args, probe, fields. `fields` is there only where the print
    format leaves no doubt. A line that cannot be read has kind "unparsed" and a reason. A stack
    trace and its frames have the line of their event, "of".
    Bytes that are not UTF-8 are surrogate escapes (\\udcff). With the kernel's symbols, an address that is a probe's place
    (`probe`) or a frame of a stack (`symbol`) is its symbol. With --map, what is mapped has the event and fields of the
    map, and the event's name in the log as "printed".
    """
    if form == "text" and not unknown:
        raise click.UsageError("--format text is for --unknown: records are JSON")
    names, kernel = mapping(maps), symbols(vmlinux, kallsyms)
    for name in logs:
        for log in every_log(name):
            try:
                mapped = bundled(log, Options(mapping=names)).mapping
                if unknown:
                    _unknown(log, mapped, form or "text")
                else:
                    _records(log, mapped, kernel)
            except InputError as error:
                if not log.archived:
                    raise
                click.echo(f"mmlist: {log.name} {error.message}: passed over", err=True)


def _records(log: Log, names: Mapping | None, kernel: Symbols | None) -> None:
    stacks = Stacks()
    placed = None if kernel is None else Setup(log, Options(mapping=names, symbols=kernel)).survey.symbols
    for item in Parser(log).records():
        shown = {"file": log.name, "line": item.at.line, **describe(item), **stacks.of(item)}
        if names is not None and isinstance(item, Line):
            shown |= _mapped(item, names)
        if placed is not None and isinstance(item, Line):
            shown |= _placed(item, placed)
        sys.stdout.write(json.dumps(shown) + "\n")


class Stacks:
    """Tells which event a stack trace belongs to: the last of the same task on the same CPU, whatever stands between."""

    def __init__(self) -> None:
        """No event was seen yet."""
        self._last: dict[tuple[int | None, int | None], int] = {}
        self._owner: int | None = None

    def of(self, item: Item) -> dict[str, Any]:
        """`of`, the line of the event, where `item` is a stack or a frame of one."""
        if not isinstance(item, Record) or item.kind in ("header", "separator", "meta"):
            return {}
        if item.kind not in ("stack_begin", "stack_frame"):
            self._last[item.at.cpu, item.at.pid] = self._owner = item.at.line
            return {}
        if item.kind == "stack_begin":
            self._owner = self._last.get((item.at.cpu, item.at.pid))
        return {"of": self._owner}


def _unknown(log: Log, names: Mapping | None, form: str) -> None:
    from mmlist.cli.unknown import FORMATS  # imported late: parsing needs none of it
    from mmlist.unknown import names_of

    for line in FORMATS[form](names_of(log, names)):
        click.echo(line)


def _mapped(record: Line, names: Mapping) -> dict[str, Any]:
    """What a map makes of a record; nothing where it says nothing, or that it is no event of ours."""
    system = _maybe(record.parts.get("system"))
    rule = names.rule_of(record, system)
    mapped = rule.apply(record) if rule is not None and record.kind == "event" else None
    if mapped is None:
        return {}
    found = {key: _text(value) for key, value in fields(mapped).items()}
    return {"event": mapped.name, "printed": f"{system}:{record.name}" if system else record.name, "fields": found}


def _placed(record: Line, kernel: Relocation) -> dict[str, Any]:
    """What the kernel's symbols make of the addresses in a record; nothing where it has none, or they are of no symbol."""
    if record.kind == "stack_frame":
        found = _FRAME.fullmatch(record.parts.get("symbol", record.parts.get("addr", b"")))
        symbol = None if found is None else kernel.at(int(found[1], 16))
        return {} if symbol is None else {"symbol": symbol, "user": False}
    place = kernel.place(record.args) if record.kind == "event" else None
    return {} if place is None else {"probe": f"({place})"}


def describe(item: Item) -> dict[str, Any]:
    """What a parsed item says, as plain values under the keys of `mmlist parse`."""
    if isinstance(item, Unparsed):
        reason = {"reason": item.reason, "column": item.column, "severity": item.severity}
        return {"kind": "unparsed", **reason, "text": _text(item.text)}
    if isinstance(item, Loss):
        kind = _LOST.get(item.kind, "lost")
        span = {"since": item.since, "until": item.until}
        return {"kind": kind, "cpu": item.cpu, "count": item.count, "form": item.kind, **span}
    parts = item.parts if isinstance(item, Line) else {}
    if item.kind == "header":
        return {"kind": "header", **_header(parts), "args": _text(item.args)}
    if item.kind == "stack_frame":
        frame = {key: _text(value) for key, value in parts.items()}
        return {
            "kind": "stack_frame",
            "symbol": None,
            **frame,
            "user": "symbol" not in parts and not _USER_FRAME.isdisjoint(parts),
        }
    if item.kind == "separator":
        return {"kind": "separator"}
    return {"kind": item.kind, **_context(item), **_payload(item, parts)}


def _context(record: Record) -> dict[str, Any]:
    at, ts = record.at, record.ts_text
    shown = isinstance(record, Line) and (record.unit if record.unit != "raw" else None)
    unit = None if ts is None else shown or ("s" if b"." in ts else "raw")
    comm = _text(at.comm) if not isinstance(record, Line) or _NAMED.intersection(record.parts) else None
    pid = at.pid if at.pid is None or at.pid >= 0 or b"-" in getattr(record, "parts", {}).get("pid", b"") else None
    values = (comm, pid, record.tgid, at.cpu, _maybe(record.flags), _maybe(ts), unit, None)
    return dict(zip(_CONTEXT, values, strict=True))


def _payload(record: Record, parts: dict[str, bytes]) -> dict[str, Any]:
    said: dict[str, Any] = {}
    if isinstance(record, Line) and record.dialect.startswith("perf_script"):
        said["tid"] = record.at.pid
    if isinstance(record, Line) and record.dialect == "function_graph":
        said["depth"] = len(parts.get("indent", b"")) // 2
    if record.kind == "event":
        said["event"] = f"{_text(parts['system'])}:{record.name}" if "system" in parts else record.name
        probe = place(record)
        if probe is not None:
            said["probe"] = f"({_text(probe)})"
        found = fields(record)
        if found:
            said["fields"] = {key: _text(value) for key, value in found.items()}
    elif record.kind in ("syscall_enter", "syscall_exit"):
        return {**said, "event": _text(parts["syscall"]), "args": _maybe(parts.get("args", parts.get("result")))}
    elif record.kind == "function":
        said["parent"] = _maybe(parts.get("parent"))
    elif record.kind == "meta":
        said["record"] = _text(_META.sub(rb"\1", record.args))
    more = {key: _text(value) for key, value in parts.items() if key not in _TAKEN and key not in said}
    return {**said, **more, "args": _text(record.args)}


def _header(parts: dict[str, bytes]) -> dict[str, Any]:
    numbers: dict[str, Any] = {key: int(parts[key]) for key in ("cpus", "kept", "written") if key in parts}
    if "buffer" in parts:
        numbers["buffer"] = _text(parts["buffer"].removesuffix(b": "))
    return numbers


def _text(value: bytes) -> str:
    return value.decode("utf-8", "surrogateescape")


def _maybe(value: bytes | None) -> str | None:
    return None if value is None else _text(value)
