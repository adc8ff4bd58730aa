"""What was made of the grammars when the package was built: their expressions, and the extension that matches lines.

Neither is in the repository, and neither is needed: it is used if it was made of the very files that are here, as its
digest says. Otherwise the expressions come from Lark, and `re` matches them: the same, slower.
"""

from __future__ import annotations

import functools
import hashlib
import importlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from mmlist.grammars import _scanner

PURE = "MMLIST_PURE"
"""The environment's variable that keeps the extension out of use, whatever it is set to but the empty text."""


class Extension(Protocol):
    """The module `_scanner`; see its stub."""

    DIALECTS: dict[str, int]
    Scanner: type[_scanner.Scanner]
    Shape: type[_scanner.Shape]

    def match(self, dialect: int, line: bytes, /) -> tuple[tuple[int, int] | None, ...] | None:
        """The groups HOT of a whole line; None if it is not of the dialect."""

    def skim(self, data: bytes, found: set[bytes], /) -> bool:
        """Add the names that stand where an event's name would to `found`; whether some stand elsewhere (replay/skim.py)."""

    def newlines(self, data: bytes, /) -> int:
        """How many newlines stand in `data`."""


_FOLDER = Path(__file__).parent
_SOURCES = ("*.lark", "__init__.py", "made.py", "native.py", "*.[ch]")


@functools.cache
def digest() -> str:
    """Of all that the expressions and the extension are made of, as it is here."""
    found = hashlib.sha256()
    for pattern in _SOURCES:
        for path in sorted(_FOLDER.glob(pattern)):
            found.update(b"%s %d " % (path.name.encode(), path.stat().st_size))
            found.update(path.read_bytes())
    return found.hexdigest()


@functools.cache
def expressions() -> Mapping[tuple[str, str], str]:
    """(grammar, start rule) -> expression, as far as they were kept."""
    module = _current("_expressions")
    found: Mapping[tuple[str, str], str] = {} if module is None else module.EXPRESSIONS
    return found


def scanner() -> Extension | None:
    """The extension; None where it was not built, or of other grammars, or is not to be used (PURE)."""
    found: Extension | None = None if os.environ.get(PURE) else _current("_scanner")
    return found


@functools.cache
def _current(name: str) -> Any:
    try:
        module = importlib.import_module(f"mmlist.grammars.{name}")
    except ImportError:
        return None
    return module if digest() == module.DIGEST else None
