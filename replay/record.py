"""What parsing yields: records, loss and unparsed lines, each with its place in the log.

Bytes become a `Record`; what a record means is said by `bind`, not here.
"""

from __future__ import annotations

import msgspec


class At(msgspec.Struct, gc=False):
    """Where and when: the position of a record in the log and its context columns.

    `line` is 1-based, `offset` the byte offset of the line's first byte in the decompressed log. `ts` is an integer:
    nanoseconds (`ts_unit` "ns"), or the raw number of a clock without a dot (`ts_unit` "raw"); None where the
    dialect prints no time. `pid` is the kernel's task id (perf's TID). `comm` is the name column's bytes, for display
    only: it is looked up when the log is read and is never a key. `seq` is the record's place in replay order on the
    scale of line numbers (see `order`); 0 until it was ordered.
    """

    line: int
    offset: int
    ts: int | None
    cpu: int | None
    pid: int | None
    comm: bytes
    seq: int = 0


class Record(msgspec.Struct, gc=False):
    """One event as the log shows it: `name` without a system prefix (`mmput`), `args` the bytes after `name: `.

    `name` is interned. `tgid`, `flags`, `ts_text` are as printed (None where the dialect has none). `last_line` is the
    last physical line (a comm or marker may hold newlines). `fields` is filled by `payload.fields(record)`.
    """

    at: At
    name: str
    args: bytes
    kind: str = "event"
    tgid: int | None = None
    flags: bytes | None = None
    ts_text: bytes | None = None
    last_line: int = 0


class Loss(msgspec.Struct, gc=False):
    """Events that are missing, as an interval on one CPU: after `since`, up to `until`.

    `at` is the marker's own place (its `ts` is `until`). `since` is the time of the last record seen on that CPU before
    the hole (None: none was seen), `until` the first after it (None: the log ends). `cpu` None means any CPU. `count` is
    None where the log does not say it. `kind` is the marker's form: `lost`, `dropped`, `perf_lost`, `overwritten`,
    `buffer_started`, `backwards`, `truncated`, `joined` (another capture begins), `doubted` (a line that was not believed: if
    it was true, it is missing).
    """

    at: At
    cpu: int | None
    count: int | None
    since: int | None
    until: int | None
    kind: str


MARKED = frozenset({"lost", "dropped", "perf_lost"})
"""Kinds of loss that the tracer marks where it stopped, and goes on: all that came before a marker is in the log."""


class Unparsed(msgspec.Struct, gc=False):
    """A line that could not be read: kept with its reason, never dropped. `severity`: info, data_loss, error."""

    at: At
    text: bytes
    reason: str
    column: int
    severity: str = "error"
