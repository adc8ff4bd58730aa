"""What the stages of a replay take: the log is read again and again, each time through one stage more.

    python stages.py LOG

Prints [[stage, CPU seconds], ...] as JSON. A stage is the difference to the reading before, so that nothing is held
in memory and no clock stands in the way of a line; what it takes is about as exact as two runs are alike. A replay does not
parse again what its survey has read (50,000 records at most): by so much `facts` is told too short.
"""

from __future__ import annotations

import gc
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy import Engine
from sqlalchemy.event import listen

from mmlist.db.store import store
from mmlist.replay.history import replay
from mmlist.replay.log import Log
from mmlist.replay.options import Options
from mmlist.replay.order import ordered
from mmlist.replay.record import Record
from mmlist.replay.setup import Setup
from mmlist.replay.skim import names_in_text
from speed.logs import head

_BEFORE_ALL = time.process_time()
"""What Python and the imports took."""
_HEAD = 200
_INDEXING = ("CREATE INDEX", "CREATE UNIQUE INDEX", "CREATE VIEW", "ANALYZE", "PRAGMA FOREIGN_KEY_CHECK")


def stages(path: Path) -> Iterator[tuple[str, float]]:
    """Each stage of a replay of the log at `path`, in their order, and its CPU seconds. Raises as History does."""
    yield "start", _BEFORE_ALL + _seconds(lambda: _grammars(path))
    with Log.open(str(path)) as log:
        read = _seconds(lambda: sum(len(block.data) for block in log.blocks()))
        yield "read", read
        find = _seconds(lambda: names_in_text(log.blocks()))
        yield "find", find - read
        survey = _seconds(lambda: Setup(log, Options()))
        yield "survey", survey - find
        setup, passed = Setup(log, Options()), 0.0
        for name, through in _THROUGH.items():
            taken = _seconds(partial(through, setup))
            yield name, taken - passed
            passed = taken
        facts = _seconds(lambda: sum(1 for _ in replay(log, Options()))) - survey
        yield "facts", facts - passed
        stored, indexed = _stored(log)
        yield "store", stored - survey - facts - indexed
        yield "index", indexed


def _grammars(path: Path) -> None:
    """Everything that is made once, whatever the log's length."""
    with tempfile.TemporaryDirectory() as folder, Log.open(str(head(path, Path(folder, "head"), _HEAD))) as log:
        store(Path(folder, "head.db"), replay(log, Options()))


def _stored(log: Log) -> tuple[float, float]:
    """What a replay into a database takes, and how much of it went into indexes, views and statistics."""
    began: list[float] = []
    indexed: list[float] = []

    def before(*_: Any) -> None:
        began.append(time.process_time())

    def after(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if statement.lstrip().upper().startswith(_INDEXING):
            indexed.append(time.process_time() - began[-1])

    listen(Engine, "before_cursor_execute", before)
    listen(Engine, "after_cursor_execute", after)
    with tempfile.TemporaryDirectory() as folder:
        taken = _seconds(lambda: store(Path(folder, "run.db"), replay(log, Options())))
    return taken, sum(indexed)


def _seconds(work: Callable[[], object]) -> float:
    gc.collect()
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


_THROUGH = {"parse": _parse, "order": _order, "bind": _bind, "model": _step, "invariants": _judge}

if __name__ == "__main__":
    print(json.dumps(list(stages(Path(sys.argv[1])))))
