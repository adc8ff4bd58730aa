"""What the stages of one replay take. Only where it is asked for: a clock at every line of the log takes time itself."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

from mmlist.replay.history import History

T = TypeVar("T")

_MB = 1024 if sys.platform != "darwin" else 1024 * 1024
_WITHIN = {"store": ("facts",), "facts": ("survey", "parse", "bind", "model", "invariants")}
"""The stages that a stage waits for, and whose seconds are not its own."""


class Timings:
    """Seconds by stage: of the wall clock, and each its own. `survey` is the first look, `facts` also puts lines in order."""

    def __init__(self, *, wanted: bool = True) -> None:
        """Nothing was measured yet; if it is not `wanted`, nothing will be, and all is handed back as it was given."""
        self.wanted = wanted
        self._began = time.perf_counter()
        self._cpu = time.process_time()
        self._seconds: dict[str, float] = {}

    def watch(self, history: History) -> None:
        """Put a clock at the parts of `history`, before its facts are asked for."""
        if not self.wanted:
            return
        setup = history.setup
        begun = setup.begun

        def timed_begun() -> Any:
            parser, said = begun()
            return parser, self.each("parse", said)

        parts: tuple[tuple[object, str, Callable[..., Any]], ...] = (
            (setup, "begun", timed_begun),
            (history, "bind", self.call("bind", history.bind)),
            (history, "step", self.call("model", history.step)),
            (history, "judged", self.call("invariants", history.judged)),
        )
        for part, name, timed in parts:
            setattr(part, name, timed)

    def call(self, stage: str, function: Callable[..., T]) -> Callable[..., T]:
        """`function`, its seconds added to those of `stage`."""
        if not self.wanted:
            return function
        seconds, clock = self._seconds, time.perf_counter
        seconds.setdefault(stage, 0.0)

        def timed(*given: Any, **named: Any) -> T:
            start = clock()
            try:
                return function(*given, **named)
            finally:
                seconds[stage] += clock() - start

        return timed

    def each(self, stage: str, items: Iterable[T]) -> Iterator[T]:
        """`items`; the seconds in which they are made are those of `stage`."""
        return self._each(stage, items) if self.wanted else iter(items)

    def _each(self, stage: str, items: Iterable[T]) -> Iterator[T]:
        seconds, clock = self._seconds, time.perf_counter
        seconds.setdefault(stage, 0.0)
        iterator = iter(items)
        while True:
            start = clock()
            try:
                item = next(iterator)
            except StopIteration:
                return
            finally:
                seconds[stage] += clock() - start
            yield item

    def table(self, lines: int) -> Iterator[str]:
        """The stages, a line each, with the seconds and the microseconds for each of the log's `lines`."""
        if not self.wanted:
            return
        import resource  # imported late: Unix alone has it

        own = {
            stage: seconds - sum(self._seconds.get(other, 0.0) for other in _WITHIN.get(stage, ()))
            for stage, seconds in self._seconds.items()
        }
        wall, cpu = time.perf_counter() - self._began, time.process_time() - self._cpu
        for stage in ("survey", "parse", "bind", "model", "invariants", "facts", "store"):
            if stage in own:
                yield f"  {stage:<12}{own[stage]:8.2f} s {own[stage] * 1e6 / max(lines, 1):8.2f} us a line"
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / _MB
        rest = f"{cpu:.2f} s of CPU, {peak:,.0f} MB at most"
        yield f"  {'all':<12}{wall:8.2f} s {wall * 1e6 / max(lines, 1):8.2f} us a line, {rest}"
