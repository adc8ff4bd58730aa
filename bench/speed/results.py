"""What was measured, as data: kept in a file, so that a page can be written again, or a part of it measured anew."""

from __future__ import annotations

from pathlib import Path
from statistics import median

import msgspec

from speed.cases import FLOOR, Case


class Sample(msgspec.Struct, frozen=True):
    """One run of one program: seconds of wall time and of CPU, MB at the peak."""

    wall: float
    cpu: float
    peak: float


class Row(msgspec.Struct):
    """One program on one log: its runs, or why there are none."""

    name: str
    does: str
    samples: list[Sample] = []
    lacking: str = ""

    @property
    def wall(self) -> float:
        """Seconds, the median."""
        return median(sample.wall for sample in self.samples)

    @property
    def cpu(self) -> float:
        """Seconds, the median."""
        return median(sample.cpu for sample in self.samples)

    @property
    def peak(self) -> float:
        """MB, the largest."""
        return max(sample.peak for sample in self.samples)

    @property
    def spread(self) -> tuple[float, float]:
        """The shortest and the longest wall time."""
        walls = [sample.wall for sample in self.samples]
        return min(walls), max(walls)


class Table(msgspec.Struct):
    """All programs on one log, which has `lines` lines and `size` bytes. `part` says what it was measured for."""

    part: str
    case: Case
    lines: int
    size: int
    rows: list[Row]

    def row(self, name: str) -> Row | None:
        """The runs of a program, if it ran."""
        return next((row for row in self.rows if row.name == name and row.samples), None)

    def ratio(self, name: str, *, to: str = FLOOR, cpu: bool = False) -> float | None:
        """How many times as long as `to` it takes; None where one of them did not run."""
        one, other = self.row(name), self.row(to)
        if one is None or other is None:
            return None
        return one.cpu / other.cpu if cpu else one.wall / other.wall


class Stages(msgspec.Struct):
    """What mmlist's stages take on one log: (stage, CPU seconds)."""

    case: Case
    lines: int
    stages: list[tuple[str, float]]


class Results(msgspec.Struct):
    """All that a page is written of."""

    machine: str = ""
    version: str = ""
    turns: int = 0
    tables: list[Table] = []
    stages: list[Stages] = []

    def add(self, table: Table) -> None:
        """Take `table` in the place of one of the same part and log."""
        self.tables = [t for t in self.tables if (t.part, t.case) != (table.part, table.case)] + [table]

    def add_stages(self, stages: Stages) -> None:
        """Likewise."""
        self.stages = [s for s in self.stages if s.case != stages.case] + [stages]

    def part(self, name: str) -> list[Table]:
        """The tables of one part, as they were measured."""
        return [table for table in self.tables if table.part == name]


def load(path: Path) -> Results:
    """What an earlier run left; nothing where none did. Raises msgspec.ValidationError for another program's file."""
    return msgspec.json.decode(path.read_bytes(), type=Results) if path.exists() else Results()


def save(results: Results, path: Path) -> None:
    """Keep what was measured so far."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(msgspec.json.format(msgspec.json.encode(results)))
