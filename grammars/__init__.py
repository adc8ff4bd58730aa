"""Loads the grammars: the `.lark` files of this folder say what a line may be, and nothing else does.

A grammar is used twice: as Lark's LALR parser, which is the reference and explains what was expected, and compiled to
one regular expression on bytes, which is what reads logs. The expression is written by walking Lark's own rules and
terminals: each terminal becomes an atomic group, since a lexer's token is never taken back. Where the expressions were
kept when the package was built (stored.py), Lark is not even imported before somebody asks for its own words.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from mmlist.grammars.stored import expressions

if TYPE_CHECKING:
    from lark import Lark, Token, Tree

HOT = ("stamp", "cpu", "name", "task", "pid", "tgid", "flags", "args")
"""The terminals of a dialect that are read of every line of an event of ours."""

_FOLDER = Path(__file__).parent
_CLASS = r"\[\^?(?:[^\]\\]|\\.)+\]"
_ONE_REPEAT = re.compile(rf"(?:{_CLASS})*{_CLASS}(?:\+|\*|\{{[0-9]+\}})")


class Found(Protocol):
    """What a match of a compiled expression is asked for."""

    def groupdict(self) -> dict[str, Any]:
        """The groups by name, None for one that took no part."""


class Refused(Exception):
    """Lark's refusal of a text: at `column` (1-based) it wanted what `expected` says."""

    def __init__(self, column: int, expected: str) -> None:
        """`column`: 1-based; `expected`: for people."""
        super().__init__(f"column {column}: expected {expected}")
        self.column = column
        self.expected = expected


class Grammar:
    """One start rule of one `.lark` file."""

    def __init__(self, name: str, start: str = "start") -> None:
        """`name`: the file's, without suffix. What reads with it raises lark's GrammarError for a grammar that is none."""
        self.name = name
        self.start = start

    @functools.cached_property
    def expression(self) -> str:
        """The grammar as a regular expression, without anchors; see `compiled` for its groups."""
        return expressions().get((self.name, self.start)) or self.walked()

    def walked(self) -> str:
        """`expression`, made anew from what Lark knows of the grammar."""
        return _Walk(self._lark).rule(self.start)

    @functools.cached_property
    def _lark(self) -> Lark:
        return _lark(self.name, self.start)

    @functools.cached_property
    def pattern(self) -> re.Pattern[bytes]:
        """Matches one whole text (`fullmatch`)."""
        return compiled(self.expression)

    def read(self, text: bytes) -> dict[str, bytes] | None:
        """The named parts of `text` by the compiled expression, None if it is not of this grammar."""
        found = self.pattern.fullmatch(text)
        return None if found is None else parts(found)

    def tree(self, text: bytes) -> Tree[Token]:
        """What Lark itself makes of `text`, as latin-1. Raises Refused."""
        from lark import UnexpectedInput

        try:
            return self._lark.parse(text.decode("latin-1"), start=self.start)
        except UnexpectedInput as error:
            raise _refused(error, self._lark, text) from None

    def parse(self, text: bytes) -> dict[str, bytes]:
        """The named parts of `text` by Lark itself; `kind` is the rule offered by start. Raises Refused."""
        from lark import Token

        tree = self.tree(text)
        tokens = tree.scan_values(lambda value: isinstance(value, Token))
        found = {str(token.type).lower().partition("__")[0]: str(token).encode("latin-1") for token in tokens}
        if len(tree.children) == 1 and hasattr(tree.children[0], "data"):
            found["kind"] = str(tree.children[0].data).encode()
        return found


@functools.cache
def load(name: str, start: str = "start") -> Grammar:
    """The grammar `name`, loaded once."""
    return Grammar(name, start)


def compiled(expression: str) -> re.Pattern[bytes]:
    """`Grammar.expression` on bytes. Groups are the terminals in lower case, with `__n` after a repeated name."""
    return re.compile(expression.encode("latin-1"))


def parts(found: Found) -> dict[str, bytes]:
    """The groups that took part, without what follows `__`; `kind` is the rule that start offered, if it offers any."""
    named = {name.partition("__")[0]: value for name, value in found.groupdict().items() if value is not None}
    kinds = [name for name in named if name.startswith("kind_")]
    for name in kinds:
        del named[name]
        named["kind"] = name.removeprefix("kind_").encode()
    return named


@functools.cache
def _lark(name: str, start: str) -> Lark:
    from lark import Lark

    text = (_FOLDER / f"{name}.lark").read_text(encoding="ascii")
    return Lark(text, parser="lalr", start=start, source_path=str(_FOLDER / f"{name}.lark"), maybe_placeholders=False)


class _Walk:
    """Writes an expression from Lark's rules (`origin`, `expansion`) and terminals."""

    def __init__(self, lark: Lark) -> None:
        self._terminals: Mapping[str, Any] = {terminal.name: terminal.pattern for terminal in lark.terminals}
        self._priorities = {terminal.name: terminal.priority for terminal in lark.terminals}
        self._rules: dict[str, list[Any]] = {}
        for rule in lark.rules:
            self._rules.setdefault(rule.origin.name, []).append(rule)
        self._used: dict[str, int] = {}

    def rule(self, name: str) -> str:
        """The expression of the rule `name`."""
        alternatives = sorted(self._rules[name], key=lambda rule: int(rule.order))
        if name.startswith("__"):  # Lark's own, for `*` and `+`: what is repeated, or itself and what is repeated
            once = [rule.expansion for rule in alternatives if rule.expansion[0].name != name]
            return f"(?:{self._choice(self._sequence(expansion) for expansion in once)})+"
        if len(alternatives) > 1 and self._offers(alternatives):
            return self._choice(self._offered(rule.expansion[0].name) for rule in alternatives)
        # As Lark's lexer chooses: the terminal of higher priority, and an optional part wherever it can be.
        alternatives.sort(key=lambda rule: (-self._priority(rule.expansion), -len(rule.expansion)))
        return self._choice(self._sequence(rule.expansion) for rule in alternatives)

    def _offers(self, alternatives: list[Any]) -> bool:
        """Whether a rule but offers other rules, each of which is then a kind."""
        return all(len(rule.expansion) == 1 and not rule.expansion[0].is_term for rule in alternatives)

    def _offered(self, name: str) -> str:
        return f"(?P<kind_{name}>{self.rule(name)})"

    def _priority(self, symbols: list[Any]) -> int:
        """The highest priority of a terminal that these symbols can begin with."""
        if not symbols:
            return -1
        if symbols[0].is_term:
            return int(self._priorities[symbols[0].name])
        begun = (rule.expansion for rule in self._rules[symbols[0].name])
        return max(self._priority(other) for other in begun if not other or other[0] != symbols[0])

    def _sequence(self, symbols: Iterable[Any]) -> str:
        return "".join(self._terminal(symbol) if symbol.is_term else self.rule(symbol.name) for symbol in symbols)

    def _choice(self, alternatives: Iterable[str]) -> str:
        written = list(alternatives)
        return written[0] if len(written) == 1 else f"(?:{'|'.join(written)})"

    def _terminal(self, symbol: Any) -> str:
        pattern = self._terminals[symbol.name]
        if pattern.type == "str":
            return re.escape(str(pattern.value))
        atomic = _atomic(pattern.to_regexp())
        if symbol.filter_out or symbol.name.startswith("_"):
            return atomic
        count = self._used[symbol.name] = self._used.get(symbol.name, 0) + 1
        group = symbol.name.lower() + (f"__{count}" if count > 1 else "")
        return f"(?P<{group}>{atomic})"


def _atomic(expression: str) -> str:
    """Never to be taken back: a repeat of one class need not be a group for that, which is a quarter faster."""
    return f"{expression}+" if _ONE_REPEAT.fullmatch(expression) else f"(?>{expression})"


def _refused(error: Any, lark: Lark, text: bytes) -> Refused:
    wanted = (
        getattr(error, "accepts", None) or getattr(error, "allowed", None) or getattr(error, "expected", None) or ()
    )
    shown = {terminal.name: terminal.pattern for terminal in lark.terminals}
    words = sorted({_word(name, shown.get(name)) for name in wanted})
    position = error.pos_in_stream
    column = len(text) + 1 if position is None or position < 0 else position + 1
    return Refused(column, " or ".join(words) or "the end of the line")


def _word(name: str, pattern: Any) -> str:
    if name == "$END":
        return "the end of the line"
    if pattern is not None and pattern.type == "str":
        return repr(pattern.value)
    return name.strip("_").lower().replace("_", " ")
