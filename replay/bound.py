"""What reading a log yields to the fold: records bound to events, losses, and what else it must hear of, in replay order.

Data alone: it goes from one part of a replay to the next, be it in another process (apart.py).
"""

from __future__ import annotations

from collections import Counter

import msgspec

from mmlist.replay.events import Event
from mmlist.replay.ledger import Ledger
from mmlist.replay.machine import Machine
from mmlist.replay.record import At, Loss


class Bound(msgspec.Struct, gc=False):
    """A record as its place, its name, and the events that it is.

    `readable`: it is the first of its name that has a field which its event may have.
    """

    at: At
    name: str
    readable: bool
    events: list[Event]


class Hole(msgspec.Struct, gc=False):
    """A loss and the events that it is."""

    loss: Loss
    events: list[Event]


class Slip(msgspec.Struct, gc=False):
    """A CPU's clock went `back` to there, where it had been at `since` (clock.py), in units of ts."""

    back: int
    since: int


class Reached(msgspec.Struct, gc=False):
    """How far the log has been read, in bytes of its content."""

    position: int


class Ending(msgspec.Struct):
    """What is known of a log when it was read to its end.

    `counted`: a program of ours printed the log, which ends it by saying how much; `printed`: how many records, by CPU, empty if
    it does not say so behind them; `seen`: how many stand in the log, empty if that was known too late to count them.
    `last_times` are the last by CPU; `lacking` and `buffers` as the parser's; `late` records came too late to be put in
    order; `probed`: some are of probes; `unentered` calls returned that never began, `unborn` tasks appeared that were never
    forked (bind/unentered.py, bind/unborn.py); `mapped` counts as Setup's.
    """

    ledger: Ledger
    counted: bool
    printed: dict[int, int]
    seen: dict[int | None, int]
    last_times: dict[int, int]
    ts_unit: str
    dialect: str
    machine: Machine
    lacking: set[str]
    buffers: set[bytes]
    late: int
    probed: bool
    unentered: int
    unborn: int
    mapped: Counter[str]
