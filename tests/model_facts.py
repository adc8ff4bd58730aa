"""What the model says of each life, membership, holding, area and swapoff in the short fixtures (`data/facts.txt`)."""

from __future__ import annotations

from pathlib import Path

from msgspec.structs import asdict
from recorded import LOGS, Recorded, replayed

from mmlist.replay import facts as f

SHORT = [log for log in LOGS if log.suffix == ".trace" and log.stat().st_size < 5_000]


def of_model(log: Path) -> str:
    """A line for each fact, with what is known; addresses and entries in hex."""
    return "".join(
        f"{line}\n" for fact in replayed(log)[0] if not isinstance(fact, f.Violation) for line in [in_short(fact)]
    )


def in_short(fact: f.Fact) -> str:
    known = {key: value for key, value in asdict(fact).items() if value not in (None, [], b"") and key != "generation"}
    words = [
        f"{key}={hex(v) if key in ('mm', 'after_mm', 'parent_mm', 'entry') else shown(v)}" for key, v in known.items()
    ]
    return f"{type(fact).__name__} {' '.join(words)}"


def shown(value: object) -> str:
    if isinstance(value, list):
        return ",".join(f"{one.mm:#x}@{one.line}:{one.got}{one.evidence[0]}" for one in value)
    return value.hex() if isinstance(value, bytes) else str(value)


RECORDED = Recorded("facts.txt", SHORT, of_model)
