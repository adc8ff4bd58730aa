"""What is measured: mixes of ours and noise in the forms of logs, and the goals that the figures are held against."""

from __future__ import annotations

import msgspec

FORMS = ("tracefs", "trace_pipe", "trace_cmd", "perf_script")
QUICK = 2_000
SHORT = 100_000
"""Lines of the log for what takes seconds for as many: trappy, LISA."""

FLOOR = "mawk"


class Mix(msgspec.Struct, frozen=True):
    """A kind of log. `noise`: lines of other subsystems to each of ours. `must`, `aim`: the goals, in times of mawk's wall time.

    `form` is what it is written in unless another is asked for. The goals are of logs of `long` lines: on shorter ones start-up
    counts.
    """

    name: str
    title: str
    view: str
    noise: int
    form: str
    must: float | None = None
    aim: float | None = None
    long: int = 1_000_000


MIXES = {
    mix.name: mix
    for mix in (
        Mix("ours", "all ours", "probes", 0, "trace_cmd", 28, 19),
        Mix("third", "a third ours among sched, irq and kmem", "probes", 2, "trace_pipe", 10, 7),
        Mix("sparse", "2 % ours among sched, irq and kmem", "probes", 49, "tracefs", 2.5, 1.7, 10_000_000),
        Mix("explicit", "all ours, explicit events", "explicit", 0, "trace_cmd"),
    )
}
MAIN = ("ours", "third", "sparse")


class Case(msgspec.Struct, frozen=True):
    """One log: of a mix, or the user's own (`mix` is its file name then, `form` empty). `lines` are those asked for."""

    mix: str
    form: str
    lines: int

    @property
    def title(self) -> str:
        """As a heading says it."""
        known = MIXES.get(self.mix)
        return f"{self.lines:,} lines, {known.title} ({self.form})" if known else f"{self.mix}: {self.lines:,} lines"


class Goal(msgspec.Struct, frozen=True):
    """`must` and `aim` bound a ratio or MB from above; from below with `least`."""

    must: float
    aim: float
    least: bool = False

    def verdict(self, figure: float) -> str:
        """`aim`, `must` or `missed`."""
        for word, bound in (("aim", self.aim), ("must", self.must)):
            if figure >= bound if self.least else figure <= bound:
                return word
        return "missed"


PEAK = Goal(200, 100)
"""MB, whatever the log's length."""
START = Goal(40, 20)
"""A replay of ten lines, in times of `python -c pass`."""
TRAPPY = Goal(4, 6, least=True)
LISA = Goal(20, 36, least=True)
"""How many times as fast mmlist is, on SHORT lines."""
GROWTH = Goal(2.3, 2.1)
"""Twice the lines may take so many times as long: two, and what a machine that others use adds."""
