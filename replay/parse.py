"""Lines into records, losses and unparsed lines: the first half of what a log says; what it means is `bind`'s matter.

The regular expression compiled from a dialect's grammar reads block after block, a match a line. What it refuses is
looked at by hand: headers, loss markers, stack frames, a comm or a marker with a newline in it, a line that was
re-indented, another dialect from here on; what is left is explained by Lark and kept as unparsed. Every physical line is
counted once. All of it is one class, over 400 lines: the hot loop and what it refuses share the state of the read.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from sys import intern

import msgspec

from mmlist import grammars
from mmlist.replay import payload
from mmlist.replay.clock import SCALE, Clock, Held, Suspect, moment
from mmlist.replay.dialect import Dialect, explain, tell
from mmlist.replay.errors import InputError
from mmlist.replay.ledger import Ledger
from mmlist.replay.log import Block, Log
from mmlist.replay.record import At, Loss, Record, Unparsed

Item = Record | Loss | Unparsed

_SAMPLE = 64  # lines that the dialect is told from
_SPLIT = 4  # lines at most that one comm column is spread over
_HELD = 100_000  # items held back at most while a line is undecided
_TASK = 16


BACKWARDS = "time goes backwards"
"""How the reason of a line begins that was not believed because its CPU had come further already."""


class Line(Record):
    """A record with all its `parts`, by the names of the grammar's terminals: what `mmlist parse` prints."""

    parts: dict[str, bytes] = msgspec.field(default_factory=dict)


class _Numbers(dict[bytes, int]):
    """Remembers the integers that were read."""

    def __missing__(self, text: bytes) -> int:
        if len(self) > 1 << 16:
            self.clear()
        number = self[text] = int(text)
        return number


class _Names(dict[bytes, str | None]):
    """Name as printed -> interned; None for a name that nobody asked for."""

    def __init__(self, wanted: frozenset[str] | None) -> None:
        super().__init__()
        self._wanted = wanted

    def __missing__(self, name: bytes) -> str | None:
        text = intern(name.decode("latin-1"))
        self[name] = found = text if self._wanted is None or text in self._wanted else None
        return found


class Parser:
    """Reads one log once. With `names`, only records of these names are yielded, the others are but counted.

    `ledger` counts lines, `dialect` is the last dialect met, `ts_unit` "ns", "raw" or "none", `ts_digits` the decimals
    printed; all are complete when `records` is at its end.
    """

    def __init__(self, log: Log, names: frozenset[str] | None = None) -> None:
        """`names`: of the events wanted; None for every record of every kind."""
        self.ledger = Ledger()
        self.dialect = ""
        self._log = log
        self._all = names is None
        self._names = _Names(names)
        self._numbers = _Numbers()
        self._clock = Clock(self.ledger)
        self._dialect: Dialect | None = None
        self._out: list[Held] = []
        self._before: tuple[str, bytes, Record | None] | None = None  # the record that a line may go on
        self._carried: Block | None = None
        self._skip = 0  # offset up to which lines were taken already

    @property
    def ts_unit(self) -> str:
        """`ns`, `raw` (a clock without a dot), `none` before or without a record that has a time."""
        return self._clock.unit

    @property
    def ts_digits(self) -> int:
        """Decimals of the printed time: 6, 9, or 0 for a clock without a dot."""
        return self._clock.digits

    def records(self) -> Iterator[Item]:
        """All items in file order. Raises InputError for a log in no known dialect."""
        payload.forget()
        out = self._out
        for block in self._log.blocks():
            if block.overlong:
                self._overlong(block)
            else:
                self._block(block)
            if not self._clock.undecided or len(out) > _HELD:
                # The last may go on in the next block.
                ready, out[:] = out[:-1], out[-1:]
                yield from ready  # type: ignore[misc]
        if self._carried is not None:
            carried, self._carried = self._carried, None
            self._scan(carried, last=True)
        if self._log.damage is not None:
            self._truncated()
        self._clock.finish(out)
        yield from out  # type: ignore[misc]
        out.clear()

    # --- blocks ------------------------------------------------------------------------------------------------------

    def _block(self, block: Block) -> None:
        carried, self._carried = self._carried, None
        if carried is not None:
            block = Block(carried.line, carried.offset, carried.data + block.data, 0, block.ended)
        if self._dialect is None:
            self._tell(block)
        self._scan(block)

    def _scan(self, block: Block, *, last: bool = False) -> None:
        """Read a block from its start, again and again from where the dialect changed."""
        line, start = block.line, 0
        while start < len(block.data):
            if self._dialect is None:
                line, start = self._notes_only(block, line)
            else:
                line, start = self._events(block, self._dialect, line, start, last)

    def _events(self, block: Block, dialect: Dialect, line: int, start: int, last: bool) -> tuple[int, int]:
        """The hot loop. Answers the line and the place in the block up to which it came."""
        data, base, crlf, everything = block.data, block.offset, self._log.crlf, self._all
        out, clock, names, numbers = self._out, self._clock, self._names, self._numbers
        latest, watched = clock.last, clock.watched
        stamp_, cpu_, name_, task_, pid_, tgid_, flags_, args_ = dialect.hot
        others: defaultdict[bytes, int] = defaultdict(int)
        append, ours = out.append, 0
        before: re.Match[bytes] | None = None
        record: Record | None = None
        end = line, len(data)
        for number, m in enumerate(dialect.scan.finditer(data, start), line):
            stamp, cpu_text, raw = m.group(stamp_, cpu_, name_)
            if raw is None:
                if before is not None:
                    self._before = before[name_].decode("latin-1"), before[args_] or b"", record
                    before = None
                self._odd(block, number, m, last)
                if self._dialect is not dialect:
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
                others[raw] += 1
                continue
            task, pid, tgid, flags, args = m.group(task_, pid_, tgid_, flags_, args_)
            if args is None:
                args = b""
            elif crlf and args.endswith(b"\r"):
                args = args[:-1]
            if tgid is not None:
                tgid = None if tgid[0] == 45 else numbers[tgid]  # dashes: not known
            whole, _, digits = stamp.partition(b".")
            when = int(whole + digits) * SCALE[len(digits)]
            at = At(number, base + m.start(), when, cpu, numbers[pid], task.lstrip(b" "))
            if everything:
                record = Line(at, name, args, "event", tgid, flags, stamp, number, grammars.parts(m))
            else:
                record = Record(at, name, args, "event", tgid, flags, stamp, number)
            append(record)
            ours += 1
        if before is not None:
            self._before = before[name_].decode("latin-1"), before[args_] or b"", record
        self.ledger.ours += ours
        for raw, count in others.items():
            self.ledger.other[raw.decode("latin-1")] += count
        return end

    # --- by hand -----------------------------------------------------------------------------------------------------

    def _odd(self, block: Block, number: int, m: re.Match[bytes], last: bool) -> None:
        """A line that is no `name: args` behind context columns of the dialect."""
        offset = block.offset + m.start()
        if offset < self._skip:
            return
        text = self._text(m[0][:-1])
        if m["stamp"] is not None:
            self._take(number, offset, grammars.parts(m), number)
        elif not text:
            self.ledger.blank += 1
            self._before = None
        elif not self._note(number, offset, text):
            self._strange(block, number, m, text, last)

    def _strange(self, block: Block, number: int, m: re.Match[bytes], text: bytes, last: bool) -> None:
        """No note either: half a line, a line that was moved, the rest of a record, another dialect; else unparsed."""
        assert self._dialect is not None
        offset = block.offset + m.start()
        cut = self._log.damage is not None and not block.ended and m.end() == len(block.data)
        if text.startswith(b"\0"):
            self._holes(number, offset, text)
            return
        if len(text) < _TASK and not cut:
            if m.end() == len(block.data) and not last:
                self._carried = Block(number, offset, m[0])
                return
            if self._split(block, number, m.start()):
                return
        moved = self._dialect.reindented.fullmatch(text)
        if moved is not None and not cut:
            self._take(number, offset, grammars.parts(moved), number)
        elif self._goes_on(number, text):
            self.ledger.continuation += 1
        elif not self._other_dialect(block, number, m.start()):
            self._unparsed(number, offset, text, cut or (not block.ended and m.end() == len(block.data)))

    def _split(self, block: Block, number: int, start: int) -> bool:
        """Whether a record begins here whose comm holds newlines; if so it is taken."""
        assert self._dialect is not None
        lines = block.data[start : start + 4096].split(b"\n")[:_SPLIT]
        for count in range(2, len(lines) + 1):
            # No comm holds a NUL: it stands for the newline, which the grammar keeps for the end of a line.
            found = self._dialect.line.fullmatch(self._text(b"\0".join(lines[:count])))
            if found is not None:
                parts = {name: value.replace(b"\0", b"\n") for name, value in grammars.parts(found).items()}
                self._skip = block.offset + start + sum(len(line) + 1 for line in lines[:count])
                self._take(number, block.offset + start, parts, number + count - 1)
                self.ledger.continuation += count - 1
                return True
        return False

    def _take(self, number: int, offset: int, parts: dict[str, bytes], last_line: int) -> None:
        """One record of which the parts are known."""
        out, clock = self._out, self._clock
        cpu, stamp = int(parts["cpu"]), parts["stamp"]
        tgid = parts.get("tgid", b"-")
        at = At(number, offset, moment(stamp), cpu, int(parts["pid"]), parts.get("task", b"").lstrip(b" "))
        args = self._text(parts.get("args", b""))
        kind = "event"
        if "lost" in parts:
            self.ledger.loss += 1
            clock.lost(Loss(At(number, offset, None, cpu, None, b""), cpu, int(parts["lost"]), None, None, "perf_lost"))
            self._before = None
            return
        if "name" in parts:
            printed = parts["name"].decode("latin-1")
            name = self._names[parts["name"]]
        else:
            args = self._text(parts.get("text", parts.get("meta", b"")))
            more = {"kind": b"meta"} if "meta" in parts else grammars.load("text").read(args) or {}
            parts = {**parts, **more}
            kind = parts.pop("kind", b"tracer_line").decode()
            printed, name = f"<{kind}>", "" if self._all else None
        record: Record | None = None
        if name is not None:
            flags = parts.get("flags")
            known = None if tgid.startswith(b"-") else int(tgid)
            if self._all:
                record = Line(at, name, args, kind, known, flags, stamp, last_line, parts)
            else:
                record = Record(at, name, args, kind, known, flags, stamp, last_line)
        self._before = printed, args, record
        if kind != "meta":
            if not clock.follows(cpu, stamp, at, out):
                clock.suspect(Suspect(cpu, stamp, printed, record, _forged(at, printed, args)), out)
                return
            clock.last[cpu] = stamp
            clock.arrive(cpu, stamp, out)
        if record is None:
            self.ledger.other[printed] += 1
        else:
            self.ledger.ours += 1
            out.append(record)

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
        else:
            self.ledger.header += 1
            if kind == "cpus" or text.startswith(b"# tracer:"):
                self._clock.header()
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
        if record is not None:
            record.args, record.last_line = longer, number
        self._before = name, longer, record
        return True

    def _holes(self, number: int, offset: int, text: bytes) -> None:
        """NULs before a line: a log that was cut while somebody wrote to it, or a copy with holes."""
        rest = text.lstrip(b"\0")
        at = At(number, offset, None, None, None, b"")
        self._out.append(Unparsed(at, b"", f"{len(text) - len(rest)} NUL bytes: a hole in the log", 1, "data_loss"))
        assert self._dialect is not None
        found = self._dialect.line.fullmatch(rest) or self._dialect.reindented.fullmatch(rest)
        if found is not None:
            self._take(number, offset, grammars.parts(found), number)
        elif not rest or not self._note(number, offset, rest):
            self.ledger.unparsed += 1
            self._before = None

    def _unparsed(self, number: int, offset: int, text: bytes, cut: bool) -> None:
        assert self._dialect is not None
        column, reason = explain(self._dialect.name, text)
        if cut:
            reason = f"the log ends within this line ({reason})"
        self.ledger.unparsed += 1
        self._before = None
        at = At(number, offset, None, None, None, b"")
        self._out.append(Unparsed(at, text, reason, column, "data_loss" if cut else "error"))

    def _overlong(self, block: Block) -> None:
        self.ledger.unparsed += 1
        self._before = None
        at = At(block.line, block.offset, None, None, None, b"")
        self._out.append(Unparsed(at, block.data[:-1], f"a line of {block.overlong:,} bytes is no log line", 1))

    def _truncated(self) -> None:
        at = At(self.ledger.lines + 1, self._log.size, None, None, None, b"")
        self._clock.lost(Loss(at, None, None, None, None, "truncated"))

    def _text(self, text: bytes) -> bytes:
        return text[:-1] if self._log.crlf and text.endswith(b"\r") else text

    # --- dialects ----------------------------------------------------------------------------------------------------

    def _tell(self, block: Block) -> None:
        """Tell the dialect from the block's first lines that are no notes; a block of mere notes tells nothing."""
        sample: list[tuple[int, bytes]] = []
        notes = grammars.load("notes").pattern
        for number, raw in enumerate(block.data.split(b"\n"), block.line):
            text = self._text(raw).lstrip(b"\0")
            if text and notes.fullmatch(text) is None:
                sample.append((number, text))
                if len(sample) == _SAMPLE:
                    break
        if not sample:
            return
        found = tell([text for _, text in sample])
        if found is None:
            number, text = sample[0]
            column, expected = explain("tracefs", text, reason=False)
            shown = text.decode("utf-8", "backslashreplace")
            message = f"no known dialect: {len(sample)} lines were tried"
            raise InputError(message, file=self._log.name, line=number, column=column, text=shown, expected=expected)
        self._dialect, self.dialect = found, found.name

    def _other_dialect(self, block: Block, number: int, start: int) -> bool:
        """Whether another dialect reads this line; if it reads more of what follows too, it is the dialect from here on."""
        assert self._dialect is not None
        lines = [self._text(raw) for raw in block.data[start : start + 16384].split(b"\n")[:_SAMPLE]]
        found = tell(lines[:1], apart_from=self._dialect)
        if found is None:
            return False
        if tell(lines[1:]) is not found:
            read = found.line.fullmatch(lines[0])
            assert read is not None
            self._take(number, block.offset + start, grammars.parts(read), number)
        else:
            self._dialect, self.dialect = found, found.name
        return True

    def _notes_only(self, block: Block, line: int) -> tuple[int, int]:
        """A block in which nothing told the dialect: headers and blank lines."""
        offset = block.offset
        for number, raw in enumerate(block.data.split(b"\n")[:-1], line):
            text = self._text(raw).lstrip(b"\0")
            if not text or not self._note(number, offset, text):
                self.ledger.blank += 1
            offset += len(raw) + 1
        return line, len(block.data)


def _forged(at: At, name: str, args: bytes) -> Unparsed:
    text = b": " + name.encode("utf-8", "surrogateescape") + b": " + args
    reason = f"{BACKWARDS} on CPU {at.cpu}: a forged or joined line"
    return Unparsed(at, text, reason, 1, "info")
