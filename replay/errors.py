"""The errors of mmlist: one root, translated to exit codes by the command alone.

A violation is never an exception: it is data (`mmlist.replay.facts.Violation`).
"""

from __future__ import annotations


class MmlistError(Exception):
    """Root of all errors that a user can cause or mend; its text is the message, without a traceback."""


class InputError(MmlistError):
    """An input that cannot be read.

    `file`, `line` and `column` (1-based, None where they make no sense) say where, `text` is the line met there,
    `expected` what would have been right. `str()` renders `file:line:column: message`, the line and a caret.
    """

    def __init__(
        self,
        message: str,
        *,
        file: str | None = None,
        line: int | None = None,
        column: int | None = None,
        text: str | None = None,
        expected: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.file = file
        self.line = line
        self.column = column
        self.text = text
        self.expected = expected

    def __str__(self) -> str:
        where = ":".join(str(part) for part in (self.file, self.line, self.column) if part is not None)
        head = f"{where}: {self.message}" if where else self.message
        if self.expected is not None:
            head += f" (expected {self.expected})"
        if self.text is None:
            return head
        shown = self.text[:200]
        if self.column is None or self.column > 200:
            return f"{head}\n  {shown}"
        return f"{head}\n  {shown}\n  {' ' * (self.column - 1)}^"


class OptionError(MmlistError):
    """A value given by the user that cannot be used (an unknown profile, invariant, dialect ...)."""


class DatabaseError(MmlistError):
    """A database that is not ours, is of another schema version, or cannot be read or written."""
