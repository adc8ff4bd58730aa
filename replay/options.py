"""How to replay: what the user may choose, and what a run is known by."""

from __future__ import annotations

from dataclasses import dataclass

from mmlist.replay.mapping import Mapping
from mmlist.replay.symbols import Symbols

LEAK_AFTER = 10.0
"""Seconds after which an mm without tasks that still has users counts as leaked (C6)."""


@dataclass(frozen=True)
class Options:
    """How to replay. Codes are INVARIANTS.md's; an empty `select` is all of them; `mapping` are the user's own names."""

    profile: str = "auto"
    mmlist_offset: int | None = None
    init_mm: int | None = None
    select: frozenset[str] = frozenset()
    ignore: frozenset[str] = frozenset()
    require: frozenset[str] = frozenset()
    all_events: bool = False
    leak_after: float = LEAK_AFTER
    mapping: Mapping | None = None
    symbols: Symbols | None = None  # of the log's kernel
    fast: bool = True  # else Lark reads every line, with the same result

    def text(self) -> str:
        """The options that change the result, as one line: part of what a run is known by."""
        parts = [f"profile={self.profile}"]
        for name in ("mmlist_offset", "init_mm"):
            value = getattr(self, name)
            if value is not None:
                parts.append(f"{name}={value:#x}")
        for name in ("select", "ignore", "require"):
            codes = getattr(self, name)
            if codes:
                parts.append(f"{name}={','.join(sorted(codes))}")
        if self.leak_after != LEAK_AFTER:
            parts.append(f"leak_after={self.leak_after:g}")
        if self.all_events:
            parts.append("events=all")
        if self.mapping is not None:
            parts.append(f"map={self.mapping.digest[:12]}")
        if self.symbols is not None:
            parts.append(f"symbols={self.symbols.digest[:12]}")
        return " ".join(parts)

    def wanted(self, code: str) -> bool:
        """Whether the invariant `code` is to be checked, as far as these options say."""
        return code not in self.ignore and (not self.select or code in self.select)
