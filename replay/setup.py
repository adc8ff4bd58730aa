"""What a replay runs on: the log's survey, the invariants that can be checked, and model, binder and judge made for it."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator

from mmlist.replay import facts as f
from mmlist.replay.bind import NAMES, Binder
from mmlist.replay.bound import Ending
from mmlist.replay.bundle import read as read_bundle
from mmlist.replay.errors import OptionError
from mmlist.replay.invariants import Invariant, collect
from mmlist.replay.judge import Judge
from mmlist.replay.kit import Kit, kit
from mmlist.replay.log import Log
from mmlist.replay.mapping import Item
from mmlist.replay.model import State, type_shift
from mmlist.replay.model.areas import MAX_SWAPFILES
from mmlist.replay.options import Options
from mmlist.replay.parse import Parser
from mmlist.replay.payload import forget
from mmlist.replay.record import Record
from mmlist.replay.skim import header_of, names_in_text
from mmlist.replay.survey import DECISIVE, Survey, survey

_BEGINNING = 50_000
"""Records that the survey looks into, if no other names stand after them."""
_LOCAL = 10_000
"""Nanoseconds within which the order across CPUs is not taken for certain with trace_clock `local`."""
_SILENT_DIALECTS = frozenset({"perf_script", "perf_script_bare"})


class Setup:
    """All that is known of a log before its first step."""

    def __init__(self, log: Log, options: Options) -> None:
        """Survey `log`. Raises InputError for a log that cannot be read, OptionError for options that make no sense."""
        self.log = log
        self.options = options
        self.bundle = read_bundle(log.beside)
        self.kit = Kit()
        self.header: dict[str, object] = {}
        self.invariants = collect()
        _known_codes(options, self.invariants)
        self.mapping = options.mapping
        self.aliases = None if self.mapping is None else self.mapping.aliases
        self.mapped: Counter[str] = Counter()
        self._begun: tuple[deque[Item], Iterator[Item]] | None = None
        self.survey, self.parser = self._surveyed()
        self.checked = self.statuses()
        self.grain = _grain(self.parser, self.survey.clock or ("local" if self.kit.ours else None))

    def statuses(self) -> list[f.Checked]:
        """Which invariants are checked, and why others are not, by the names in the survey."""
        return [self._status(invariant) for invariant in self.invariants]

    def parts(self, grain: int) -> tuple[State, Binder, Judge]:
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
        state.counted_to = MAX_SWAPFILES if self.bundle.no_areas else -1
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
            grain=grain,
        )
        active = [i for i, status in zip(self.invariants, self.checked, strict=True) if status.status == "checked"]
        reports_loss = self.parser.dialect not in _SILENT_DIALECTS
        judge = Judge(active, state, reports_loss=reports_loss, holes=self.kit.holes, doubt=doubt(self.parser))
        return state, binder, judge

    def new_parser(self) -> Parser:
        """A parser at the log's beginning, with which nothing was read yet."""
        return Parser(self.log, NAMES if self.mapping is None else self.mapping.names, fast=self.options.fast)

    def records(self, parser: Parser) -> Iterator[Item]:
        """What the log says, in our names."""
        if self.mapping is None:
            return parser.records()
        self.mapped.clear()
        return self.mapping.records(parser.records(), parser.ledger, self.mapped)

    def begun(self) -> tuple[Parser, Iterator[Item]]:
        """A parser and all that it says of the log: what the survey has read is not read again, the first time."""
        begun, self._begun = self._begun, None
        if begun is None:
            parser = self.new_parser()
            return parser, self.records(parser)
        forget()
        return self.parser, _on(*begun)

    def let_go(self) -> None:
        """What the survey has read is for another process, which has a copy."""
        self._begun = None

    def _surveyed(self) -> tuple[Survey, Parser]:
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
        self.header = header = header_of(self.log)
        self.kit = kit(header, self.bundle, self.log.beside)
        header = self.bundle.header | header
        parser = self.new_parser()
        taken = 0
        read: deque[Item] = deque()
        items = self.records(parser)
        self._begun = None if limit is None else (read, items)

        def records() -> Iterator[Record]:
            nonlocal taken
            for item in items:
                if limit is not None:
                    read.append(item)
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
            symbols=options.symbols,
            known=self.bundle.symbols,
            functions=self._functions(),
            exact=self.kit.exact,
        )
        return found, parser, taken != limit

    def _functions(self) -> dict[str, tuple[str, int]]:
        """By our name of an event, what its probe is on, where the bundle says it."""
        rules = {} if self.mapping is None else self.mapping.rules
        found = {}
        for one in self.bundle.probes:
            target = rules[one.event].target if one.event in rules else one.event
            if target is not None:
                found[target] = one.function, one.offset
        return found

    def _status(self, invariant: Invariant) -> f.Checked:
        code, severity = invariant.code, invariant.severity_in(self.survey.profile.name)
        if not self.options.wanted(code):
            return f.Checked(code, invariant.slug, severity, "ignored", "by --select or --ignore")
        if self.survey.profile.name not in invariant.profiles:
            reason = f"not judged under profile {self.survey.profile.name}"
            return f.Checked(code, invariant.slug, severity, "not checked", reason)
        for any_of in invariant.needs:
            if self.survey.names.isdisjoint(any_of):
                reason = "the log has none of " + ", ".join(sorted(any_of))
                return f.Checked(code, invariant.slug, severity, "not checked", reason)
        return f.Checked(code, invariant.slug, severity, "checked")


def _on(read: deque[Item], items: Iterator[Item]) -> Iterator[Item]:
    """What was read, which is let go meanwhile, and what is still to be read."""
    while read:
        yield read.popleft()
    yield from items


def _known_codes(options: Options, invariants: list[Invariant]) -> None:
    known = {invariant.code for invariant in invariants}
    for code in sorted((options.select | options.ignore | options.require) - known):
        raise OptionError(f"no invariant {code!r}: known are {', '.join(sorted(known))}")


def doubt(parser: Parser | Ending, *, whole: bool = True) -> str:
    """Why nothing that such a log shows is certain; with `whole` also what leaves a verdict, but proves nothing."""
    lacking = parser.lacking if whole else parser.lacking & {"task"}
    if lacking:
        shown = " and no ".join(sorted(parser.lacking, key=("task", "CPU", "time").index))
        return f"lines of the log show no {shown}: calls cannot be paired with their returns, nor lines be put in order"
    if len(parser.buffers) > 1:
        return f"events of ours stand in {len(parser.buffers)} buffers: each may be there twice"
    return ""


def _grain(parser: Parser, clock: str | None) -> int:
    """What the clock cannot tell apart, in units of ts: the printed resolution (6 digits: a microsecond), 0 if raw.

    Of `local` it is said that CPUs' times are not comparable (Documentation/trace/ftrace.rst, trace_clock): each CPU counts
    for itself, and where they drift they are set right by the tick.
    """
    if parser.ts_unit != "ns":
        return 0
    printed = 0 if parser.ts_digits >= 9 else int(10 ** (9 - parser.ts_digits)) - 1
    return max(printed, _LOCAL) if clock == "local" else printed
