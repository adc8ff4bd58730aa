"""Rows of a query on standard output: an aligned table, CSV, or one JSON object a line."""

from __future__ import annotations

import csv
import io
import sys
from collections.abc import Callable, Iterable, Iterator
from itertools import chain, islice

import msgspec

from mmlist.replay.display import printable

Value = int | float | str | bytes | None
Row = tuple[Value, ...]

_MEASURED = 1_000  # rows that decide the widths of a table, so that a long answer need not be held in memory


def write(names: list[str], rows: Iterable[Row], form: str) -> None:
    """Print rows under the names of their columns in one of `FORMATS`; a name that comes twice gets a number.

    The output is UTF-8 whatever the locale, and untouched: `click.echo` would take escape sequences out of the data.
    """
    for chunk in FORMATS[form](_distinct(names), rows):
        sys.stdout.buffer.write(chunk.encode())
    sys.stdout.buffer.flush()


def _distinct(names: list[str]) -> list[str]:
    found: list[str] = []
    for name in names:
        number, one = 1, name
        while one in found:
            number += 1
            one = f"{name}_{number}"
        found.append(one)
    return found


def _table(names: list[str], rows: Iterable[Row]) -> Iterator[str]:
    ahead = iter(rows)
    first = list(islice(ahead, _MEASURED))
    shown = [[_cell(value) for value in row] for row in first]
    widths = [max(map(len, column)) for column in zip(names, *shown, strict=True)]
    numeric = [all(isinstance(v, int | float | None) for v in column) for column in zip(*first, strict=True)]
    numeric = numeric or [False] * len(names)

    def line(cells: list[str]) -> str:
        padded = (c.rjust(w) if n else c.ljust(w) for c, w, n in zip(cells, widths, numeric, strict=True))
        return "  ".join(padded).rstrip() + "\n"

    yield line([printable(name) for name in names])
    yield line(["-" * width for width in widths])
    for cells in chain(shown, ([_cell(value) for value in row] for row in ahead)):
        yield line(cells)


def _cell(value: Value) -> str:
    if value is None:
        return ""
    if isinstance(value, bytes):
        return value.hex()
    return printable(str(value))


def _csv(names: list[str], rows: Iterable[Row]) -> Iterator[str]:
    for row in chain([tuple(names)], rows):
        line = io.StringIO()
        csv.writer(line, lineterminator="\n").writerow(v.hex() if isinstance(v, bytes) else v for v in row)
        yield line.getvalue()


def _json(names: list[str], rows: Iterable[Row]) -> Iterator[str]:
    for row in rows:
        values = (v.hex() if isinstance(v, bytes) else v for v in row)
        yield msgspec.json.encode(dict(zip(names, values, strict=True))).decode() + "\n"


FORMATS: dict[str, Callable[[list[str], Iterable[Row]], Iterator[str]]] = {"table": _table, "csv": _csv, "json": _json}
"""Name of a format -> what renders rows in it, piece by piece."""
