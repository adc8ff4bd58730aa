"""A database file of ours: how one is told from a foreign file, and how it is opened to read.

Only the standard library: the commands that read must not pay for importing SQLAlchemy.
"""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path

from mmlist.replay.errors import DatabaseError

APPLICATION_ID = 0x6D6D6C73
"""`mmls` in the four bytes of the SQLite header that name the application."""

SCHEMA_VERSION = 3
"""`user_version`: raised whenever a table or a view changes its meaning."""

MAGIC = b"SQLite format 3\x00"
"""How a database of SQLite begins."""


def open_readonly(path: Path) -> sqlite3.Connection:
    """Open a database of ours so that nothing can be written; text that is not UTF-8 is shown with U+FFFD.

    Raises `DatabaseError` where the file is missing, not ours, of another schema version or cannot be read.
    """
    _refuse_foreign(path)
    uri = f"{path.resolve().as_uri()}?mode=ro"
    try:
        connection = _open_checked(path, uri)
    except sqlite3.Error as error:
        if "readonly" not in str(error):
            raise DatabaseError(f"{path}: cannot be read: {error}") from error
        # A writer died in the middle: its journal has to be rolled back first, and that writes.
        _recover(path)
        connection = _open_checked(path, uri)
    connection.text_factory = lambda data: data.decode("utf-8", "replace")
    return connection


def _refuse_foreign(path: Path) -> None:
    if path.is_dir():
        raise DatabaseError(f"{path}: is a folder, not a database")
    if not path.exists():
        raise DatabaseError(f"{path}: no such database")
    if not path.is_file():
        raise DatabaseError(f"{path}: is not a regular file")
    try:
        with path.open("rb") as file:
            magic = file.read(len(MAGIC))
    except OSError as error:
        raise DatabaseError(f"{path}: cannot be read: {error.strerror}") from error
    if magic != MAGIC:
        raise DatabaseError(f"{path}: is not a database of mmlist (not even SQLite)")


def _open_checked(path: Path, uri: str) -> sqlite3.Connection:
    connection = sqlite3.connect(uri, uri=True, isolation_level=None)
    try:
        (application,) = connection.execute("PRAGMA application_id").fetchone()
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        connection.execute("PRAGMA query_only = ON")
    except sqlite3.Error:
        connection.close()
        raise
    if application == APPLICATION_ID and version == SCHEMA_VERSION:
        return connection
    connection.close()
    if application != APPLICATION_ID:
        raise DatabaseError(f"{path}: is a database, but not one of mmlist")
    made = "an older mmlist" if version < SCHEMA_VERSION else "a newer mmlist"
    known = f"has schema version {version}, of {made}; this one knows {SCHEMA_VERSION}"
    raise DatabaseError(f"{path}: {known}: remove the file, or replay the log into a new one (-o FILE)")


def _recover(path: Path) -> None:
    try:
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=rw", uri=True)) as connection:
            connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    except sqlite3.Error as error:
        raise DatabaseError(f"{path}: was left by an interrupted writer and cannot be restored: {error}") from error


def check_writable(path: Path) -> None:
    """Raise `DatabaseError` where a database could not be stored at `path`; an empty file or none is no hindrance."""
    target = Path(os.path.realpath(path))
    if not target.parent.is_dir():
        raise DatabaseError(f"{path}: there is no folder {target.parent}")
    if not os.access(target.parent, os.W_OK | os.X_OK):
        raise DatabaseError(f"{path}: cannot be written: the folder {target.parent} is not writable")
    if not target.exists() or is_empty(target):
        return
    open_readonly(target).close()
    if not os.access(target, os.W_OK):
        raise DatabaseError(f"{path}: cannot be written: the file is read-only")


def is_empty(target: Path) -> bool:
    """Whether a file is there, with nothing in it."""
    return target.is_file() and target.stat().st_size == 0
