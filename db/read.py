"""Answers from a database, for other code: plain dicts keyed by the columns of the views they come from."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

from mmlist.db import library
from mmlist.db.file import open_readonly
from mmlist.replay.errors import DatabaseError

Record = dict[str, Any]
"""A row: str, int, bytes or None by column."""


def runs(path: Path) -> list[Record]:
    """All runs of the database, as `v_run`, by number."""
    with closing(open_readonly(path)) as connection:
        return select(connection, path, "SELECT * FROM v_run ORDER BY run", {})


def violations(path: Path, run: int | None = None) -> list[Record]:
    """The violations of one run, or of all (None), as `v_violation`, in order of discovery."""
    with closing(open_readonly(path)) as connection:
        if run is not None:
            pick_run(connection, path, run)
        sql = "SELECT * FROM v_violation WHERE :run IS NULL OR run = :run ORDER BY run, id"
        return select(connection, path, sql, {"run": run})


def witness(path: Path, run: int | None, violation: int) -> list[Record]:
    """The evidence of one violation, as `v_witness`, step by step; `raw` is the untouched line (None: not kept).

    Raises `DatabaseError` where there is no such run or violation.
    """
    with closing(open_readonly(path)) as connection:
        chosen = {"run": pick_run(connection, path, run), "id": violation}
        if not select(connection, path, "SELECT id FROM v_violation WHERE run = :run AND id = :id", chosen):
            raise DatabaseError(f"{path}: run {chosen['run']} has no violation {violation}")
        return select(
            connection, path, "SELECT * FROM v_witness WHERE run = :run AND violation = :id ORDER BY step", chosen
        )


def members_at_line(path: Path, run: int | None, line: int) -> list[Record]:
    """The members of mmlist after the step of that line, in list order (the query `mmlist_at_line`)."""
    return _members(path, run, "mmlist_at_line", {"line": line})


def members_at_time(path: Path, run: int | None, ts: int) -> list[Record]:
    """The members of mmlist after all steps up to that time, in list order (the query `mmlist_at_time`)."""
    return _members(path, run, "mmlist_at_time", {"ts": ts})


def run_of(path: Path, run: int | None) -> Record:
    """The chosen run, or the only one (None), as `v_run`; raises `DatabaseError` where that is not one run."""
    with closing(open_readonly(path)) as connection:
        chosen = {"run": pick_run(connection, path, run)}
        return select(connection, path, "SELECT * FROM v_run WHERE run = :run", chosen)[0]


def pick_run(connection: sqlite3.Connection, path: Path, run: int | None) -> int:
    """The number of the chosen run, or of the only one (None); raises `DatabaseError` where that is not one run."""
    known = [row["run"] for row in select(connection, path, "SELECT id AS run FROM run ORDER BY id", {})]
    if run is None and len(known) == 1:
        (run,) = known
    if run is not None and run in known:
        return run
    listed = ", ".join(map(str, known))
    if run is None:
        raise DatabaseError(f"{path}: holds several runs, choose one of {listed}")
    raise DatabaseError(f"{path}: has no run {run}, only {listed}")


def _members(path: Path, run: int | None, name: str, moment: dict[str, int]) -> list[Record]:
    with closing(open_readonly(path)) as connection:
        chosen = {"run": pick_run(connection, path, run), **moment}
        return select(connection, path, library.query(name).sql, chosen)


def select(connection: sqlite3.Connection, path: Path, sql: str, parameters: Mapping[str, int | None]) -> list[Record]:
    """The rows that `sql` answers with; raises `DatabaseError`, which names the `path`."""
    try:
        cursor = connection.execute(sql, parameters)
        names = [column[0] for column in cursor.description]
        return [dict(zip(names, row, strict=True)) for row in cursor]
    except sqlite3.Error as error:
        raise DatabaseError(f"{path}: cannot be read: {error}") from error
