"""Tells which dialect a log is written in, by trying the grammars on its lines."""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from typing import NamedTuple

from mmlist import grammars
from mmlist.grammars import stored

SECONDS: tuple[int, ...] = (1, *(int(10 ** (9 - digits)) for digits in range(1, 10)))
"""What a stamp of seconds without its dot is multiplied with, by the number of its decimals; 1 without a dot."""


class Form(NamedTuple):
    """A dialect's grammar: `start` reads a line as printed, `reindented` one that was moved (empty: none does).

    `unit` is what its times count where they have no dot, or if it is not "raw" in any case: "ms", "us". `loose`: it
    reads nearly any text, and is told by all lines of a log alone.
    """

    grammar: str
    start: str = "start"
    reindented: str = ""
    unit: str = "raw"
    loose: bool = False


FORMS = {
    "trace_cmd": Form("trace_cmd", reindented="reindented"),
    "trace_cmd_latency": Form("trace_cmd", "latency"),
    "tracefs": Form("tracefs", reindented="reindented"),
    "perf_script": Form("perf_script", reindented="reindented"),
    "latency": Form("latency", reindented="reindented", unit="us"),
    "latency_counter": Form("latency", "counter", "reindented_counter"),
    "latency_verbose": Form("latency", "verbose", unit="ms"),
    "latency_verbose_counter": Form("latency", "verbose_counter"),
    "perf_script_bare": Form("perf_script", "bare"),
    "function_graph": Form("function_graph"),
    "remote": Form("remote"),
    "nocontext": Form("nocontext", loose=True),
}
"""The stricter first: where two read as many lines, the earlier is meant."""

DIALECTS = tuple(FORMS)
"""The names of all dialects, as a run has them."""

ADVICE = {
    "raw": ("tracefs' raw output", "text: echo 0 > /sys/kernel/tracing/options/raw, then read trace again"),
    "hex": ("tracefs' hex output", "text: echo 0 > /sys/kernel/tracing/options/hex, then read trace again"),
    "histogram": ("a histogram of tracefs", "the events themselves: the file trace, not hist"),
    "perf_trace": ("the output of perf trace", "that of perf script"),
    "perf_timehist": ("the output of perf sched timehist", "that of perf script"),
    "perf_dump": ("the output of perf script -D", "that of perf script without -D"),
    "definition": ("a list of probe definitions", "what the probes recorded: the file trace"),
    "buffer_statistics": ("the statistics of a buffer", "its content: the file trace"),
}
"""What the outputs of foreign.lark are, and what would be right."""

_BACK = 5  # one line in so many that goes back in time is no forgery any more
_ALL = 0.9  # of the lines must be read by a loose dialect


class Dialect:
    """One dialect's expressions: `line` reads one line, `reindented` one whose left blanks are not the kernel's.

    `scan` reads a block: each line is one match, newline included; its group `absent` took part where the line is no line
    of this dialect. `hot` are the numbers of the groups grammars.HOT in it; what the dialect does not print is a group that is
    None in every line. `full`: each event line has a task, a CPU and a time. `scale` is what a stamp without its dot is
    multiplied with, by the number of its decimals, for nanoseconds (or the number itself, of a clock without a dot).
    Each expression is compiled when it is first used.
    """

    def __init__(self, name: str) -> None:
        """`name`: a key of FORMS."""
        self.name = name
        self.form = form = FORMS[name]
        self.full = name not in _PARTIAL
        self.unit = form.unit
        self.scale = SECONDS if form.unit == "raw" else _scale(_POWER[form.unit])

    @functools.cached_property
    def line(self) -> re.Pattern[bytes]:
        """Reads one line as printed, without its newline."""
        return grammar(self.name).pattern

    @functools.cached_property
    def reindented(self) -> re.Pattern[bytes]:
        """Reads one line that was moved; nothing, where nothing tells such a line."""
        form = self.form
        return grammars.load(form.grammar, form.reindented).pattern if form.reindented else _NOTHING

    @functools.cached_property
    def code(self) -> int | None:
        """The dialect's number in the extension, where that was built and reads it."""
        module = stored.scanner()
        return None if module is None else module.DIALECTS.get(f"{self.form.grammar}.{self.form.start}")

    @functools.cached_property
    def scan(self) -> re.Pattern[bytes]:
        """Reads a block, a match a line."""
        return grammars.compiled(rf"{grammar(self.name).expression}\n|(?P<absent>)[^\n]*\n")

    @functools.cached_property
    def hot(self) -> tuple[int, ...]:
        """The numbers of the groups grammars.HOT in `scan`."""
        groups = {group.partition("__")[0]: number for group, number in self.scan.groupindex.items()}
        return tuple(groups.get(name, groups["absent"]) for name in grammars.HOT)

    def differences(self, lines: Sequence[bytes]) -> bool:
        """Whether the times of `lines` are those since the line before (perf's --deltatime), so that they tell no order."""
        if self.form.grammar != "perf_script":
            return False
        last: dict[bytes | None, bytes] = {}
        back = 0
        for parts in (grammars.parts(found) for found in map(self.line.fullmatch, lines) if found is not None):
            cpu, stamp = parts.get("cpu"), parts.get("stamp", b"")
            back += cpu in last and (len(stamp), stamp) < (len(last[cpu]), last[cpu])
            last[cpu] = stamp
        return back * _BACK > len(lines)


_NOTHING = re.compile(rb"(?!)")
_PARTIAL = frozenset({"perf_script_bare", "function_graph", "remote", "nocontext"})
_POWER = {"ms": 6, "us": 3}


def _scale(power: int) -> tuple[int, ...]:
    return tuple(int(10 ** max(0, power - digits)) for digits in range(10))


@functools.cache
def dialect(name: str) -> Dialect:
    """The dialect `name`, compiled once."""
    return Dialect(name)


def grammar(name: str) -> grammars.Grammar:
    """The grammar of the lines of the dialect `name`, as printed."""
    form = FORMS[name]
    return grammars.load(form.grammar, form.start)


class Told(NamedTuple):
    """How many of some lines a dialect reads: as `printed`, or but `moved`."""

    printed: int
    moved: int
    dialect: Dialect | None


def tell(lines: Sequence[bytes], *, apart_from: Dialect | None = None, loose: bool = True) -> Told:
    """The dialect that reads most of `lines`, none if none reads any.

    Lines as printed count before re-indented ones. `apart_from` is out of question, and without `loose` what reads nearly
    any text is too.
    """
    best = Told(0, 0, None)
    for candidate in map(dialect, DIALECTS):
        if candidate is apart_from or (candidate.form.loose and not loose):
            continue
        printed = sum(1 for line in lines if _fits(candidate.line.fullmatch(line)))
        if candidate.form.loose and printed < len(lines) * _ALL:
            continue
        moved = 0 if printed else sum(1 for line in lines if candidate.reindented.fullmatch(line))
        if (printed, moved) > best[:2]:
            best = Told(printed, moved, candidate)
            if printed * 2 > len(lines):
                break
    return best


def foreign(lines: Sequence[bytes]) -> tuple[str, str] | None:
    """What most of `lines` are if they are an output that is known and cannot be replayed, and what would be right."""
    known = grammars.load("foreign")
    kinds = [parts["kind"].decode() for parts in map(known.read, lines) if parts is not None]
    return ADVICE[max(kinds, key=kinds.count)] if len(kinds) * 2 > len(lines) else None


def explain(name: str, text: bytes, *, reason: bool = True) -> tuple[int, str]:
    """Where (column, 1-based) and why the dialect `name` refuses a line: Lark's own words."""
    try:
        grammar(name).parse(text)
    except grammars.Refused as refused:
        return refused.column, f"expected {refused.expected}" if reason else refused.expected
    return 1, "expected context columns of one event" if reason else "one event"


def _fits(read: re.Match[bytes] | None) -> bool:
    """Whether a line was read, and its payload does not begin with the padding of another dialect."""
    return read is not None and not (read["args"] or b"").startswith(b"  ")
