"""What a record means: records become events of the closed vocabulary (replay/events.py).

Explicit events are taken as they are (explicit.py), probes are bound by what each task is in the middle of (probes.py,
entries.py). A place in parentheses makes an event of a name that both layers have one of layer B (EVENTS.md).
"""

from __future__ import annotations

from collections.abc import Callable

from mmlist.replay import events as e
from mmlist.replay.bind import explicit as _explicit
from mmlist.replay.bind import probes as _probes
from mmlist.replay.bind.explicit import Explicit
from mmlist.replay.bind.probes import Probes
from mmlist.replay.bind.task import Tasks
from mmlist.replay.bind.unentered import Unentered
from mmlist.replay.bind.values import INIT_MM, Fields, Reader
from mmlist.replay.payload import fields
from mmlist.replay.record import At, Loss, Record

EXPLICIT_ONLY = _explicit.NAMES - _probes.NAMES
"""Names that only layer A has: explicit always, whatever stands in parentheses."""

PROBE_ONLY = _probes.NAMES - _explicit.NAMES
"""Names that only layer B has."""

TRACEPOINTS = frozenset({"task_newtask", "sched_process_exit", "sched_process_free"})
"""Names of layer B that are the kernel's own tracepoints: any log may carry them."""

NAMES = _explicit.NAMES | _probes.NAMES
"""The names of all events that the model may hear of: what the parser is asked for."""

_OF_ONE_GET = frozenset({"get_task_mm", "mmlist_visit"})
"""Names whose event may be of the same get as the mmget on the task's line before."""

Handler = Callable[[At, Fields, list[e.Event]], None]

_NO_GET = ("", None)
_LEADS = (b"(", b"__probe_")
"""How the payload of a probe begins: with the probed place, as trace_probe.c or `trace-cmd report -R` print it."""


def is_explicit(record: Record) -> bool:
    """Whether `record` is an event of layer A: no probed place leads it."""
    name = record.name
    return name in EXPLICIT_ONLY or (name not in PROBE_ONLY and not record.args.lstrip(b" ").startswith(_LEADS))


class Binder:
    """Makes events of the records of one log, which are to be given in replay order."""

    def __init__(
        self,
        names: frozenset[str],
        *,
        init_mm: int | None = None,
        assigns_explicit: bool = False,
        clears_explicit: bool = False,
        unuse_clears: bool = False,
        aio_names: bool = False,
        distrusted: frozenset[str] = frozenset(),
        grain: int = -1,
    ) -> None:
        """`names`: the events that the log carries; `init_mm` its address; `distrusted`: fields of probes to be ignored.

        `grain` as Unentered's, the rest as in Explicit and EntryProbes.
        """
        reader = Reader(init_mm)
        probe_reader = Reader(init_mm, distrusted)
        tasks = Tasks()
        explicit = Explicit(reader, tasks, aio_names=aio_names)
        self.unentered = Unentered(grain)
        probes = Probes(
            probe_reader,
            tasks,
            names,
            self.unentered,
            assigns=assigns_explicit,
            clears=clears_explicit,
            unuse_clears=unuse_clears,
        )
        self._tasks, self.unborn = tasks, tasks.unborn
        self._before = probes.before
        self._handlers: dict[str, tuple[Handler | None, Handler | None, bool]] = {
            name: (
                getattr(explicit, "on_" + name, None) if name not in PROBE_ONLY else None,
                getattr(probes, "on_" + name, None) if name not in EXPLICIT_ONLY else None,
                name in _OF_ONE_GET,
            )
            for name in NAMES
        }

    def bind(self, record: Record) -> list[e.Event]:
        """The events that `record`, of one of NAMES, is; none if it says nothing to the model."""
        out: list[e.Event] = []
        at = record.at
        name = record.name
        handler, probe, of_one_get = self._handlers[name]
        if handler is None or (probe is not None and record.args.lstrip(b" ").startswith(_LEADS)):
            if at.pid is None:
                return out  # what a probe means depends on what its task is in the middle of
            handler = probe
            self.unentered.meets(name, record.args)
        task = self._tasks.of(at)
        if task.brackets or task.pending_free is not None:
            self._before(task, name)
        if not of_one_get:
            task.last = _NO_GET
        if handler is not None:
            handler(at, fields(record), out)
        return out

    @property
    def probed(self) -> bool:
        """Whether any record was of a probe, so far."""
        return not self.unentered.met <= TRACEPOINTS

    def lost(self, loss: Loss) -> list[e.Event]:
        """The event that `loss` is. Every bracket that was open may have closed unseen."""
        self._tasks.lost()
        return [e.Lost(loss.at, loss.cpu, loss.since, loss.until, loss.count, loss.kind)]


__all__ = ["INIT_MM", "NAMES", "Binder", "is_explicit"]
