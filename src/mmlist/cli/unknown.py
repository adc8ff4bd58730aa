"""`mmlist parse --unknown`: the event names that are not ours, as text for people or as JSON for programs."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import msgspec

from mmlist.cli.jsonlines import line as json_line
from mmlist.cli.words import count, line_of
from mmlist.replay.display import printable
from mmlist.unknown import Names, Unknown

_SHORT = 80  # bytes of a sample
_OURS = 12


def text(names: Names) -> Iterator[str]:
    """The names in columns, then the stanzas to paste into a map."""
    lines = sum(one.lines for one in names.unknown) + names.untold
    yield f"{printable(names.log)}: {count(len(names.unknown), 'name')} unknown, on {lines:,} of {names.lines:,} lines"
    yield f"  ours: {_ours(names.ours)}"
    for name, line in names.strange.items():
        yield f"  {printable(name)} (line {line}) has none of that event's fields: map it, or say ignore = true"
    width = max((len(one.name) for one in names.unknown), default=0)
    for one in names.unknown:
        yield f"  {one.lines:>9,}  {printable(one.name):<{width}}  line {one.first_line}: {_sample(one)}"
        if one.nearest is not None:
            why = "the probed function says so" if one.certain else "like it by name alone"
            yield f"  {'':>9}  {'':<{width}}  is {one.nearest}? ({why})"
    if names.untold:
        yield f"  {names.untold:>9,}  lines of yet other names"
    stanzas = [one.stanza for one in names.unknown if one.stanza is not None]
    if stanzas:
        yield ""
        yield "# for a map, once looked through: mmlist replay LOG --map FILE.toml (docs/mapping.md)"
    for stanza in stanzas:
        yield ""
        yield stanza


def _ours(ours: dict[str, int]) -> str:
    if not ours:
        return "none"
    shown = ", ".join(f"{name} {lines:,}" for name, lines in list(ours.items())[:_OURS])
    return shown + (f" and {len(ours) - _OURS} more" if len(ours) > _OURS else "")


def _sample(one: Unknown) -> str:
    return line_of(one.args if len(one.args) <= _SHORT else one.args[:_SHORT] + b"...")


def objects(names: Names) -> Iterator[str]:
    """An object a name, and one for ours."""
    for one in names.unknown:
        yield json_line("unknown", {"file": names.log, **msgspec.structs.asdict(one)})
    yield json_line(
        "ours",
        {
            "file": names.log,
            "lines": names.lines,
            "names": names.ours,
            "strange": names.strange,
            "untold": names.untold,
        },
    )


FORMATS: dict[str, Callable[[Names], Iterator[str]]] = {"text": text, "json": objects}
"""Name of a format -> what renders names in it."""
