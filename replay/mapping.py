"""The user's own names: a map says which event of ours a name in the log is, and where its fields come from.

A mapped record is made anew as the event's own text (`key=value`), between parsing and all that follows, so that nothing
behind it knows of maps. What is quoted as evidence stays the line that stands in the log. Maps are read by mapfile.py.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from mmlist.replay.bind import NAMES
from mmlist.replay.bind.values import Fields
from mmlist.replay.expression import Field, Test, Value, signed
from mmlist.replay.facts import Statistic
from mmlist.replay.ledger import Ledger
from mmlist.replay.payload import fields, place
from mmlist.replay.record import Loss, Record, Unparsed

Item = Record | Loss | Unparsed
Source = Value | bytes | None
"""Where a field comes from: computed, a constant, or nowhere (it is dropped)."""

_RAW = b"__probe_"
"""How a probe's text begins where trace-cmd prints the raw fields: with `__probe_ip`, in place of the parentheses."""

MAPPED = "mapped "
"""How a run's statistics on a name of a map begin."""

IGNORED = "ignored"

_WORDS = frozenset(
    {
        "mm", "parent", "child", "old", "oldmm", "dst", "src", "after", "next", "prev", "onext", "oprev", "head", "tail",
        "task", "bprm", "folio", "address", "entry", "flags",
    }
)  # fmt: skip
"""Fields that are written as the kernel writes a word, in hex; computed values of others are signed numbers."""

_BARE_HEX = frozenset({"clone_flags"})
"""Fields that are hex without 0x (EVENTS.md)."""


@dataclass(frozen=True)
class Rule:
    """What one name in the log is.

    `name`: as printed, `system:name` where only that system's is meant; `target`: an event of ours, None to ignore the
    record. `explicit`: whether it is of layer A (None: unless a place in parentheses leads it); `when`: it counts only if
    this holds; `keep`: whether fields that are not named keep their names; `sources`: our field -> where it comes from.
    """

    name: str
    target: str | None
    explicit: bool | None = None
    when: Test | None = None
    keep: bool = True
    sources: dict[str, Source] = field(default_factory=dict)

    def apply(self, record: Record) -> Record | None:
        """The event that `record` is; None if it is none."""
        found = fields(record)
        if self.target is None or (self.when is not None and not self.when(found)):
            return None
        text = b" ".join(key.encode("latin-1") + b"=" + _written(value) for key, value in self._values(found))
        led = None if self.explicit else place(record)
        if led is None and (self.explicit is False or (self.explicit is None and record.args.startswith(_RAW))):
            led = record.name.encode()
        args = text if led is None else b"(%s) %s" % (led, text) if text else b"(%s)" % led
        return Record(
            record.at, self.target, args, record.kind, record.tgid, record.flags, record.ts_text, record.last_line
        )

    def _values(self, found: Fields) -> Iterator[tuple[str, bytes]]:
        for key, source in self.sources.items():
            if isinstance(source, bytes):
                yield key, source
            elif isinstance(source, Field):
                if source.name in found:
                    yield key, found[source.name]  # as printed: it need not be a number
            elif source is not None and (word := source(found)) is not None:
                yield key, _number(key, word)
        if self.keep:
            taken = {source.name for source in self.sources.values() if isinstance(source, Field)}
            for key, value in found.items():
                if key not in self.sources and key not in taken:
                    yield key, value


def _number(key: str, word: int) -> bytes:
    if key in _BARE_HEX:
        return b"%x" % word
    return b"0x%x" % word if key in _WORDS else b"%d" % signed(word)


def _written(value: bytes) -> bytes:
    """A value as a probe writes it. Quotes are not escaped there, so none may stand in a string."""
    if value and not value.startswith(b'"') and b" " not in value and b"\n" not in value:
        return value
    return b'"' + value.replace(b'"', b"'") + b'"' if value else b""


class Mapping:
    """The rules of all maps given. `files` are their names, `digest` tells one content from another."""

    def __init__(self, rules: Iterable[Rule], files: tuple[str, ...] = (), digest: str = "") -> None:
        """`rules`: at most one of a name."""
        self.rules = {rule.name: rule for rule in rules}
        self.files = files
        self.digest = digest

    @property
    def names(self) -> frozenset[str]:
        """The names of all records that may be events: what the parser is asked for."""
        ignored = {name for name, rule in self.rules.items() if rule.target is None and ":" not in name}
        return (NAMES | frozenset(self.rules)) - ignored

    @property
    def aliases(self) -> dict[str, frozenset[str]]:
        """A name as it stands in the log's text, without a system -> the events of ours that it may be."""
        found = {name: {name} for name in NAMES if name not in self.rules}
        for name, rule in self.rules.items():
            if rule.target is not None:
                found.setdefault(name.rpartition(":")[2], set()).add(rule.target)
        return {name: frozenset(targets) for name, targets in found.items()}

    def statistics(self, counts: Counter[str]) -> Iterator[Statistic]:
        """What became of each name: how many events were made of it."""
        for name, rule in self.rules.items():
            yield Statistic(MAPPED + name, counts[name], IGNORED if rule.target is None else f"is {rule.target}")

    def rule_of(self, record: Record, system: str | None = None) -> Rule | None:
        """The rule for `record`, None if its name is not mapped. `system`: its, where its name does not say it."""
        if system is not None and (rule := self.rules.get(f"{system}:{record.name}")) is not None:
            return rule
        return self.rules.get(record.name)

    def records(self, items: Iterable[Item], ledger: Ledger, counts: Counter[str]) -> Iterator[Item]:
        """`items` with what is mapped in place of what was printed.

        A record that is no event after all is another's in `ledger`. `counts` takes the events made, by name in the log.
        """
        rules = self.rules
        for item in items:
            rule = rules.get(item.name) if isinstance(item, Record) else None
            if rule is None:
                yield item
                continue
            assert isinstance(item, Record)
            mapped = rule.apply(item)
            if mapped is None:
                ledger.ours -= 1
                ledger.count_other(item.name.rpartition(":")[2])
            else:
                counts[rule.name] += 1
                yield mapped
