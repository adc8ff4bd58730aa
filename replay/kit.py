"""Whether a log is of our own kit, mmlist-capture, and what the kit says of what is missing from it.

Such a log is made by probes, which may miss calls, and read from a buffer, which may have dropped events: both are counted by
the kernel, and the kit writes it down. Where it did not, or the part with it is gone, anything may be missing: what is
not known is taken as if it were so. Then no part that is gone makes a claim more certain.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from mmlist.replay.bundle import Bundle


class Kit(msgspec.Struct, frozen=True):
    """`ours`: the kit made the log. `missed`: calls by event, above 0 only; `lost`: events; both None where nothing says it.

    `exact`: the kernel counted what each probe missed, and it is none. `counts`: a program of ours printed the log, which ends
    by saying how much it has printed.
    """

    ours: bool = False
    counts: bool = False
    missed: dict[str, int] | None = None
    exact: bool = False
    lost: int | None = None

    @property
    def holes(self) -> bool:
        """Whether the probes may have missed calls."""
        return self.ours and (self.missed is None or bool(self.missed))

    @property
    def loses(self) -> bool:
        """Whether the buffers may have dropped events."""
        return self.ours and (self.lost is None or self.lost > 0)

    @property
    def loss(self) -> str:
        """The kind of that loss (facts.LossRow): what is counted, or what nobody has counted."""
        return "uncounted" if self.lost else "untold"


def kit(header: Mapping[str, object], bundle: Bundle, beside: Mapping[str, bytes]) -> Kit:
    """What the log's own `header` and the parts `beside` it say; of two that differ, what is missing more."""
    if "events" not in header and not beside:
        return Kit(counts=header.get("printed") is True)
    told = header.get("missed")
    said = told if isinstance(told, dict) and all(map(_is_count, told.values())) else None
    missed: dict[str, int] | None = None
    for one in (said, bundle.missed):
        if one is not None:
            missed = (missed or {}) | {str(name): count for name, count in one.items() if count}
    lost = header.get("lost")
    counts = [count for count in (lost, bundle.lost) if isinstance(count, int) and _is_count(count)]
    exact = missed is not None and not missed and (said is not None or bundle.each)
    return Kit(True, False, missed, exact, max(counts, default=None))


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0
