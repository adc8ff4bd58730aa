"""What a report says before all else: that the log was hardly read, or that nothing in it is ours.

Such a log is no evidence of anything, and a tool that is silent about it is believed.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice

import msgspec

from mmlist.replay.errors import InputError
from mmlist.replay.facts import UnparsedRow
from mmlist.replay.ledger import REST
from mmlist.replay.nearest import name_held, name_in, nearest_dialect, nearest_name
from mmlist.report import Report

UNPARSED_SHARE = 0.001
"""More unparsed lines than this share of those that are not blank are said loudly."""

_COMMONEST = 5  # other events that are named
_COMPARED = 200  # other events that are compared with ours
_TEXT = 4096  # bytes of a line that are kept


class Refused(msgspec.Struct):
    """The first line that could not be read: where reading stopped, and why.

    `dialect` reads most of it; `name` is a word in it that stands where an event's name may, `near` the event of ours
    that this is most like. None: there is none.
    """

    file: str
    line: int
    column: int
    text: bytes
    reason: str
    dialect: str | None = None
    name: str | None = None
    near: str | None = None

    @property
    def why(self) -> str:
        """The reason, with the nearest dialect."""
        return self.reason if self.dialect is None else f"{self.reason} (nearest dialect: {self.dialect})"

    def error(self, message: str) -> InputError:
        """The line as an error: the reason and `message`, the line, a caret."""
        said = f"{self.why}; {message}"
        return InputError(said, file=self.file, line=self.line, column=self.column, text=self.text)


class Notice(msgspec.Struct):
    """One such thing. `cause`: `unparsed`, `nothing of ours` or `nothing checked`; it is about `lines` out of `of`.

    `others` are the commonest other events, `nearest` those of them that an event of ours is like.
    """

    cause: str
    message: str
    lines: int
    of: int
    first: Refused | None = None
    others: dict[str, int] = msgspec.field(default_factory=dict)
    nearest: dict[str, str] = msgspec.field(default_factory=dict)


def notices(report: Report) -> list[Notice]:
    """What is to be said of a replay that has ended; most often nothing."""
    ledger = report.ledger
    unparsed = ledger.get("unparsed", 0)
    of = sum(ledger.values()) - ledger.get("blank", 0)
    found = []
    if unparsed > UNPARSED_SHARE * of:
        message = f"{unparsed:,} of {of:,} lines that are not blank could not be read ({100 * unparsed / of:.3g} %)"
        found.append(Notice("unparsed", message, unparsed, of, refused(report)))
    none, unchecked = not ledger.get("ours"), all(one.status != "checked" for one in report.checked)
    if not ledger or not (none or unchecked):
        return found
    # Beside events of ours, the kernel's own tracepoints are but alike; a renamed probe holds our name.
    others, nearest = _others(report, nearest_name if none else name_held)
    count = ledger["other"]
    if none:
        message = f"no event of ours in {of:,} lines that are not blank"
        message += f", but {count:,} of other events" if count else ", nor any other event"
        first = None if found else refused(report)
        found.append(Notice("nothing of ours", message, count, of, first, others, nearest))
    elif nearest:
        message = (
            f"no invariant could be checked, but {count:,} lines are of other events, some of them named like ours"
        )
        found.append(Notice("nothing checked", message, count, of, None, others, nearest))
    return found


def refused(report: Report) -> Refused | None:
    """The first unparsed line of a replay that has ended, None where all were read."""
    row = report.first_unparsed
    if row is None:
        return None
    first = Refused(report.run.log, row.line, row.column, row.text[:_TEXT], row.reason)
    if _of_grammar(row):
        near = nearest_dialect(first.text, report.run.dialect)
        first.dialect = near.dialect
        if near.expected is not None and near.column > first.column:
            first.column, first.reason = near.column, f"expected {near.expected}"
        first.name, first.near = name_in(first.text) or (None, None)
    return first


def _of_grammar(row: UnparsedRow) -> bool:
    """Whether a grammar refused the line: a hole, or a line that was not believed, has no nearest dialect."""
    return row.reason.startswith("expected ")


def _others(report: Report, near_to: Callable[[str], str | None]) -> tuple[dict[str, int], dict[str, str]]:
    """The commonest other events with their lines, and the commonest of those that an event of ours is like."""
    others = {row.name: row.lines for row in report.lines if row.kind == "other" and row.name and row.name != REST}
    like = ((name, near) for name in islice(others, _COMPARED) if (near := near_to(name)))
    return dict(islice(others.items(), _COMMONEST)), dict(islice(like, _COMMONEST))
