"""Lines into records, losses and unparsed lines: the first half of what a log says; what it means is `bind`'s matter.

The regular expression compiled from a dialect's grammar reads block after block, a match a line. What it refuses is
looked at by hand: headers, loss markers, stack frames, a comm or a marker with a newline in it, a line that was
re-indented, another dialect from here on; what is left is explained by Lark and kept as unparsed. Every physical line is
counted once. Where it was built, an extension made of the same grammars (grammars/scanner.c) goes ahead: it takes the
lines that need nothing but reading, and stops at each other one. All of it is one class, over 400 lines: the hot loop and
what it refuses share the state of the read.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING

import msgspec

from mmlist import grammars
from mmlist.grammars import stored
from mmlist.replay import payload, reference
from mmlist.replay.clock import Clock, Held, Suspect
from mmlist.replay.dialect import Dialect, explain, tell
from mmlist.replay.interned import Names, Numbers
from mmlist.replay.ledger import Ledger
from mmlist.replay.log import Block, Log
from mmlist.replay.machine import Machine
from mmlist.replay.parts import CAPTURE_HEADER
from mmlist.replay.record import At, Loss, Record, Unparsed
from mmlist.replay.running import Running
from mmlist.replay.telling import Telling
from mmlist.replay.wrapping import PLAIN, Places

if TYPE_CHECKING:
    from mmlist.grammars import _scanner

Item = Record | Loss | Unparsed
Found = re.Match[bytes] | reference.Read

_SPLIT = 4  # lines at most that one comm column is spread over
_HELD = 8_192  # items held back at most while a line is undecided
_TASK = 16
_CAPTURES = 16  # headers of our kit that are kept of one log
_LONGEST = 16 * 1024  # bytes of a record over several lines: the kernel prints it into two pages (trace_seq.h)
_NEWLINES = 64  # in the comms of one record: 15 each


BACKWARDS = "time goes backwards"
"""How the reason of a line begins that was not believed because its CPU had come further already."""


class Line(Record):
    """A record with all its `parts`, by the names of the grammar's terminals: what `mmlist parse` prints."""

    parts: dict[str, bytes] = msgspec.field(default_factory=dict)
    dialect: str = ""
    unit: str = "raw"  # of a time without a dot


class Parser:
    """Reads one log once. With `names`, only records of these names are yielded, the others are but counted.

    `ledger` counts lines, `dialect` is the last dialect met, `ts_unit` "ns", "raw" or "none", `ts_digits` the decimals
    printed, `lacking` what records yielded do not say ("task", "CPU", "time"), `buffers` the names of trace-cmd's buffers
    that they stood in (none: the log doesn't name them); all are complete when `records` is at its end.
    """

    def __init__(self, log: Log, names: frozenset[str] | None = None, *, fast: bool = True) -> None:
        """`names`: of the events wanted, `system:name` for one system's alone; None for every record of every kind.

        Without `fast`, Lark reads every line in place of the expression compiled from its grammar: the same, slower.
        """
        self._fast = fast
        self.ledger = Ledger()
        self.printed: dict[
            int, tuple[int, int]
        ] = {}  # by CPU, the last count of a program of ours, and its line's offset
        self.captures: list[bytes] = []  # our kit's own header lines, wherever they stand
        self.dialect = ""
        self._log = log
        self._all = names is None
        self._names = Names(names)
        self._systems = names is not None and any(":" in name for name in names)
        self._numbers = Numbers()
        self._clock = Clock(self.ledger)
        self._told = Telling(log.name, crlf=log.crlf, wanted=None if names is None else self._is_wanted)
        self._out: list[Held] = []
        self._before: tuple[str, bytes, Record | None] | None = None  # the record that a line may go on
        self._carried: Block | None = None
        self._skip = 0  # offset up to which lines were taken already
        self._raw: Block | None = None
        self._earlier: Block | None = None
        self._places = Places()
        self._dump = 0  # lines of dashes still to come of a dump in the kernel's log
        self._running = Running()
        self._others: dict[bytes, int] = {}
        self._scanner = self._native()
        self.lacking: set[str] = set()
        self.machine = Machine()

    @property
    def buffers(self) -> set[bytes]:
        """The names of trace-cmd's buffers that records yielded stood in; b"" is the main one."""
        return self._places.buffers

    @property
    def ts_unit(self) -> str:
        """`ns`, `raw` (a clock without a dot), `none` before or without a record that has a time."""
        return self._clock.unit

    @property
    def ts_digits(self) -> int:
        """Decimals of the printed time: 6, 9, or 0 for a clock without a dot."""
        return self._clock.digits

    @property
    def slips(self) -> list[tuple[int, int]]:
        """Where the clock went back by a little on one CPU, as far as was read: (to, from), in units of ts."""
        return self._clock.slips

    @property
    def losing(self) -> bool:
        """Whether events were lost, as far as was read, of a CPU that has no line behind it yet."""
        return self._clock.losing

    def last_times(self) -> dict[int, int]:
        """When each CPU's last record was, in units of ts, if records have times."""
        return {cpu: self._clock.moment(stamp) for cpu, stamp in self._clock.last.items()}

    def records(self) -> Iterator[Item]:
        """All items in file order. Raises InputError for a log in no known dialect."""
        payload.forget()
        out = self._out
        for block in self._log.blocks():
            if block.outside:
                self.ledger.header += block.data.count(b"\n")
            elif block.overlong:
                self._overlong(block)
            elif block.data:
                self._block(block)
            if len(out) > _HELD:
                self._clock.settle(out)
            if not self._clock.undecided:
                # The last may go on in the next block; a log that still grows says by an empty one that none came.
                kept = len(out) - 1 if block.data else len(out)
                ready, out[:] = out[:kept], out[kept:]
                yield from ready  # type: ignore[misc]
        if self._carried is not None:
            carried, self._carried = self._carried, None
            self._scan(carried, last=True)
            self._places.set_right(out)
        if self._told.dialect is None and self._told.refusal is not None:
            raise self._told.refusal
        self._doubt_last(out)
        if self._log.damage is not None:
            self._truncated()
        self._clock.finish(out)
        yield from out  # type: ignore[misc]
        out.clear()

    # --- blocks ------------------------------------------------------------------------------------------------------

    def _block(self, raw: Block) -> None:
        self._earlier, self._raw, block = self._raw, raw, raw
        if self._told.dialect is None or self._told.again:
            self._told.first(raw)
            self._changed()
        if self._told.wrapping is not PLAIN:
            block = self._unwrapped(raw)
        carried, self._carried = self._carried, None
        if carried is not None:
            block = Block(carried.line, carried.offset, carried.data + block.data, 0, block.ended)
        self._scan(block)
        self._places.set_right(self._out)

    def _changed(self) -> None:
        """Another dialect, perhaps: times may be of another kind, and those before are no measure then."""
        told, clock = self._told.dialect, self._clock
        if told is None or told.name == self.dialect:
            return
        if self.dialect and clock.scale != told.scale:
            clock.header()
        self.dialect, clock.scale = told.name, told.scale

    def _scan(self, block: Block, *, last: bool = False) -> None:
        """Read a block from its start, again and again from where the dialect changed."""
        line, start, told = block.line, 0, self._told
        wrapping = told.wrapping
        while start < len(block.data):
            if told.wrapping is not wrapping:
                wrapping = told.wrapping
                rest = Block(line, block.offset + start, block.data[start:], 0, block.ended)
                block, start = self._unwrapped(rest), 0
            if told.dialect is None:
                line, start = self._notes_only(block, line)
            elif self._fast and told.dialect.full and not told.timeless and not self._systems:
                line, start = self._events(block, told.dialect, line, start, last)
                self._count_others()
            else:
                line, start = self._partial(block, told.dialect, line, start, last)
            self._changed()

    def _unwrapped(self, block: Block) -> Block:
        """A block without what its lines are wrapped in."""
        assert self._raw is not None
        self._places.of(self._raw, self._told.wrapping.width)
        return block._replace(data=self._told.wrapping.strip(block.data))

    def _partial(self, block: Block, dialect: Dialect, line: int, start: int, last: bool) -> tuple[int, int]:
        """The same as `_events` for a dialect whose lines do not all have a task, a CPU and a time."""
        if dialect.name == "function_graph":
            self._running.first(block.data[start:])
            if self._running.mistaken:
                self.lacking.add("task")  # of some lines
        absent, told, wrapping = dialect.scan.groupindex["absent"], self._told, self._told.wrapping
        scan: Iterator[Found] = (
            dialect.scan.finditer(block.data, start) if self._fast else reference.lines(dialect, block.data, start)
        )
        for number, m in enumerate(scan, line):
            if m[absent] is None and block.offset + m.start() >= self._skip:
                self._take(number, block.offset + m.start(), grammars.parts(m), number)
            else:
                self._odd(block, number, m, last)
            if self._carried is not None:
                break
            if told.dialect is not dialect or told.wrapping is not wrapping:
                return number, m.start()
        return line, len(block.data)

    def _native(self) -> _scanner.Scanner | None:
        """The extension's reader of this log, where there is one and it reads what is asked for."""
        module = stored.scanner() if self._fast and not self._all else None
        if module is None:
            return None
        clock = self._clock
        given = (self._names, clock.last, clock.watched, self._out, self._others)
        return module.Scanner(Record, At, *given, self._log.crlf)

    def _events(self, block: Block, dialect: Dialect, line: int, start: int, last: bool) -> tuple[int, int]:
        """Lines of a dialect that all have a task, a CPU and a time. Answers the line and the place up to which it came.

        Where there is a scanner, it takes all lines that are but read, and leaves those that need a look, one by one.
        """
        scanner = self._scanner
        code = None if scanner is None else dialect.code
        if scanner is None or code is None:
            return self._matches(block, dialect, line, start, last)
        told, wrapping, out, size = self._told, self._told.wrapping, self._out, len(block.data)
        while start < size:
            held = len(out)
            line, start, before = scanner.read(code, block.data, start, line, block.offset, dialect.scale)
            self.ledger.ours += len(out) - held
            if before is not None:
                self._before = before
            if start < size:
                line, start = self._matches(block, dialect, line, start, last, one=True)
            if told.dialect is not dialect or told.wrapping is not wrapping:
                break
        return line, start

    def _count_others(self) -> None:
        """Hand over what was counted of other events."""
        for raw, count in self._others.items():
            self.ledger.count_other(raw.decode("latin-1"), count)
        self._others.clear()

    def _matches(
        self, block: Block, dialect: Dialect, line: int, start: int, last: bool, *, one: bool = False
    ) -> tuple[int, int]:
        """The hot loop: a match a line. With `one`, that line alone. Answers as `_events`."""
        data, base, crlf, everything = block.data, block.offset, self._log.crlf, self._all
        out, clock, names, numbers = self._out, self._clock, self._names, self._numbers
        latest, watched = clock.last, clock.watched
        stamp_, cpu_, name_, task_, pid_, tgid_, flags_, args_ = dialect.hot
        scale, told, wrapping = dialect.scale, self._told, self._told.wrapping
        others = self._others
        append, ours = out.append, 0
        before: re.Match[bytes] | None = None
        record: Record | None = None
        end = line, len(data)
        found: Iterator[re.Match[bytes]] = dialect.scan.finditer(data, start)
        if one:
            end = line + 1, data.find(b"\n", start) + 1 or len(data)
            found = islice(found, 1)
        for number, m in enumerate(found, line):
            stamp, cpu_text, raw = m.group(stamp_, cpu_, name_)
            if raw is None:
                if before is not None:
                    self._before = before[name_].decode("latin-1"), before[args_] or b"", record
                    before = None
                self._odd(block, number, m, last)
                if self._carried is not None:
                    end = number, len(data)
                    break
                if told.dialect is not dialect or told.wrapping is not wrapping:
                    end = number, m.start()
                    break
                continue
            before, record = m, None
            cpu = numbers[cpu_text]
            previous = latest.get(cpu)
            if previous is None or previous > stamp or len(previous) != len(stamp):
                at = At(number, base + m.start(), None, cpu, None, b"")
                if not clock.follows(cpu, stamp, at, out):
                    self._back(number, base + m.start(), m)
                    continue
            latest[cpu] = stamp
            if watched and (cpu in watched or None in watched):
                clock.arrive(cpu, stamp, out)
            name = names[raw]
            if name is None:
                others[raw] = others.get(raw, 0) + 1
                continue
            task, pid, tgid, flags, args = m.group(task_, pid_, tgid_, flags_, args_)
            if args is None:
                args = b""
            elif crlf and args.endswith(b"\r"):
                args = args[:-1]
            if tgid is not None:
                tgid = None if tgid[0] == 45 else numbers[tgid]  # dashes: not known
            whole, _, digits = stamp.partition(b".")
            when = int(whole + digits) * scale[len(digits)]
            at = At(number, base + m.start(), when, cpu, numbers[pid], task.lstrip(b" "))
            if everything:
                parts = grammars.parts(m)
                record = Line(at, name, args, "event", tgid, flags, stamp, number, parts, dialect.name, dialect.unit)
            else:
                record = Record(at, name, args, "event", tgid, flags, stamp, number)
            append(record)
            ours += 1
        if before is not None:
            self._before = before[name_].decode("latin-1"), before[args_] or b"", record
        self.ledger.ours += ours
        return end

    # --- by hand -----------------------------------------------------------------------------------------------------

    def _odd(self, block: Block, number: int, m: Found, last: bool) -> None:
        """A line that is no `name: args` behind context columns of the dialect."""
        offset = block.offset + m.start()
        if offset < self._skip:
            return
        text = self._text(m[0][:-1])
        if m["absent"] is None:
            parts = grammars.parts(m)
            nameless = ("name" not in parts and "text" in parts and grammars.load("text").read(parts["text"])) or {}
            if nameless.get("kind") != b"tracer_line" or not self._told.another(block.data, m.start(), number):
                self._take(number, offset, parts, number)
        elif not text:
            self.ledger.blank += 1
            self._before = None
        elif text.startswith((b"# tracer:", b"cpus=")) and self._told.behind_header(block.data, m.start()):
            return
        elif not self._note(number, offset, text):
            self._strange(block, number, m, text, last)

    def _strange(self, block: Block, number: int, m: Found, text: bytes, last: bool) -> None:
        """No note either: half a line, a line that was moved, the rest of a record, another dialect; else unparsed."""
        offset = block.offset + m.start()
        cut = self._log.damage is not None and not block.ended and m.end() == len(block.data)
        if text.startswith(b"\0"):
            self._holes(number, offset, text)
            return
        if len(text) < _TASK and not cut:
            if not last and block.data.count(b"\n", m.start()) < _SPLIT:
                self._carried = Block(number, offset, block.data[m.start() :])  # the next block has the rest
                return
            if self._split(block, number, m.start()):
                return
        moved = self._language.reindented.fullmatch(text)
        if moved is not None and not cut:
            self._take(number, offset, grammars.parts(moved), number)
        elif self._told.another(block.data, m.start(), number):
            return
        elif self._goes_on(number, text):
            self.ledger.continuation += 1
        elif text[:1] in b" \t" and self._note(number, offset, text.lstrip(b" \t")):
            return
        elif not self._read_elsewhere(number, offset, text):
            self._unparsed(number, offset, text, cut or (not block.ended and m.end() == len(block.data)))

    def _split(self, block: Block, number: int, start: int) -> bool:
        """Whether a record begins here whose comm holds newlines; if so it is taken."""
        dialect = self._language
        lines = block.data[start : start + 4096].split(b"\n")[:_SPLIT]
        for count in range(2, len(lines) + 1):
            # No comm holds a NUL: it stands for the newline, which the grammar keeps for the end of a line.
            joined = self._text(b"\0".join(lines[:count]))
            found = dialect.line.fullmatch(joined)
            if found is None and dialect.name == "perf_script":
                found = dialect.reindented.fullmatch(joined)  # with callchains, the comm is not padded
            if found is not None:
                parts = {name: value.replace(b"\0", b"\n") for name, value in grammars.parts(found).items()}
                self._skip = block.offset + start + sum(len(line) + 1 for line in lines[:count])
                self._take(number, block.offset + start, parts, number + count - 1)
                self.ledger.continuation += count - 1
                return True
        return False

    def _take(self, number: int, offset: int, parts: dict[str, bytes], last_line: int) -> None:
        """One record of which the parts are known."""
        cpu = int(parts["cpu"]) if "cpu" in parts else None
        if "lost" in parts:
            self.ledger.loss += 1
            at = At(number, offset, None, cpu, None, b"")
            self._clock.lost(Loss(at, cpu, int(parts["lost"]), None, None, "perf_lost"))
            self._before = None
            return
        stamp = None if self._told.timeless else parts.get("stamp")
        comm, pid = self._task(cpu, parts)
        at = At(number, offset, None if stamp is None else self._clock.moment(stamp), cpu, pid, comm)
        args = self._text(parts.get("args", b""))
        kind = "event"
        if "name" in parts:
            printed = parts["name"].decode("latin-1")
            name = self._name(parts)
        else:
            args = self._text(parts.get("text", parts.get("meta", b"")))
            kind, more = self._kind(parts, args)
            parts = {**parts, **more}
            printed, name = f"<{kind}>", "" if self._all else None
        record: Record | None = None
        if name is not None:
            record = self._record(at, name, args, kind, parts, last_line)
        self._before = printed, args, record
        if stamp is not None and cpu is not None and kind != "meta":
            clock = self._clock
            if clock.follows(cpu, stamp, at, self._out):
                clock.last[cpu] = stamp
            elif (slipped := clock.slipped(cpu, stamp)) is not None:
                at.ts = slipped
            else:
                clock.suspect(Suspect(cpu, stamp, printed, record, _forged(at, printed, args)), self._out)
                return
            clock.arrive(cpu, stamp, self._out)
        if record is None:
            self.ledger.count_other(printed)
        else:
            self.ledger.ours += 1
            self._out.append(record)

    def _name(self, parts: dict[str, bytes]) -> str | None:
        """The name asked for, as `system:name` where it was asked for so."""
        if self._systems and "system" in parts:
            name = self._names[parts["system"] + b":" + parts["name"]]
            if name is not None:
                return name
        return self._names[parts["name"]]

    def _task(self, cpu: int | None, parts: dict[str, bytes]) -> tuple[bytes, int | None]:
        """Who was running: as printed, or as function_graph said before."""
        if "next_pid" in parts and cpu is not None:
            self._running.arrive(cpu, parts["next_task"], int(parts["next_pid"]))
        if "pid" in parts:
            return parts.get("task", b"").lstrip(b" "), int(parts["pid"])
        if cpu is not None and self.dialect == "function_graph":
            return self._running.on(cpu)
        return b"", None

    def _kind(self, parts: dict[str, bytes], text: bytes) -> tuple[str, dict[str, bytes]]:
        """What a record without a name is, and its further parts."""
        if "meta" in parts:
            return "meta", {}
        if "next_pid" in parts:
            return "graph_switch", {}
        more = grammars.load("text").read(text) or {}
        return more.pop("kind", b"tracer_line").decode(), more

    def _record(self, at: At, name: str, args: bytes, kind: str, parts: dict[str, bytes], last_line: int) -> Record:
        flags, stamp, tgid = parts.get("flags"), parts.get("stamp"), parts.get("tgid", b"-")
        known = None if tgid.startswith(b"-") else int(tgid)
        if not self._all:
            missing = (("task", at.pid), ("CPU", at.cpu), ("time", at.ts))
            self.lacking.update(what for what, value in missing if value is None)
            return Record(at, name, args, kind, known, flags, stamp, last_line)
        dialect = self._language
        return Line(at, name, args, kind, known, flags, stamp, last_line, parts, dialect.name, dialect.unit)

    def _back(self, number: int, offset: int, m: re.Match[bytes]) -> None:
        """An event line whose time goes back."""
        self._take(number, offset, grammars.parts(m), number)

    def _note(self, number: int, offset: int, text: bytes) -> bool:
        """Whether the line is one of notes.lark; if so it is counted."""
        parts = grammars.load("notes").read(text)
        if parts is None:
            return False
        kind = parts.pop("kind").decode()
        self._before = None
        at = At(number, offset, None, None, None, b"")
        if kind in ("lost", "dropped", "buffer_started"):
            self.ledger.loss += 1
            cpu = int(parts["cpu"]) if "cpu" in parts else None
            at.cpu = cpu
            self._clock.lost(Loss(at, cpu, int(parts["count"]) if "count" in parts else None, None, None, kind))
            return True
        if kind == "too_big":
            self.ledger.unparsed += 1
            self._out.append(Unparsed(at, text, "a record that did not fit the kernel's page", 1, "data_loss"))
            return True
        if kind == "frame":
            self.ledger.continuation += 1
            kind = "stack_frame"
        elif kind == "separator":
            self.ledger.header += 1
            self._dump = max(0, self._dump - 1)
        else:
            if kind == "dump":
                self._dump = 2 if text.startswith(b"D") else 0
            self.ledger.header += 1
            if kind == "printed":
                self.printed[int(parts["cpu"])] = offset, int(parts["count"])
            if text.startswith(CAPTURE_HEADER) and len(self.captures) < _CAPTURES:
                self.captures.append(text)
            if kind == "cpus" or text.startswith(b"# tracer:"):
                self._clock.header()
            self.machine.hear(kind, parts, text)
            if kind == "entries" and (missing := int(parts["written"]) - int(parts["kept"])) > 0:
                self._clock.lost(Loss(msgspec.structs.replace(at), None, missing, None, None, "overwritten"))
            kind = "header"
        if self._all:
            self._out.append(Line(at, "", text, kind, None, None, None, number, parts))
        return True

    def _goes_on(self, number: int, text: bytes) -> bool:
        """Whether the line is the rest of the record before it; if so it is added."""
        if self._before is None:
            return False
        name, args, record = self._before
        if not payload.unfinished(name, args):
            return False
        longer = args + b"\n" + text
        if len(longer) > _LONGEST or (name not in payload.MARKERS and longer.count(b"\n") > _NEWLINES):
            return False
        if self.dialect == "function_graph":
            longer = longer.removesuffix(b" */")
        if record is not None:
            record.args, record.last_line = longer, number
        self._before = name, longer, record
        return True

    def _holes(self, number: int, offset: int, text: bytes) -> None:
        """NULs before a line: a log that was cut while somebody wrote to it, or a copy with holes."""
        rest = text.lstrip(b"\0")
        at = At(number, offset, None, None, None, b"")
        self._out.append(Unparsed(at, b"", f"{len(text) - len(rest)} NUL bytes: a hole in the log", 1, "data_loss"))
        found = self._language.line.fullmatch(rest) or self._language.reindented.fullmatch(rest)
        if found is not None:
            self._take(number, offset, grammars.parts(found), number)
        elif not rest or not self._note(number, offset, rest):
            self.ledger.unparsed += 1
            self._before = None

    def _unparsed(self, number: int, offset: int, text: bytes, cut: bool) -> None:
        if self._told.wrapping.kernel_log and not self._dump and self._places.moved(number, text):
            self.ledger.count_other("<printk>")
            if self._all:
                self._out.append(Line(At(number, offset, None, None, None, b""), "", text, "printk", last_line=number))
            return
        column, reason = explain(self.dialect or "tracefs", text)
        if cut:
            reason = f"the log ends within this line ({reason})"
        self.ledger.unparsed += 1
        self._before = None
        at = At(number, offset, None, None, None, b"")
        self._out.append(Unparsed(at, text, reason, column, "data_loss" if cut else "error"))
        if cut and self._log.damage is None:
            self._clock.lost(Loss(At(number, offset, None, None, None, b""), None, None, None, None, "truncated"))

    def _overlong(self, block: Block) -> None:
        self.ledger.unparsed += 1
        self._before = None
        at = At(block.line, block.offset, None, None, None, b"")
        self._out.append(Unparsed(at, block.data[:-1], f"a line of {block.overlong:,} bytes is no log line", 1))

    def _doubt_last(self, out: list[Held]) -> None:
        """A last line without a newline may have lost its end: what it says is believed only if it says all."""
        raw = self._raw
        if raw is None or raw.ended or not out or not isinstance(out[-1], Record):
            return
        record = out[-1]
        if record.last_line != raw.line + raw.data.count(b"\n") - 1:
            return
        data = (b"" if self._earlier is None else self._earlier.data) + raw.data
        before = data.rfind(record.name.encode("latin-1") + b": ", 0, data.rfind(b"\n", 0, -1) + 1)
        model = data[before:].partition(b"\n")[0].partition(b": ")[2].lstrip(b" ") if before >= 0 else b""
        if self._log.damage is None and not payload.shortened(record.args, model):
            return
        self.ledger.ours -= 1
        self.ledger.unparsed += 1
        text = raw.data[raw.data.rfind(b"\n", 0, -1) + 1 : -1]
        out[-1] = Unparsed(record.at, text, "the log ends within this line", len(text) + 1, "data_loss")
        if self._log.damage is None:
            self._truncated()

    def _truncated(self) -> None:
        at = At(self.ledger.lines + 1, self._log.size, None, None, None, b"")
        self._clock.lost(Loss(at, None, None, None, None, "truncated"))

    @property
    def _language(self) -> Dialect:
        """The dialect from here on, once there is one."""
        assert self._told.dialect is not None
        return self._told.dialect

    def _is_wanted(self, name: bytes) -> bool:
        return self._names[name] is not None

    def _text(self, text: bytes) -> bytes:
        return text[:-1] if self._log.crlf and text.endswith(b"\r") else text

    def _read_elsewhere(self, number: int, offset: int, text: bytes) -> bool:
        """Whether another dialect reads this one line; if so it is taken."""
        found = tell([text], apart_from=self._told.dialect, loose=False).dialect
        read = None if found is None else found.line.fullmatch(text)
        if read is None:
            return False
        current, self._told.dialect = self._told.dialect, found
        self._take(number, offset, grammars.parts(read), number)
        self._told.dialect = current
        return True

    def _notes_only(self, block: Block, line: int) -> tuple[int, int]:
        """A block in which nothing told the dialect: headers, blank lines, what is no log."""
        offset = block.offset
        for number, raw in enumerate(block.data.split(b"\n")[:-1], line):
            text = self._text(raw).lstrip(b"\0")
            if not text:
                self.ledger.blank += 1
            elif not self._note(number, offset, text):
                self._unparsed(number, offset, text, cut=False)
            offset += len(raw) + 1
        return line, len(block.data)


def _forged(at: At, name: str, args: bytes) -> Unparsed:
    text = b": " + name.encode("utf-8", "surrogateescape") + b": " + args
    reason = f"{BACKWARDS} on CPU {at.cpu}: a forged or joined line"
    return Unparsed(at, text, reason, 1, "info")
