"""Facts into an empty file of ours, in batches of bounded size; the file's only run has the number 1."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from sqlalchemy import Connection

from mmlist.db.rows import CHILDREN, ROWS, Row, readable_if_needed
from mmlist.db.schema import create_indexes_and_views, create_tables, metadata
from mmlist.replay.facts import Fact, Run

BATCH = 5_000
"""Rows held in memory before they are written."""

Texts = Callable[[Iterable[int]], dict[int, bytes]]
"""Line numbers -> the original bytes of those lines."""

_LARGEST = 2**63 - 1


class _Table:
    """Rows of one table on their way into it: `number` counts them all, `rows` waits to be written."""

    def __init__(self, name: str) -> None:
        # The identity of a run is known only at its end, so rows are loaded as run 1 and renumbered when merged.
        marks = ", ".join("?" * (len(metadata.tables[name].columns) - 1))
        self.insert = f'INSERT INTO "{name}" VALUES (1, {marks})'
        self.number = 0
        self.rows: list[Row] = []

    def write(self, connection: Connection) -> None:
        try:
            with connection.begin():
                connection.exec_driver_sql(self.insert, self.rows)
        except (OverflowError, UnicodeEncodeError):
            with connection.begin():
                connection.exec_driver_sql(self.insert, [tuple(map(_storable, row)) for row in self.rows])
        self.rows = []


def load(connection: Connection, facts: Iterable[Fact], texts: Texts | None) -> None:
    """Fill an empty database with one history, `Run` last, and finish it with indexes and views.

    Raises `ValueError` where the facts end without a `Run` or refer to what was never told: a fault of the caller.
    """
    with connection.begin():
        create_tables(connection)
    tables = _write_all(connection, facts)
    if tables["run"].number != 1:
        raise ValueError(f"a history must hold one Run, not {tables['run'].number}")
    if texts is not None:
        _fill_texts(connection, texts)
    with connection.begin():
        create_indexes_and_views(connection)
    _check_references(connection)


def _write_all(connection: Connection, facts: Iterable[Fact]) -> dict[str, _Table]:
    tables = {name: _Table(name) for name in metadata.tables}
    own: dict[type, tuple[_Table, Callable[[int, Any], Row]]] = {t: (tables[n], row) for t, (n, row) in ROWS.items()}
    waiting = 0
    for fact in facts:
        kind = type(fact)
        table, row = own[kind]
        table.number += 1
        table.rows.append(row(table.number, fact))
        waiting += 1
        if kind in CHILDREN:
            name, children = CHILDREN[kind]
            below = children(table.number, fact)
            tables[name].rows += below
            waiting += len(below)
        if waiting >= BATCH or kind is Run:
            waiting = 0
            for table in tables.values():
                if table.rows:
                    table.write(connection)
    return tables


def _storable(value: int | str | bytes | None) -> int | str | bytes | None:
    """A value that SQLite can hold: numbers beyond 64 bits are unknown, lone surrogates become U+FFFD."""
    if isinstance(value, int) and not -_LARGEST <= value <= _LARGEST:
        return None
    if isinstance(value, str):
        return value.encode("utf-8", "surrogatepass").decode("utf-8", "replace")
    return value


def _fill_texts(connection: Connection, texts: Texts) -> None:
    with connection.begin():
        missing = connection.exec_driver_sql("SELECT DISTINCT line FROM witness WHERE raw IS NULL ORDER BY line")
        found = texts([line for (line,) in missing])
        rows = [(text, readable_if_needed(text), line) for line, text in sorted(found.items())]
        if rows:
            update = "UPDATE witness SET raw = ?, readable = ? WHERE line = ? AND raw IS NULL"
            connection.exec_driver_sql(update, rows)


def _check_references(connection: Connection) -> None:
    with connection.begin():
        broken = connection.exec_driver_sql("PRAGMA foreign_key_check").first()
        if broken is None:
            return
        table, rowid, parent, _ = broken
        raise ValueError(f"a row of {table} (rowid {rowid}) refers to a row of {parent} that the history never told")
