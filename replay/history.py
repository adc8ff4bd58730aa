"""A history: the fold of a log's records through events, model and invariants into facts, one after the other.

This is where the parts are put together, and the only place that reads a log and steps the model.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from mmlist.replay import facts as f
from mmlist.replay.bind import NAMES, Binder
from mmlist.replay.errors import OptionError
from mmlist.replay.events import Event, Lost, Swapoff, TaskExit
from mmlist.replay.invariants import Invariant, collect
from mmlist.replay.judge import Judge
from mmlist.replay.log import Block, Log
from mmlist.replay.mapping import Item, Mapping
from mmlist.replay.model import State, type_shift
from mmlist.replay.model import changes as c
from mmlist.replay.order import ordered
from mmlist.replay.orders import MOST_LINES, legal_orders
from mmlist.replay.parse import BACKWARDS, Parser
from mmlist.replay.payload import fields
from mmlist.replay.record import At, Loss, Record, Unparsed
from mmlist.replay.skim import capture_header, names_in_text
from mmlist.replay.survey import DECISIVE, Survey, survey

_KEPT = (c.Born, c.Joined, c.Left, c.Zero, c.ExitBegan, c.Freed, c.Drained, c.SwapoffEnded, c.Unlisted)
LEAK_AFTER = 10.0
"""Seconds after which an mm without tasks that still has users counts as leaked (C6)."""
_BEGINNING = 50_000
"""Records that the survey looks into, if no other names stand after them."""

_FIELDS = frozenset(
    {
        "mm", "parent", "child", "oldmm", "dst", "src", "old", "entry", "usage", "pid", "type", "ret", "path", "flags",
        "busy_type", "task", "bprm", "head", "inuse0", "address", "clone_flags", "folio", "member",
    }
)  # fmt: skip
"""Fields by which the events of ours say something (EVENTS.md)."""

_HEADER_LINES = 200
_LOCAL = 10_000
"""Nanoseconds within which the order across CPUs is not taken for certain with trace_clock `local`."""
_SILENT_DIALECTS = frozenset({"perf_script", "perf_script_bare"})


@dataclass(frozen=True)
class Options:
    """How to replay. Codes are INVARIANTS.md's; an empty `select` is all of them; `mapping` are the user's own names."""

    profile: str = "auto"
    mmlist_offset: int | None = None
    init_mm: int | None = None
    select: frozenset[str] = frozenset()
    ignore: frozenset[str] = frozenset()
    require: frozenset[str] = frozenset()
    all_events: bool = False
    leak_after: float = LEAK_AFTER
    mapping: Mapping | None = None

    def text(self) -> str:
        """The options that change the result, as one line: part of what a run is known by."""
        parts = [f"profile={self.profile}"]
        for name in ("mmlist_offset", "init_mm"):
            value = getattr(self, name)
            if value is not None:
                parts.append(f"{name}={value:#x}")
        for name in ("select", "ignore", "require"):
            codes = getattr(self, name)
            if codes:
                parts.append(f"{name}={','.join(sorted(codes))}")
        if self.leak_after != LEAK_AFTER:
            parts.append(f"leak_after={self.leak_after:g}")
        if self.all_events:
            parts.append("events=all")
        if self.mapping is not None:
            parts.append(f"map={self.mapping.digest[:12]}")
        return " ".join(parts)


def replay(log: Log, options: Options | None = None) -> Iterator[f.Fact]:
    """Replay `log`: its facts as they close, `Run` last.

    Raises InputError for a log that cannot be read, OptionError for options that make no sense.
    """
    yield from History(log, options or Options()).facts()


class History:
    """One replay of one log."""

    def __init__(self, log: Log, options: Options) -> None:
        """Survey `log` and set up the model, the binder and the judge."""
        self.log = log
        self.options = options
        self.invariants = collect()
        _known_codes(options, self.invariants)
        self.mapping = options.mapping
        self.aliases = None if self.mapping is None else self.mapping.aliases
        self.mapped: Counter[str] = Counter()
        self.survey, self.parser = self._survey()
        self.checked = [self._status(invariant) for invariant in self.invariants]
        self.state, self.binder, self.judge = self._parts(_grain(self.parser, self.survey.clock))
        self.tasks: dict[int, f.TaskSpan] = {}
        self.losses: Counter[str] = Counter()
        self.seq = 0
        self.late = ""
        self.names: set[str] = set()
        self.ours: Counter[str] = Counter()

    def _parts(self, grain: int) -> tuple[State, Binder, Judge]:
        """The model, the binder and the judge, at the log's beginning; with a clock of `grain`, -1: no two lines are tied."""
        found = self.survey
        state = State(
            found.profile,
            found.carries,
            mmlist_offset=found.mmlist_offset,
            init_mm=found.init_mm,
            shift=type_shift(found.profile, found.entry_max),
            grain=grain,
        )
        state.second = 10**9 if self.parser.ts_unit == "ns" else None
        state.leak_after = None if state.second is None else round(self.options.leak_after * state.second)
        binder = Binder(
            found.names,
            init_mm=found.init_mm,
            assigns_explicit=found.carries.assigns_explicit,
            clears_explicit=found.carries.clears_explicit,
            unuse_clears=found.carries.unuse_clears,
            aio_names=found.aio_names,
            distrusted=frozenset(found.distrusted),
        )
        active = [i for i, status in zip(self.invariants, self.checked, strict=True) if status.status == "checked"]
        reports_loss = self.parser.dialect not in _SILENT_DIALECTS
        return state, binder, Judge(active, state, reports_loss=reports_loss, doubt=_doubt(self.parser))

    def _parser(self) -> Parser:
        return Parser(self.log, NAMES if self.mapping is None else self.mapping.names)

    def _records(self, parser: Parser) -> Iterator[Item]:
        """What the log says, in our names."""
        if self.mapping is None:
            return parser.records()
        self.mapped.clear()
        return self.mapping.records(parser.records(), parser.ledger, self.mapped)

    def _survey(self) -> tuple[Survey, Parser]:
        """Survey the log's beginning; all of it only if an event that decides something stands first further on."""
        names = names_in_text(self.log.blocks(), self.aliases)
        found, parser, whole = self._look(_BEGINNING, names)
        if not whole and (names - found.names) & DECISIVE:
            found, parser, whole = self._look(None, names)
        if not whole:
            found.names |= names
            if names & {"swapoff", "swapoff_ret"}:
                found.names |= {"fetched:inuse"}
        if found.carries.locks:
            found.names |= {"lock:mmlist_lock"}
        if parser.ts_unit == "ns":
            found.names |= {"clock:seconds"}
        return found, parser

    def _look(self, limit: int | None, names: frozenset[str]) -> tuple[Survey, Parser, bool]:
        """Survey up to `limit` records; whether that was the whole log."""
        options = self.options
        header: dict[str, object] = {}
        for number, _offset, line in self.log.lines():
            header = capture_header(line) or header
            if number > _HEADER_LINES:
                break
        parser = self._parser()
        taken = 0

        def records() -> Iterator[Record]:
            nonlocal taken
            for item in self._records(parser):
                if isinstance(item, Record):
                    yield item
                    taken += 1
                    if taken == limit:
                        return

        found = survey(
            records(),
            header,
            names,
            profile=options.profile,
            mmlist_offset=options.mmlist_offset,
            init_mm=options.init_mm,
        )
        return found, parser, taken != limit

    def _wanted(self, code: str) -> bool:
        return code not in self.options.ignore and (not self.options.select or code in self.options.select)

    def _status(self, invariant: Invariant) -> f.Checked:
        code, severity = invariant.code, invariant.severity_in(self.survey.profile.name)
        if not self._wanted(code):
            return f.Checked(code, invariant.slug, severity, "ignored", "by --select or --ignore")
        if self.survey.profile.name not in invariant.profiles:
            reason = f"not judged under profile {self.survey.profile.name}"
            return f.Checked(code, invariant.slug, severity, "not checked", reason)
        for any_of in invariant.needs:
            if self.survey.names.isdisjoint(any_of):
                reason = "the log has none of " + ", ".join(sorted(any_of))
                return f.Checked(code, invariant.slug, severity, "not checked", reason)
        return f.Checked(code, invariant.slug, severity, "checked")

    def _not_carried(self) -> None:
        """The log has ended: what it was only thought to carry, from its text, it does not."""
        self.survey.names = frozenset(
            name
            for name in self.survey.names
            if name.removeprefix("explicit:") in self.names or name.startswith(("fetched:", "kernel "))
        )
        if self.state.last_inuse is not None:
            self.survey.names |= {"fetched:inuse"}
        if self.state.mmlist_lock_seen:
            self.survey.names |= {"lock:mmlist_lock"}
        if self.parser.ts_unit == "ns":
            self.survey.names |= {"clock:seconds"}
        self.checked = [self._status(invariant) for invariant in self.invariants]
        checked = {status.code for status in self.checked if status.status == "checked"}
        self.judge.violations = [violation for violation in self.judge.violations if violation.code in checked]

    # --- the fold ----------------------------------------------------------------------------------------------------

    def facts(self) -> Iterator[f.Fact]:
        """All facts, the run last."""
        self.parser = self._parser()
        last: At | None = None
        state = self.state
        items = ordered(self._records(self.parser))
        for item in items:
            if isinstance(item, Record):
                last = item.at
                self._record(item)
                if state.facts:
                    yield from self._drain()
            elif isinstance(item, Loss):
                yield from self._loss(item)
            else:
                if BACKWARDS in item.reason and names_in_text([Block(0, 0, item.text)], self.aliases):
                    yield from self._loss(Loss(item.at, item.at.cpu, None, item.at.ts, item.at.ts, "doubted"))
                yield _unparsed(item)
        if items.late:
            self.late = f"{items.late} lines stand further out of order than can be sorted"
            self.judge.mistrust(self.late)
        self._not_carried()
        self._conclude(state, self.judge, last)
        self._settle_order()
        state.close()
        yield from self._drain()
        yield from self.tasks.values()
        yield from self._violations()
        yield from self.checked
        yield from (f.LedgerRow(*row) for row in self.parser.ledger.rows(self.ours))
        yield from self._statistics()
        yield self._run()

    def _record(self, record: Record) -> None:
        """Step on a record; what becomes a fact by it is put with the state's."""
        at, state = record.at, self.state
        self.seq = at.seq
        if record.name not in self.names and _readable(record):
            self.names.add(record.name)
        self.ours[record.name] += 1
        if at.seq != at.line:
            state.facts.append(f.Reordered(at.line, at.seq))
        if at.pid is not None:
            self._task(at.pid, at)
        kept: c.Change | None = None
        events = self.binder.bind(record)
        for event in events:
            changes = state.step(event)
            if self.judge.waiting:
                self.judge.later(at)
            if changes:
                self.judge.judge(changes)
                for change in changes:
                    if isinstance(change, _KEPT) and change.at is at:
                        kept = change
            elif isinstance(event, Swapoff):
                kept = c.Saw(at, "swapoff")
            elif isinstance(event, TaskExit) and (span := self.tasks.get(event.pid)) is not None:
                span.exit_line = at.line
        if kept is not None or self.options.all_events:
            state.facts.append(_event_row(record, kept, events[0] if events else None))

    def _task(self, pid: int, at: At) -> None:
        span = self.tasks.get(pid)
        if span is None:
            self.tasks[pid] = f.TaskSpan(pid, at.comm, at.line)
        else:
            span.comm = at.comm

    def _loss(self, loss: Loss) -> Iterator[f.Fact]:
        self.losses[loss.kind] += 1
        loss.at.seq = self.seq  # after all that was replayed: what was known until here may be so no more
        for event in self.binder.lost(loss):
            self.judge.judge(self.state.step(event))
            if isinstance(event, Lost):
                self.judge.lost(event)
        yield f.LossRow(loss.at.line, loss.cpu, loss.since, loss.until, loss.count, loss.kind)

    def _conclude(self, state: State, judge: Judge, last: At | None) -> None:
        """The log has ended at `last`.

        A CPU tells what it lost before its next line: in a log with losses, what comes behind its last is not known.
        """
        judge.judge(state.finish(last))
        if self.losses:
            for cpu, since in self.parser.last_times().items():
                judge.lost(Lost(At(self.seq, 0, None, cpu, None, b""), cpu, since, None, None, "end"))
        judge.finish()

    def _drain(self) -> Iterator[f.Fact]:
        ready, self.state.facts = self.state.facts, []
        yield from ready

    # --- the order of tied lines -------------------------------------------------------------------------------------

    def _settle_order(self) -> None:
        """What the order of tied lines left undecided: judge it in every order, if they are not too many."""
        lines = self.judge.unordered()
        if not lines or self.late or self.ours.total() > MOST_LINES:
            return
        items = [item for item in ordered(self._records(self._parser())) if not isinstance(item, Unparsed)]
        orders = legal_orders(items, self.state.grain, lines)
        if orders is None:
            return
        for order in orders:
            self.judge.in_this_order(self._judged(order), [item.at.line for item in order if item.at.line in lines])
        self.judge.in_every_order(len(orders))

    def _judged(self, items: list[Record | Loss]) -> Judge:
        """The judge of what happened, had it been in this very order."""
        state, binder, judge = self._parts(-1)
        last: At | None = None
        for seq, item in enumerate(items, 1):
            item.at.seq = seq
            if isinstance(item, Loss):
                for event in binder.lost(item):
                    judge.judge(state.step(event))
                    if isinstance(event, Lost):
                        judge.lost(event)
                continue
            last = item.at
            for event in binder.bind(item):
                judge.judge(state.step(event))
            state.facts.clear()
        self._conclude(state, judge, last)
        return judge

    # --- the end -----------------------------------------------------------------------------------------------------

    def _violations(self) -> Iterator[f.Fact]:
        violations = self.judge.violations
        wanted = {step.at.offset for violation in violations for step in violation.witness}
        texts = self.log.texts(wanted) if wanted else {}
        for violation in violations:
            for step in violation.witness:
                step.text = texts.get(step.at.offset)
            yield violation

    def _statistics(self) -> Iterator[f.Fact]:
        if self.mapping is not None:
            yield from self.mapping.statistics(self.mapped)
        for name, why in self.survey.distrusted.items():
            yield f.Statistic(f"distrusted {name}", 1, why)
        for (at, what), index in zip(self.state.differences, range(1000), strict=False):
            yield f.Statistic(f"difference {index + 1}", at.line, what)

    def verdict(self) -> tuple[str, str]:
        """The verdict and why: violated, unknown or conforming."""
        errors = [v for v in self.judge.violations if v.severity == "E"]
        certain = [v for v in errors if v.certainty != "undecided"]
        if certain:
            return "violated", f"{certain[0].code} {certain[0].slug} is {certain[0].certainty}"
        if errors:
            return "unknown", f"{errors[0].code} {errors[0].slug} is undecided: {errors[0].reason}"
        checked = {status.code for status in self.checked if status.status == "checked"}
        if not self.ours:
            return "unknown", "the log has no event of ours: nothing could be checked"
        if doubt := self.late or _doubt(self.parser, whole=False):
            return "unknown", doubt
        if not self.names:
            return "unknown", "no event of ours has the fields that it needs: nothing could be checked"
        if not checked:
            return "unknown", "no invariant could be checked"
        missing = sorted(self.options.require - checked)
        if missing:
            return "unknown", f"required and not checked: {', '.join(missing)}"
        if self.losses:
            return "unknown", f"{_lost(self.losses)}: what is missing may hold a violation, or explain one"
        return "conforming", f"{len(checked)} invariants checked, none violated"

    def _run(self) -> f.Run:
        verdict, reason = self.verdict()
        found, parser = self.survey, self.parser
        return f.Run(
            log=self.log.name,
            sha256=self.log.sha256(),
            size=self.log.size,
            lines=parser.ledger.lines,
            profile=found.profile.name,
            profile_reason=found.profile_reason,
            clock=found.clock or "unknown",
            ts_unit=parser.ts_unit,
            dialect=parser.dialect,
            options=self.options.text(),
            verdict=verdict,
            reason=reason,
            events=self.ours.total(),
            compared=self.state.compared,
            differing=self.state.differing,
            mmlist_offset=found.mmlist_offset,
            mmlist_offset_source=found.mmlist_offset_source,
            init_mm=found.init_mm,
            init_mm_source=found.init_mm_source,
            release=found.release,
        )


def _known_codes(options: Options, invariants: list[Invariant]) -> None:
    known = {invariant.code for invariant in invariants}
    for code in sorted((options.select | options.ignore | options.require) - known):
        raise OptionError(f"no invariant {code!r}: known are {', '.join(sorted(known))}")


def _readable(record: Record) -> bool:
    """Whether a record has a field that its event may have: one with others alone says nothing."""
    found = fields(record)
    return not found or not _FIELDS.isdisjoint(found)


def _doubt(parser: Parser, *, whole: bool = True) -> str:
    """Why nothing that such a log shows is certain; with `whole` also what leaves a verdict, but proves nothing."""
    lacking = parser.lacking if whole else parser.lacking & {"task"}
    if lacking:
        shown = " and no ".join(sorted(parser.lacking, key=("task", "CPU", "time").index))
        return f"lines of the log show no {shown}: calls cannot be paired with their returns, nor lines be put in order"
    if len(parser.buffers) > 1:
        return f"events of ours stand in {len(parser.buffers)} buffers: each may be there twice"
    return ""


def _lost(losses: Counter[str]) -> str:
    """What is missing, in words: places by the form of their markers."""
    said = {
        "truncated": "the file is cut short",
        "overwritten": "the buffer was overwritten",
        "buffer_started": "a CPU's beginning is missing",
        "backwards": "time goes backwards",
        "joined": "captures were joined",
        "doubted": "a line that goes back in time was not believed",
    }
    kinds = [said[kind] for kind in said if losses[kind]]
    marked = sum(count for kind, count in losses.items() if kind not in said)
    if marked:
        kinds.insert(0, f"events were lost in {marked} place{'s' if marked > 1 else ''}")
    return ", ".join(kinds)


def _grain(parser: Parser, clock: str | None) -> int:
    """What the clock cannot tell apart, in units of ts: the printed resolution (6 digits: a microsecond), 0 if raw.

    Of `local` it is said that CPUs' times are not comparable (Documentation/trace/ftrace.rst, trace_clock): each CPU counts
    for itself, and where they drift they are set right by the tick.
    """
    if parser.ts_unit != "ns":
        return 0
    printed = 0 if parser.ts_digits >= 9 else int(10 ** (9 - parser.ts_digits)) - 1
    return max(printed, _LOCAL) if clock == "local" else printed


def _event_row(record: Record, kept: c.Change | None, bound: Event | None) -> f.EventRow:
    mm = getattr(kept, "mm", None)
    entry = getattr(bound, "entry", None)
    if mm is not None:
        return f.EventRow(record.at, record.name, mm.address, mm.generation, entry)
    address = getattr(bound, "mm", None)
    return f.EventRow(record.at, record.name, address or None, None, entry)


def _unparsed(item: Unparsed) -> f.UnparsedRow:
    return f.UnparsedRow(item.at.line, item.at.offset, item.column, item.text, item.reason, item.severity)
