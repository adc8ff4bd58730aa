"""The facts of a stored run again, as far as two runs are compared by them (replay/difference.py).

Only the standard library, as in `file`: a comparison of two databases need not import SQLAlchemy.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from mmlist.db.file import MAGIC, open_readonly
from mmlist.db.read import select
from mmlist.replay import facts as f
from mmlist.replay.record import At

_MEMBERSHIP = """
    SELECT mm, generation, joined_line, joined_seen_line, joined_seq, joined_ts, joined_by, NULL AS after_mm,
           after_generation, rank, evidence, left_line, left_seq, left_ts, left_by
    FROM membership WHERE run = :run ORDER BY id"""
_VIOLATION = """
    SELECT line, "offset", ts, cpu, pid, seq, id, code, slug, severity, certainty, last_line, count, mm, generation, entry,
           type, follows_from, signature, message, reason
    FROM violation WHERE run = :run ORDER BY id"""
_CHECKED = "SELECT code, slug, severity, status, reason FROM invariant WHERE run = :run ORDER BY code"
_RUN = """
    SELECT log, sha256, size, lines, profile, profile_reason, clock, ts_unit, dialect, options, verdict, reason, events,
           compared, differing, mmlist_offset, mmlist_offset_source, init_mm, init_mm_source, release
    FROM run WHERE id = :run"""


def is_database(path: Path) -> bool:
    """Whether `path` is an SQLite file, of whatever application."""
    try:
        with path.open("rb") as file:
            return file.read(len(MAGIC)) == MAGIC
    except OSError:
        return False


def runs(path: Path) -> list[int]:
    """The numbers of the runs in a database, ascending. Raises DatabaseError as `open_readonly`."""
    with closing(open_readonly(path)) as connection:
        return [row["id"] for row in select(connection, path, "SELECT id FROM run ORDER BY id", {})]


def stored(path: Path, run: int) -> Iterator[f.Fact]:
    """The memberships, violations (without witness) and checked invariants of a run, and the run itself, last.

    After whom a member was linked is left out. Raises DatabaseError where the file cannot be read.
    """
    with closing(open_readonly(path)) as connection:
        for row in select(connection, path, _MEMBERSHIP, {"run": run}):
            yield f.Membership(**row | {"mm": int(row["mm"], 16)})
        for row in select(connection, path, _VIOLATION, {"run": run}):
            at = At(**{name: row.pop(name) for name in ("line", "offset", "ts", "cpu", "pid", "seq")}, comm=b"")
            numbers = {name: _number(row[name]) for name in ("mm", "entry")}
            yield f.Violation(**row | numbers | {"at": at})
        for row in select(connection, path, _CHECKED, {"run": run}):
            yield f.Checked(**row)
        for row in select(connection, path, _RUN, {"run": run}):
            yield f.Run(**row | {"init_mm": _number(row["init_mm"])})


def _number(text: str | None) -> int | None:
    return None if text is None else int(text, 16)
