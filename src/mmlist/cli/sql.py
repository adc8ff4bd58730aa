"""`mmlist sql`: ask a database of ours, with SQL or by the name of a shipped query."""

from __future__ import annotations

import difflib
import re
import sqlite3
import sys
from contextlib import closing
from pathlib import Path

import click

from mmlist.cli import HELP, rows
from mmlist.db import library
from mmlist.db.file import open_readonly
from mmlist.db.read import pick_run
from mmlist.replay.errors import DatabaseError, OptionError

_NAME = re.compile(r"[A-Za-z_]\w*")
_UNBOUND = re.compile(r"binding (?:parameter )?:(\w+)")
_READING = {
    sqlite3.SQLITE_SELECT,
    sqlite3.SQLITE_READ,
    sqlite3.SQLITE_FUNCTION,
    sqlite3.SQLITE_RECURSIVE,
    sqlite3.SQLITE_PRAGMA,
}

_EXAMPLES = """\b
Examples:
  mmlist sql run.db violations
  mmlist sql run.db mmlist_at_line --param line=4711
  mmlist sql run.db "SELECT mm, joined_line FROM v_membership WHERE left_by = 'drain'"
  mmlist sql run.db - --format csv < question.sql
"""


@click.command(epilog=_EXAMPLES, context_settings=HELP)
@click.argument("database", metavar="DB", required=False, type=click.Path(path_type=Path))
@click.argument("query", metavar="[QUERY | NAME | -]", required=False)
@click.option("--format", "form", type=click.Choice(list(rows.FORMATS)), default="table", show_default=True)
@click.option("--param", "-p", "given", metavar="KEY=VALUE", multiple=True, help="Value for :KEY in the query.")
@click.option("--list", "listing", is_flag=True, help="List the shipped queries and their parameters.")
@click.option("--schema", "schema", is_flag=True, help="Print the views with their columns, then the tables.")
def sql(
    database: Path | None, query: str | None, form: str, given: tuple[str, ...], listing: bool, schema: bool
) -> None:
    """Ask the database DB, with SQL, with a shipped query's NAME, or with SQL from standard input (-).

    The database is opened to read only. Where a query needs :run and the database holds one run, it is filled in.
    In json, each row is one object a line; bytes are shown as hexadecimal digits.
    """
    if listing or schema:
        click.echo(_list_queries() if listing else _describe_schema(), nl=False)
        return
    if database is None:
        raise click.UsageError("name a database, or ask for --list or --schema")
    if query is None:
        raise click.UsageError("ask something: SQL, the name of a shipped query (--list), or - for standard input")
    text = sys.stdin.buffer.read().decode("utf-8", "replace") if query == "-" else query
    if _NAME.fullmatch(text.strip()):
        text = library.query(text.strip()).sql
    parameters = dict(_parameter(one) for one in given)
    with closing(open_readonly(database)) as connection:
        _ask(connection, database, text, parameters, form)


def _parameter(given: str) -> tuple[str, int | str]:
    key, sign, value = given.partition("=")
    if not sign or not _NAME.fullmatch(key):
        raise OptionError(f"--param {given}: write KEY=VALUE")
    return key, int(value) if re.fullmatch(r"-?[0-9]{1,18}", value) else value


def _ask(connection: sqlite3.Connection, path: Path, text: str, parameters: dict[str, int | str], form: str) -> None:
    """Run one statement and print its rows; what SQLite refuses becomes an `OptionError`."""
    if "run" not in parameters and re.search(r":run\b", text):
        parameters["run"] = pick_run(connection, path, None)
    refused: list[str] = []
    connection.set_authorizer(lambda action, what, *_: _authorize(action, what, refused))
    try:
        cursor = connection.execute(text, parameters)
        if cursor.description is None:
            raise OptionError("nothing was asked: the query is empty")
        rows.write([column[0] for column in cursor.description], cursor, form)
    except (sqlite3.Error, sqlite3.Warning) as error:
        if refused or "readonly database" in str(error):
            raise DatabaseError(f"{path}: `mmlist sql` only reads, and that statement would write") from error
        unbound = _UNBOUND.search(str(error))
        if unbound:
            raise OptionError(f"the query needs :{unbound[1]}: give --param {unbound[1]}=VALUE") from error
        raise OptionError(f"SQL: {error}{_near_view(str(error))}") from error


def _authorize(action: int, what: str | None, refused: list[str]) -> int:
    if action in _READING:
        return sqlite3.SQLITE_OK
    refused.append(what or "")
    return sqlite3.SQLITE_DENY


def _near_view(message: str) -> str:
    missing = re.fullmatch(r"no such (table|column): (\S+)", message)
    if missing is None:
        return ""
    known = {view.name for view in library.views()}
    if missing[1] == "column":
        known = {column for view in library.views() for column in view.columns}
    near = difflib.get_close_matches(missing[2].rpartition(".")[2], sorted(known), n=1)
    return f" (did you mean {near[0]}?)" if near else " (`mmlist sql --schema` names them)"


def _list_queries() -> str:
    lines = []
    for query in library.queries():
        lines.append(f"{query.name}\n    {query.title}")
        lines += [f"    --param {name}=...: {text}" for name, text in query.parameters.items()]
    return "\n".join(lines) + "\n"


def _describe_schema() -> str:
    from mmlist.db.schema import metadata  # imported late: SQLAlchemy costs every start 0.2 s

    lines = []
    for view in library.views():
        lines += ["", f"view {view.name}: {view.title}"]
        wide = max(map(len, view.columns))
        lines += [f"    {column:{wide}}  {text}" for column, text in view.columns.items()]
    for table in metadata.sorted_tables:
        columns = ", ".join(column.name for column in table.columns)
        lines += ["", f"table {table.name}: {table.comment}", f"    {columns}"]
    return "\n".join(lines[1:]) + "\n"
