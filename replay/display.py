"""Text of a log as people may see it: on one line, without control characters, no longer than a screen bears."""

from __future__ import annotations

_SHOWN = 160  # characters of a line; with a caret, most of them stand before it
_BEFORE = 120


def printable(text: str) -> str:
    """Text on one line and without control characters, which a task name may hold to fool a terminal."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def pointed(text: bytes | str, column: int | None = None) -> list[str]:
    """A line of a log, and a second one with a caret below `column` (1-based, in units of `text`) where there is one.

    What is not UTF-8 is shown as escapes; of a long line, what stands around the column.
    """
    if column is None:
        return [_cut(_readable(text[: _SHOWN + 1]))]
    place = max(0, min(column - 1, len(text)))
    if isinstance(text, bytes):
        while place < len(text) and text[place] & 0xC0 == 0x80 and place > max(0, column - 4):
            place -= 1  # the caret stands below a whole character
    before = _readable(text[max(0, place - 4 * _SHOWN) : place])
    if len(before) > _BEFORE:
        before = "..." + before[3 - _BEFORE :]
    after = _cut(_readable(text[place : place + 4 * _SHOWN]), _SHOWN - len(before))
    return [before + after, " " * len(before) + "^"]


def _readable(text: bytes | str) -> str:
    return printable(text.decode("utf-8", "backslashreplace") if isinstance(text, bytes) else text)


def _cut(text: str, most: int = _SHOWN) -> str:
    return text if len(text) <= most else text[: most - 3] + "..."
