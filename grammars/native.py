"""Writes C that matches what a grammar's expression matches: the source of the extension `_scanner` (setup.py).

The expression is the one that `re` runs, parsed by `re`'s own parser, so that there is no second definition of the
language. Written is one function an expression, a line at a time: `p` goes from the line's first byte to its newline,
which no class of the expression may hold, so that it stands for the end and no test needs a bound.

What can be taken back is a *choice*: where it was made (`at`), and what is tried if it comes to nothing (`fail`, a number
that `back:` leads to its label). Most need none: what begins with a byte that nothing behind it begins with is decided by
that byte, and nothing is taken back within an atomic group that is done. What cannot be translated raises Untranslatable.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from re import _constants as op
from re import _parser as parser
from typing import Any

_ALL = (1 << 256) - 1
_END = ord("\n")
_LINE = _ALL & ~(1 << _END)
_MANY = op.MAXREPEAT
_LOOPS = frozenset({op.MAX_REPEAT, op.MIN_REPEAT, op.POSSESSIVE_REPEAT})
_BACK = "back"

Node = tuple[Any, Any]


class Untranslatable(Exception):
    """An expression that holds what no C can be written for."""


def function(name: str, expression: str, hot: Mapping[str, int], size: int) -> str:
    """A C function `name` that matches `expression` on one whole line, and tells where the groups `hot` were.

    `hot`: a group's name -> its number in the array of `size` Spans that the function fills; `from` is NULL for one that
    took no part. Raises Untranslatable.
    """
    tree = parser.parse(expression.encode("latin-1"))
    if tree.state.flags & ~re.DEBUG:
        raise Untranslatable("flags")
    groups = {tree.state.groupdict[group]: number for group, number in hot.items()}
    return _Writer(name, groups).written(tree, size)


class _Writer:
    """Writes one function. A *fail* is the label to go to, `back` where that is known but when it runs."""

    def __init__(self, name: str, groups: Mapping[int, int]) -> None:
        self._name = name
        self._groups = groups
        self._lines: list[str] = []
        self._tables: list[int] = []
        self._labels: dict[str, int] = {}
        self._count = 0

    def written(self, tree: Sequence[Node], size: int) -> str:
        """The whole function, tables first."""
        fail = self._sequence(tree, 1 << _END, "refused")
        self._put(f"if (p != end) goto {fail};")
        there = set(self._groups.values())
        for i in range(size):
            self._put(f"hot[{i}].from = from{i}; hot[{i}].to = to{i};" if i in there else f"hot[{i}].from = NULL;")
        self._put("return 1;")
        cases = "".join(f" case {number}: goto {label};" for label, number in self._labels.items())
        if cases:
            self._put("back: switch (fail) {" + cases + " }")
        self._put("refused: return 0;")
        head = [f"static int {self._name}(const u8 *p, const u8 *end, Span *hot)", "{"]
        head += [f"const u8 *from{i} = NULL, *to{i} = NULL;" for i in sorted(self._groups.values())]
        head += [f"const u8 *at{i} = p, *low{i} = p; int was{i} = 0;" for i in range(1, self._count + 1)]
        head += ["int fail = 0; (void)fail; (void)end;"]
        head += [f"(void)at{i}; (void)low{i}; (void)was{i};" for i in range(1, self._count + 1)]
        return "\n".join([*self._written_tables(), *head, *self._lines, "}", ""])

    def _written_tables(self) -> Iterable[str]:
        """Eight classes a table, one bit each."""
        for number in range(0, len(self._tables), 8):
            classes = self._tables[number : number + 8]
            rows = (sum(1 << bit for bit, held in enumerate(classes) if held >> byte & 1) for byte in range(256))
            yield f"static const u8 {self._name}_{number // 8}[256] = {{{','.join(map(str, rows))}}};"

    # --- the parts of an expression ----------------------------------------------------------------------------------

    def _sequence(self, nodes: Sequence[Node], follow: int | None, fail: str) -> str:
        """Write `nodes`. `follow`: the bytes that what is behind them can begin with; None: there they have matched.

        Answers where to go if what is behind them fails.
        """
        nodes = list(nodes)
        for number, node in enumerate(nodes):
            rest = nodes[number + 1 :]
            fail = self._node(node, follow if not rest else _first(rest, follow), fail)
        return fail

    def _node(self, node: Node, follow: int | None, fail: str) -> str:
        kind, value = node
        held = _class(node)
        if held is not None:
            self._put(f"if (!{self._in(held)}) goto {fail};", "p++;")
            return fail
        if kind in _LOOPS:
            return self._repeat(kind, value, follow, fail)
        if kind is op.SUBPATTERN:
            return self._group(value, follow, fail)
        if kind is op.BRANCH:
            return self._branch(value[1], follow, fail)
        if kind is op.ATOMIC_GROUP:
            return self._apart(value, fail, "")
        if kind in (op.ASSERT, op.ASSERT_NOT) and value[0] == 1:
            return self._ahead(value[1], fail, wanted=kind is op.ASSERT)
        raise Untranslatable(f"{self._name}: {kind}")

    def _group(self, value: tuple[int | None, int, int, Sequence[Node]], follow: int | None, fail: str) -> str:
        group, more, fewer, inner = value
        if more or fewer:
            raise Untranslatable(f"{self._name}: flags")
        number = self._groups.get(group) if group is not None else None
        if number is not None:
            self._put(f"from{number} = p;")
        fail = self._sequence(inner, follow, fail)
        if number is not None:
            self._put(f"to{number} = p;")
        return fail

    def _repeat(self, kind: Any, value: tuple[int, Any, Sequence[Node]], follow: int | None, fail: str) -> str:
        low, high, inner = value
        held = _class(inner[0]) if len(inner) == 1 else None
        if held is None:
            if (low, high) != (0, 1):
                raise Untranslatable(f"{self._name}: a repeat of more than a class")
            if kind is op.POSSESSIVE_REPEAT:
                return self._apart([(op.MAX_REPEAT, (0, 1, inner))], fail, "")
            return self._branch([inner, []] if kind is op.MAX_REPEAT else [[], inner], follow, fail)
        if kind is op.MIN_REPEAT:
            return self._lazy(low, high, held, fail)
        choice = self._new()
        start, limit = f"at{choice}", "end" if high is _MANY else f"(end - p > {high} ? p + {high} : end)"
        if held == _LINE:
            self._put(f"{start} = p;", f"p = {limit};")
        elif low == high:
            self._put(f"{start} = p;", f"{{ const u8 *stop = {limit}; while (p < stop && {self._in(held)}) p++; }}")
        elif high is _MANY:
            self._put(f"{start} = p;", f"while ({self._in(held)}) p++;")  # the newline is in no class
        else:
            self._put(f"{start} = p;", f"{{ const u8 *stop = {limit}; while (p < stop && {self._in(held)}) p++; }}")
        if low:
            self._put(f"if (p - {start} < {low}) goto {fail};")
        if kind is op.POSSESSIVE_REPEAT or low == high or follow is None or not follow & held:
            return fail
        # Given back one by one.
        again, on = f"less{choice}", f"on{choice}"
        self._put(f"low{choice} = {start} + {low}; {start} = p; was{choice} = {self._number(fail)};")
        self._put(f"goto {on};", f"{again}: if ({start} == low{choice}) {{ {self._restored(choice, fail)} }}")
        self._put(f"p = --{start};", f"{on}: fail = {self._labels.setdefault(again, len(self._labels) + 1)};")
        return _BACK

    def _lazy(self, low: int, high: Any, held: int, fail: str) -> str:
        """As few as can be: one more each time that what is behind fails."""
        choice = self._new()
        start, again, on = f"at{choice}", f"more{choice}", f"on{choice}"
        if low:
            self._put(f"{{ const u8 *stop = (end - p > {low} ? p + {low} : end), *from = p;")
            self._put(f"while (p < stop && {self._in(held)}) p++; if (p - from < {low}) goto {fail}; }}")
        limit = "end" if high is _MANY else f"(end - p > {high - low} ? p + {high - low} : end)"
        self._put(f"low{choice} = {limit}; {start} = p; was{choice} = {self._number(fail)};", f"goto {on};")
        self._put(f"{again}: p = {start};")
        self._put(f"if (p >= low{choice} || !{self._in(held)}) {{ {self._restored(choice, fail)} }}")
        self._put(f"{start} = ++p;", f"{on}: fail = {self._labels.setdefault(again, len(self._labels) + 1)};")
        return _BACK

    def _branch(self, alternatives: Sequence[Sequence[Node]], follow: int | None, fail: str) -> str:
        """One of `alternatives`, the first that goes well with what is behind it."""
        alternatives = [list(alternative) for alternative in alternatives]
        firsts = [_first(alternative, follow) for alternative in alternatives]
        groups = [set(self._groups_in(alternative)) for alternative in alternatives]
        every = set().union(*groups)
        choice = self._new()
        self._put(f"at{choice} = p; was{choice} = {self._number(fail)};")
        ends = []
        for number, alternative in enumerate(alternatives):
            if number:
                self._put(f"alt{choice}_{number}: p = at{choice}; {self._again(choice, fail)}")
            self._put("".join(f"from{i} = NULL; " for i in sorted(every - groups[number])))
            later = 0
            for first in firsts[number + 1 :]:
                later |= first
            following = f"alt{choice}_{number + 1}"
            if number + 1 == len(alternatives):
                otherwise = fail
            elif firsts[number] & later:
                otherwise = following
                self._labels.setdefault(following, len(self._labels) + 1)
            else:  # decided by its first byte
                self._put(f"if (!{self._in(firsts[number])}) goto {following};")
                otherwise = fail
            ends.append(self._sequence(alternative, follow, otherwise))
            self._put(f"fail = {self._number(ends[-1])};" if ends[-1] != _BACK else "", f"goto on{choice};")
        self._put(f"on{choice}: ;")
        # Within an atomic group that is done, nothing is taken back.
        return fail if follow is None or all(end == fail for end in ends) else _BACK

    def _apart(self, inner: Sequence[Node], fail: str, behind: str) -> str:
        """What is not taken back once it is done; `behind` is put after it."""
        if fail != _BACK:
            self._sequence(inner, None, fail)
            self._put(behind)
            return fail
        choice = self._new()
        self._labels.setdefault(f"lost{choice}", len(self._labels) + 1)
        self._put(f"was{choice} = fail;")
        self._sequence(inner, None, f"lost{choice}")
        self._put(f"fail = was{choice}; {behind}", f"goto on{choice};")
        self._put(f"lost{choice}: fail = was{choice}; goto back;", f"on{choice}: ;")
        return fail

    def _ahead(self, inner: Sequence[Node], fail: str, *, wanted: bool) -> str:
        """Look at what comes, and stay."""
        if set(self._groups_in(inner)):
            raise Untranslatable(f"{self._name}: a group within a look-ahead")
        held = _class(inner[0]) if len(inner) == 1 else None
        if held is not None:
            self._put(f"if ({'!' if wanted else ''}{self._in(held)}) goto {fail};")
            return fail
        choice = self._new()
        self._put(f"at{choice} = p;")
        if wanted:
            return self._apart(inner, fail, f"p = at{choice};")
        self._labels.setdefault(f"none{choice}", len(self._labels) + 1)
        self._put(f"was{choice} = {self._number(fail)};")
        self._sequence(inner, None, f"none{choice}")
        self._put(f"fail = was{choice}; goto {fail};")
        self._put(f"none{choice}: p = at{choice}; {self._again(choice, fail)}")
        return fail

    # --- what they are written with ----------------------------------------------------------------------------------

    def _put(self, *lines: str) -> None:
        self._lines.extend(line for line in lines if line.strip())

    def _new(self) -> int:
        self._count += 1
        return self._count

    def _number(self, fail: str) -> str:
        """The value of `fail` that leads to a label."""
        return "fail" if fail == _BACK else str(self._labels.setdefault(fail, len(self._labels) + 1))

    def _again(self, choice: int, fail: str) -> str:
        return f"fail = was{choice};" if fail == _BACK else ""

    def _restored(self, choice: int, fail: str) -> str:
        """To what was to be done before this choice was made."""
        return f"{self._again(choice, fail)} goto {fail};"

    def _in(self, held: int) -> str:
        """A test of the byte at `p`."""
        if held == _LINE:
            return f"(*p != {_END})"
        if held.bit_count() == 1:
            return f"(*p == {held.bit_length() - 1})"
        if held not in self._tables:
            self._tables.append(held)
        number = self._tables.index(held)
        return f"({self._name}_{number // 8}[*p] & {1 << number % 8})"

    def _groups_in(self, nodes: Sequence[Node]) -> Iterable[int]:
        for kind, value in nodes:
            if kind is op.SUBPATTERN and value[0] in self._groups:
                yield self._groups[value[0]]
            for inner in _inner(kind, value):
                yield from self._groups_in(inner)


def _inner(kind: Any, value: Any) -> Iterable[Sequence[Node]]:
    if kind is op.BRANCH:
        return list(value[1])
    if kind is op.SUBPATTERN:
        return [value[3]]
    if kind is op.ATOMIC_GROUP:
        return [value]
    if kind in _LOOPS:
        return [value[2]]
    return [value[1]] if kind in (op.ASSERT, op.ASSERT_NOT) else []


def _class(node: Node) -> int | None:
    """The bytes that a node of one byte matches, as bits; None for another node. Raises Untranslatable for a newline."""
    kind, value = node
    if kind is op.LITERAL:
        held: int = 1 << value
    elif kind is op.NOT_LITERAL:
        held = _ALL & ~(1 << value)
    elif kind is op.ANY:
        held = _LINE
    elif kind is op.IN:
        held = 0
        for what, bounds in value:
            if what is op.LITERAL:
                held |= 1 << bounds
            elif what is op.RANGE:
                held |= (1 << bounds[1] + 1) - (1 << bounds[0])
            elif what is not op.NEGATE:
                raise Untranslatable(str(what))
        if value[0][0] is op.NEGATE:
            held = _ALL & ~held
    else:
        return None
    if held >> _END & 1:
        raise Untranslatable("a class that holds a newline")
    return held


def _first(nodes: Sequence[Node], follow: int | None) -> int:
    """At least the bytes that `nodes`, with something of `follow` behind them, can begin with; the newline is the end."""
    found = _ALL if follow is None else follow
    for kind, value in reversed(list(nodes)):
        held = _class((kind, value))
        if held is not None:
            found = held
        elif kind in _LOOPS:
            begun = _first(value[2], found)
            found = begun | found if value[0] == 0 else begun
        elif kind is op.BRANCH:
            found = _any(_first(alternative, found) for alternative in value[1])
        elif kind is op.SUBPATTERN:
            found = _first(value[3], found)
        elif kind is op.ATOMIC_GROUP:
            found = _first(value, found)
        elif kind is op.ASSERT:
            found &= _first(value[1], _ALL)
        elif kind is op.ASSERT_NOT and len(value[1]) == 1:
            found &= ~(_class(value[1][0]) or 0)
    return found


def _any(sets: Iterable[int]) -> int:
    found = 0
    for one in sets:
        found |= one
    return found
