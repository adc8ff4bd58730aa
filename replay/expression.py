"""What a map computes: grammars/expression.lark as functions of a record's fields.

All numbers are 64-bit words that wrap around, as the kernel's are; `>>` shifts in zeros, a shift by 64 or more leaves 0,
comparisons take words as signed. A field that is absent or no number (`(fault)`, a name) makes the whole unknown.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from mmlist import grammars
from mmlist.grammars import Refused
from mmlist.replay.bind.values import Fields, field

if TYPE_CHECKING:
    from lark import Token

LONGEST = 256
"""Characters of an expression: it is read by machines made for short ones."""

WORD = (1 << 64) - 1
_SIGN = 1 << 63

Value = Callable[[Fields], "int | None"]
Test = Callable[[Fields], bool]

_ORDER: dict[str, Callable[[int, int], bool]] = {
    **{"==": operator.eq, "!=": operator.ne, "<": operator.lt},
    **{"<=": operator.le, ">": operator.gt, ">=": operator.ge},
}


class Field:
    """The number in one field of the record."""

    def __init__(self, name: str) -> None:
        """`name`: as the log prints it."""
        self.name = name

    def __call__(self, fields: Fields) -> int | None:
        """It, as a word; None if there is none."""
        number = field(fields, self.name)
        return None if number is None else number & WORD


def value(text: str) -> Value | bytes:
    """What `text` computes: a `Field` where it is but a name, bytes where it is a constant in quotes.

    Raises Refused where it is no expression.
    """
    return _compiled(text, "start")  # type: ignore[no-any-return]


def guard(text: str) -> Test:
    """Whether `text` holds for a record: never where it is unknown. Raises Refused where it is no comparison."""
    return _compiled(text, "guard")  # type: ignore[no-any-return]


def signed(word: int) -> int:
    """A word as C's `long`."""
    return word - (_SIGN << 1) if word & _SIGN else word


def _compiled(text: str, start: str) -> Any:
    if len(text) > LONGEST:
        raise Refused(LONGEST + 1, f"an expression of at most {LONGEST} characters")
    return _of(grammars.load("expression", start).tree(text.encode()))


def _of(tree: Any) -> Any:
    """The function of a tree; its depth is bounded by LONGEST."""
    from lark import Token

    made: dict[int, Any] = {}
    for part in tree.iter_subtrees():  # children before their parents
        children = [child if isinstance(child, Token) else made[id(child)] for child in part.children]
        made[id(part)] = _BUILDERS[part.data](*children)
    return made[id(tree)]


# --- the operations ----------------------------------------------------------------------------------------------------


def _text(token: Token) -> bytes:
    return str(token)[1:-1].encode("latin-1")


def _number(token: Token) -> Value:
    number = int(token, 16) if token[:2] in ("0x", "0X") else int(token)
    if number > WORD:
        raise Refused((token.start_pos or 0) + 1, "a number of 64 bits")
    return lambda _: number


def _field(token: Token) -> Value:
    return Field(str(token))


def _unary(operation: Callable[[int], int]) -> Callable[[Value], Value]:
    def build(of: Value) -> Value:
        def compute(fields: Fields) -> int | None:
            word = of(fields)
            return None if word is None else operation(word) & WORD

        return compute

    return build


def _binary(operation: Callable[[int, int], int]) -> Callable[[Value, Value], Value]:
    def build(left: Value, right: Value) -> Value:
        def compute(fields: Fields) -> int | None:
            a, b = left(fields), right(fields)
            return None if a is None or b is None else operation(a, b) & WORD

        return compute

    return build


def _compare(left: Value, token: Token, right: Value) -> Test:
    holds = _ORDER[token]

    def test(fields: Fields) -> bool:
        a, b = left(fields), right(fields)
        return a is not None and b is not None and holds(signed(a), signed(b))

    return test


def _compare_text(left: Value, token: Token, right: Token) -> Test:
    column = (token.start_pos or 0) + 1
    if not isinstance(left, Field):
        raise Refused(column, "the name of a field, alone, before a comparison with a text")
    if token not in ("==", "!="):
        raise Refused(column, "'==' or '!=' before a text")
    name, text, same = left.name, _text(right), token == "=="
    return lambda fields: name in fields and (fields[name] == text) == same


_BUILDERS: dict[str, Callable[..., Any]] = {
    "start": lambda of: of,
    "guard": lambda of: of,
    "text": _text,
    "number": _number,
    "field": _field,
    "negative": _unary(operator.neg),
    "inverse": _unary(operator.invert),
    "multiply": _binary(operator.mul),
    "add": _binary(operator.add),
    "subtract": _binary(operator.sub),
    "left": _binary(lambda a, b: a << b if b < 64 else 0),
    "right": _binary(lambda a, b: a >> b if b < 64 else 0),
    "both_bits": _binary(operator.and_),
    "either_bit": _binary(operator.or_),
    "compare": _compare,
    "compare_text": _compare_text,
    "and_": lambda a, b: lambda fields: a(fields) and b(fields),
    "or_": lambda a, b: lambda fields: a(fields) or b(fields),
}
