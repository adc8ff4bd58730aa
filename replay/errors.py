"""The errors of mmlist: one root, translated to exit codes by the command alone.

A violation is never an exception: it is data (`mmlist.replay.facts.Violation`).
"""

from __future__ import annotations

from mmlist.replay.display import pointed, printable


class MmlistError(Exception):
    """Root of all errors that a user can cause or mend; its text is the message, without a traceback."""


class InputError(MmlistError):
    """An input that cannot be read.

    `file`, `line` and `column` (1-based, None where they make no sense) say where, `text` is the line met there (the
    column counts its bytes, or its characters where it is a str), `expected` what would have been right. `str()` renders
    `file:line:column: message`, the line and a caret, without control characters.
    """

    def __init__(
        self,
        message: str,
        *,
        file: str | None = None,
        line: int | None = None,
        column: int | None = None,
        text: bytes | str | None = None,
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
        shown = [] if self.text is None else pointed(self.text, self.column)
        return "\n  ".join([printable(head), *shown])


class OptionError(MmlistError):
    """A value given by the user that cannot be used (an unknown profile, invariant, dialect ...)."""


class DatabaseError(MmlistError):
    """A database that is not ours, is of another schema version, or cannot be read or written."""
