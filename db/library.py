"""The shipped SQL: views and named queries, each in its own file, each explained by the comments at its top.

A file begins with its title (`-- Title`), then one comment a parameter (`-- :name: text`) and one a column
(`-- name: text`), then one SELECT. The name of a view or query is its file's.
"""

from __future__ import annotations

import difflib
import re
from importlib.resources import files

import msgspec

from mmlist.replay.errors import OptionError

_COMMENT = re.compile(r"-- (:?)([a-z_0-9]+): (.+)")


class Shipped(msgspec.Struct, frozen=True):
    """One shipped SELECT: `parameters` and `columns` map a name to its explanation, in the order of the file."""

    name: str
    title: str
    parameters: dict[str, str]
    columns: dict[str, str]
    sql: str


def views() -> list[Shipped]:
    """All views, by name."""
    return _shipped("views")


def queries() -> list[Shipped]:
    """All named queries, by name."""
    return _shipped("queries")


def query(name: str) -> Shipped:
    """The named query; raises `OptionError`, with the nearest name, where there is none."""
    known = {one.name: one for one in queries()}
    if name in known:
        return known[name]
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean {near[0]}?" if near else "`mmlist sql --list` names them"
    raise OptionError(f"no query is named {name}: {hint}")


def _shipped(folder: str) -> list[Shipped]:
    found = [file for file in files("mmlist.db").joinpath(folder).iterdir() if file.name.endswith(".sql")]
    return [
        _parse(file.name.removesuffix(".sql"), file.read_text("utf-8")) for file in sorted(found, key=lambda f: f.name)
    ]


def _parse(name: str, text: str) -> Shipped:
    title, *rest = text.splitlines()
    parameters: dict[str, str] = {}
    columns: dict[str, str] = {}
    for line in rest:
        match = _COMMENT.fullmatch(line)
        if match is None:
            break
        (parameters if match[1] else columns)[match[2]] = match[3]
    return Shipped(name, title.removeprefix("-- "), parameters, columns, text)
