"""Findings become violations: certainty, one row a bug, what follows from what, and the verdict (INVARIANTS.md).

One file, though a long one: what gives a violation its certainty and what takes it back later read and write the same rows.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from mmlist.replay.events import Lost
from mmlist.replay.facts import Violation
from mmlist.replay.invariants.base import Finding, Invariant
from mmlist.replay.missing import UNMARKED
from mmlist.replay.model import State
from mmlist.replay.model.changes import Change
from mmlist.replay.model.mm import Mm
from mmlist.replay.model.ties import LIST, ORDER, Subject
from mmlist.replay.record import At

_STRENGTH = {"undecided": 0, "likely": 1, "proven": 2}

_RESTS_ON_LINKS = frozenset({"M1", "M4", "M5", "M6", "M7", "M8", "M9", "M11", "D3", "D6", "D9"})
"""What may break because a linked node was added again: the list's links are no guide after that."""

_COMPLETE = "the log is complete: a step that would explain it would be in it"

Key = tuple[str, int, int]


class _Span(msgspec.Struct):
    """Between which times nothing may be missing for a violation to hold: None is without an end.

    `told` is no earlier than the end of any span told before: of losses after it, none of these spans is touched.
    """

    violation: Violation
    since: int | None
    until: int | None
    told: int | None


class _Unordered(msgspec.Struct):
    """A violation that only the order of tied lines leaves undecided: how certain it were, were their order fixed."""

    certainty: str
    reason: str
    lines: set[int]
    against: list[int] | None = None  # the lines in an order in which it is none


class _Fresh(msgspec.Struct):
    """A violation, and what it rests on, while lines may come that the clock does not set after it."""

    violation: Violation
    subjects: list[Subject]
    since: At | None


class Judge:
    """Hears the changes of every step, asks the invariants that they can break, keeps the violations."""

    def __init__(
        self,
        invariants: Iterable[Invariant],
        state: State,
        *,
        reports_loss: bool,
        holes: bool = False,
        doubt: str = "",
    ) -> None:
        """`invariants` are those to check; `reports_loss`: it is said when events are missing.

        `holes`: probes may have missed calls, and nothing says where. `doubt`: why nothing in this log is certain, if so.
        """
        self.violations: list[Violation] = []
        self._state = state
        self._reports_loss = reports_loss
        self._holes = holes
        self._doubt = doubt
        self._listeners: dict[type[Change], list[Invariant]] = {}
        for invariant in invariants:
            for kind in invariant.changes:
                self._listeners.setdefault(kind, []).append(invariant)
        self._rows: dict[tuple[str, int, int, int, str], Violation] = {}
        self._spans: list[
            _Span
        ] = []  # in the order in which they were told; one that was told anew stays, and counts no more
        self._span_of: dict[int, _Span] = {}
        self._told: int | None = None
        self._latest: dict[Key, int] = {}
        self._on_releases: set[int] = set()
        self._by_id: dict[int, Violation] = {}
        self.recent: list[_Fresh] = []
        """Violations so fresh that a line to come may not be later than they are."""
        self._unordered: dict[int, _Unordered] = {}
        self._broken_ring: int | None = None

    @property
    def reports_loss(self) -> bool:
        """Whether the log's dialect says when events are missing."""
        return self._reports_loss

    def judge(self, changes: list[Change]) -> None:
        """Ask every invariant that listens to one of `changes`."""
        for change in changes:
            for invariant in self._listeners.get(type(change), ()):
                for finding in invariant.check(change, self._state):
                    self._add(invariant, finding)

    def later(self, at: At) -> None:
        """The model has stepped on a line after a violation, which the clock may not set after it: it may explain it."""
        self.recent = [one for one in self.recent if not _over(one.violation.at, at, self._state.grain)]
        for one in self.recent:
            violation, unordered = one.violation, self._unordered.get(one.violation.id)
            if violation.certainty == "undecided" and unordered is None:
                continue
            doubt = self._state.ties.doubt(one.subjects, one.since)
            if doubt is None:
                continue
            lines = self._state.ties.lines(one.subjects, one.since)
            if unordered is not None:  # by the lines before this one
                if lines is None:
                    del self._unordered[violation.id]
                else:
                    unordered.lines |= lines
                continue
            if lines:
                self._unordered[violation.id] = _Unordered(violation.certainty, violation.reason, lines)
            violation.certainty, violation.reason = "undecided", _either(doubt.one, doubt.other)

    def _add(self, invariant: Invariant, finding: Finding) -> None:
        certainty, reason = self._certainty(finding)
        unordered = None
        if certainty != "undecided" and not finding.alone:
            unordered = self._in_doubt(invariant.code, finding, certainty, reason)
            if unordered is not None:
                certainty, reason = "undecided", unordered[1]
        mm, generation = _identity(finding.mm)
        area = -1 if finding.type is None or finding.mm is not None else finding.type
        signature = invariant.code + ": " + " > ".join(f"{step.role} @{step.site}" for step in finding.witness)
        told_apart = signature if finding.episode is None else f"episode {finding.episode}"
        key = (invariant.code, mm, generation, area, told_apart)
        cause = self._cause(invariant.code, finding)
        if cause is not None and self._by_id[cause].certainty == "undecided":
            if cause in self._unordered and certainty != "undecided":
                unordered = _Unordered(certainty, reason, set()), reason
            certainty, reason = "undecided", f"it follows from violation {cause}, which is undecided"
        known = self._rows.get(key)
        if known is not None:
            known.count += 1
            known.last_line = finding.at.line
            if _STRENGTH[certainty] > _STRENGTH[known.certainty]:
                known.certainty, known.reason = certainty, reason
                known.at, known.witness, known.message = finding.at, finding.witness, finding.message
                known.signature = signature
                self._span(known, finding)
                self._keep_order(known.id, unordered)
                self._fresh(known, finding)
            return
        violation = Violation(
            id=len(self.violations) + 1,
            code=invariant.code,
            slug=invariant.slug,
            severity=invariant.severity_in(self._state.profile.name),
            certainty=certainty,
            at=finding.at,
            last_line=finding.at.line,
            count=1,
            mm=finding.mm.address if finding.mm is not None else None,
            generation=finding.mm.generation if finding.mm is not None else None,
            entry=finding.entry,
            type=finding.type,
            follows_from=cause,
            signature=signature,
            message=finding.message,
            reason=reason,
            witness=finding.witness,
        )
        self.violations.append(violation)
        self._keep_order(violation.id, unordered)
        self._by_id[violation.id] = violation
        self._fresh(violation, finding)
        if finding.spreads and cause is None and certainty != "undecided" and self._broken_ring is None:
            self._broken_ring = violation.id
        self._rows[key] = violation
        if finding.claims is not None:
            self._claim(violation, *finding.claims)
        if cause is None:
            for code, who in finding.explains:
                before = self._latest.get((code, *_identity(who)))
                if before is not None and self._by_id[before].follows_from is None:
                    self._by_id[before].follows_from = violation.id
        self._latest.setdefault((invariant.code, mm, generation), violation.id)
        self._latest[invariant.code, -1, -1] = violation.id
        self._span(violation, finding)

    def _fresh(self, violation: Violation, finding: Finding) -> None:
        """Lines may come that the clock does not set after what `violation` was now found by."""
        if not finding.alone:
            self.recent.append(_Fresh(violation, _subjects(violation.code, finding), finding.since))

    def _claim(self, cause: Violation, first: At, last: At) -> None:
        """Holders that a drain between two lines of a task left unlisted: only now is it known that the drain was wrong."""
        for other in self.violations:
            if (
                other.code == "M1"
                and other.follows_from is None
                and any(
                    step.site == "drain_mmlist" and step.at.pid == first.pid and first.seq <= step.at.seq <= last.seq
                    for step in other.witness
                )
            ):
                other.follows_from = cause.id

    def finish(self) -> None:
        """The log has ended. If it showed that releases go unseen in it, what rested on seeing them all is undecided."""
        if self._state.unseen_release is None:
            return
        line = self._state.unseen_release.line
        for violation in self.violations:
            if violation.id in self._on_releases and violation.certainty != "undecided":
                violation.certainty = "undecided"
                violation.reason = f"releases of entries go unseen in this log: an mm ended at line {line} holding some"

    def incomplete(self, why: str) -> None:
        """What rested on the log being complete is likely, for the reason `why`, which shows only now; empty: it is complete."""
        for violation in self.violations if why else ():
            if violation.certainty == "proven" and violation.reason.startswith(_COMPLETE):
                violation.certainty, violation.reason = "likely", why

    def mistrust(self, doubt: str) -> None:
        """Nothing in this log is certain, as shows only now."""
        self._doubt = doubt
        for violation in self.violations:
            violation.certainty, violation.reason = "undecided", doubt

    def _span(self, violation: Violation, finding: Finding) -> None:
        if finding.rests_on_releases:
            self._on_releases.add(violation.id)
        self._span_of.pop(violation.id, None)
        if finding.alone:
            return
        until = finding.at.ts
        self._told = until if self._told is None else max(self._told, until or 0)
        since = None if finding.since is None else finding.since.ts
        span = _Span(violation, since, until, None if until is None else self._told)
        self._span_of[violation.id] = span
        self._spans.append(span)

    def _cause(self, code: str, finding: Finding) -> int | None:
        """The violation that this one follows from: the first of those that the invariant names which was found before."""
        for other, mm in finding.follows:
            key = (other, -1, -1) if mm is None else (other, *_identity(mm))
            found = self._latest.get(key)
            if mm is None and found is not None and self._by_id[found].certainty == "undecided":
                continue  # of some other mm or entry: what is uncertain there leaves this as certain as it is
            if found is not None and (other != code or mm is not finding.mm):
                return found
        if self._state.broken is not None and code in _RESTS_ON_LINKS:
            return self._latest.get(("M2", -1, -1))
        if code in _RESTS_ON_LINKS:
            return self._broken_ring
        return None

    def _in_doubt(
        self, code: str, finding: Finding, certainty: str, reason: str
    ) -> tuple[_Unordered | None, str] | None:
        """Whether the order of tied lines could explain `finding`: how certain it were else (None: not to be tried), why."""
        ties = self._state.ties
        subjects = _subjects(code, finding)
        doubt = ties.doubt(subjects, finding.since) if ties.doubts else None
        pair = next(((a, b) for a, b in finding.order if a is not b and self._state.tied(a, b)), None)
        if doubt is None and pair is None:
            return None
        lines = ties.lines(subjects, finding.since)
        if lines is not None and pair is not None:
            lines.update(at.line for at in pair)
        one, other = pair if pair is not None else (doubt.one, doubt.other) if doubt is not None else (finding.at,) * 2
        return (None if lines is None else _Unordered(certainty, reason, lines)), _either(one, other)

    def _keep_order(self, id_: int, unordered: tuple[_Unordered | None, str] | None) -> None:
        if unordered is not None and unordered[0] is not None:
            self._unordered[id_] = unordered[0]
        else:
            self._unordered.pop(id_, None)

    # --- the orders of tied lines ------------------------------------------------------------------------------------

    def unordered(self) -> set[int]:
        """The lines whose order alone leaves violations undecided."""
        return {line for one in self._unordered.values() for line in one.lines}

    def in_this_order(self, other: Judge, lines: list[int]) -> None:
        """What `other` found, in an order of `lines` that the clock allows: what is none there may be none."""
        found: dict[tuple[str, int | None, int | None, int | None], list[Violation]] = {}
        for violation in other.violations:
            found.setdefault(_about(violation), []).append(violation)
        for id_, one in self._unordered.items():
            mine = self._by_id[id_]
            same = [its for its in found.get(_about(mine), ()) if self._same(mine, its)]
            certainty = max((its.certainty for its in same), key=_STRENGTH.__getitem__, default=None)
            if certainty is None:
                one.against = one.against or lines
            elif _STRENGTH[certainty] < _STRENGTH[one.certainty]:
                one.certainty, one.reason = certainty, f"it is only {certainty} in some orders that the clock allows"

    def _same(self, one: Violation, other: Violation) -> bool:
        """Whether what is told of one mm in two orders is one violation: not that of another of its lives, or of another step."""
        lines = {step.at.line for step in one.witness}
        if any(step.at.line in lines for step in other.witness):
            return True
        apart = None if one.at.ts is None or other.at.ts is None else abs(one.at.ts - other.at.ts)
        return apart is not None and apart <= self._state.grain

    def in_every_order(self, orders: int) -> None:
        """All `orders` have been heard: what holds in each of them is as certain as it is in them."""
        for id_, one in self._unordered.items():
            violation = self._by_id[id_]
            if one.against is None and one.certainty != "undecided":
                violation.certainty = one.certainty
                violation.reason = f"{one.reason}; it is so in all {orders} orders that the clock allows"
            elif one.against:
                violation.reason += f"; in the order {', '.join(map(str, one.against))} it is none"

    def _certainty(self, finding: Finding) -> tuple[str, str]:
        state = self._state
        if self._doubt:
            return "undecided", self._doubt
        if finding.alone:
            return _capped(finding, "proven", "the line says it by itself")
        since = 0 if finding.since is None else finding.since.seq
        if state.loss_seq and state.loss_seq >= since:
            return "undecided", "events were lost where a step that would explain it may have been"
        if not finding.absence:
            if self._holes:
                return _capped(finding, "likely", "the lines contradict each other, but for a call that a probe missed")
            return _capped(finding, "proven", "the lines contradict each other")
        missing = self._missing(finding)
        if missing:
            return _capped(finding, "likely", "it relies on a step not having come, and " + missing)
        return _capped(finding, "proven", _COMPLETE)

    def _missing(self, finding: Finding) -> str:
        """What keeps the log from being complete for `finding`; empty if nothing does."""
        if not finding.explicit:
            return "nothing says that the log would show it"
        if finding.mm is not None and finding.mm.born is None:
            return "the mm was born before the log"
        if self._holes:
            return "nothing says that the probes missed none"
        return "" if self._reports_loss else "nothing says whether events are missing from the log"

    def lost(self, event: Lost) -> None:
        """Events are missing in an interval that may reach back: what relied on completeness there is undecided."""
        for span in reversed(self._spans):
            if span.told is not None and event.since is not None and span.told < event.since:
                return
            violation = span.violation
            current = self._span_of.get(violation.id) is span
            if not current or violation.certainty == "undecided" or not _overlap(span, event):
                continue
            violation.certainty = "undecided"
            violation.reason = (
                f"no line of CPU {event.cpu} shows any more whether events of it were lost, as in other places"
                if event.kind == "end"
                else UNMARKED.get(event.kind)
                or f"events were lost (line {event.at.line}) where a step that would explain it may have been"
            )


def _over(one: At, at: At, grain: int) -> bool:
    return one.ts is None or at.ts is None or at.ts > one.ts + grain


def _about(violation: Violation) -> tuple[str, int | None, int | None, int | None]:
    """What a violation is about, whatever the generation: its code, and its mm, or its area and entry."""
    if violation.mm is not None:
        return violation.code, violation.mm, None, None
    return violation.code, None, violation.type, violation.entry


def _either(one: At, other: At) -> str:
    return f"the clock does not fix the order of lines {one.line} and {other.line}"


def _subjects(code: str, finding: Finding) -> list[Subject]:
    """What a finding rests on, as the model's ties know it."""
    mms = [mm for mm in (finding.mm, *finding.beside) if mm is not None]
    found: list[Subject] = [("mm", mm.address, 0) for mm in mms]
    if finding.entry is not None:
        found.append(("entry", finding.entry, 0))
        found += [("hold", mm.address, finding.entry) for mm in mms]
    found += {("task", step.at.pid, 0): None for step in finding.witness if step.at.pid}
    if not mms or code.startswith("D"):
        found.append(LIST)
    if finding.placed:
        found.append(ORDER)
    return found


def _overlap(span: _Span, event: Lost) -> bool:
    starts_before = event.until is None or span.since is None or span.since <= event.until
    ends_after = event.since is None or span.until is None or span.until >= event.since
    return starts_before and ends_after


def _identity(mm: Mm | None) -> tuple[int, int]:
    return (-1, -1) if mm is None else (mm.address, mm.generation)


def _capped(finding: Finding, certainty: str, reason: str) -> tuple[str, str]:
    if _STRENGTH[certainty] <= _STRENGTH[finding.cap]:
        return certainty, reason
    if finding.doubt:
        return finding.cap, finding.doubt
    if finding.cap == "likely":
        return "likely", "what is seen a moment later is at most likely"
    return "undecided", "this log does not carry the events that would explain it"
