"""What the stages of a replay take: the log is read again and again, each time through one stage more.

    python stages.py LOG

Prints [[stage, CPU seconds], ...] as JSON. A stage is the difference to the reading before, so that nothing is held
in memory and no clock stands in the way of a line; what it takes is about as exact as two runs are alike.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from mmlist.db.store import store
from mmlist.replay.history import History, replay
from mmlist.replay.log import Log
from mmlist.replay.options import Options
from mmlist.replay.order import ordered
from mmlist.replay.record import Record
from mmlist.replay.setup import Setup
from mmlist.replay.skim import names_in_text


def stages(log: Log) -> Iterator[tuple[str, float]]:
    """Each stage of a replay of `log`, in their order, and its CPU seconds. Raises as History does."""
    read = _seconds(lambda: sum(len(block.data) for block in log.blocks()))
    yield "read", read
    find = _seconds(lambda: names_in_text(log.blocks()))
    yield "find", find - read
    made: list[Setup] = []
    survey = _seconds(lambda: made.append(Setup(log, Options())))
    yield "survey", survey - find
    setup = made[0]
    passed = 0.0
    for name, through in (("parse", _parse), ("order", _order), ("bind", _bind), ("model", _step), ("invariants", _judge)):
        taken = _seconds(lambda through=through: through(setup))  # type: ignore[misc]
        yield name, taken - passed
        passed = taken
    history = History(log, Options())
    facts = _seconds(lambda: sum(1 for _ in history.facts()))
    yield "facts", facts - passed
    whole = survey + facts
    with tempfile.TemporaryDirectory() as folder:
        database = Path(folder, "run.db")
        stored = _seconds(lambda: store(database, replay(log, Options())))
    yield "store and index", stored - whole


def _seconds(work: Callable[[], object]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


def _parse(setup: Setup) -> None:
    for _ in setup.records(setup.new_parser()):
        pass


def _order(setup: Setup) -> None:
    for _ in ordered(setup.records(setup.new_parser())):
        pass


def _records(setup: Setup) -> Iterator[Record]:
    return (item for item in ordered(setup.records(setup.new_parser())) if isinstance(item, Record))


def _bind(setup: Setup) -> None:
    _, binder, _ = setup.parts(setup.grain)
    for record in _records(setup):
        binder.bind(record)


def _step(setup: Setup) -> None:
    state, binder, _ = setup.parts(setup.grain)
    for record in _records(setup):
        for event in binder.bind(record):
            state.step(event)
        state.facts.clear()


def _judge(setup: Setup) -> None:
    state, binder, judge = setup.parts(setup.grain)
    for record in _records(setup):
        for event in binder.bind(record):
            if changes := state.step(event):
                judge.judge(changes)
        state.facts.clear()


if __name__ == "__main__":
    with Log.open(sys.argv[1]) as given:
        print(json.dumps(list(stages(given))))
