"""A history: the fold of a log's records through events, model and invariants into facts, one after the other.

This is where the parts are put together, and the only place that reads a log and steps the model.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Generator, Iterator

from mmlist.replay import apart
from mmlist.replay import facts as f
from mmlist.replay.bound import Bound, Ending, Hole, Slip
from mmlist.replay.events import Event, Lost, Swapoff, TaskExit, TaskNew
from mmlist.replay.judge import Judge
from mmlist.replay.log import Log
from mmlist.replay.missing import in_words, incomplete, missing
from mmlist.replay.model import State
from mmlist.replay.model import changes as c
from mmlist.replay.options import Options
from mmlist.replay.order import ordered
from mmlist.replay.orders import MOST_LINES, legal_orders
from mmlist.replay.reading import Said, hole, read
from mmlist.replay.record import MARKED, At, Loss, Record, Unparsed
from mmlist.replay.setup import Setup, doubt

_ENDED = 1024
"""Tasks that have exited and of which lines may come still: from 6.16 on exit_mm comes behind it (kernel/exit.c: do_exit)."""

_KEPT = frozenset({c.Born, c.Joined, c.Left, c.Zero, c.ExitBegan, c.Freed, c.Drained, c.SwapoffEnded, c.Unlisted})


def replay(log: Log, options: Options | None = None) -> Iterator[f.Fact]:
    """Replay `log`: its facts as they close, `Run` last.

    Raises InputError for a log that cannot be read, OptionError for options that make no sense.
    """
    yield from History(log, options or Options()).facts()


class History:
    """One replay of one log."""

    def __init__(self, log: Log, options: Options, *, processes: bool = False) -> None:
        """Survey `log` and set up the model, the binder and the judge. Raises as Setup.

        With `processes`, a log that is worth it is read in a process of its own (apart.py).
        """
        self.log = log
        self.options = options
        self.setup = Setup(log, options)
        self.survey, self.checked = self.setup.survey, self.setup.checked
        self.apart = processes and log.size >= apart.WORTH
        self.state, self.binder, self.judge = self.setup.parts(self.setup.grain)
        # The work on a record, by steps: a clock may be put at each (timings.py).
        self.bind: Callable[[Record], list[Event]] = self.binder.bind
        self.step: Callable[[Event], list[c.Change]] = self.state.step
        self.judged: Callable[[list[c.Change]], None] = self.judge.judge
        self.tasks: dict[int, f.TaskSpan] = {}
        self._ended: deque[f.TaskSpan] = deque()
        self.losses: Counter[str] = Counter()
        self._before_all: Counter[str] = Counter()  # of them, those before the first event of ours
        self._unmarked = ""  # the kind of a loss that may be anywhere
        self._tail = 0  # so much longer than one CPU, of which the end is missing, does the log go on; in units of ts
        self.seq = 0
        self._last: At | None = None
        self.late = ""
        self.names: set[str] = set()
        self._slips: list[Slip] = []
        self._slipped = 0  # of a log that grows: slips heard of
        self.ours: dict[str, int] = {}
        self._all_events = options.all_events

    def _not_carried(self) -> None:
        """The log has ended: what it was only thought to carry, from its text, it does not."""
        came, told = self.names | self.survey.enabled, ("fetched:", "kernel ")
        self.survey.names = frozenset(
            one for one in self.survey.names if one.removeprefix("explicit:") in came or one.startswith(told)
        )
        if self.state.last_inuse is not None:
            self.survey.names |= {"fetched:inuse"}
        if self.state.mmlist_lock_seen:
            self.survey.names |= {"lock:mmlist_lock"}
        if self.ending.ts_unit == "ns":
            self.survey.names |= {"clock:seconds"}
        self.checked = self.setup.checked = self.setup.statuses()
        checked = {status.code for status in self.checked if status.status == "checked"}
        self.judge.violations = [violation for violation in self.judge.violations if violation.code in checked]

    # --- the fold ----------------------------------------------------------------------------------------------------

    def facts(self) -> Iterator[f.Fact]:
        """All facts, the run last."""
        state = self.state
        ending = self.ending = yield from self._replayed(self._said())
        self.setup.mapped = ending.mapped  # counted where the log was read
        if ending.late:
            self.late = f"{ending.late} lines stand further out of order than can be sorted"
            self.judge.mistrust(self.late)
        yield from self._count_missing(ending)
        self._conclude(state, self.judge, self._last)
        self._not_carried()
        self._settle_order()
        self.judge.incomplete(incomplete(ending, self.setup.kit, whole=state.carries.whole))
        state.close()
        yield from self._drain()
        yield from self.tasks.values()
        yield from self._violations()
        yield from self.checked
        yield from (f.LedgerRow(*row) for row in ending.ledger.rows(self.ours))
        yield from self._statistics()
        yield self._run()

    def _count_missing(self, ending: Ending) -> Iterator[f.Fact]:
        """Note the loss of which some count says, or of which the count itself is gone, and no line says where."""
        lost = missing(
            ending,
            self.setup.kit,
            marked=bool(self.losses),
            unfreed=len(self.state.reborn),
            probed="__mmdrop" in self.names,
        )
        if lost is not None:
            self._unmarked, self._tail = lost.kind if lost.anywhere else "", lost.tail
            self.losses[lost.kind] += sum(row.count or 1 for row in lost.rows)
            yield from lost.rows

    def _said(self) -> Generator[Said, None, Ending]:
        """What the log says, bound: read here, or in a process of its own."""
        if not self.apart:
            return read(self.setup, self.binder, self.bind)
        return apart.produced(lambda: read(self.setup, self.binder, self.bind), self.setup.let_go)

    def _replayed(self, said: Generator[Said, None, Ending]) -> Generator[f.Fact, None, Ending]:
        """The facts of all that is said; returns what is known at its end."""
        state = self.state
        while True:
            try:
                item = next(said)
            except StopIteration as stop:
                ending: Ending = stop.value
                return ending
            if isinstance(item, Bound):
                self._last = item.at
                if self._slips:
                    self._slipping(item.at.ts)
                self._record(item)
                if state.facts:
                    yield from self._drain()
            elif isinstance(item, Hole):
                yield from self._loss(item)
            elif isinstance(item, Slip):
                self._slips.append(item)
            elif isinstance(item, Unparsed):
                yield _unparsed(item)
            else:
                self.log.position = item.position

    def follow(self, item: Record | Loss | Unparsed, slips: list[tuple[int, int]]) -> None:
        """Step on one item of a log that still grows (live.py): what becomes a fact by it is let go.

        `slips`: the parser's, so far.
        """
        self._slips += [Slip(back, since) for back, since in slips[self._slipped :]]
        self._slipped = len(slips)
        if isinstance(item, Record):
            if self._slips:
                self._slipping(item.at.ts)
            self._record(Bound(item.at, item.name, False, self.bind(item)))
        elif isinstance(item, Loss):
            for _ in self._loss(hole(item, self.seq, self.binder)):
                pass
        self.state.facts.clear()

    def _slipping(self, ts: int | None) -> None:
        """Where a CPU's clock went back, order across CPUs is no more exact than that."""
        grain, slips = self.setup.grain, self._slips
        while slips and ts is not None and ts > 2 * slips[0].since - slips[0].back:
            del slips[0]
        for slip in slips:
            if ts is not None and ts >= 2 * slip.back - slip.since:
                grain = max(grain, slip.since - slip.back)
        self.state.grain = self.state.ties.grain = grain

    def _record(self, bound: Bound) -> None:
        """Step on a record's events; what becomes a fact by it is put with the state's."""
        at, name, state, judge, step = bound.at, bound.name, self.state, self.judge, self.step
        seq, pid = at.seq, at.pid
        self.seq = seq
        if bound.readable:
            self.names.add(name)
        self.ours[name] = self.ours.get(name, 0) + 1
        if seq != at.line:
            state.facts.append(f.Reordered(at.line, seq))
        if pid is not None:
            span = self.tasks.get(pid)
            if span is None:
                self.tasks[pid] = f.TaskSpan(pid, at.comm, at.line)
            else:
                span.comm = at.comm
        kept: c.Change | None = None
        events = bound.events
        for event in events:
            changes = step(event)
            if judge.recent:
                judge.later(at)
            if changes:
                self.judged(changes)
                for change in changes:
                    if type(change) in _KEPT and change.at is at:
                        kept = change
            elif type(event) is Swapoff:
                kept = c.Saw(at, "swapoff")
            elif type(event) is TaskExit:
                self._exits(event.pid, at.line)
            elif (
                type(event) is TaskNew
                and (span := self.tasks.get(event.pid)) is not None
                and span.exit_line is not None
            ):
                state.facts.append(self.tasks.pop(event.pid))  # another task takes the pid
        if kept is not None or self._all_events:
            state.facts.append(_event_row(bound, kept, events[0] if events else None))

    def _exits(self, pid: int, line: int) -> None:
        """Of the tasks that have exited, the oldest become facts."""
        span = self.tasks.get(pid)
        if span is None:
            return
        if span.exit_line is None:
            self._ended.append(span)
        span.exit_line = line
        if len(self._ended) > _ENDED:
            span = self._ended.popleft()
            if self.tasks.get(span.pid) is span:
                del self.tasks[span.pid]
                self.state.facts.append(span)

    def _loss(self, hole: Hole) -> Iterator[f.Fact]:
        """What is missing. Before the first event of ours, it leaves no other log than one that begins in the middle."""
        loss = hole.loss
        self.losses[loss.kind] += 1
        if self.seq == 0 and loss.kind in MARKED:
            self._before_all[loss.kind] += 1
        for event in hole.events:
            self.judge.judge(self.state.step(event))
            if isinstance(event, Lost):
                self.judge.lost(event)
        yield f.LossRow(loss.at.line, loss.cpu, loss.since, loss.until, loss.count, loss.kind)

    def _conclude(self, state: State, judge: Judge, last: At | None) -> None:
        """The log has ended at `last`.

        A CPU tells what it lost before its next line: in a log with losses, what comes behind its last is not known.
        """
        judge.judge(state.finish(last))
        if self._unmarked:
            judge.lost(Lost(At(self.seq, 0, None, None, None, b""), None, None, None, None, self._unmarked))
        if self.losses:
            for cpu, since in self.ending.last_times.items():
                judge.lost(Lost(At(self.seq, 0, None, cpu, None, b""), cpu, since, None, None, "end"))
        judge.finish()

    def _drain(self) -> Iterator[f.Fact]:
        ready, self.state.facts = self.state.facts, []
        yield from ready

    # --- the order of tied lines -------------------------------------------------------------------------------------

    def _settle_order(self) -> None:
        """What the order of tied lines left undecided: judge it in every order, if they are not too many."""
        lines = self.judge.unordered()
        if not lines or self.late or sum(self.ours.values()) > MOST_LINES:
            return
        items = [
            item for item in ordered(self.setup.records(self.setup.new_parser())) if not isinstance(item, Unparsed)
        ]
        orders = legal_orders(items, self.state.grain, lines)
        if orders is None:
            return
        for order in orders:
            self.judge.in_this_order(self._judged(order), [item.at.line for item in order if item.at.line in lines])
        self.judge.in_every_order(len(orders))

    def _judged(self, items: list[Record | Loss]) -> Judge:
        """The judge of what happened, had it been in this very order."""
        state, binder, judge = self.setup.parts(-1)
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
                if self.survey.symbols is not None and step.text is not None:
                    step.place = self.survey.symbols.place(step.text)
            yield violation

    def _statistics(self) -> Iterator[f.Fact]:
        if self.setup.mapping is not None:
            yield from self.setup.mapping.statistics(self.setup.mapped)
        for name, count in (self.setup.kit.missed or {}).items():
            yield f.Statistic(f"missed {name}", count, "calls that the probe missed (kprobe_profile)")
        if (symbols := self.survey.symbols) is not None:
            yield f.Statistic(f.SYMBOLS, int(symbols.moved is not None), symbols.told)
            for event, function in symbols.odd.items():
                yield f.Statistic(f.SYMBOLS + " " + event, 1, f"the probe {event} is on {function}")
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
        if why := self.late or self.state.forgot or doubt(self.ending, whole=False):
            return "unknown", why
        if not self.names:
            return "unknown", "no event of ours has the fields that it needs: nothing could be checked"
        if not checked:
            return "unknown", "no invariant could be checked"
        missing = sorted(self.options.require - checked)
        if missing:
            return "unknown", f"required and not checked: {', '.join(missing)}"
        losses = self.losses - self._before_all
        if self.state.second is not None and self._tail <= self.state.second:
            del losses["tail"]  # such a log ends sooner, as any may
        if losses:
            return "unknown", f"{in_words(losses)}: what is missing may hold a violation, or explain one"
        if self.setup.kit.ours and self.survey.clock is None:
            return (
                "unknown",
                "nothing says which clock the log has (clock.txt of the bundle): its order may hide a violation",
            )
        return "conforming", f"{len(checked)} invariants checked, none violated"

    def _run(self) -> f.Run:
        verdict, reason = self.verdict()
        found, ending = self.survey, self.ending
        return f.Run(
            log=self.log.name,
            sha256=self.log.sha256(),
            size=self.log.size,
            lines=ending.ledger.lines,
            profile=found.profile.name,
            profile_reason=found.profile_reason,
            clock=found.clock or "unknown",
            ts_unit=ending.ts_unit,
            dialect=ending.dialect,
            options=self.options.text(),
            verdict=verdict,
            reason=reason,
            events=sum(self.ours.values()),
            compared=self.state.compared,
            differing=self.state.differing,
            mmlist_offset=found.mmlist_offset,
            mmlist_offset_source=found.mmlist_offset_source,
            init_mm=found.init_mm,
            init_mm_source=found.init_mm_source,
            release=found.release,
        )


def _event_row(bound: Bound, kept: c.Change | None, event: Event | None) -> f.EventRow:
    mm = getattr(kept, "mm", None)
    entry = getattr(event, "entry", None)
    if mm is not None:
        return f.EventRow(bound.at, bound.name, mm.address, mm.generation, entry)
    address = getattr(event, "mm", None)
    return f.EventRow(bound.at, bound.name, address or None, None, entry)


def _unparsed(item: Unparsed) -> f.UnparsedRow:
    return f.UnparsedRow(item.at.line, item.at.offset, item.column, item.text, item.reason, item.severity)
