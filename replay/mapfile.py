"""Reads maps of event names: TOML, checked against the events and fields that there are (docs/mapping.md)."""

from __future__ import annotations

import difflib
import hashlib
import re
import tomllib
from collections.abc import Iterable
from pathlib import Path
from sys import intern
from typing import Any, NoReturn

from mmlist.grammars import Refused
from mmlist.replay.bind import EXPLICIT_ONLY, NAMES, PROBE_ONLY
from mmlist.replay.bind.reads import INUSE, fields_of
from mmlist.replay.errors import InputError
from mmlist.replay.expression import WORD, guard, value
from mmlist.replay.mapping import Mapping, Rule, Source
from mmlist.replay.nearest import name_held

Keys = tuple[str, ...]

LARGEST = 1024 * 1024
"""Bytes of a map beyond which it is none."""

_LAYERS = {"explicit": True, "probe": False}
_OTHERS = {"same": True, "none": False}
_KEYS = ("is", "layer", "when", "others", "ignore", "fields")
_UNREAD = frozenset({"ret", "task", "member", "comm", "users", "count", "next", "prev"})
"""Fields that EVENTS.md gives to events, and that nothing reads in all of them."""

_NAME = re.compile(r"(?:[A-Za-z_]\w*:)?[A-Za-z_]\w*", re.ASCII)
_PLACE = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)")


def load(*paths: str | Path) -> Mapping:
    """The maps at `paths`, as one.

    Raises InputError for a file that is no map, or maps a name that another maps too; OSError if it cannot be opened.
    """
    rules: dict[str, Rule] = {}
    homes: dict[str, str] = {}
    digest = hashlib.sha256()
    for path in paths:
        with Path(path).open("rb") as file:
            raw = file.read(LARGEST + 1)
        one = _File(str(path), raw)
        for rule in one.rules():
            if rule.name in rules:
                one.refuse(("events", rule.name), f"{homes[rule.name]} maps it, too", "one map of a name")
            rules[rule.name], homes[rule.name] = rule, str(path)
        digest.update(len(raw).to_bytes(8, "big") + raw)
    return Mapping(rules.values(), tuple(map(str, paths)), digest.hexdigest())


class _File:
    """One map, its errors told with their places."""

    def __init__(self, name: str, raw: bytes) -> None:
        self.name = name
        if len(raw) > LARGEST:
            raise InputError("is too large", file=name, expected=f"a map of at most {LARGEST:,} bytes")
        try:
            self.text = raw.decode("utf-8")
        except UnicodeDecodeError as error:
            line = raw.count(b"\n", 0, error.start) + 1
            raise InputError("is not UTF-8", file=name, line=line, expected="a map in TOML") from None
        try:
            self.table: dict[str, Any] = tomllib.loads(self.text)
        except tomllib.TOMLDecodeError as error:
            self._no_toml(str(error))
        except RecursionError:
            raise InputError("is nested too deeply", file=name, expected="a map in TOML") from None

    def rules(self) -> Iterable[Rule]:
        """What it says of each name."""
        self._known((), self.table, ("events",))
        for name, said in self._table(("events",), self.table.get("events", {})).items():
            yield self._rule(name, self._table(("events", name), said))

    def refuse(self, keys: Keys, message: str, expected: str, said: str | None = None, column: int = 1) -> NoReturn:
        """Raise InputError about what stands under `keys`; `column` is in the text `said`."""
        line = self._line(keys)
        text = self.text.split("\n")[line - 1].rstrip("\r") if line else None
        where = -1 if said is None or text is None else text.find(said)
        place = where + column if where >= 0 else None
        path = ".".join(key if key.isidentifier() else f'"{key}"' for key in keys)
        raise InputError(
            f"{path}: {message}" if path else message,
            file=self.name,
            line=line,
            column=place,
            text=text,
            expected=expected,
        )

    def _rule(self, name: str, said: dict[str, Any]) -> Rule:
        keys = ("events", name)
        if _NAME.fullmatch(name) is None:
            self.refuse(keys, f"{name!r} is no event's name", "NAME or SYSTEM:NAME, of letters, digits and _")
        self._known(keys, said, _KEYS)
        if self._choice((*keys, "ignore"), said, {True: True, False: False}, False):
            if len(said) > 1:
                self.refuse(keys, "is ignored and described", "ignore = true alone")
            return Rule(intern(name), None)
        target = self._target(keys, said)
        explicit = self._layer(keys, said, target)
        when = said.get("when")
        return Rule(
            intern(name),
            intern(target),
            explicit,
            None if when is None else self._compiled((*keys, "when"), when, guard),
            self._choice((*keys, "others"), said, _OTHERS, True),
            self._sources((*keys, "fields"), said.get("fields", {}), target, explicit),
        )

    def _target(self, keys: Keys, said: dict[str, Any]) -> str:
        target = said.get("is", keys[-1])
        if isinstance(target, str) and target in NAMES:
            return target
        if "is" not in said:
            self.refuse(keys, "does not say which event it is", f'is = "NAME"{_nearest(keys[-1], NAMES)}')
        self.refuse((*keys, "is"), f"no event {target!r}", f"the name of an event{_nearest(target, NAMES)}")

    def _layer(self, keys: Keys, said: dict[str, Any], target: str) -> bool | None:
        explicit: bool | None = self._choice((*keys, "layer"), said, _LAYERS, None)
        if explicit is False and target in EXPLICIT_ONLY:
            self.refuse((*keys, "layer"), f"{target} is no probe's event", 'layer = "explicit"')
        if explicit is True and target in PROBE_ONLY:
            self.refuse((*keys, "layer"), f"{target} is a probe's event", 'layer = "probe"')
        return explicit

    def _sources(self, keys: Keys, said: Any, target: str, explicit: bool | None) -> dict[str, Source]:
        known: list[str] = []
        for layer in (True, False) if explicit is None else (explicit,):
            known += (one for one in fields_of(target, explicit=layer) if one not in known)
        found: dict[str, Source] = {}
        for name, text in self._table(keys, said).items():
            if name not in known and name not in _UNREAD and not (name.startswith(INUSE) and name[5:].isdecimal()):
                expected = (f"one of {', '.join(known)}" if known else "none") + _nearest(name, known)
                self.refuse((*keys, name), f"{target} has no field {name!r}", expected)
            found[name] = self._source((*keys, name), text)
        return found

    def _source(self, keys: Keys, text: Any) -> Source:
        if text is False:
            return None
        if isinstance(text, int) and not isinstance(text, bool):
            if not -(1 << 63) <= text <= WORD:
                self.refuse(keys, f"{text} is no number of 64 bits", "a smaller one")
            return lambda _: text & WORD
        return self._compiled(keys, text, value)  # type: ignore[no-any-return]

    def _compiled(self, keys: Keys, text: Any, read: Any) -> Any:
        if not isinstance(text, str):
            self.refuse(keys, f"{text!r} is no expression", "an expression in quotes")
        try:
            return read(text)
        except Refused as refused:
            self.refuse(keys, f"{text!r} is no expression", refused.expected, text, refused.column)

    # --- the shape of a table ----------------------------------------------------------------------------------------

    def _table(self, keys: Keys, said: Any) -> dict[str, Any]:
        if not isinstance(said, dict):
            self.refuse(keys, f"{said!r} is no table", f"[{'.'.join(keys)}]")
        return said

    def _known(self, keys: Keys, said: dict[str, Any], known: Keys) -> None:
        for key in said:
            if key not in known:
                expected = (f"one of {', '.join(known)}" if len(known) > 1 else known[0]) + _nearest(key, known)
                self.refuse((*keys, key), "unknown key", expected)

    def _choice(self, keys: Keys, said: dict[str, Any], choices: dict[Any, Any], default: Any) -> Any:
        if keys[-1] not in said:
            return default
        chosen = said[keys[-1]]
        shown = " or ".join(str(one).lower() if isinstance(one, bool) else f'"{one}"' for one in choices)
        if not isinstance(chosen, (bool, str)) or chosen not in choices:
            self.refuse(keys, f"{chosen!r} is none of its values", shown)
        return choices[chosen]

    # --- places ------------------------------------------------------------------------------------------------------

    def _no_toml(self, message: str) -> NoReturn:
        found = _PLACE.search(message)
        line, column = (int(found[1]), int(found[2])) if found is not None and found[1] else (None, None)
        text = self.text.split("\n")[line - 1].rstrip("\r") if line else None
        said = f"is no TOML: {_PLACE.sub('', message)}"
        raise InputError(said, file=self.name, line=line, column=column, text=text, expected="a map in TOML")

    def _line(self, keys: Keys) -> int | None:
        """The line on which `keys`, or the nearest table around them, stand; tomllib does not say it."""
        found: dict[Keys, int] = {}
        table: Keys = ()
        for number, line in enumerate(self.text.split("\n"), 1):
            text = line.strip()
            try:
                if text.startswith("["):
                    table = _path(text)
                    for end in range(1, len(table) + 1):
                        found.setdefault(table[:end], number)
                elif "=" in text and not text.startswith("#"):
                    found.setdefault(table + _path(text.partition("=")[0] + "= 0"), number)
            except tomllib.TOMLDecodeError:
                continue  # within a string of several lines
        while keys and keys not in found:
            keys = keys[:-1]
        return found.get(keys)


def _path(text: str) -> Keys:
    """The keys of one line of TOML."""
    keys: list[str] = []
    table: Any = tomllib.loads(text)
    while isinstance(table, (dict, list)) and table:
        if isinstance(table, list):
            table = table[0]
        else:
            (key, table), *_ = table.items()
            keys.append(key)
    return tuple(keys)


def _nearest(name: object, known: Iterable[str]) -> str:
    known = sorted(known)
    near = name_held(str(name), known) or next(iter(difflib.get_close_matches(str(name), known, n=1)), None)
    return f": the nearest is {near}" if near else ""
