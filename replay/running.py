"""Which task runs on a CPU, for a tracer that prints it but when it changes: function_graph.

Source: kernel/trace/trace_functions_graph.c, verif_pid: the first task of a CPU is named by the first change only.
"""

from __future__ import annotations

import re

from mmlist import grammars

_SWITCH = re.compile(rb"^[^\n]*=>[^\n]*", re.MULTILINE)


class Running:
    """The tasks on the CPUs of one log, as (comm, pid). `mistaken`: a stand-in turned out to be a task known by its pid."""

    def __init__(self) -> None:
        """Nobody is known to run."""
        self._on: dict[int, tuple[bytes, int]] = {}
        self._unknown: set[int] = set()
        self.mistaken = False

    def first(self, data: bytes) -> None:
        """Learn who runs at the beginning of `data`: who leaves a CPU first."""
        read = grammars.load("function_graph").read
        for line in _SWITCH.finditer(data):
            parts = read(line[0]) or {}
            if "prev_pid" in parts and "cpu" in parts:
                cpu = int(parts["cpu"])
                if cpu not in self._on:
                    self.mistaken |= cpu in self._unknown
                    self._on[cpu] = parts["prev_task"], int(parts["prev_pid"])

    def arrive(self, cpu: int, task: bytes, pid: int) -> None:
        """A task runs on `cpu` from here on."""
        self._on[cpu] = task, pid

    def on(self, cpu: int) -> tuple[bytes, int]:
        """Who runs on `cpu`; as long as nobody said it, a stand-in: no name, and a negative pid of its own."""
        found = self._on.get(cpu)
        if found is None:
            self._unknown.add(cpu)
            return b"", -1 - cpu
        return found
