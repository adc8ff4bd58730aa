"""What one replay has to say, kept while its facts stream by: bounded by what went wrong, not by the log."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

import msgspec

from mmlist.bundled import bundled
from mmlist.replay.facts import Checked, Fact, LedgerRow, LossRow, Run, Statistic, UnparsedRow, Violation
from mmlist.replay.history import replay
from mmlist.replay.log import Log
from mmlist.replay.options import Options

_KEPT = frozenset({Violation, Checked, Statistic, LossRow, UnparsedRow, LedgerRow, Run})


class Report(msgspec.Struct):
    """The outcome of one replay. `run` is there once all facts have passed; `number` is its number in the database.

    `lines` say what the lines of the log were read as; `first_unparsed` is the first that could not be read.
    """

    violations: list[Violation] = msgspec.field(default_factory=list)
    checked: list[Checked] = msgspec.field(default_factory=list)
    statistics: list[Statistic] = msgspec.field(default_factory=list)
    lines: list[LedgerRow] = msgspec.field(default_factory=list)
    losses: Counter[str] = msgspec.field(default_factory=Counter)
    unparsed: int = 0
    first_unparsed: UnparsedRow | None = None
    last: Run | None = None
    database: str | None = None
    number: int | None = None
    alone: bool = True  # the database holds no other run

    @property
    def run(self) -> Run:
        """The run; only after all facts have passed."""
        assert self.last is not None, "the history has not ended"
        return self.last

    @property
    def ledger(self) -> dict[str, int]:
        """Lines by what they were read as (ledger.CLASSES, in that order); they add up to `run.lines`."""
        counts: dict[str, int] = {}
        for row in self.lines:
            counts[row.kind] = counts.get(row.kind, 0) + row.lines
        return counts

    def watch(self, facts: Iterable[Fact]) -> Iterator[Fact]:
        """Pass `facts` on, keeping what a report is made of."""
        for fact in facts:
            if type(fact) in _KEPT:
                self._keep(fact)
            yield fact

    def _keep(self, fact: Fact) -> None:
        if isinstance(fact, Violation):
            self.violations.append(fact)
        elif isinstance(fact, Checked):
            self.checked.append(fact)
        elif isinstance(fact, Statistic):
            self.statistics.append(fact)
        elif isinstance(fact, LossRow):
            self.losses[fact.kind] += 1
        elif isinstance(fact, UnparsedRow):
            self.unparsed += 1
            if self.first_unparsed is None or fact.line < self.first_unparsed.line:
                self.first_unparsed = fact
        elif isinstance(fact, LedgerRow):
            self.lines.append(fact)
        elif isinstance(fact, Run):
            self.last = fact

    def decisive(self, severities: str = "E") -> list[Violation]:
        """The violations that are proven or likely, of these severities."""
        return [v for v in self.violations if v.severity in severities and v.certainty != "undecided"]


def run(log: str | Path, options: Options | None = None, *, database: str | Path | None = None) -> Report:
    """Replay the log at a path (`-`: standard input), and store the run where `database` is given.

    Raises `InputError` for a log that cannot be read, `DatabaseError` for a file that is not ours or not writable.
    """
    report = Report()
    with Log.open(str(log)) as opened:
        facts = report.watch(replay(opened, bundled(opened, options or Options())))
        if database is None:
            for _ in facts:
                pass
            return report
        from mmlist.db.store import store  # imported late: SQLAlchemy costs every start 0.2 s

        report.database = str(database)
        report.number = store(Path(database), facts)
    return report
