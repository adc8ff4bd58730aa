"""The extension that setup.py builds of scanner.c and the grammars; see replay/parse.py and replay/payload.py for its use."""

from collections.abc import Mapping
from typing import Any

DIGEST: str
DIALECTS: dict[str, int]
"""`grammar.start` -> the number that `read` and `match` take."""

class Scanner:
    """Reads the lines of one log; `latest`, `out` and `others` are written to."""

    def __init__(
        self,
        record: type,
        at: type,
        names: Mapping[bytes, str | None],
        latest: dict[int, bytes],
        watched: set[int | None],
        out: list[Any],
        others: dict[bytes, int],
        crlf: bool,
    ) -> None: ...
    def read(
        self, dialect: int, data: bytes, start: int, line: int, base: int, scale: tuple[int, ...]
    ) -> tuple[int, int, tuple[str, bytes, Any] | None]: ...

class Shape:
    """Reads texts of pairs with these keys; the value of number `quoted` is a string (-1: none is)."""

    def __init__(self, keys: tuple[str, ...], quoted: int, led: bool) -> None: ...
    def read(self, args: bytes) -> dict[str, bytes] | None: ...

def match(dialect: int, line: bytes) -> tuple[tuple[int, int] | None, ...] | None: ...
def skim(data: bytes, found: set[bytes]) -> bool: ...
def newlines(data: bytes) -> int: ...
