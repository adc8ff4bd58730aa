"""A history into a database file: all of it or nothing.

The history is first loaded into a file aside, in the same folder. Where there is no database yet, that file becomes it
by its name alone; where there is one, the run is copied into it in one short transaction. A crash at any time leaves
the database as it was.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy
from sqlalchemy import Connection, event, exc

from mmlist.db.file import check_writable, is_empty
from mmlist.db.load import Texts, load
from mmlist.db.schema import analyze, metadata
from mmlist.replay.errors import DatabaseError
from mmlist.replay.facts import Fact


def store(path: Path, facts: Iterable[Fact], *, texts: Texts | None = None) -> int:
    """Store one history (`Run` last) in the database `path`, made if there is none, and return its run's number.

    A run with the same content hash, profile and options is replaced and keeps its number. `texts` gives the original
    lines of witnesses that came without. Facts are taken one by one; memory does not grow with them.

    Raises `DatabaseError` where the file is not ours or cannot be written, before the first fact is taken where that
    can be known; the file is then as it was. Errors of `facts` pass through, and leave it as it was too.
    """
    target = Path(os.path.realpath(path))
    check_writable(target)
    aside = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        with _reporting(path, OSError):
            _touch(aside)
        with _reporting(path), _connected(aside, _prepare_aside) as connection:
            load(connection, facts, texts)
        with _reporting(path, OSError):
            if _publish(aside, target):
                return 1
            check_writable(target)
            with _connected(target, lambda raw: _prepare_merge(raw, aside)) as connection:
                return _merge(connection)
    finally:
        aside.unlink(missing_ok=True)


@contextmanager
def _reporting(path: Path, *others: type[Exception]) -> Iterator[None]:
    """Turn what SQLite refuses (and `others`) into `DatabaseError`; a broken constraint is our fault and stays one."""
    refusals: tuple[type[Exception], ...] = (sqlite3.Error, *others)
    try:
        yield
    except (exc.IntegrityError, exc.ProgrammingError):
        raise
    except exc.DatabaseError as error:
        raise DatabaseError(f"{path}: cannot be written: {error.orig}") from error
    except refusals as error:
        raise DatabaseError(f"{path}: cannot be written: {error}") from error


def _touch(aside: Path) -> None:
    aside.unlink(missing_ok=True)  # left behind by a killed process of the same number
    aside.touch(exist_ok=False)


@contextmanager
def _connected(path: Path, prepare: Callable[[Any], object]) -> Iterator[Connection]:
    engine = sqlalchemy.create_engine(
        sqlalchemy.URL.create("sqlite", database=str(path)), poolclass=sqlalchemy.NullPool, connect_args={"timeout": 30}
    )

    # The driver's own transactions are switched off: it opens them late and only before some statements.
    @event.listens_for(engine, "connect")
    def _on_connect(raw: Any, _: object) -> None:
        raw.isolation_level = None
        prepare(raw)

    @event.listens_for(engine, "begin")
    def _on_begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    try:
        with engine.connect() as connection:
            yield connection
    finally:
        engine.dispose()


def _prepare_aside(raw: Any) -> None:
    # Nobody else knows this file, and a crash throws it away: it needs neither a journal on disk nor syncs.
    raw.execute("PRAGMA journal_mode = MEMORY")
    raw.execute("PRAGMA synchronous = OFF")
    raw.execute("PRAGMA locking_mode = EXCLUSIVE")


def _prepare_merge(raw: Any, aside: Path) -> None:
    raw.execute(
        "PRAGMA cache_size = -32768"
    )  # KiB; indexes are filled in no order, which the default of 2 MiB thrashes
    raw.execute("ATTACH ? AS aside", (str(aside),))


def _publish(aside: Path, target: Path) -> bool:
    """Give the finished file its name; False where a database has that name already."""
    _sync(aside)
    if target.exists():
        if not is_empty(target):
            return False
        aside.replace(target)
    else:
        try:
            target.hardlink_to(aside)
        except FileExistsError:
            return False
        except OSError:  # a file system without hard links
            aside.replace(target)
    _sync(target.parent)
    return True


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _merge(connection: Connection) -> int:
    """Copy the run of the attached file into this one; references were checked there, for the run as a whole."""
    with connection.begin():
        known = connection.exec_driver_sql(
            "SELECT main.run.id FROM main.run JOIN aside.run USING (sha256, profile, options)"
        ).scalar()
        number: int = known or connection.exec_driver_sql("SELECT coalesce(max(id), 0) + 1 FROM main.run").scalar_one()
        others = connection.exec_driver_sql("SELECT count(*) FROM main.run WHERE id <> ?", (number,)).scalar_one()
        for table in metadata.sorted_tables:
            _copy(connection, table, number, alone=not others)
        analyze(connection)
    return number


def _copy(connection: Connection, table: sqlalchemy.Table, number: int, *, alone: bool) -> None:
    """Replace the rows of one run; without a WHERE, SQLite empties a table at once instead of row by row."""
    first, *rest = (f'"{column.name}"' for column in table.columns)
    key = ", ".join(f'"{column.name}"' for column in table.primary_key)
    if alone:
        connection.exec_driver_sql(f'DELETE FROM main."{table.name}"')
    else:
        connection.exec_driver_sql(f'DELETE FROM main."{table.name}" WHERE {first} = ?', (number,))
    connection.exec_driver_sql(
        f'INSERT INTO main."{table.name}" SELECT ?, {", ".join(rest)} FROM aside."{table.name}" ORDER BY {key}',
        (number,),
    )
