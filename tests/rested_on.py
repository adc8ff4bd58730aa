"""What each finding in the fixtures rests on, as its invariant tells the judge (`data/findings.txt`): since when, on which
order and state, what would have caused it. A verdict needs few of these; the certainty of the next log may need any."""

from __future__ import annotations

from pathlib import Path

from recorded import LOGS, Recorded, replayed

from mmlist.replay.invariants.base import Finding
from mmlist.replay.model.mm import Mm
from mmlist.replay.record import At

SMALL = [log for log in LOGS if log.parent.name != "captures"]
PLAIN = ("message", "witness")  # told.txt has them


def found(log: Path) -> str:
    """A line for each finding, with all that is not as it is by default."""
    return "".join(f"{code} {in_short(finding)}\n" for code, finding in replayed(log)[1])


def in_short(finding: Finding) -> str:
    usual = Finding(finding.at, "", [])
    names = [name for name in finding.__struct_fields__ if name not in PLAIN]
    told = {
        name: getattr(finding, name) for name in names if name == "at" or getattr(finding, name) != getattr(usual, name)
    }
    return " ".join(f"{name}={shown(value)}" for name, value in told.items())


def shown(value: object) -> str:
    if isinstance(value, At):
        return str(value.line)
    if isinstance(value, Mm):
        return f"{value.address & 0xFFFFFFFF:x}.{value.generation}"
    if isinstance(value, list | tuple):
        return "[" + ",".join(map(shown, value)) + "]"
    return str(value)


RECORDED = Recorded("findings.txt", SMALL, found)
