"""docs/bench.svg: a bar a program, as long as the logarithm of how many times as long as mawk it takes."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape
from math import log10

from speed.cases import FLOOR, MIXES
from speed.contenders import MMLIST
from speed.results import Table

_WIDTH, _LEFT, _RIGHT = 760, 170, 60
_BAR, _GAP, _HEADING, _AXIS = 16, 6, 46, 30
_MARKS = (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)
_COLOURS = {"mmlist": "#c0392b", "floor": "#7f8c8d", "other": "#5d8aa8", "must": "#222222", "aim": "#27ae60"}


def drawn(tables: list[Table]) -> str:
    """The picture as SVG; the goals are lines across mmlist's log: `must` black, `aim` green."""
    ratios = [ratio for one in tables for row in one.rows if (ratio := one.ratio(row.name)) is not None]
    goals = [goal for one in tables for goal in (MIXES[one.case.mix].must or 0, MIXES[one.case.mix].aim or 0)]
    most = max([10.0, *ratios, *goals]) * 1.1
    body: list[str] = []
    top = 10
    for one in tables:
        shapes, height = _log(one, top, most)
        body += shapes
        top += height
    body += _axis(top, most)
    style = "font-family='sans-serif' font-size='12'"
    height = top + _AXIS
    head = f"<svg xmlns='http://www.w3.org/2000/svg' width='{_WIDTH}' height='{height}' viewBox='0 0 {_WIDTH} {height}' {style}>"
    return "\n".join([head, "<rect width='100%' height='100%' fill='white'/>", *body, "</svg>"]) + "\n"


def _log(one: Table, top: int, most: float) -> tuple[list[str], int]:
    """The bars of one log from `top` down, and how high they are together."""
    rows = sorted((row for row in one.rows if row.samples), key=lambda row: row.wall)
    found = [f"<text x='10' y='{top + 20}' font-weight='bold'>{escape(one.case.title)}</text>"]
    below = top + _HEADING
    for number, row in enumerate(rows):
        ratio = one.ratio(row.name)
        if ratio is not None:
            found += _bar(row.name, ratio, below + number * (_BAR + _GAP), most)
    height = _HEADING + len(rows) * (_BAR + _GAP)
    return found + list(_lines(one, below, top + height, most)), height + 8


def _bar(name: str, ratio: float, top: int, most: float) -> Iterator[str]:
    kind = "mmlist" if name.startswith(MMLIST) else "floor" if name in (FLOOR, "grep") else "other"
    right = max(_at(ratio, most), _LEFT + 2)
    middle = top + _BAR - 4
    yield f"<text x='{_LEFT - 6}' y='{middle}' text-anchor='end'>{escape(name)}</text>"
    yield f"<rect x='{_LEFT}' y='{top}' width='{right - _LEFT:.1f}' height='{_BAR}' fill='{_COLOURS[kind]}'/>"
    yield f"<text x='{right + 4:.1f}' y='{middle}'>{ratio:.1f}</text>"


def _lines(one: Table, top: int, bottom: int, most: float) -> Iterator[str]:
    mix = MIXES[one.case.mix]
    for name, goal, anchor in (("must", mix.must, "start"), ("aim", mix.aim, "end")):
        if goal is not None:
            x = f"{_at(goal, most):.1f}"
            yield f"<line x1='{x}' x2='{x}' y1='{top - 4}' y2='{bottom}' stroke='{_COLOURS[name]}' stroke-dasharray='4 2'/>"
            yield f"<text x='{x}' y='{top - 6}' text-anchor='{anchor}' font-size='10'>{name} {goal:g}</text>"


def _axis(top: int, most: float) -> Iterator[str]:
    for mark in _MARKS:
        if mark <= most:
            yield f"<text x='{_at(mark, most):.1f}' y='{top + 14}' text-anchor='middle' fill='#555555'>{mark}</text>"
    yield f"<text x='10' y='{top + 14}' fill='#555555'>wall time, times mawk's</text>"


def _at(ratio: float, most: float) -> float:
    """Where `ratio` lies, in pixels; the axis begins at a half."""
    return _LEFT + (_WIDTH - _LEFT - _RIGHT) * max(log10(ratio / 0.5), 0.0) / log10(most / 0.5)
