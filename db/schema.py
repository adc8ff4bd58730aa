"""The tables: facts of a replay, one row each, every row with its run. What is convenient is a view.

An mm is text (`0xffff888003a1c000`), since a kernel address does not fit SQLite's signed integer; so is a swap entry.
Times are integers as the log's clock has them (`run.ts_unit`). NULL is unknown, and a number that the log shows but
that does not fit 64 bits is unknown too.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BLOB,
    INTEGER,
    TEXT,
    Column,
    Connection,
    ForeignKeyConstraint,
    Index,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    UniqueConstraint,
)
from sqlalchemy.schema import CreateIndex, CreateTable, SchemaItem

from mmlist.db import library
from mmlist.db.file import APPLICATION_ID, SCHEMA_VERSION

metadata = MetaData()


def _int(name: str, *, null: bool = False) -> Column[Any]:
    return Column(name, INTEGER, nullable=null)


def _text(name: str, *, null: bool = False) -> Column[Any]:
    return Column(name, TEXT, nullable=null)


def _blob(name: str, *, null: bool = False) -> Column[Any]:
    return Column(name, BLOB, nullable=null)


def _mm(prefix: str = "", *, null: bool = False) -> tuple[Column[Any], Column[Any]]:
    return _text(f"{prefix}mm", null=null), _int(f"{prefix}generation", null=null)


def _when(prefix: str) -> tuple[Column[Any], Column[Any]]:
    return _int(f"{prefix}_line", null=True), _int(f"{prefix}_ts", null=True)


def _place() -> tuple[Column[Any], ...]:
    """Where and when a line stands: `record.At`."""
    line = (_int("line"), _int("offset"), _int("seq"))
    return (*line, _int("ts", null=True), _int("cpu", null=True), _int("pid", null=True), _text("comm"))


def _refers(columns: str, table: str, keys: str) -> ForeignKeyConstraint:
    here = ["run", *columns.split()]
    return ForeignKeyConstraint(here, [f"{table}.{key}" for key in ("run", *keys.split())])


def _of_run(name: str, key: str, *items: SchemaItem, comment: str, rowid: bool = False) -> Table:
    """A table of rows that belong to a run; `key` makes a row unique within it."""
    return Table(
        name,
        metadata,
        _int("run"),
        *items,
        PrimaryKeyConstraint("run", *key.split()),
        ForeignKeyConstraint(["run"], ["run.id"]),
        comment=comment,
        sqlite_strict=True,
        sqlite_with_rowid=rowid,  # without: the rows lie in the order of their key, run by run
    )


run = Table(
    "run",
    metadata,
    Column("id", INTEGER, primary_key=True),
    *(_text("log"), _text("sha256"), _int("size"), _int("lines"), _text("profile"), _text("profile_reason")),
    *(_text("clock"), _text("ts_unit"), _text("dialect"), _text("options"), _text("verdict"), _text("reason")),
    *(_int("events"), _int("compared"), _int("differing")),
    *(_int("mmlist_offset", null=True), _text("mmlist_offset_source")),
    *(_text("init_mm", null=True), _text("init_mm_source"), _text("release", null=True)),
    UniqueConstraint("sha256", "profile", "options"),
    comment="One replay of one log: what was replayed, as what, and the verdict.",
    sqlite_strict=True,
)

mm = _of_run(
    "mm",
    "mm generation",
    *_mm(),
    _int("first_line"),
    *(*_when("born"), _text("born_by"), *_mm("parent_", null=True)),
    *(_int("final_put_line", null=True), _int("exit_mmap_line", null=True), *_when("freed"), _int("last_line")),
    comment="One life of an mm_struct: addresses are used again, so an mm is an address and a generation.",
)

task = _of_run(
    "task",
    "id",
    *(_int("id"), _int("pid"), _text("comm"), _int("first_line"), _int("exit_line", null=True)),
    comment="A task as the log knows it.",
)

swap_area = _of_run(
    "swap_area",
    "id",
    *(_int("id"), _int("type", null=True), _text("path", null=True), *_when("swapon"), *_when("swapoff")),
    comment="One swap area in use, from its swapon to its swapoff.",
)

event = _of_run(
    "event",
    "id",
    *(_int("id"), *_place(), _text("name"), *_mm(null=True), _text("entry", null=True)),
    comment="An event that changed a life, a membership or a swapoff.",
)

membership = _of_run(
    "membership",
    "id",
    *(_int("id"), *_mm(), _int("joined_line", null=True), _int("joined_seen_line", null=True), _int("joined_seq")),
    *(_int("joined_ts", null=True), _text("joined_by"), *_mm("after_", null=True), _blob("rank"), _text("evidence")),
    *(_int("left_line", null=True), _int("left_seq", null=True), _int("left_ts", null=True)),
    _text("left_by", null=True),
    _refers("mm generation", "mm", "mm generation"),
    comment="One span of an mm on mmlist; members alive at one moment stand in the order of `rank`.",
)

holding = _of_run(
    "holding",
    "id",
    *(_int("id"), *_mm(), _text("entry"), _int("from_line"), _int("from_ts", null=True), _text("from_why")),
    *(*_when("to"), _text("to_why", null=True), _text("evidence")),
    _refers("mm generation", "mm", "mm generation"),
    comment="A swap entry in the page tables of an mm, from one line to another.",
)

swapoff = _of_run(
    "swapoff",
    "id",
    *(_int("id"), _int("begin_line"), _int("begin_ts", null=True), _int("pid", null=True), _text("comm")),
    *(_text("path", null=True), _int("type", null=True), _int("passes"), _int("members_before", null=True)),
    *(_int("members_after", null=True), _int("drained", null=True), _int("drain_line", null=True)),
    *(*_when("end"), _int("ret", null=True)),
    comment="One swapoff call: its walk, its outcome, and whether mmlist was drained.",
)

visit = _of_run(
    "visit",
    "swapoff step",
    *(_int("swapoff"), _int("step"), *_mm(), _int("line"), _int("ts", null=True), _int("got"), _text("evidence")),
    _refers("swapoff", "swapoff", "id"),
    _refers("mm generation", "mm", "mm generation"),
    comment="swapoff met an mm on its walk.",
)

violation = _of_run(
    "violation",
    "id",
    *(_int("id"), _text("code"), _text("slug"), _text("severity"), _text("certainty"), *_place()),
    *(_int("last_line"), _int("count"), *_mm(null=True), _text("entry", null=True), _int("type", null=True)),
    *(_int("follows_from", null=True), _text("signature"), _text("message"), _text("reason")),
    _refers("follows_from", "violation", "id"),
    comment="An invariant was broken.",
)

witness = _of_run(
    "witness",
    "violation step",
    *(_int("violation"), _int("step"), *_place(), _text("role"), _text("site"), _text("state"), _text("should")),
    *(_text("place", null=True), _blob("raw", null=True), _text("readable", null=True)),
    _refers("violation", "violation", "id"),
    comment="One line of a violation's evidence; `readable` is kept only where the raw line is not UTF-8.",
    rowid=True,
)

loss = _of_run(
    "loss",
    "id",
    *(_int("id"), _int("line"), _int("cpu", null=True), _int("since_ts", null=True), _int("until_ts", null=True)),
    *(_int("count", null=True), _text("kind")),
    comment="Events that are missing from the log, as an interval on a CPU.",
)

unparsed = _of_run(
    "unparsed",
    "id",
    *(_int("id"), _int("line"), _int("offset"), _int("column"), _text("reason"), _text("severity")),
    *(_blob("raw"), _text("readable", null=True)),
    comment="A line that could not be read; `readable` is kept only where it is not UTF-8.",
    rowid=True,
)

ledger = _of_run(
    "ledger",
    "id",
    *(_int("id"), _text("class"), _text("name", null=True), _int("lines")),
    comment="What the lines of the log were read as; all rows of a run add up to its lines.",
)

statistic = _of_run(
    "statistic",
    "name",
    *(_text("name"), _int("value"), _text("text")),
    comment="One number about the run.",
)

invariant = _of_run(
    "invariant",
    "code",
    *(_text("code"), _text("slug"), _text("severity"), _text("status"), _text("reason")),
    comment="What became of each invariant: checked, not checked or ignored.",
)

reordered = _of_run(
    "reordered",
    "line",
    *(_int("line"), _int("seq")),
    comment="A line that was replayed elsewhere than it stands; all others have seq = line.",
)

Index("membership_mm", membership.c.run, membership.c.mm, membership.c.generation)
Index("holding_mm", holding.c.run, holding.c.mm, holding.c.generation)
Index("holding_entry", holding.c.run, holding.c.entry)
Index("event_line", event.c.run, event.c.line)
Index("event_mm", event.c.run, event.c.mm, event.c.generation)
Index("visit_mm", visit.c.run, visit.c.mm, visit.c.generation)
Index("violation_cause", violation.c.run, violation.c.follows_from)


def create_tables(connection: Connection) -> None:
    """Make an empty file one of ours: its identity and its tables, still without indexes and views."""
    connection.exec_driver_sql(f"PRAGMA application_id = {APPLICATION_ID}")
    connection.exec_driver_sql(f"PRAGMA user_version = {SCHEMA_VERSION}")
    for table in metadata.sorted_tables:
        connection.execute(CreateTable(table))


def create_indexes_and_views(connection: Connection) -> None:
    """Finish a loaded file: indexes built once are twice as fast as indexes kept up row by row."""
    for table in metadata.sorted_tables:
        for index in sorted(table.indexes, key=lambda index: str(index.name)):
            connection.execute(CreateIndex(index))
    for view in library.views():
        connection.exec_driver_sql(f"CREATE VIEW {view.name} AS\n{view.sql}")
    analyze(connection)


def analyze(connection: Connection) -> None:
    """Tell SQLite how the rows are spread: it would take every key's first column, the run, for a selective one."""
    connection.exec_driver_sql("PRAGMA main.analysis_limit = 1000")
    connection.exec_driver_sql("ANALYZE main")
