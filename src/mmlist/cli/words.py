"""Words that several reports share: times, places, bytes of a log as text that no terminal obeys."""

from __future__ import annotations

from typing import Any

import click

from mmlist.replay.display import printable
from mmlist.replay.mapping import Mapping
from mmlist.replay.symbols import Symbols

_COLORS = {
    "violated": "red",
    "conforming": "green",
    "unknown": "yellow",
    "proven": "red",
    "likely": "red",
    "warning": "yellow",
}


def clock(ts: int | None, unit: str) -> str:
    """A time as the log writes it: seconds with a dot for nanoseconds, the raw number otherwise, nothing if unknown."""
    if ts is None or unit == "none":
        return ""
    if unit == "raw":
        return str(ts)
    sign, ts = ("-", -ts) if ts < 0 else ("", ts)
    seconds, rest = divmod(ts, 10**9)
    return f"{sign}{seconds}.{rest:09}" if rest % 1000 else f"{sign}{seconds}.{rest // 1000:06}"


def line_of(raw: bytes) -> str:
    r"""The original line: what is not UTF-8, and control characters, as escapes (`\xff`, `\x1b`)."""
    return printable(raw.decode("utf-8", "backslashreplace"))


def count(number: int, noun: str) -> str:
    """`1 line`, `2 lines`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def colored(word: str) -> str:
    """A verdict or certainty in its colour; click drops it where no terminal is, or NO_COLOR is set."""
    return click.style(word, fg=_COLORS[word], bold=True) if word in _COLORS else word


def hexed(number: int | None) -> str | None:
    """An address or entry as the database writes it."""
    return None if number is None else hex(number)


def place(step: Any, unit: str) -> str:
    """When, on which CPU and in which task: what is unknown is left out."""
    parts = [clock(step.ts, unit)]
    if step.cpu is not None:
        parts.append(f"CPU {step.cpu}")
    if step.pid is not None:
        parts.append(f"pid {step.pid} ({printable(step.comm)})")
    return "  ".join(part for part in parts if part)


def symbol_files(command: Any) -> Any:
    """The options that name the files of the log's kernel."""
    for option in (
        click.option("--kallsyms", metavar="FILE", help="A copy of its /proc/kallsyms, or its System.map."),
        click.option(
            "--vmlinux", metavar="FILE", help="The log's kernel (vmlinux or vmlinuz): names for addresses, init_mm."
        ),
    ):
        command = option(command)
    return command


def symbols(vmlinux: str | None, kallsyms: str | None) -> Symbols | None:
    """What `--vmlinux` and `--kallsyms` say, None where neither was given."""
    if vmlinux is None and kallsyms is None:
        return None
    from mmlist.symbols import load

    return load(vmlinux=vmlinux, kallsyms=kallsyms)


def mapping(maps: tuple[str, ...]) -> Mapping | None:
    """What `--map` says, None where it was not given."""
    if not maps:
        return None
    from mmlist.replay.mapfile import load

    return load(*maps)
